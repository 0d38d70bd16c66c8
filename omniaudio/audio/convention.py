"""The convention that a sound file declares for its four channels, by the file's content, its name or its sidecar;
never by a guess.

Sources: Leese, "File Format for B-Format" (.amb); Dobson, "B-Format and WAVE-EX" (the sub-formats); ITU-R BS.2076-2,
"Audio Definition Model"; Apple, CoreAudioTypes (layout tags); RFC 8486 (Opus).
"""

import logging
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from omniaudio.audio.ambisonics import CHANNELS, Convention
from omniaudio.audio.chunks import SoundChunks, opus_mapping, read_chunks
from omniaudio.errors import ExitCode, UserError

NAMES = {
    Convention.AMBIX: "AmbiX (W Y Z X, SN3D)",
    Convention.N3D: "ACN with N3D (W Y Z X)",
    Convention.FUMA: "Furse-Malham (W X Y Z, W at -3 dB)",
    Convention.WXYZ: "W X Y Z with SN3D",
}

_B_FORMAT = frozenset({UUID("00000001-0721-11d3-8644-c8c1ca000000"), UUID("00000003-0721-11d3-8644-c8c1ca000000")})
"""Sub-formats of an extensible WAV: Furse-Malham B-format as integers and as floats."""
_LAYOUTS = {107: Convention.FUMA, 190: Convention.AMBIX, 191: Convention.N3D}
"""Core Audio's Ambisonic_B_Format, HOA_ACN_SN3D and HOA_ACN_N3D, without the number of channels."""
_ACN = [(0, 0), (1, -1), (1, 0), (1, 1)]
"""Order and degree of the channels W, Y, Z, X."""
_SCALES = {frozenset({"SN3D"}): Convention.AMBIX, frozenset({"N3D"}): Convention.N3D}
_OPUS_AMBISONICS = 2
"""Opus' channel mapping family for AmbiX."""
_SIDECAR_BYTES = 4096
"""Bytes at a sidecar's beginning that contain its format and convention."""
_OURS = re.compile(r'"format":\s*"omniaudio-(?:sidecar|rotation)-1".*"convention":\s*"AmbiX ACN/SN3D"', re.DOTALL)

_log = logging.getLogger(__name__)


class Declaration(NamedTuple):
    """A declared convention and what declares it."""

    convention: Convention
    reason: str


def declared(path: Path) -> Declaration | None:
    """The convention that a sound file of four channels declares; None if it declares none.

    The file's content takes precedence over its name, and its name over our sidecar.

    Raises UserError (NO_INPUT) if it declares what cannot be converted, or cannot be read."""
    try:
        chunks = read_chunks(path)
        return _by_chunks(path, chunks) or _by_opus(path) or _by_name(path) or _by_sidecar(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check the file.", ExitCode.NO_INPUT) from error


def converted_from(path: Path) -> Convention | None:
    """The convention from which a sound is converted; None if it is AmbiX or declares nothing.

    Raises UserError as `declared` does."""
    found = declared(path)
    return None if found is None or found.convention is Convention.AMBIX else found.convention


@lru_cache(maxsize=1)
def log_conversion(path: Path, found: Declaration) -> None:
    """Log that a sound is converted; only once if the same one is opened several times in a row."""
    _log.warning("%s is converted from %s to AmbiX: %s.", path.name, NAMES[found.convention], found.reason)


def _by_chunks(path: Path, chunks: SoundChunks) -> Declaration | None:
    if chunks.sub_format in _B_FORMAT:
        return Declaration(Convention.FUMA, "the file is declared as B-format (.amb)")
    layout = chunks.contents.get(b"chan", chunks.contents.get(b"CHAN", b""))
    if (convention := _LAYOUTS.get(int.from_bytes(layout[:2], "big"))) is not None:
        return Declaration(convention, "its channel layout declares it")
    return _by_adm(path, chunks.contents.get(b"axml", b"").decode(errors="replace"))


def _by_adm(path: Path, text: str) -> Declaration | None:
    """The convention by the Audio Definition Model in a broadcast WAV."""
    if not re.search(r'typeDefinition="HOA"|typeLabel="0004"', text):
        return None
    scales = frozenset(_values(text, "normalization")) or {"SN3D"}  # the model's default
    components = list(zip(map(_integer, _values(text, "order")), map(_integer, _values(text, "degree")), strict=False))
    convention = _SCALES.get(frozenset(scales))
    if convention is None or (components and components[:CHANNELS] != _ACN):
        said = f"{' and '.join(sorted(scales))}, components (order, degree) {components[:CHANNELS]}"
        raise UserError(
            f"{path.name} declares {said} in its ADM metadata, which cannot be converted; export it as AmbiX (ACN "
            f"order, SN3D).",
            ExitCode.NO_INPUT,
        )
    return Declaration(convention, "its ADM metadata declare it")


def _values(text: str, element: str) -> list[str]:
    return re.findall(rf"<(?:\w+:)?{element}>\s*([^<\s]{{1,20}})\s*<", text)


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[-+]?\d{1,3}", text, re.ASCII) else None


def _by_opus(path: Path) -> Declaration | None:
    is_ambisonics = opus_mapping(path) == _OPUS_AMBISONICS
    return Declaration(Convention.AMBIX, "its Opus header declares it") if is_ambisonics else None


def _by_name(path: Path) -> Declaration | None:
    is_b_format = path.suffix.lower() == ".amb"
    return Declaration(Convention.FUMA, "its name ends with .amb, which is B-format") if is_b_format else None


def _by_sidecar(path: Path) -> Declaration | None:
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        return None
    with sidecar.open("rb") as stream:
        text = stream.read(_SIDECAR_BYTES).decode(errors="replace")
    return Declaration(Convention.AMBIX, f"{sidecar.name} declares it") if _OURS.search(text) else None

"""What leaves the project: 24-bit WAV whose true peak is guarded, and the sidecar that says how to make it again.

Nothing is ever half-written: everything is written beside its target under another name and renamed when it is whole.

Source of the true peak: ITU-R BS.1770-5, annex 2.
"""

import hashlib
import json
import os
import tempfile
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from errno import EISDIR
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from math import log10
from pathlib import Path
from platform import python_version
from types import TracebackType
from typing import Annotated, Any, Literal, Self
from uuid import uuid4

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from omniaudio.ambisonics import CHANNELS, Floats
from omniaudio.errors import ExitCode, UserError
from omniaudio.limits import (
    HIGHEST_OUTPUT_RATE,
    HIGHEST_READABLE_RATE,
    LOWEST_OUTPUT_RATE,
    LOWEST_READABLE_RATE,
    GuardGain,
    Guidance,
    Seed,
    Steps,
    Takes,
)
from omniaudio.paths import check_readable

CEILING_DBTP = -1.0
"""The loudest true peak that is delivered: room for the overshoot of lossy codecs (EBU R 128)."""

BYTES_PER_SAMPLE = 3
FULL_SCALE = 1 << 23
WAV_LIMIT = (1 << 32) - 1024
"""Bytes of sound in a plain WAV, whose sizes have 32 bits. RF64 has more, but libsndfile's carries a speaker mask, and
players then take ambisonics for quadraphonics."""

LARGEST_SIDECAR = 1 << 20
"""Bytes; one that we write has less than 3000."""

_BLOCK = 1 << 16
_INTERPOLATOR_SPAN = 16
"""Samples on each side from which the value between two samples is computed."""
_KAISER_BETA = 8.0
"""Of the window that the interpolating sinc is cut by."""
_TOGETHER = 32
"""Intervals between samples that one row of the interpolation fills."""

_WANTED = "the .json file that lies beside a generated .wav"
_SHOWN = 100
"""Characters of a name in a file that a message repeats."""

_LIBRARIES = ("omniaudio-blender", "numpy", "scipy", "av", "onnxruntime", "openvino", "torch")


def decibels(amplitude: float) -> float | None:
    """dB relative to full scale (1.0); None for silence, which has no level."""
    return 20 * log10(amplitude) if amplitude > 0 else None


class TruePeakMeter:
    """The largest magnitude that a sound reaches between its samples, measured block by block.

    Oversampled to at least 192 kHz as BS.1770 says: 4 times at 44.1 and 48 kHz."""

    def __init__(self, channels: int, rate: int) -> None:
        self._factor = max(1, -(-192_000 // max(rate, 48_000)))
        self._interpolate = _interpolator(self._factor)
        self._waiting: Floats = np.zeros((channels, 2 * _INTERPOLATOR_SPAN - 1), np.float32)
        self._peak = 0.0

    def process(self, block: Floats) -> None:
        """Takes the next samples `(channels, samples)`."""
        joined = np.concatenate([self._waiting, block], axis=1)
        reach = len(self._interpolate)
        spans = max(0, joined.shape[1] - reach + _TOGETHER) // _TOGETHER
        self._waiting = joined[:, spans * _TOGETHER :]
        self._peak = max(self._peak, _largest(block))
        if spans:
            rows = sliding_window_view(joined, reach, axis=1)[:, ::_TOGETHER].reshape(-1, reach)
            self._peak = max(self._peak, _largest(rows @ self._interpolate))

    def finish(self) -> float:
        """The true peak as an amplitude, full scale being 1; the sound ends in silence."""
        # Enough for the last interval that the sound reaches, wherever the last span began.
        self.process(np.zeros((len(self._waiting), len(self._interpolate)), np.float32))
        return self._peak


def true_peak(signal: Floats, rate: int) -> float:
    """The true peak of a sound `(samples,)` or `(channels, samples)` as an amplitude, full scale being 1."""
    channels = np.atleast_2d(signal)
    meter = TruePeakMeter(channels.shape[0], rate)
    meter.process(channels)
    return meter.finish()


def guard_gain(peak: float) -> float:
    """The factor that brings a true peak down to the ceiling of −1 dBTP; 1 below it: nothing is amplified."""
    ceiling = float(10 ** (CEILING_DBTP / 20))
    return min(1.0, ceiling / peak) if peak > 0 else 1.0


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives an empty file beside `path` to write to, and renames it to `path` once the block has ended.

    If the block fails or is interrupted the file is removed, and whatever was at `path` stays as it was. What the
    system refuses becomes a UserError with NOT_WRITABLE."""
    with _refusals(path), _partial_file(path) as partial:
        yield partial


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        sentence = f"{path} cannot be written ({reason}): choose another place, or make room there."
        raise UserError(sentence, ExitCode.NOT_WRITABLE) from error


@contextmanager
def _partial_file(path: Path) -> Iterator[Path]:
    if path.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    partial = path.with_name(f".{path.stem}.{uuid4().hex[:8]}{path.suffix}")
    try:
        partial.touch(exist_ok=False)
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


class AmbixWriter:
    """Writes a sound block by block to a plain 24-bit WAV with its true peak at −1 dBTP at the most.

    The gain needs the whole sound's peak, so the blocks wait in a nameless file beside the target (16 bytes a sample)
    and are scaled at the end: memory stays constant for any length. No dither, so that the same sound gives the same
    file. The binaural preview is written alike, with two channels.

    >>> with AmbixWriter(path, 48000) as writer:
    ...     writer.write(block)
    >>> writer.gain_db
    """

    gain_db: float
    """What the guard took, 0 or less; known once the block has ended."""
    true_peak_dbtp: float | None
    """The true peak of what was written; None in silence."""

    def __init__(self, path: Path, rate: int, channels: int = CHANNELS, *, guarded: bool = True) -> None:
        """`guarded` is false for a sound whose peaks were guarded before: it is written as it is."""
        self.path = path
        self.guarded = guarded
        self.rate = rate
        self.channels = channels
        self.samples = 0
        self._limit = WAV_LIMIT // (BYTES_PER_SAMPLE * channels)
        self._meter = TruePeakMeter(channels, rate)
        self._files = ExitStack()

    def __enter__(self) -> Self:
        with _refusals(self.path), ExitStack() as stack:
            self._partial = stack.enter_context(_partial_file(self.path))
            self._spool = stack.enter_context(tempfile.TemporaryFile(dir=self.path.parent))
            self._files = stack.pop_all()
        return self

    def write(self, block: Floats) -> None:
        """Appends samples `(channels, samples)`, full scale being 1."""
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"blocks are ({self.channels}, samples), not {block.shape}")
        if not np.isfinite(block).all():
            raise ValueError("the sound has samples that are infinite or not a number")
        self.samples += block.shape[1]
        if self.samples > self._limit:
            hours = self._limit / self.rate / 3600
            raise UserError(
                f"{self.path} would pass 4 GB, the most that a WAV holds: make it in parts below {hours:.1f} hours "
                f"with --start and --duration.",
                ExitCode.NOT_WRITABLE,
            )
        self._meter.process(block)
        with _refusals(self.path):
            self._spool.write(block.T.astype("<f4").tobytes())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._files.__exit__(kind, error, trace)
            return
        with _refusals(self.path), self._files:
            self._finish()

    def _finish(self) -> None:
        peak = self._meter.finish()
        gain = guard_gain(peak) if self.guarded else 1.0
        self._spool.seek(0)
        with wave.open(str(self._partial), "wb") as target:
            target.setnchannels(self.channels)
            target.setsampwidth(BYTES_PER_SAMPLE)
            target.setframerate(self.rate)
            while chunk := self._spool.read(_BLOCK * self.channels * 4):
                target.writeframesraw(_pcm24(np.frombuffer(chunk, "<f4") * gain))
        self.gain_db = decibels(gain) or 0.0
        self.true_peak_dbtp = decibels(peak * gain)


def installed_versions() -> dict[str, str]:
    """The versions of Python and of the libraries that have a say in the result, of those that are installed."""
    versions = {"python": python_version()}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return versions


Short = Annotated[str, Field(max_length=200)]
RelativePath = Annotated[str, Field(min_length=1, max_length=4096)]
"""As seen from the sidecar's folder."""


class Options(BaseModel):
    """What the user chose, in full: every default is spelled out, so that a later default changes nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: Short
    steps: Steps
    guidance: Guidance
    start: float = Field(ge=0, allow_inf_nan=False, description="seconds into the clip")
    duration: float = Field(gt=0, allow_inf_nan=False, description="seconds")
    rate: int = Field(ge=LOWEST_READABLE_RATE, le=HIGHEST_READABLE_RATE, description="of the file, in Hz")
    takes: Takes = 1


class MadeAgain(BaseModel):
    """The take that a part was made anew of, and where it lies, in seconds of the take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sound: RelativePath
    sound_sha256: Short
    start: float = Field(ge=0, allow_inf_nan=False)
    duration: float = Field(gt=0, allow_inf_nan=False)
    gain_db: GuardGain = Field(default=0, description="what the true-peak guard had taken of that take")


class Sidecar(BaseModel):
    """Everything that it takes to make a take again, and what its file cannot say. Lies beside it as `.json`.

    Its limits are those of a request, so that each one that can be read can be asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    format: Literal["omniaudio-sidecar-1"] = "omniaudio-sidecar-1"
    created: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    convention: Literal["AmbiX ACN/SN3D"] = "AmbiX ACN/SN3D"
    model: RelativePath
    model_sha256: Short
    seed: Seed
    take: int = Field(default=1, ge=1, description="which of the takes this is, from 1")
    options: Options
    input: RelativePath
    input_sha256: Short
    again: MadeAgain | None = Field(default=None, description="where only a part of another take was made")
    gain_db: float = Field(
        le=0, allow_inf_nan=False, description="what the true-peak guard took: of the whole, or of the part made again"
    )
    true_peak_dbtp: float | None = Field(allow_inf_nan=False, description="of the file; null in silence")
    versions: dict[Short, Short] = Field(default_factory=installed_versions, max_length=100)

    @model_validator(mode="after")
    def _can_be_asked_for(self) -> Self:
        if self.take > self.options.takes:
            raise ValueError(f"take {self.take} is none of the {self.options.takes} of options.takes")
        rate = self.options.rate
        if self.again is None and not LOWEST_OUTPUT_RATE <= rate <= HIGHEST_OUTPUT_RATE:
            limits = f"{LOWEST_OUTPUT_RATE} to {HIGHEST_OUTPUT_RATE} Hz"
            raise ValueError(f"options.rate is {limits} unless a part was made again, not {rate}")
        return self

    def write(self, path: Path) -> None:
        """Writes it as JSON, whole or not at all."""
        with replacing(path) as partial:
            partial.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The sidecar in a file.

        Raises UserError (NO_INPUT) where it is none, naming the first field that is wrong and its limit."""
        check_readable(path, _WANTED)
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST_SIDECAR + 1)
            if len(content) > LARGEST_SIDECAR:
                raise _no_sidecar(path, f"it is larger than {LARGEST_SIDECAR >> 20} MiB")
            return cls.model_validate(json.loads(content.decode("utf-8-sig"), object_pairs_hook=_without_repeats))
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}).", ExitCode.NO_INPUT) from error
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))[:_SHOWN] or "its values"
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise _no_sidecar(path, f"{where}: {message}") from error
        except RecursionError as error:
            raise _no_sidecar(path, "its form: nested too deep") from error
        except ValueError as error:  # no JSON, or not in UTF-8
            raise _no_sidecar(path, f"its form: {error}") from error

    @classmethod
    def beside(cls, sound: Path) -> Self | None:
        """The sidecar of a sound; None where none lies beside it, or another program's file. Takes are .wav."""
        if sound.suffix.lower() != ".wav":
            return None
        try:
            return cls.read(sound.with_suffix(".json"))
        except UserError:
            return None


def _no_sidecar(path: Path, why: str) -> UserError:
    return UserError(f"{path} is no sidecar of OmniAudio ({why}): name {_WANTED}.", ExitCode.NO_INPUT)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError where a name stands in it twice: readers differ in which one counts."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:_SHOWN]!r} stands in it twice")
        found[name] = value
    return found


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def _interpolator(factor: int) -> Floats:
    """From neighbouring samples to the `factor` − 1 values in each of `_TOGETHER` intervals between them, as a matrix.

    A row of samples `(reach,)` times this `(reach, values)`; a matrix product is ten times as fast as the filter."""
    before = np.arange(1 - _INTERPOLATOR_SPAN, _INTERPOLATOR_SPAN + 1)[:, None]
    distance = before - np.arange(1, factor) / factor
    window = np.i0(_KAISER_BETA * np.sqrt(1 - (distance / _INTERPOLATOR_SPAN) ** 2)) / np.i0(_KAISER_BETA)
    matrix = np.zeros((len(before) + _TOGETHER - 1, _TOGETHER, factor - 1), np.float32)
    for interval in range(_TOGETHER):
        matrix[interval : interval + len(before), interval] = np.sinc(distance) * window
    return matrix.reshape(len(matrix), -1)


def _largest(values: Floats) -> float:
    """The largest magnitude; 0 of nothing."""
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def _pcm24(samples: Floats) -> bytes:
    """Little-endian 24-bit integers; what lies above full scale is held there."""
    integers = np.clip(np.rint(samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype("<i4")
    return integers.view(np.uint8).reshape(-1, 4)[:, :BYTES_PER_SAMPLE].tobytes()

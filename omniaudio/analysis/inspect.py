"""Describes a file: the format of a panorama, or the convention, level and direction over time of ambisonic sound."""

from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Group
from rich.table import Table
from rich.text import Text

from omniaudio.audio.ambisonics import CHANNELS, XYZ, Convention, Floats, W, angles, convert, diffuseness
from omniaudio.audio.convention import NAMES, declared
from omniaudio.audio.loudness import TruePeakMeter, decibels
from omniaudio.audio.reader import SoundFile, check_header, read_header
from omniaudio.paths import check_name, check_readable
from omniaudio.sidecar import Sidecar
from omniaudio.video.clip import Clip
from omniaudio.video.probe import ClipInfo
from omniaudio.video.sphere import is_stretched, why_no_sphere
from omniaudio.video.stills import is_sequence

SILENT_DBFS = -70.0
"""Below this pressure, a second of sound has no meaningful direction."""

_ROWS = 20
"""Rows of the table of directions; longer sounds are shown at even steps, and completely in JSON."""

_TRAITS: dict[Convention, tuple[float, bool, float]] = {
    Convention.AMBIX: (0.0, True, 1.0),
    Convention.FUMA: (-0.5, False, 2.0),
    Convention.N3D: (-1.5, True, 3.0),
    Convention.WXYZ: (-2.3, False, 1.0),
}
"""For each convention: its prior (power of ten), whether its order is ACN, and the energy of its dipoles over W."""


class ConventionGuess(BaseModel):
    """The convention of four channels."""

    model_config = ConfigDict(frozen=True)

    convention: Convention
    sure: float = Field(ge=0, le=1, description="1 if the file declares it; else a rough probability")
    reason: str


class Moment(BaseModel):
    """A second of a sound. Directions are degrees, azimuth counter-clockwise from the front; None in silence."""

    model_config = ConfigDict(frozen=True)

    second: int
    azimuth: float | None
    elevation: float | None
    diffuseness: float | None = Field(description="0: one plane wave; 1: from everywhere")
    rms_dbfs: float | None = Field(description="of the pressure; None for digital silence")


class Origin(BaseModel):
    """How a sound was generated, from the sidecar beside it."""

    model_config = ConfigDict(frozen=True)

    sidecar: Path
    model: str
    seed: int
    take: int
    convention: str


class SoundReport(BaseModel):
    """A first-order ambisonic file."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["ambisonic"] = "ambisonic"
    path: Path
    format: str
    rate: int
    seconds: float
    convention: ConventionGuess
    origin: Origin | None = Field(description="None without an OmniAudio sidecar")
    rms_dbfs: float | None = Field(description="of the pressure")
    true_peak_dbtp: float | None = Field(description="of the loudest channel as stored")
    dc_dbfs: float | None = Field(description="the largest channel's mean; None where it is 0")
    silent: bool
    azimuth: float | None
    elevation: float | None
    diffuseness: float | None
    track: tuple[Moment, ...] = Field(description="second by second")


class PanoramaReport(BaseModel):
    """A video, still image or image sequence."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["clip"] = "clip"
    clip: ClipInfo
    is_panorama: bool
    why_not: str | None = Field(description="None for a panorama")


def describe(path: Path) -> SoundReport | PanoramaReport:
    """Describe a file. Sound is read once; memory grows by 16 numbers per second of it.

    Raises:
        UserError: the file is neither four channels of sound nor a video or image.
    """
    check_name(path)
    if is_sequence(path):
        return _describe_clip(path)
    check_readable(path, "a 360° video or still image, or a 4-channel ambisonic file")
    header = read_header(path)
    if header is None:
        return _describe_clip(path)
    check_header(path, header)
    sound = SoundFile(path, header.samplerate, header.frames)
    return _describe_sound(sound, f"{header.format} {header.subtype}")


class _Measures(NamedTuple):
    moments: Floats
    """Mean products of the stored channels for each second, `(seconds, 4, 4)`."""
    lengths: Floats
    """Samples of each second."""
    sums: Floats
    """`(4,)`."""
    peak: float


def guess_convention(moments: Floats) -> ConventionGuess:
    """Guess the convention of four channels from their mean products `(4, 4)`.

    Three scores add up, as powers of ten of a probability. Prior: how common a convention is. Order: natural scenes
    spread along the horizon, so the weaker of the third and fourth channels is likely Z, which is third in ACN and
    fourth in W, X, Y, Z. Scale: for plane waves, the dipoles together have 1, 2 or 3 times the energy of W in SN3D,
    Furse-Malham and N3D; recordings follow that only roughly."""
    powers = np.diagonal(moments)
    if not powers[W] > 0:
        reason = "W is silent, so nothing indicates the convention: AmbiX is assumed"
        return ConventionGuess(convention=Convention.AMBIX, sure=0, reason=reason)
    scale = powers[1:].sum() / powers[W]
    floor = 1e-9 * powers.sum()
    margin = float(10 * np.log10((powers[3] + floor) / (powers[2] + floor)))
    order = np.clip(margin, -30, 30) / 20
    scores = {}
    for convention, (common, acn, expected) in _TRAITS.items():
        miss = min(1.0, abs(float(np.log2(max(scale, 1e-9) / expected))))
        scores[convention] = common + (order if acn else -order) - 2 * miss
    odds = {convention: 10**score for convention, score in scores.items()}
    best = max(odds, key=lambda convention: odds[convention])
    weaker, stronger = ("third", "fourth") if margin > 0 else ("fourth", "third")
    reason = f"the {weaker} channel is {abs(margin):.0f} dB weaker than the {stronger}"
    reason += f"; the dipoles have {scale:.2f} times the energy of W"
    return ConventionGuess(convention=best, sure=odds[best] / sum(odds.values()), reason=reason)


def _origin(path: Path) -> Origin | None:
    sidecar = Sidecar.beside(path)
    if sidecar is None:
        return None
    return Origin(
        sidecar=path.with_suffix(".json"),
        model=str(sidecar.options.model),
        seed=sidecar.options.seed,
        take=sidecar.take,
        convention=sidecar.convention,
    )


def _declared_convention(path: Path) -> ConventionGuess | None:
    found = declared(path)
    return None if found is None else ConventionGuess(convention=found.convention, sure=1, reason=found.reason)


def _measure(sound: SoundFile) -> _Measures:
    meter = TruePeakMeter(CHANNELS, sound.rate)
    sums, moments, lengths = np.zeros(CHANNELS), [], []
    for block in sound.blocks(sound.rate):
        meter.process(block)
        sums += block.sum(axis=1, dtype=np.float64)
        lengths.append(block.shape[1])
        moments.append(block.astype(np.float64) @ block.T / block.shape[1])
    shaped = np.array(moments).reshape(-1, CHANNELS, CHANNELS)
    return _Measures(shaped, np.array(lengths, float), sums, meter.finish())


def _describe_sound(sound: SoundFile, form: str) -> SoundReport:
    path, rate = sound.path, sound.rate
    stored = _measure(sound)
    samples = stored.lengths.sum()
    whole = np.average(stored.moments, axis=0, weights=stored.lengths)
    guess = _declared_convention(path) or guess_convention(whole)
    # The conversion is linear, so it applies to the products of the channels; the sound need not be read again.
    to_ambix = convert(np.eye(CHANNELS), guess.convention, Convention.AMBIX).astype(np.float64)
    track = [_moment(second, to_ambix @ each @ to_ambix.T) for second, each in enumerate(stored.moments)]
    mean = _moment(0, to_ambix @ whole @ to_ambix.T)
    return SoundReport(
        path=path,
        format=form,
        rate=rate,
        seconds=float(samples / rate),
        convention=guess,
        origin=_origin(path),
        rms_dbfs=mean.rms_dbfs,
        true_peak_dbtp=decibels(stored.peak),
        dc_dbfs=decibels(float(np.abs(stored.sums).max() / samples)),
        silent=all(moment.azimuth is None for moment in track),
        azimuth=mean.azimuth,
        elevation=mean.elevation,
        diffuseness=mean.diffuseness,
        track=tuple(track),
    )


def _moment(second: int, moments: Floats) -> Moment:
    """Return the direction and level from mean products of AmbiX channels `(4, 4)`."""
    level = decibels(sqrt(moments[W, W]))
    if level is None or level < SILENT_DBFS:
        return Moment(second=second, azimuth=None, elevation=None, diffuseness=None, rms_dbfs=level)
    flow = moments[W, XYZ]
    azimuth, elevation = np.degrees(angles(flow))
    return Moment(
        second=second,
        azimuth=float(azimuth),
        elevation=float(elevation),
        diffuseness=float(diffuseness(flow, np.asarray(np.trace(moments) / 2))),
        rms_dbfs=level,
    )


def _describe_clip(path: Path) -> PanoramaReport:
    clip = Clip(path)
    reason = why_no_sphere(clip)
    return PanoramaReport(clip=clip.info, is_panorama=reason is None, why_not=reason)


def as_text(report: SoundReport | PanoramaReport) -> Group:
    """Format a report for a terminal."""
    if isinstance(report, PanoramaReport):
        return Group(_facts(_clip_facts(report)))
    return Group(_facts(_sound_facts(report)), _directions(report.track))


def _clip_facts(report: PanoramaReport) -> list[tuple[str, str]]:
    clip = report.clip
    projection = f" (declared {clip.projection})" if clip.projection else " (detected; not declared)"
    facts = [
        ("file", f"{clip.path}: {clip.kind}, {clip.codec}"),
        ("360°", f"yes{projection}{_stretched(clip)}" if report.is_panorama else f"no: {report.why_not}"),
        (
            "frames",
            f"{clip.frame_width} × {clip.frame_height} (stored {clip.width} × {clip.height}, {_aspect(clip)})",
        ),
        ("stereo", f"{clip.stereo} ({'declared' if clip.stereo_declared else 'detected'})"),
    ]
    if not clip.rotation_usable:
        facts.append(("rotation", "its display matrix is not a multiple of 90°: ignored"))
    elif clip.rotation or clip.mirrored:
        facts.append(("rotation", f"{clip.rotation}° counter-clockwise{', mirrored' if clip.mirrored else ''}"))
    if clip.pose is not None:
        yaw, pitch, roll = clip.pose
        facts.append(("pose", f"yaw {yaw:g}°, pitch {pitch:g}°, roll {roll:g}°: the sphere is rotated by it"))
    if clip.duration is not None:
        facts.append(("length", f"{clip.duration:.2f} s, {clip.frames} frames, {float(clip.fps or 0):.3f} fps"))
    if clip.declared_duration is not None:
        warning = f"the file is truncated: its header says {clip.declared_duration:.2f} s; copy or export it again"
        facts.append(("warning", warning))
    return [*facts, ("audio", f"{clip.audio_channels} channels" if clip.has_audio else "none")]


def _stretched(clip: ClipInfo) -> str:
    return f", stretched from {clip.aspect:.2f}:1 to the whole sphere" if is_stretched(clip) else ""


def _aspect(clip: ClipInfo) -> str:
    return f"pixel aspect {clip.pixel_aspect.numerator}:{clip.pixel_aspect.denominator}"


def _sound_facts(report: SoundReport) -> list[tuple[str, str]]:
    guess, origin = report.convention, report.origin
    made = (
        [("generated by", f"{origin.model}, seed {origin.seed}, take {origin.take}, as {origin.convention}")]
        if origin
        else []
    )
    return [
        ("file", f"{report.path}: {report.format}, {report.rate} Hz, {report.seconds:.2f} s"),
        ("convention", f"{NAMES[guess.convention]}, {guess.sure:.0%} sure: {guess.reason}"),
        *made,
        ("level", f"{_db(report.rms_dbfs)} FS RMS of the pressure, true peak {_db(report.true_peak_dbtp)} TP"),
        ("DC", f"{_db(report.dc_dbfs)} FS"),
        ("direction", "silent" if report.azimuth is None else _direction(report.azimuth, report.elevation)),
        ("diffuse", "" if report.diffuseness is None else f"{report.diffuseness:.0%}"),
    ]


def _db(level: float | None) -> str:
    return "-∞ dB" if level is None else f"{level:.1f} dB"


def _direction(azimuth: float, elevation: float | None) -> str:
    side = "" if abs(azimuth) < 0.5 else " left" if azimuth > 0 else " right"
    return f"azimuth {abs(azimuth):.0f}°{side}, elevation {_degrees(elevation or 0)}"


def _degrees(angle: float) -> str:
    return f"{round(angle)}°"  # An integer has no minus zero.


def _facts(facts: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in facts:
        table.add_row(Text(name, style="bold"), Text(value))  # Brackets in a file's name are not markup.
    return table


def _directions(track: Sequence[Moment]) -> Table:
    table = Table("second", "azimuth", "elevation", "diffuse", "level")
    for column in table.columns:
        column.justify = "right"
    for moment in track[:: -(-len(track) // _ROWS)]:
        level = _db(moment.rms_dbfs)
        if moment.azimuth is None or moment.elevation is None or moment.diffuseness is None:
            table.add_row(str(moment.second), "", "", "", level)
        else:
            texts = (_degrees(moment.azimuth), _degrees(moment.elevation), f"{moment.diffuseness:.0%}")
            table.add_row(str(moment.second), *texts, level)
    return table

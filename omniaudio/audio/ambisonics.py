"""First-order ambisonics: encoding, beams, rotation, conventions, and directions of arrival.

Sound is AmbiX throughout, `float32` of shape `(4, samples)`: ACN order W, Y, Z, X, normalised SN3D, so that a plane
wave of pressure s from the unit vector (x, y, z) reads W = s, Y = s·y, Z = s·z, X = s·x. X is front, Y left, Z up.
Azimuth is counter-clockwise from the front, elevation up, both in radians. Every other order and scaling is converted
at the edge, by `convert`.

Sources: Nachbar et al., "AmbiX - A Suggested Ambisonics Format" (2011) for the format; Zotter and Frank, "Ambisonics"
(2019) for beams and rotation; Pulkki, "Spatial Sound Reproduction with Directional Audio Coding" (JAES 2007) for
diffuseness; Liu et al., "OmniAudio" (2025), section 4.1, for the direction that its metrics compare.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Sound = npt.NDArray[np.float32]

CHANNELS = 4
W, Y, Z, X = range(CHANNELS)
XYZ = (X, Y, Z)
"""The dipoles' channels in the order of a vector's components."""

CARDIOID = 0.5
MAX_RE = 1 / (1 + sqrt(3))
HYPERCARDIOID = 0.25
"""The omnidirectional share of a first-order beam. Cardioid: nothing from behind. Max-rE: the energy most concentrated
around the axis (Zotter and Frank, 4.1). Hypercardioid: the lowest gain for a diffuse field."""


class Convention(StrEnum):
    """How four channels are ordered and scaled."""

    AMBIX = "ambix"
    """ACN order W, Y, Z, X; SN3D. The project's convention."""
    N3D = "n3d"
    """ACN order W, Y, Z, X; N3D: dipoles larger by √3."""
    FUMA = "fuma"
    """Furse-Malham, also called B-format: W·√½, X, Y, Z."""
    WXYZ = "wxyz"
    """W, X, Y, Z with AmbiX's scaling: as the OmniAudio paper labels its channels."""


_ORDER: dict[Convention, tuple[int, ...]] = {
    Convention.AMBIX: (W, Y, Z, X),
    Convention.N3D: (W, Y, Z, X),
    Convention.FUMA: (W, X, Y, Z),
    Convention.WXYZ: (W, X, Y, Z),
}
"""The AmbiX channel of each of a convention's channels."""

_GAIN: dict[Convention, tuple[float, float]] = {
    Convention.AMBIX: (1.0, 1.0),
    Convention.N3D: (1.0, sqrt(3)),
    Convention.FUMA: (sqrt(0.5), 1.0),
    Convention.WXYZ: (1.0, 1.0),
}
"""The gains of W and of the dipoles relative to AmbiX."""


def convert(sound: Floats, source: Convention, target: Convention) -> Sound:
    """Convert four channels `(4, samples)` from one convention to another."""
    _check(sound)
    ambix_of = _ORDER[source]
    columns = [ambix_of.index(channel) for channel in _ORDER[target]]
    gains = [_GAIN[target][c != W] / _GAIN[source][c != W] for c in _ORDER[target]]
    return np.asarray(sound[columns] * np.asarray(gains)[:, None], dtype=np.float32)


def unit_vector(azimuth: npt.ArrayLike, elevation: npt.ArrayLike) -> Floats:
    """The unit vectors `(..., 3)`, as (x, y, z), of angles in radians that broadcast against each other."""
    azimuth, elevation = np.broadcast_arrays(np.asarray(azimuth, float), np.asarray(elevation, float))
    flat = np.cos(elevation)
    return np.stack([np.cos(azimuth) * flat, np.sin(azimuth) * flat, np.sin(elevation)], axis=-1)


def angles(vectors: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Azimuth (−π to π) and elevation (−π/2 to π/2) of vectors `(..., 3)` of any length; (0, 0) for the null vector."""
    x, y, z = np.moveaxis(np.asarray(vectors, float), -1, 0)
    return np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))


def angle_between(first: npt.ArrayLike, second: npt.ArrayLike) -> Floats:
    """Great-circle angles (0 to π) between vectors `(..., 3)` of any length; exact for small angles too."""
    a, b = np.broadcast_arrays(np.asarray(first, float), np.asarray(second, float))
    return np.asarray(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), np.sum(a * b, axis=-1)))


def encode(signal: Floats, azimuth: npt.ArrayLike, elevation: npt.ArrayLike) -> Sound:
    """Encode a mono signal `(samples,)` as a plane wave `(4, samples)`.

    The angles are numbers, or arrays `(samples,)` for a moving source."""
    x, y, z = np.moveaxis(unit_vector(azimuth, elevation), -1, 0)
    return np.stack(np.broadcast_arrays(signal, signal * y, signal * z, signal * x)).astype(np.float32)


def beam(foa: Floats, directions: Floats, omni: float = CARDIOID) -> Sound:
    """Return the signals `(beams, samples)` of virtual microphones that point to unit vectors `directions` `(beams,
    3)`.

    A plane wave at the angle θ from the axis has the gain omni + (1 − omni)·cos θ: 1 on the axis. `omni` is 0 (figure
    of eight) to 1 (omnidirectional), usually CARDIOID, MAX_RE or HYPERCARDIOID."""
    _check(foa)
    return np.asarray(_beam_gains(directions, omni) @ foa, dtype=np.float32)


def rotation_matrix(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Floats:
    """The rotation `(3, 3)` that first rolls, then pitches, then yaws, in radians.

    Yaw turns the front to the left and pitch lifts it, so that the front goes to azimuth `yaw`, elevation `pitch`;
    roll lifts the left side."""
    (cy, cp, cr), (sy, sp, sr) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    about_y = np.array([[cp, 0, -sp], [0, 1, 0], [sp, 0, cp]])
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return np.asarray(about_z @ about_y @ about_x)


def rotate(foa: Floats, matrix: Floats) -> Sound:
    """Rotate a scene: sound from the direction v then comes from `matrix @ v`. Exact at first order.

    To render for a head rotated by a matrix, rotate the scene by its transpose."""
    _check(foa)
    rotated = np.array(foa, dtype=np.float32)
    rotated[XYZ, :] = np.asarray(matrix) @ foa[XYZ, :]
    return rotated


def intensity(foa: Floats, block: int | None = None) -> Floats:
    """Mean active intensity I = mean(W·[X, Y, Z]) as `(3,)`; it points towards the source.

    With `block`, the means of consecutive blocks of that many samples, `(blocks, 3)`; the last may be shorter."""
    _check(foa)
    return _means((foa[W] * foa[XYZ, :]).T, block)


def energy(foa: Floats, block: int | None = None) -> Floats:
    """Mean energy ½·(W² + X² + Y² + Z²) as `()`: the mean square of the pressure, in a plane wave or a diffuse field.

    With `block`, one for each block, `(blocks,)`."""
    _check(foa)
    return _means(0.5 * np.sum(np.square(foa, dtype=np.float64), axis=0), block)


def direction(foa: Floats) -> tuple[float, float]:
    """Azimuth and elevation of the mean intensity, which OmniAudio's metrics compare; (0, 0) in silence."""
    azimuth, elevation = angles(intensity(foa))
    return float(azimuth), float(elevation)


def diffuseness(mean_intensity: Floats, mean_energy: Floats) -> Floats:
    """ψ = 1 − |I| / E of means `(..., 3)` and `(...,)`: 0 for one plane wave, 1 for a diffuse field or silence."""
    flow = np.linalg.norm(mean_intensity, axis=-1)
    ratio = np.divide(flow, mean_energy, out=np.zeros_like(flow), where=mean_energy > 0)
    return np.asarray(np.clip(1 - ratio, 0, 1))


@dataclass(frozen=True)
class SpectralField:
    """Intensity and energy in time and frequency."""

    times: Floats
    """Centres of the frames in seconds, `(frames,)`."""
    frequencies: Floats
    """Centres of the bins in Hz, `(bins,)`."""
    intensity: Floats
    """`(frames, bins, 3)`, Re(W*·[X, Y, Z])."""
    energy: Floats
    """`(frames, bins)`, ½·(|W|² + |X|² + |Y|² + |Z|²)."""


def spectral_field(foa: Floats, rate: int, window_seconds: float = 0.046, smooth: int = 1) -> SpectralField:
    """Intensity and energy by short-time Fourier transform: Hann windows, half overlapping.

    `smooth` frames are averaged into one: a bin of a single frame always looks like a plane wave, and only the mean of
    several separates a source from a diffuse field. Sound shorter than a window is padded with silence."""
    _check(foa)
    hop = max(8, round(window_seconds * rate / 2))
    spectra = _short_time_spectra(foa, hop)
    flow = np.real(np.conj(spectra[W]) * spectra[XYZ, ...])
    power = 0.5 * np.sum(np.abs(spectra) ** 2, axis=0)
    return SpectralField(
        times=_means(np.arange(spectra.shape[1]) * hop / rate, smooth),
        frequencies=np.fft.rfftfreq(2 * hop, 1 / rate),
        intensity=_means(np.moveaxis(flow, 0, -1), smooth),
        energy=_means(power, smooth),
    )


def _short_time_spectra(foa: Floats, hop: int) -> npt.NDArray[np.complexfloating[Any, Any]]:
    """`(4, frames, hop + 1)`: Hann windows of twice the hop, centred on its multiples from 0 past the sound's end.

    A sine of amplitude 1 on a bin has magnitude ½."""
    samples = max(foa.shape[1], 2 * hop)
    frames = ceil((samples - 1) / hop) + 1
    window = (0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop)) / hop
    padded = np.pad(foa, ((0, 0), (hop, frames * hop - foa.shape[1])))
    blocks = padded.reshape(CHANNELS, frames + 1, hop)
    windowed = np.concatenate([blocks[:, :-1], blocks[:, 1:]], axis=2) * window.astype(foa.dtype)
    return np.fft.rfft(windowed, axis=2)


def panorama_directions(height: int, width: int) -> Floats:
    """Unit vectors `(height, width, 3)` through the pixels' centres of an equirectangular panorama, top row first.

    Azimuth = (0.5 − u)·2π with u from left to right, elevation = (v − 0.5)·π with v from bottom to top."""
    azimuth = (0.5 - (np.arange(width) + 0.5) / width) * 2 * np.pi
    elevation = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    return unit_vector(azimuth[None, :], elevation[:, None])


def energy_map(foa: Floats, height: int, width: int, omni: float = MAX_RE) -> Floats:
    """Mean power `(height, width)` of beams to each pixel of a panorama; see `beam` for `omni`."""
    _check(foa)
    # A beam's power is a quadratic form of the channels' covariance, so no beam signal is needed.
    covariance = np.asarray(foa, float) @ np.asarray(foa, float).T / max(1, foa.shape[1])
    gains = _beam_gains(panorama_directions(height, width), omni)
    return np.asarray(np.einsum("hwi,ij,hwj->hw", gains, covariance, gains).clip(min=0))


def _beam_gains(directions: Floats, omni: float) -> Floats:
    """The gains of the channels `(..., 4)` for beams to unit vectors `(..., 3)`."""
    gains = np.full((*directions.shape[:-1], CHANNELS), omni, dtype=np.float64)
    gains[..., XYZ] = (1 - omni) * directions
    return gains


def _means(values: Floats, block: int | None) -> Floats:
    """The mean over the first axis, or over consecutive blocks of it; 0 if it is empty."""
    if block is None:
        return np.asarray(values.sum(axis=0, dtype=np.float64) / max(1, len(values)))
    starts = np.arange(0, len(values), block)
    sums = np.add.reduceat(values, starts, axis=0, dtype=np.float64)
    counts = np.diff(starts, append=len(values))
    return np.asarray(sums / counts.reshape(-1, *[1] * (values.ndim - 1)))


def _check(sound: Floats) -> None:
    if sound.ndim != 2 or sound.shape[0] != CHANNELS:
        raise ValueError(f"first-order ambisonics is (4, samples), not {sound.shape}")

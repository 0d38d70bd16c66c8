"""Metrics of a generated sound: direction, energy map, kind and level.

Directions follow Liu et al., "OmniAudio" (2025): the angles of the mean intensity over the whole clip. That measure
ignores movement and fails with several sources. So a moving source is tracked block by block, and several sources are
compared by their energy maps, with two metrics for saliency maps (Bylinskii et al., "What do different evaluation
metrics tell us about saliency models?", TPAMI 2019).
"""

from typing import NamedTuple

import numpy as np

from omniaudio.audio import ambisonics
from omniaudio.audio.ambisonics import Floats
from omniaudio.errors import UserError

TRACK_BLOCK_SECONDS = 0.25
SILENCE_DBFS = -60.0
CLIPPED_RUN = 3
"""Consecutive samples at full scale that count as clipping; a single one may be a peak that just reaches it."""
MAX_DC = 0.005
"""−46 dBFS."""

_FULL_SCALE = 1 - 2.0**-15
_MAP_HEIGHT, _MAP_WIDTH = 45, 90  # 4°: first-order beams are far wider
_SALIENT_SHARE = 0.2
"""The loudest fifth of the sphere counts as the sound's location: about one first-order beam."""


class DirectionErrors(NamedTuple):
    """The paper's three figures for one clip, in radians."""

    azimuth: float
    """Δabs θ, the shorter way round the circle, 0 to π."""
    elevation: float
    """Δabs φ, 0 to π."""
    angular: float
    """ΔAngular, along the great circle, 0 to π; π/2 by chance."""


def direction_errors(generated: Floats, reference: Floats) -> DirectionErrors:
    """Errors of the direction of the mean intensity of `generated`, both FOA `(4, samples)`.

    A sound without any direction, such as silence, gets the worst errors there are, so that it never looks good. Raises
    `UserError` if the reference has none."""
    wanted, got = ambisonics.intensity(reference), ambisonics.intensity(generated)
    if not wanted.any():
        raise UserError("The reference is silent or has no direction; leave this scene out of the evaluation.")
    if not (np.isfinite(got).all() and got.any()):
        return DirectionErrors(np.pi, np.pi, np.pi)
    (azimuth, elevation), (wanted_azimuth, wanted_elevation) = ambisonics.angles(got), ambisonics.angles(wanted)
    around = abs(float(azimuth - wanted_azimuth))
    return DirectionErrors(
        azimuth=min(around, 2 * np.pi - around),
        elevation=abs(float(elevation - wanted_elevation)),
        angular=float(ambisonics.angle_between(got, wanted)),
    )


class Track(NamedTuple):
    """A sound's direction over time, block by block."""

    times: Floats
    """Centres of the blocks in seconds, `(blocks,)`."""
    directions: Floats
    """Mean intensities, `(blocks, 3)`; their length has no meaning."""
    energy: Floats
    """`(blocks,)`."""


def track(foa: Floats, rate: int, block_seconds: float = TRACK_BLOCK_SECONDS) -> Track:
    """Directions and energies of consecutive blocks of FOA `(4, samples)`."""
    block = round(block_seconds * rate)
    starts = np.arange(0, foa.shape[1], block)
    ends = np.minimum(starts + block, foa.shape[1])
    return Track((starts + ends) / (2 * rate), ambisonics.intensity(foa, block), ambisonics.energy(foa, block))


def track_error(found: Track, wanted: Floats) -> float:
    """Median angle in degrees, 0 to 180, between a track and the unit vectors `wanted` `(blocks, 3)` at its times.

    Blocks are weighted by energy, since silence has no direction. 180 for silence throughout."""
    if not (np.isfinite(found.energy).all() and found.energy.any()):
        return 180.0
    off = np.degrees(ambisonics.angle_between(found.directions, wanted))
    return weighted_median(off, found.energy)


def weighted_median(values: Floats, weights: Floats) -> float:
    """The smallest of `values` at which the cumulative weight reaches one half; both of shape `(n,)`."""
    order = np.argsort(values)
    carried = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(carried, carried[-1] / 2)])


class MapAgreement(NamedTuple):
    """Agreement of two energy maps; for scenes with more than one source."""

    correlation: float
    """CC: Pearson's, −1 to 1, by solid angle; 0 by chance."""
    auc: float
    """Area under the ROC curve of the generated map as a predictor of the reference's loudest fifth of the sphere; 0 to
    1, 0.5 by chance."""


def map_agreement(generated: Floats, reference: Floats) -> MapAgreement:
    """Agreement of the energy maps of two FOA sounds `(4, samples)` over their whole length.

    A generated map without contrast, such as that of silence, scores as chance does. Raises UserError if the
    reference's map has no contrast."""
    wanted = ambisonics.energy_map(reference, _MAP_HEIGHT, _MAP_WIDTH)
    got = ambisonics.energy_map(generated, _MAP_HEIGHT, _MAP_WIDTH)
    if _is_flat(wanted):
        raise UserError("The reference sounds the same in all directions; leave this scene out of the evaluation.")
    if _is_flat(got):
        return MapAgreement(0.0, 0.5)
    elevation = (0.5 - (np.arange(_MAP_HEIGHT) + 0.5) / _MAP_HEIGHT) * np.pi
    area = np.broadcast_to(np.cos(elevation)[:, None], wanted.shape).ravel()
    wanted, got = wanted.ravel(), got.ravel()
    covariance = np.cov(got, wanted, aweights=area)
    correlation = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    auc = _auc(got, _loudest(wanted, area), area)
    # Rounding can carry perfect agreement slightly out of range.
    return MapAgreement(correlation=float(np.clip(correlation, -1, 1)), auc=float(np.clip(auc, 0, 1)))


def _is_flat(energy_map: Floats) -> bool:
    return not np.isfinite(energy_map).all() or bool(np.ptp(energy_map) <= 1e-9 * energy_map.max())


def _loudest(values: Floats, area: Floats) -> np.ndarray:
    """The mask of the highest values that together cover `_SALIENT_SHARE` of the area."""
    order = np.argsort(-values)
    mask = np.zeros(values.shape, bool)
    mask[order[np.cumsum(area[order]) <= _SALIENT_SHARE * area.sum()]] = True
    return mask


def _auc(scores: Floats, positive: np.ndarray, weights: Floats) -> float:
    """The chance that a positive point scores above a negative one, both drawn by weight; a tie is half a win."""
    levels, level = np.unique(scores, return_inverse=True)
    hits = np.bincount(level, weights * positive, len(levels))
    misses = np.bincount(level, weights * ~positive, len(levels))
    below = np.cumsum(misses) - misses / 2
    return float(hits @ below / (hits.sum() * misses.sum()))


def frechet_distance(first: Floats, second: Floats) -> float:
    """Fréchet distance between Gaussians fitted to two sets of embeddings, `(n, dim)` and `(m, dim)`; 0 or more.

    Dowson and Landau (1982): |μ₁ − μ₂|² + tr(C₁ + C₂ − 2·(C₁·C₂)^½). It depends on the embedding and on n, so figures
    are comparable only for the same embedding and similar numbers of clips. The paper does not name its embedding."""
    if min(len(first), len(second)) < 2:
        raise UserError("A Fréchet distance needs at least two embeddings on each side; evaluate more scenes.")
    # With C = RᵀR, the trace of (C₁·C₂)^½ is the sum of the singular values of R₁·R₂ᵀ: no root of a singular matrix.
    roots = [_covariance_root(first), _covariance_root(second)]
    shared = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    apart = np.sum((first.mean(0, dtype=float) - second.mean(0, dtype=float)) ** 2)
    return float(max(0.0, apart + sum(np.sum(root**2) for root in roots) - 2 * shared))


def _covariance_root(embeddings: Floats) -> Floats:
    """R with RᵀR the covariance of `(n, dim)`."""
    centred = embeddings.astype(float) - embeddings.mean(0, dtype=float)
    return np.asarray(np.linalg.qr(centred / np.sqrt(len(centred) - 1), mode="r"))


def class_divergence(generated: Floats, reference: Floats) -> float:
    """Kullback-Leibler divergence of the reference's class posteriors from the generated ones, in nats, 0 or more.

    Both are a tagger's scores `(patches, classes)`, averaged over the patches and scaled to sum to one. The paper takes
    PaSST's posteriors; with YAMNet's, the figures compare models with each other but not with the paper's."""
    wanted, got = _posterior(reference), _posterior(generated)
    return float(np.sum(wanted * np.log(wanted / got)))


def _posterior(scores: Floats) -> Floats:
    average = scores.mean(axis=0, dtype=float) + 1e-6
    return np.asarray(average / average.sum())


def level_dbfs(foa: Floats) -> float:
    """RMS of W in dB relative to full scale: 0 for a square wave, −3.01 for a sine; −∞ for silence."""
    mean_square = float(np.mean(np.square(foa[ambisonics.W], dtype=float)))
    return 10 * np.log10(mean_square) if mean_square > 0 else -np.inf


def defects(foa: Floats) -> list[str]:
    """List obvious defects of FOA `(4, samples)`, one phrase each: NaN, silence, clipping, DC."""
    broken = int(np.count_nonzero(~np.isfinite(foa)))
    if broken:
        return [f"{broken} samples are NaN or infinite"]
    found = []
    level = level_dbfs(foa)
    if level < SILENCE_DBFS:
        found.append(f"silent: W at {level:.0f} dBFS")
    for name, channel in zip("WYZX", foa, strict=True):
        if _is_clipped(channel):
            found.append(f"{name} is clipped")
        offset = float(np.mean(channel, dtype=float))
        if abs(offset) > MAX_DC:
            found.append(f"{name} has a DC offset of {offset:+.3f}")
    return found


def _is_clipped(channel: Floats) -> bool:
    """Whether a channel exceeds full scale, or stays at it for `CLIPPED_RUN` samples."""
    at_limit = np.abs(channel) >= _FULL_SCALE
    run = np.convolve(at_limit, np.ones(CLIPPED_RUN), mode="valid").max() if len(channel) >= CLIPPED_RUN else 0
    return bool(run >= CLIPPED_RUN or np.abs(channel).max() > 1)

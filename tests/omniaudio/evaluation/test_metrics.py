"""The metrics on sounds whose directions and spectra are known, and against SciPy where it has the same figure."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

from omniaudio.audio import ambisonics
from omniaudio.errors import UserError
from omniaudio.evaluation import metrics

RATE = 16_000
RNG = np.random.default_rng(5)
NOISE = 0.1 * RNG.standard_normal(RATE)
OTHER_NOISE = 0.1 * RNG.standard_normal(RATE)
SILENCE = np.zeros((4, RATE), np.float32)

azimuths = st.floats(-np.pi, np.pi)
elevations = st.floats(-1.4, 1.4)


# --- direction --------------------------------------------------------------------------------------------------------


@given(azimuths, elevations, azimuths, elevations, azimuths)
@settings(max_examples=50, deadline=None)
def test_errors_are_the_angles_between_two_plane_waves(
    azimuth: float, elevation: float, other_azimuth: float, other_elevation: float, yaw: float
) -> None:
    reference = ambisonics.encode(NOISE, azimuth, elevation)
    generated = ambisonics.encode(OTHER_NOISE, other_azimuth, other_elevation)
    errors = metrics.direction_errors(generated, reference)
    wanted = ambisonics.angle_between(
        ambisonics.unit_vector(azimuth, elevation), ambisonics.unit_vector(other_azimuth, other_elevation)
    )
    assert errors.angular == pytest.approx(float(wanted), abs=1e-4)
    assert errors.elevation == pytest.approx(abs(elevation - other_elevation), abs=1e-4)
    around = abs(azimuth - other_azimuth)
    assert errors.azimuth == pytest.approx(min(around, 2 * np.pi - around), abs=1e-4)
    assert errors == pytest.approx(metrics.direction_errors(reference, generated), abs=1e-6)
    rotation = ambisonics.rotation_matrix(yaw)
    rotated = metrics.direction_errors(ambisonics.rotate(generated, rotation), ambisonics.rotate(reference, rotation))
    assert rotated == pytest.approx(errors, abs=1e-4)


def test_azimuth_is_measured_the_shorter_way_round() -> None:
    almost_behind = [ambisonics.encode(NOISE, np.radians(degrees), 0) for degrees in (179, -179)]
    assert np.degrees(metrics.direction_errors(*almost_behind).azimuth) == pytest.approx(2, abs=1e-3)


def test_chance_is_a_right_angle() -> None:
    vectors = RNG.standard_normal((400, 2, 3))
    short = NOISE[:64]
    errors = [
        metrics.direction_errors(*(ambisonics.encode(short, *ambisonics.angles(vector)) for vector in pair)).angular
        for pair in vectors
    ]
    assert np.mean(errors) == pytest.approx(np.pi / 2, abs=0.1)


@pytest.mark.parametrize("broken", [SILENCE, SILENCE + np.float32(np.nan)], ids=["silence", "NaN"])
def test_a_sound_without_direction_is_as_wrong_as_can_be(broken: np.ndarray) -> None:
    reference = ambisonics.encode(NOISE, 0, 0)  # the direction that silence's angles would read as
    assert metrics.direction_errors(broken, reference) == (np.pi, np.pi, np.pi)
    found = metrics.track(broken, RATE)
    assert metrics.track_error(found, np.tile([1.0, 0, 0], (len(found.times), 1))) == 180


def test_a_reference_without_direction_is_refused() -> None:
    with pytest.raises(UserError, match="reference"):
        metrics.direction_errors(ambisonics.encode(NOISE, 0, 0), SILENCE)
    with pytest.raises(UserError, match="reference"):
        metrics.map_agreement(ambisonics.encode(NOISE, 0, 0), SILENCE)


def path(times: np.ndarray) -> np.ndarray:
    """A thing that circles the listener in two seconds, up and down as it goes."""
    return ambisonics.unit_vector(np.pi * times, 0.5 * np.sin(np.pi * times))


@pytest.mark.parametrize("late", [0.0, 0.1])
def test_a_moving_source_is_tracked(late: float) -> None:
    times = np.arange(2 * RATE) / RATE
    foa = ambisonics.encode(np.tile(NOISE, 2), *ambisonics.angles(path(times)))
    found = metrics.track(foa, RATE)
    np.testing.assert_allclose(found.times, np.arange(8) / 4 + 0.125)
    steps = ambisonics.angle_between(path(found.times), path(found.times - late))
    lag = float(np.degrees(np.median(steps)))  # how far the thing goes in that time
    assert metrics.track_error(found, path(found.times - late)) == pytest.approx(lag, abs=2)
    # One direction for the whole clip says nothing about it.
    assert np.linalg.norm(ambisonics.intensity(foa)) < 0.2 * ambisonics.energy(foa)


def test_where_nothing_sounds_no_direction_is_wrong() -> None:
    foa = ambisonics.encode(NOISE, np.where(np.arange(RATE) < 0.3 * RATE, 0.0, 2.0), 0)
    foa[:, int(0.3 * RATE) :] *= 1e-4
    found = metrics.track(foa, RATE, block_seconds=0.1)
    assert metrics.track_error(found, np.tile([1.0, 0, 0], (10, 1))) < 0.1


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 5)), min_size=1, max_size=20))
def test_weighted_median_is_the_lower_median_of_repeated_values(pairs: list[tuple[int, int]]) -> None:
    values, weights = (np.array(column, float) for column in zip(*pairs, strict=True))
    repeated = np.sort(np.repeat(values, weights.astype(int)))
    assert metrics.weighted_median(values, weights) == repeated[(len(repeated) - 1) // 2]


# --- maps -------------------------------------------------------------------------------------------------------------


def two_sources(degrees: float, swapped: bool = False) -> np.ndarray:
    sounds = (OTHER_NOISE, NOISE) if swapped else (NOISE, OTHER_NOISE)
    first, second = (
        ambisonics.encode(s, np.radians(a), 0) for s, a in zip(sounds, (degrees, degrees + 90), strict=True)
    )
    return first + second


def test_maps_of_two_sources_agree_whatever_sounds_from_them() -> None:
    agreement = metrics.map_agreement(0.1 * two_sources(30, swapped=True), two_sources(30))
    assert agreement.correlation > 0.99
    assert agreement.auc > 0.99


@pytest.mark.parametrize(("apart", "correlation", "auc"), [(20, (0.85, 0.98), (0.9, 1.0)), (180, (-1, -0.8), (0, 0.1))])
def test_rotated_maps_agree_less(apart: float, correlation: tuple[float, float], auc: tuple[float, float]) -> None:
    agreement = metrics.map_agreement(two_sources(30 + apart), two_sources(30))
    assert correlation[0] <= agreement.correlation <= correlation[1]
    assert auc[0] <= agreement.auc <= auc[1]


def test_a_map_without_contrast_is_chance() -> None:
    everywhere = np.zeros((4, RATE), np.float32)
    everywhere[ambisonics.W] = NOISE
    for flat in (SILENCE, everywhere, SILENCE + np.float32(np.nan)):
        assert metrics.map_agreement(flat, two_sources(0)) == (0.0, 0.5)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_auc_is_mann_whitneys(points: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([p[0] for p in points], float), np.array([p[1] for p in points])
    if positive.all() or not positive.any():
        return
    u = stats.mannwhitneyu(scores[positive], scores[~positive]).statistic
    wanted = u / (positive.sum() * (~positive).sum())
    assert metrics._auc(scores, positive, np.ones(len(points))) == pytest.approx(wanted)


# --- kind -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(200, 150), (6, 150), (5, 4)], ids=["full rank", "one flat", "both flat"])
def test_frechet_distance_is_the_textbooks(n: int, m: int) -> None:
    first, second = RNG.standard_normal((n, 8)), 0.5 + RNG.standard_normal((m, 8)) * np.arange(1, 9)
    one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    # The root of a product that is not of full rank needs a little of the identity.
    root = linalg.sqrtm((one + 1e-12 * np.eye(8)) @ (two + 1e-12 * np.eye(8))).real
    apart = np.sum((first.mean(0) - second.mean(0)) ** 2)
    wanted = apart + np.trace(one + two - 2 * root)
    assert metrics.frechet_distance(first, second) == pytest.approx(wanted, rel=1e-4)
    assert metrics.frechet_distance(second, first) == pytest.approx(wanted, rel=1e-4)
    assert metrics.frechet_distance(first, first) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_needs_two_of_each() -> None:
    with pytest.raises(UserError, match="two embeddings"):
        metrics.frechet_distance(np.ones((1, 8)), np.ones((5, 8)))


def test_class_divergence_is_the_relative_entropy() -> None:
    reference, generated = RNG.random((6, 521)), RNG.random((9, 521)) ** 3
    wanted = stats.entropy(reference.mean(0), generated.mean(0))
    assert metrics.class_divergence(generated, reference) == pytest.approx(wanted, rel=1e-3)
    assert metrics.class_divergence(reference, reference) == 0
    sure, sure_of_another = np.eye(521)[[3]], np.eye(521)[[4]]
    assert 10 < metrics.class_divergence(sure_of_another, sure) < 15  # large, and finite


# --- level ------------------------------------------------------------------------------------------------------------


def test_level_of_a_sine_is_3_db_below_its_peak() -> None:
    sine = ambisonics.encode(0.1 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE), 1, 0)
    assert metrics.level_dbfs(sine) == pytest.approx(-23.01, abs=0.01)
    assert metrics.level_dbfs(SILENCE) == -np.inf


def test_nothing_is_wrong_with_knocks_in_a_room() -> None:
    """Sudden, with near silence between them: as far from steady noise as recordings are."""
    time = np.arange(len(NOISE)) / RATE
    knocks = NOISE * np.exp(-40 * (time % 0.25))
    sound = ambisonics.encode(knocks, 1, 0.5) + ambisonics.encode(0.02 * np.roll(knocks, 700), -2, 0)
    assert metrics.defects(sound) == []


def test_nothing_is_wrong_with_real_sound(shared: Path) -> None:
    foa, _ = soundfile.read(shared / "media" / "fuma_dog_foa.ogg", dtype="float32")
    assert metrics.defects(ambisonics.convert(foa.T, ambisonics.Convention.FUMA, ambisonics.Convention.AMBIX)) == []


def test_each_defect_is_named() -> None:
    sound = ambisonics.encode(NOISE, 1, 0.5)
    assert metrics.defects(sound) == []
    assert metrics.defects(SILENCE) == ["silent: W at -inf dBFS"]
    assert metrics.defects(1e-4 * sound) == ["silent: W at -100 dBFS"]
    centred = sound - sound.mean(axis=1, keepdims=True)
    assert metrics.defects(centred + np.float32([[0], [0.01], [0], [0]])) == ["Y has a DC offset of +0.010"]
    nan = sound.copy()
    nan[2, 5:7] = np.nan, np.inf
    assert metrics.defects(nan) == ["2 samples are NaN or infinite"]
    assert metrics.defects(np.clip(20 * sound, -1, 1))[0] == "W is clipped"


@pytest.mark.parametrize(
    ("peak", "length", "clipped"), [(1.0, 1, False), (1.0, 3, True), (0.99, 3, False), (1.01, 1, True)]
)
def test_a_peak_may_reach_full_scale_but_not_stay_there(peak: float, length: int, clipped: bool) -> None:
    sound = ambisonics.encode(NOISE, 0, 0)
    sound[ambisonics.Z, 100 : 100 + length] = peak
    assert metrics.defects(sound) == (["Z is clipped"] if clipped else [])


@given(st.floats(-3.1, 3.1), st.floats(-1.5, 1.5))
def test_perfect_agreement_of_maps_stays_in_range(azimuth: float, elevation: float) -> None:
    foa = ambisonics.encode(np.random.default_rng(0).normal(size=500), azimuth, elevation)
    agreement = metrics.map_agreement(foa, foa)
    assert 0.999 < agreement.correlation <= 1
    assert 0.999 < agreement.auc <= 1

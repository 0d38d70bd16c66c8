"""Ambisonics: its properties for any direction, and the same figures from spaudiopy, an independent library."""

import warnings
from itertools import product
from math import pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from omniaudio.audio import ambisonics as amb
from omniaudio.audio.ambisonics import Convention, Floats, Sound

azimuths = st.floats(-pi, pi)
elevations = st.floats(-pi / 2, pi / 2)
directions = st.tuples(azimuths, elevations)
rotations = st.tuples(azimuths, elevations, azimuths)

RATE = 16000


def noise(samples: int = 512, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(samples)


def any_sound(seed: int = 1) -> Sound:
    return np.random.default_rng(seed).standard_normal((4, 256)).astype(np.float32)


def diffuse_field(samples: int = RATE, waves: int = 500) -> Sound:
    """Independent plane waves from directions spread evenly over the sphere (a Fibonacci spiral)."""
    i = np.arange(waves)
    elevation = np.arcsin(1 - (2 * i + 1) / waves)
    azimuth = i * pi * (3 - sqrt(5))
    generator = np.random.default_rng(2)
    return sum(
        (amb.encode(generator.standard_normal(samples), a, e) for a, e in zip(azimuth, elevation, strict=True)),
        start=np.zeros((4, samples), np.float32),
    )


@given(directions)
def test_angles_invert_unit_vector(direction: tuple[float, float]) -> None:
    vector = amb.unit_vector(*direction)
    assert np.linalg.norm(vector) == pytest.approx(1)
    assert amb.angle_between(vector, amb.unit_vector(*amb.angles(vector))) < 1e-9


@pytest.mark.parametrize(
    ("azimuth", "elevation", "vector"),
    [(0, 0, (1, 0, 0)), (pi / 2, 0, (0, 1, 0)), (0, pi / 2, (0, 0, 1)), (pi, 0, (-1, 0, 0)), (-pi / 2, 0, (0, -1, 0))],
)
def test_axes_are_front_left_up(azimuth: float, elevation: float, vector: tuple[int, ...]) -> None:
    np.testing.assert_allclose(amb.unit_vector(azimuth, elevation), vector, atol=1e-15)


@given(directions)
def test_a_plane_wave_comes_from_where_it_was_encoded(direction: tuple[float, float]) -> None:
    foa = amb.encode(noise(), *direction)
    found = amb.unit_vector(*amb.direction(foa))
    assert amb.angle_between(found, amb.unit_vector(*direction)) < 1e-5
    assert amb.diffuseness(amb.intensity(foa), amb.energy(foa)) < 1e-5
    assert amb.energy(foa) == pytest.approx(np.mean(noise() ** 2), rel=1e-5)


def test_a_moving_source_is_followed_block_by_block() -> None:
    azimuth = np.linspace(-pi / 2, pi / 2, RATE)
    foa = amb.encode(noise(RATE), azimuth, np.full(RATE, 0.3))
    found, elevation = amb.angles(amb.intensity(foa, RATE // 10))
    np.testing.assert_allclose(found, azimuth.reshape(10, -1).mean(axis=1), atol=0.03)
    np.testing.assert_allclose(elevation, 0.3, atol=0.01)
    assert amb.energy(foa, 3000).shape == (6,)


def test_block_means_weigh_up_to_the_mean() -> None:
    foa = any_sound()
    blocks = amb.intensity(foa, 100)
    np.testing.assert_allclose(np.average(blocks, axis=0, weights=[100, 100, 56]), amb.intensity(foa))


def test_diffuseness_tells_a_source_from_a_diffuse_field() -> None:
    field = diffuse_field()
    assert amb.diffuseness(amb.intensity(field), amb.energy(field)) > 0.95
    assert amb.energy(field) == pytest.approx(np.mean(field[0] ** 2), rel=0.05)
    assert amb.diffuseness(np.zeros(3), np.zeros(())) == 1


def test_silence_has_no_direction_and_no_nan() -> None:
    silent = np.zeros((4, 100), np.float32)
    assert amb.direction(silent) == (0, 0)
    assert amb.direction(silent[:, :0]) == (0, 0)
    assert not amb.energy_map(silent, 4, 8).any()


@given(directions, rotations)
def test_rotating_a_scene_rotates_its_sources(
    direction: tuple[float, float], yaw_pitch_roll: tuple[float, float, float]
) -> None:
    matrix = amb.rotation_matrix(*yaw_pitch_roll)
    rotated = amb.rotate(amb.encode(noise(), *direction), matrix)
    expected = amb.encode(noise(), *amb.angles(matrix @ amb.unit_vector(*direction)))
    np.testing.assert_allclose(rotated, expected, atol=2e-6)


@given(rotations)
def test_rotation_is_orthogonal_and_keeps_the_energy(yaw_pitch_roll: tuple[float, float, float]) -> None:
    matrix = amb.rotation_matrix(*yaw_pitch_roll)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    foa = any_sound()
    assert amb.energy(amb.rotate(foa, matrix)) == pytest.approx(amb.energy(foa), rel=1e-5)
    np.testing.assert_allclose(amb.rotate(amb.rotate(foa, matrix), matrix.T), foa, atol=1e-5)


@given(azimuths, elevations)
def test_yaw_and_pitch_aim_the_front(yaw: float, pitch: float) -> None:
    np.testing.assert_allclose(amb.rotation_matrix(yaw, pitch) @ [1, 0, 0], amb.unit_vector(yaw, pitch), atol=1e-12)


@pytest.mark.parametrize(("source", "target"), list(product(Convention, Convention)))
def test_conversions_invert(source: Convention, target: Convention) -> None:
    foa = any_sound()
    np.testing.assert_allclose(amb.convert(amb.convert(foa, source, target), target, source), foa, rtol=3e-7)


@pytest.mark.parametrize(
    ("convention", "channels"),
    [
        (Convention.AMBIX, [2, 3, 5, 7]),
        (Convention.N3D, [2, 3 * sqrt(3), 5 * sqrt(3), 7 * sqrt(3)]),
        (Convention.FUMA, [2 * sqrt(0.5), 7, 3, 5]),
        (Convention.WXYZ, [2, 7, 3, 5]),
    ],
)
def test_the_table_of_conventions(convention: Convention, channels: list[float]) -> None:
    w_y_z_x = np.array([[2], [3], [5], [7]], np.float32)
    np.testing.assert_allclose(amb.convert(w_y_z_x, Convention.AMBIX, convention)[:, 0], channels, rtol=1e-7)


@given(directions, directions, st.sampled_from([0, amb.HYPERCARDIOID, amb.MAX_RE, amb.CARDIOID, 1]))
def test_a_beam_hears_by_its_pattern(source: tuple[float, float], aim: tuple[float, float], omni: float) -> None:
    axis = amb.unit_vector(*aim)
    heard = amb.beam(amb.encode(noise(), *source), axis[None], omni)
    cosine = np.cos(amb.angle_between(axis, amb.unit_vector(*source)))
    np.testing.assert_allclose(heard[0], (omni + (1 - omni) * cosine) * noise(), atol=3e-6)


def test_patterns_are_the_extremes_that_their_names_say() -> None:
    """Of all first-order beams max-rE has the longest energy vector; a hypercardioid hears least of a diffuse field."""
    shares = np.linspace(0.01, 0.99, 99)
    diffuse = shares**2 + (1 - shares) ** 2 / 3
    energy_vector = (2 / 3) * shares * (1 - shares) / diffuse
    assert shares[np.argmin(diffuse)] == pytest.approx(amb.HYPERCARDIOID)
    assert shares[np.argmax(energy_vector)] == pytest.approx(amb.MAX_RE, abs=0.01)


@given(directions)
def test_the_map_peaks_at_the_source(direction: tuple[float, float]) -> None:
    power = amb.energy_map(amb.encode(noise(), *direction), 45, 90)
    peak = amb.panorama_directions(45, 90)[np.unravel_index(power.argmax(), power.shape)]
    assert amb.angle_between(peak, amb.unit_vector(*direction)) < np.radians(3)
    assert power.max() == pytest.approx(np.mean(noise() ** 2), rel=2e-3)


def test_the_map_is_the_power_of_the_beams() -> None:
    foa, grid = any_sound(), amb.panorama_directions(6, 12)
    beams = amb.beam(foa, grid.reshape(-1, 3), amb.MAX_RE)
    np.testing.assert_allclose(amb.energy_map(foa, 6, 12).ravel(), np.mean(beams**2, axis=1), rtol=1e-4)


@given(st.integers(-40, 40))
def test_yaw_by_columns_rolls_the_map(columns: int) -> None:
    foa, width = any_sound(), 24
    rotated = amb.rotate(foa, amb.rotation_matrix(columns * 2 * pi / width))
    rolled = np.roll(amb.energy_map(foa, 12, width), -columns, axis=1)
    np.testing.assert_allclose(amb.energy_map(rotated, 12, width), rolled, rtol=1e-4)


def test_panorama_directions_follow_the_projects_convention() -> None:
    grid = amb.panorama_directions(180, 360)
    azimuth, elevation = np.degrees(amb.angles(grid))
    np.testing.assert_allclose(azimuth[90, [0, 90, 179, 180, 270]], [179.5, 89.5, 0.5, -0.5, -90.5])
    np.testing.assert_allclose(elevation[[0, 89, 90, 179], 0], [89.5, 0.5, -0.5, -89.5])


def test_the_spectral_field_parts_two_sources_by_frequency() -> None:
    t = np.arange(RATE) / RATE
    foa = amb.encode(np.sin(2 * pi * 500 * t), 1.0, 0.2) + amb.encode(np.sin(2 * pi * 3000 * t), -2.0, -0.4)
    field = amb.spectral_field(foa, RATE, smooth=4)
    assert field.intensity.shape == (len(field.times), len(field.frequencies), 3)
    for hertz, azimuth, elevation in [(500, 1.0, 0.2), (3000, -2.0, -0.4)]:
        near = np.abs(field.frequencies - hertz) < 50
        flow = field.intensity[:, near].sum(axis=(0, 1))
        assert amb.angle_between(flow, amb.unit_vector(azimuth, elevation)) < 0.01
    spread = amb.diffuseness(field.intensity[2:-2], field.energy[2:-2])
    assert spread[:, np.abs(field.frequencies - 500) < 30].max() < 0.01


@pytest.mark.parametrize("samples", [100, 736, 737, 4000])
def test_the_spectra_are_scipys(samples: int) -> None:
    foa = np.random.default_rng(0).standard_normal((4, samples))
    field = amb.spectral_field(foa, RATE)
    hop = round(0.046 * RATE / 2)
    transform = ShortTimeFFT(hann(2 * hop, sym=False), hop, RATE, scale_to="magnitude")
    spectra = transform.stft(np.pad(foa, ((0, 0), (0, max(0, 2 * hop - samples)))))
    np.testing.assert_allclose(field.energy.T, 0.5 * np.sum(np.abs(spectra) ** 2, axis=0), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(field.intensity[..., 0].T, np.real(spectra[0].conj() * spectra[3]), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(field.times, transform.t(max(samples, 2 * hop)))
    np.testing.assert_allclose(field.frequencies, transform.f)


def test_averaged_frames_tell_a_diffuse_field() -> None:
    field = amb.spectral_field(diffuse_field(), RATE, smooth=16)
    assert np.median(amb.diffuseness(field.intensity, field.energy)) > 0.6


@pytest.mark.parametrize("shape", [(4,), (2, 100), (100, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="is \\(4, samples\\)"):
        amb.intensity(np.zeros(shape, np.float32))


@pytest.mark.filterwarnings("ignore:`scipy.special.sph_harm`")
class TestAgainstSpaudiopy:
    """spaudiopy works in ACN and N3D with orthonormal harmonics, in zenith angles instead of elevations."""

    @pytest.fixture(scope="class")
    @staticmethod
    def sph():  # type: ignore[no-untyped-def]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # It misses a library for playing sound, which no test needs.
            return pytest.importorskip("spaudiopy").sph

    @pytest.fixture(scope="class")
    @staticmethod
    def somewhere() -> tuple[Floats, Floats]:
        generator = np.random.default_rng(3)
        return generator.uniform(-pi, pi, 200), np.arcsin(generator.uniform(-1, 1, 200))

    def test_encoding(self, sph, somewhere) -> None:  # type: ignore[no-untyped-def]
        azimuth, elevation = somewhere
        theirs = sqrt(4 * pi) * sph.sh_matrix(1, azimuth, pi / 2 - elevation).T
        ours = amb.convert(amb.encode(np.ones(200), azimuth, elevation), Convention.AMBIX, Convention.N3D)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)

    def test_furse_malham(self, sph, somewhere) -> None:  # type: ignore[no-untyped-def]
        azimuth, elevation = somewhere
        theirs = sph.sh_to_b(sph.sh_matrix(1, azimuth, pi / 2 - elevation).T, W_weight=sqrt(0.5))
        ours = amb.convert(amb.encode(np.ones(200), azimuth, elevation), Convention.AMBIX, Convention.FUMA)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)

    def test_rotation(self, sph) -> None:  # type: ignore[no-untyped-def]
        for yaw, pitch, roll in np.random.default_rng(4).uniform(-pi, pi, (20, 3)):
            # It turns the axes, not the scene: yaw and roll have the other sign, and its pitch is left-handed.
            theirs = sph.sh_rotation_matrix(1, -yaw, pitch, -roll)
            foa = any_sound()
            np.testing.assert_allclose(amb.rotate(foa, amb.rotation_matrix(yaw, pitch, roll)), theirs @ foa, atol=1e-5)

    def test_max_re_beam(self, sph, somewhere) -> None:  # type: ignore[no-untyped-def]
        azimuth, elevation = somewhere
        per_order = sph.maxre_modal_weights(1, UNITAMP=True)
        harmonics = sph.sh_matrix(1, azimuth, pi / 2 - elevation)
        aim = sph.sh_matrix(1, 0.4, pi / 2 - 0.1)
        theirs = harmonics @ (sph.repeat_per_order(per_order) * aim[0])
        ours = amb.beam(amb.encode(np.ones(200), azimuth, elevation), amb.unit_vector(0.4, 0.1)[None], amb.MAX_RE)[0]
        np.testing.assert_allclose(ours, theirs, atol=3e-3)  # Its max-rE is the approximation for any order.

"""The shipped draft: each source sounds where it is, each stem by itself, and every take can be delivered."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from omniaudio.audio.ambisonics import W, angle_between, direction, unit_vector
from omniaudio.errors import ExitCode, UserError
from omniaudio.evaluation.metrics import defects
from omniaudio.generation import takes
from omniaudio.generation.pipeline import Stages
from omniaudio.generation.placing import channels
from omniaudio.generation.request import Request, repeat
from omniaudio.generation.windows import plan
from omniaudio.model_zoo import registry
from omniaudio.progress import Report
from omniaudio.recognition import kinds, networks
from omniaudio.recognition.sources import Bed, Place, Source, Sources
from omniaudio.sidecar import Sidecar
from omniaudio_client.options import GenerationOptions
from trt_engine.compile.bundle import BUNDLE_FILE, verify
from trt_engine.runtime.open import open_pipeline

pytestmark = [
    pytest.mark.skipif(not (registry.PACKAGED / "draft" / BUNDLE_FILE).is_file(), reason="the draft model is not here"),
]
SECONDS = 5.0
Sound = np.ndarray
Make = Callable[..., list[takes.Take]]


@pytest.fixture(scope="module")
def draft() -> Stages:
    return open_pipeline(registry.find("draft"), "onnxruntime")


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grey panorama: what sounds is given."""
    path = tmp_path_factory.mktemp("still") / "grey.png"
    Image.new("RGB", (512, 256), (120, 120, 120)).save(path)
    return path


@pytest.fixture
def make(draft: Stages, still: Path, tmp_path: Path) -> Make:
    """Takes of given sources, as `out.wav`."""

    def made(sources: Sources | None, **wanted: object) -> list[takes.Take]:
        options = {"preview": False, "map": False}
        options |= {field.name: wanted.pop(field.name) for field in fields(GenerationOptions) if field.name in wanted}
        given = {"input": still, "duration": SECONDS, "force": True} | wanted
        request = Request(output=tmp_path / "out.wav", sources=sources, options=GenerationOptions(**options), **given)
        return takes.generate(request, draft, lambda _: None)

    return made


def source(kind: str, azimuth: float, elevation: float = 0.0, **more: object) -> Source:
    return Source(kind=kind, path=(Place(time=0, azimuth=azimuth, elevation=elevation),), **more)


def sources(*found: Source, bed: str | None = None) -> Sources:
    return Sources(seconds=SECONDS, sources=found, bed=None if bed is None else Bed(kind=bed))


def sound(path: Path) -> Sound:
    """`(channels, samples)`."""
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


def level(foa: Sound) -> float:
    """dB of W."""
    return float(10 * np.log10(np.mean(np.square(foa[W], dtype=np.float64)) + 1e-12))


def apart(foa: Sound, azimuth: float, elevation: float) -> float:
    """Degrees between where a sound comes from and a direction."""
    found = unit_vector(*direction(foa[:4]))
    return float(np.degrees(angle_between(found, unit_vector(*np.radians([azimuth, elevation])))))


def test_the_package_is_whole_and_small() -> None:
    folder = registry.PACKAGED / "draft"
    verify(folder)
    recognition = networks.FOLDER
    files = [file for place in (folder, recognition) for file in place.iterdir()]
    assert sum(file.stat().st_size for file in files) < 60e6
    assert "licence" in (folder / "MODEL_CARD.md").read_text("utf-8")


def test_each_source_sounds_where_it_is_and_the_stems_are_the_take(make: Make) -> None:
    (take,) = make(sources(source("dog", 90), source("car", -60, -10), bed="rain"), stems=True, order=3)
    names = [path.name for path in take.stems]
    assert names == ["out.stem-1-dog.wav", "out.stem-2-car.wav", "out.stem-bed-rain.wav"]
    dog, car, rain = (sound(path) for path in take.stems)
    assert dog.shape == (channels(3), round(SECONDS * take.rate))
    np.testing.assert_allclose(dog + car + rain, sound(take.sound), atol=3 / 2**23)
    assert apart(dog, 90, 0) < 0.1
    assert apart(car, -60, -10) < 0.1
    flow = np.linalg.norm([(rain[W] * rain[c]).mean() for c in (1, 2, 3)])
    assert flow < 0.15 * np.mean(rain[W] ** 2), "a bed comes from everywhere"


def test_a_source_moves_along_its_path(make: Make) -> None:
    path = (Place(time=0, azimuth=-90, elevation=0), Place(time=SECONDS, azimuth=60, elevation=20))
    (take,) = make(sources(Source(kind="car", path=path)))
    length = take.rate // 5  # in which it moves by 6°
    for number, stretch in enumerate(np.array_split(sound(take.sound), round(SECONDS * take.rate) // length, axis=1)):
        wanted = Source(kind="car", path=path).directions(np.array([(number + 0.5) * length / take.rate]))[0]
        assert np.degrees(angle_between(unit_vector(*direction(stretch)), wanted)) < 5


def test_a_source_sounds_from_its_first_place_to_its_last(make: Make) -> None:
    path = tuple(Place(time=time, azimuth=0, elevation=0) for time in (1.0, 3.0))
    (take,) = make(sources(Source(kind="fire", path=path)))
    foa, rate = sound(take.sound), take.rate
    assert not foa[:, : rate - 1].any()
    assert not foa[:, 3 * rate + 1 :].any()
    assert level(foa[:, rate : 3 * rate]) > -50


def test_gain_counts_in_full_and_mute_is_silence(make: Make) -> None:
    def of(**more: object) -> Sound:
        (take,) = make(sources(source("car", 0, **more), bed="wind"), stems=True)
        return sound(take.stems[0])

    as_it_is = of()
    np.testing.assert_allclose(of(gain=-12.0), as_it_is * 10 ** (-12 / 20), atol=2 / 2**23)
    (take,) = make(sources(source("car", 0, mute=True), bed="wind"), stems=True)
    assert [path.name for path in take.stems] == ["out.stem-bed-wind.wav"]


def test_what_is_taken_away_leaves_the_others_as_they_are(make: Make) -> None:
    """Only batches differ, so that the last bits do."""
    (both,) = make(sources(source("dog", 90), source("bird", -30)), stems=True)
    bird = sound(both.stems[1]) / 10 ** (both.gain_db / 20)
    (alone,) = make(sources(source("bird", -30)), stems=True)
    np.testing.assert_allclose(bird, sound(alone.stems[0]) / 10 ** (alone.gain_db / 20), atol=1e-3)


def test_two_of_a_kind_do_not_sound_alike(make: Make) -> None:
    (take,) = make(sources(source("dog", 90), source("dog", -90)), stems=True)
    first, second = (sound(path)[W] for path in take.stems)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.5


def test_takes_differ_and_each_repeats_from_its_sidecar(draft: Stages, make: Make, tmp_path: Path) -> None:
    made = make(sources(source("dog", 90), bed="rain"), takes=2, seed=7)
    first, second = (sound(take.sound) for take in made)
    assert abs(np.corrcoef(first[W], second[W])[0, 1]) < 0.5
    request = repeat(made[1].sidecar, draft, output=tmp_path / "twice.wav")
    (twice,) = takes.generate(request.model_copy(update={"preview": False, "map": False}), draft, lambda _: None)
    assert twice.sound.read_bytes() == made[1].sound.read_bytes()


def test_variation_leads_from_the_exemplar_to_free_generation(draft: Stages, make: Make) -> None:
    def latents(variation: float) -> Sound:
        (take,) = make(sources(source("dog", 90)), variation=variation)
        heard = sound(take.sound)[W] / 10 ** (take.gain_db / 20)
        return draft.encode(heard[None, None, : draft.config.latent_frames * draft.config.samples_per_latent])[0]

    exemplar = latents(0.0)
    distances = [float(np.square(latents(variation) - exemplar).mean()) for variation in (0.2, 0.6, 1.0)]
    assert distances == sorted(distances)


def test_the_sidecar_says_what_sounds_and_whom_to_credit(make: Make) -> None:
    wanted = sources(source("dog", 90), bed="rain")
    (take,) = make(wanted)
    kept = Sidecar.read(take.sidecar)
    assert kept.sources == wanted
    assert (kept.options.variation, kept.options.order) == (None, 1)
    assert {one.kind for one in kept.derives_from} <= {"dog", "rain"}
    for one in kept.derives_from:
        assert kept.credit is not None
        assert one.author in kept.credit
        assert one.licence in kept.credit


def test_progress_has_room_for_what_follows_looking(draft: Stages, still: Path, tmp_path: Path) -> None:
    """Before the sources are known nobody knows how much there is to sample; the bar is not full when looking ends."""
    request = Request(
        input=still, duration=SECONDS, output=tmp_path / "out.wav", force=True, options=GenerationOptions(map=False)
    )
    reports: list[Report] = []
    takes.generate(request, draft, reports.append)
    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions)
    assert [report.fraction for report in reports if report.stage == "looking"][-1] < 0.95
    assert fractions[-1] == pytest.approx(1)


@pytest.mark.parametrize("kind", [pytest.param(kind.id, marks=pytest.mark.slow) for kind in kinds.load().kinds])
def test_every_kind_has_a_sound(make: Make, kind: str) -> None:
    bed = kinds.load()[kind].bed
    (take,) = make(sources(bed=kind) if bed else sources(source(kind, 30)), duration=2.6)
    assert not defects(sound(take.sound))


def test_when_all_is_muted_somebody_says_so(make: Make) -> None:
    with pytest.raises(UserError, match="Nothing sounds") as caught:
        make(sources(source("dog", 0, mute=True)))
    assert caught.value.code is ExitCode.BAD_RANGE


def test_a_panorama_with_nothing_in_it_has_a_quiet_bed(make: Make) -> None:
    (take,) = make(None)
    kept = Sidecar.read(take.sidecar).sources
    assert kept is not None
    assert not kept.sources
    assert kept.bed is not None
    foa = sound(take.sound)
    assert -60 < level(foa) < -25
    assert not defects(foa)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 40, 5))
def test_footage_gives_a_sound(draft: Stages, footage: Path, tmp_path: Path, start: int) -> None:
    made = takes.generate(
        Request(
            input=footage,
            output=tmp_path / "out.wav",
            start=start,
            duration=4.0,
            options=GenerationOptions(seed=start, preview=False, map=False),
        ),
        draft,
        lambda _: None,
    )
    foa, rate = soundfile.read(made[0].sound, dtype="float32")
    assert foa.shape == (4 * rate, 4)
    assert not defects(foa.T)


@pytest.mark.slow
def test_a_bed_sounds_alike_across_the_borders_of_windows(draft: Stages, make: Make) -> None:
    """Level and spectrum where windows are blended are like elsewhere, within the spread of a stationary take."""
    seconds, frame = 30.0, draft.config.samples_per_latent
    (take,) = make(Sources(seconds=seconds, bed=Bed(kind="rain")), duration=seconds)
    frames = round(seconds * take.rate) // frame
    config = draft.config
    windows = plan(
        frames, config.latent_frames, config.omniaudio.frame_rate * frame / take.rate,
        config.model.diffusion.config.patch_size,
    )  # fmt: skip
    border = np.zeros(windows.frames, bool)
    for index, window in enumerate(windows.windows[1:], start=1):
        weights = windows.weights(index)
        border[window.start : window.start + windows.length] |= (weights > 0) & (weights < 1)
    blocks = sound(take.sound)[W, : frames * frame].reshape(frames, frame)
    spectra = np.log(np.abs(np.fft.rfft(blocks * np.hanning(frame))) ** 2 @ _bands(frame) + 1e-9)
    at_border, elsewhere = spectra[border[:frames]], spectra[~border[:frames]]
    assert len(at_border) > 50
    spread = elsewhere.std(axis=0) + 0.1
    assert (np.abs(at_border.mean(axis=0) - elsewhere.mean(axis=0)) < 1.0 * spread).all()


def _bands(frame: int) -> np.ndarray:
    """Eight bands of equal width on a logarithmic scale, (bins, bands)."""
    bins = np.arange(frame // 2 + 1)
    index = np.clip((np.log2(np.maximum(bins, 1) / 4) / np.log2(frame / 8) * 8).astype(int), 0, 7)
    return np.eye(8)[index]

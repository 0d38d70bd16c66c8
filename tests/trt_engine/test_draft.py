"""The shipped draft: whatever it is shown, its sound is one that can be delivered, and long clips have no seams."""

from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
import soundfile

from omniaudio import takes, zoo
from omniaudio.ambisonics import panorama_directions
from omniaudio.evaluation.metrics import defects
from omniaudio.generator import Generation, Settings, Stages
from omniaudio.panorama import Picture
from trt_engine.bundle import BUNDLE_FILE, verify
from trt_engine.pipeline import open_pipeline

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (zoo.PACKAGED / "draft" / BUNDLE_FILE).is_file(), reason="the draft model is not here"),
]
SHAPE = (128, 256)


@pytest.fixture(scope="module")
def draft() -> Stages:
    return open_pipeline(zoo.find("draft"), "auto")


def test_the_package_is_whole_and_small() -> None:
    folder = zoo.PACKAGED / "draft"
    verify(folder)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 30e6
    assert "licence" in (folder / "MODEL_CARD.md").read_text("utf-8")


def flat(level: int) -> Picture:
    return np.full((*SHAPE, 3), level, np.uint8)


def noise(seed: int, cells: int) -> Picture:
    """Noise in blocks, from fine to coarse."""
    coarse = np.random.default_rng(seed).integers(0, 256, (SHAPE[0] // cells, SHAPE[1] // cells, 3), dtype=np.uint8)
    return coarse.repeat(cells, axis=0).repeat(cells, axis=1)


def sky(seed: int) -> Picture:
    """Smooth colours all around."""
    waves = np.random.default_rng(seed).normal(size=(3, 3)) @ panorama_directions(*SHAPE).reshape(-1, 3).T
    return (127 + 60 * waves.T.reshape(*SHAPE, 3)).clip(0, 255).astype(np.uint8)


def stripes(count: int) -> Picture:
    return np.broadcast_to(
        (np.arange(SHAPE[1]) * count // SHAPE[1] % 2 * 255).astype(np.uint8)[None, :, None], (*SHAPE, 3)
    ).copy()


PICTURES: list[Callable[[], Picture]] = [
    *(lambda level=level: flat(level) for level in (0, 255, 1, 127, 254)),
    *(lambda seed=seed, cells=cells: noise(seed, cells) for seed in range(3) for cells in (1, 2, 4, 8, 16, 32)),
    *(lambda seed=seed: sky(seed) for seed in range(12)),
    *(lambda count=count: stripes(count) for count in (2, 4, 8, 16, 32, 64, 128)),
]


def sound_of(draft: Stages, pictures: Iterator[Picture], seconds: float, seed: int) -> np.ndarray:
    config = draft.config
    chosen = Settings(seed, 1, config.omniaudio.steps, config.omniaudio.guidance)
    work = Generation(draft, seconds, chosen, lambda _: None)
    try:
        work.look(pictures)
        samples = round(seconds * config.sample_rate)
        return np.concatenate(list(work.sound(work.sample()[0], config.sample_rate, samples)), axis=1)
    finally:
        work.close()


def assert_sound(foa: np.ndarray) -> None:
    # what is too loud is turned down when it is delivered, so only the other defects are the model's
    assert not [defect for defect in defects(foa / max(1.0, 1.01 * np.abs(foa).max())) if "clipped" not in defect]


@pytest.mark.parametrize("number", range(len(PICTURES)))
def test_any_picture_gives_a_sound(draft: Stages, number: int) -> None:
    assert_sound(sound_of(draft, repeat(PICTURES[number]()), 5.0, seed=number))


@pytest.mark.parametrize("start", range(0, 40, 5))
def test_real_footage_gives_a_sound(draft: Stages, shared: Path, tmp_path: Path, start: int) -> None:
    made = takes.generate(
        takes.Request(
            input=shared / "media" / "ricoh_360_mono.mp4", output=tmp_path / "out.wav", start=start, duration=4.0,
            seed=start, preview=False, map=False,
        ),
        draft,
        lambda _: None,
    )  # fmt: skip
    foa, rate = soundfile.read(made[0].sound, dtype="float32")
    assert foa.shape == (4 * rate, 4)
    assert not defects(foa.T)


def test_a_still_picture_sounds_alike_across_the_borders_of_windows(draft: Stages) -> None:
    """Level and spectrum where windows are blended are like elsewhere, within the spread of a stationary take."""
    seconds = 30.0
    foa = sound_of(draft, repeat(sky(3)), seconds, seed=1)
    config = draft.config
    frame = config.samples_per_latent
    work = Generation(draft, seconds, Settings(1, 1, 1, 1.0), lambda _: None)
    windows = work.windows
    work.close()
    border = np.zeros(windows.frames, bool)
    for index, window in enumerate(windows.windows[1:], start=1):
        weights = windows.weights(index)
        border[window.start : window.start + windows.length] |= (weights > 0) & (weights < 1)
    frames = foa.shape[1] // frame
    blocks = foa[0, : frames * frame].reshape(frames, frame)
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

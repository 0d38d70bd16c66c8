"""Inpainting: the crop, what is held around the part, and how it is spliced into the take."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from omniaudio.audio.loudness import CEILING_DBTP, true_peak
from omniaudio.audio.reader import SoundFile
from omniaudio.errors import UserError
from omniaudio.generation.inpainting import (
    CONTEXT,
    FADE_SECONDS,
    Crop,
    Inpainting,
    Part,
    crop,
    known_latents,
    open_part,
    splice,
)
from omniaudio.sidecar import Inpainted, Sidecar
from omniaudio_client.options import GenerationOptions
from support.small_pipeline import FRAMES, RATIO, config
from support.small_pipeline import RATE as MODEL_RATE

Array = np.ndarray
RATE = 8000
CONFIG = config()


def write(path: Path, sound: Array, rate: int = RATE) -> Path:
    soundfile.write(path, sound.T, rate, subtype="PCM_24")
    return path


def integers(sound: Array) -> Array:
    return np.rint(sound * 2**23).astype(int)


def noise(samples: int, level: float = 0.1, seed: int = 0) -> Array:
    """As 24 bits hold it: soundfile rounds down."""
    drawn = (level * np.random.default_rng(seed).standard_normal((4, samples))).clip(-1, 0.999)
    return (integers(drawn) / 2**23).astype(np.float32)


def in_blocks(sound: Array, *lengths: int) -> Iterator[Array]:
    yield from np.split(sound, np.cumsum(lengths), axis=1)


@given(
    rate=st.sampled_from([8000, 44100, 48000, 1000]),
    seconds=st.floats(0.5, 60),
    begin=st.floats(0, 1),
    length=st.floats(0, 1),
)
def test_a_crop_holds_all_that_is_known_and_nothing_of_the_part(
    rate: int, seconds: float, begin: float, length: float
) -> None:
    samples = round(seconds * rate)
    first = round(begin * (samples - 0.25 * rate))
    last = min(samples, first + round(0.25 * rate + length * (samples - first - 0.25 * rate)))
    part = Part(SoundFile(Path("take.wav"), rate, samples), first, last)
    cut = crop(part, CONFIG)
    frame = RATIO / MODEL_RATE * rate
    edges = cut.first + np.arange(len(cut.held) + 1) * frame
    assert cut.first >= 0
    assert edges[-1] >= last - 1, "all of the part is sampled"
    assert edges[-2] < samples, "no frame lies wholly beyond the take"
    for begins, ends, held in zip(edges, edges[1:], cut.held, strict=False):
        if held:
            assert ends <= first + 1 or last < ends <= samples + 1
        else:
            assert (begins >= first - 1 and ends <= last + 1) or ends > samples - 1
    # Neither more than the windows need, nor less than there is.
    new = np.ceil((last - first) / frame)
    wanted = max(FRAMES, new + 2 * np.ceil(CONTEXT * FRAMES))
    assert len(cut.held) == wanted or (cut.first < frame and edges[-1] >= samples - 1)
    before, after = (first - cut.first) / frame, (edges[-1] - last) / frame
    assert min(before, CONTEXT * FRAMES) > min(CONTEXT * FRAMES - 2, first / frame - 1)
    assert min(after, CONTEXT * FRAMES) > min(CONTEXT * FRAMES - 2, (samples - last) / frame - 1)


def means(sound: Array) -> Array:
    """An encoder: each frame's mean of every channel, in the latents' first four channels."""
    latents = np.zeros((len(sound), CONFIG.latent_channels, FRAMES), np.float32)
    latents[:, :4] = sound.reshape(len(sound), 4, FRAMES, RATIO).mean(-1)
    return latents


@pytest.mark.parametrize("rate", [MODEL_RATE, 4 * MODEL_RATE])
@pytest.mark.parametrize(("begin", "end"), [(9.0, 12.0), (0.0, 2.0), (3.17, 27.4), (26.0, 30.0), (0.33, 29.8)])
def test_known_latents_are_those_of_the_take_at_their_times(
    tmp_path: Path, rate: int, begin: float, end: float
) -> None:
    """A ramp tells by its value when it was."""
    seconds = np.arange(30 * rate) / rate
    ramp = np.stack([seconds / 40, -seconds / 40, 0 * seconds, seconds / 80])
    sound = write(tmp_path / "take.wav", ramp, rate)
    cut = crop(open_part(Inpainting(sound=sound, start=begin, duration=end - begin)), CONFIG)
    held = known_latents(cut, means, CONFIG)
    np.testing.assert_array_equal(held.frames, cut.held)
    assert not held.latents[:, ~held.frames].any()
    centres = (cut.first + (np.arange(len(cut.held)) + 0.5) * cut.frame_samples) / rate
    wanted = centres * np.array([1 / 40, -1 / 40, 0, 1 / 80])[:, None]
    inner = held.frames & (centres > 0.7) & (centres < 29.3)  # a resampler rings where the ramp is cut off
    assert held.frames.any()
    np.testing.assert_allclose(held.latents[:4, inner], wanted[:, inner], atol=2e-4)


def test_known_latents_are_at_the_level_of_the_model(tmp_path: Path) -> None:
    """What a take's guard has taken is given back before its sound is encoded."""
    sound = noise(20 * MODEL_RATE)
    held = []
    for gain_db in (0.0, -12.0):
        lowered = write(tmp_path / "take.wav", sound * 10 ** (gain_db / 20), MODEL_RATE)
        part = open_part(Inpainting(sound=lowered, start=9.0, duration=2.0, gain_db=gain_db))
        held.append(known_latents(crop(part, CONFIG), means, CONFIG))
    np.testing.assert_array_equal(held[0].frames, held[1].frames)
    np.testing.assert_allclose(held[0].latents, held[1].latents, atol=1e-6)


def spliced(
    folder: Path, take: Array, begin: int, end: int, new: Array, *, skipped: int = 0, gain_db: float = 0.0
) -> tuple[Array, float]:
    """The take with `new` in the place of its part, as samples, and the gain."""
    path = write(folder / "take.wav", take)
    part = Part(SoundFile(path, RATE, take.shape[1]), begin, end, gain_db)
    cut = Crop(part, begin - skipped, 1.0, np.zeros(1, np.bool_))
    crop_sound = np.concatenate([noise(skipped, 0.9), new], axis=1)
    with splice(cut, in_blocks(crop_sound, 7, 301), folder) as (gain, blocks):
        return np.concatenate(list(blocks), axis=1), gain


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(2000, 90_000),
    begin=st.floats(0, 1),
    length=st.floats(0, 1),
    skipped=st.integers(0, 1500),
    level=st.floats(0, 3),
)
def test_outside_of_the_part_every_sample_stays(  # noqa: PLR0917 - hypothesis names them
    tmp_path_factory: pytest.TempPathFactory, samples: int, begin: float, length: float, skipped: int, level: float
) -> None:
    folder = tmp_path_factory.mktemp("splice")
    first = round(begin * (samples - 2000))
    last = first + 2000 + round(length * (samples - 2000 - first))
    take, new = noise(samples), level * noise(last - first, 0.1, seed=1)
    sound, gain = spliced(folder, take, first, last, new, skipped=skipped)
    assert sound.shape == take.shape
    np.testing.assert_array_equal(integers(sound)[:, :first], integers(take)[:, :first])
    np.testing.assert_array_equal(integers(sound)[:, last:], integers(take)[:, last:])
    fade = round(FADE_SECONDS * RATE)
    middle = slice(first + fade, last - fade)
    np.testing.assert_allclose(sound[:, middle], gain * new[:, fade : new.shape[1] - fade], atol=1e-6)
    if first == 0:
        np.testing.assert_allclose(sound[:, :fade], gain * new[:, :fade], atol=1e-6)
    if last == samples:
        np.testing.assert_allclose(sound[:, -fade:], gain * new[:, -fade:], atol=1e-6)
    ceiling = max(10 ** (CEILING_DBTP / 20), true_peak(take, RATE))
    assert true_peak(sound[:, first:last], RATE) <= 1.03 * ceiling
    assert gain == 1 or true_peak(sound[:, first:last], RATE) > 0.7


@pytest.mark.parametrize("alike", [True, False])
def test_a_cross_fade_has_neither_click_nor_dip(tmp_path: Path, alike: bool) -> None:
    seconds = np.arange(2 * RATE) / RATE
    tone = np.tile(0.3 * np.sin(2 * np.pi * 440 * seconds), (4, 1)).astype(np.float32)
    other = tone if alike else np.tile(0.3 * np.sin(2 * np.pi * 440 * seconds + 2), (4, 1)).astype(np.float32)
    sound, _ = spliced(tmp_path, tone, 5000, 11_000, other[:, 5000:11_000])
    for edge in (5000, 11_000):
        near = np.abs(np.diff(sound[0, edge - 500 : edge + 500])).max()
        assert near < 1.2 * np.abs(np.diff(tone[0])).max()
    hard = tone.copy()
    hard[:, 5000:11_000] = other[:, 5000:11_000]
    if alike:
        np.testing.assert_allclose(sound, tone, atol=1e-6)
    else:
        assert np.abs(np.diff(hard[0])).max() > 1.5 * np.abs(np.diff(sound[0])).max(), "the check would see a click"


def test_loud_new_sound_is_lowered_and_the_take_is_not(tmp_path: Path) -> None:
    take, new = noise(16_000, 0.1), noise(8000, 0.9, seed=2)
    sound, gain = spliced(tmp_path, take, 4000, 12_000, new)
    assert 0.3 < gain < 0.9
    assert true_peak(sound, RATE) == pytest.approx(10 ** (CEILING_DBTP / 20), rel=0.03)
    np.testing.assert_array_equal(integers(sound)[:, :4000], integers(take)[:, :4000])


def test_the_new_sound_has_the_gain_reduction_of_the_take(tmp_path: Path) -> None:
    """Before the guard looks at it, which then has nothing to do."""
    take, new = noise(16_000, 0.1), noise(8000, 0.9, seed=2)
    sound, gain = spliced(tmp_path, take, 4000, 12_000, new, gain_db=-20.0)
    assert gain == 1
    fade = round(FADE_SECONDS * RATE)
    np.testing.assert_allclose(sound[:, 4000 + fade : 12_000 - fade], 0.1 * new[:, fade:-fade], atol=1e-6)
    np.testing.assert_array_equal(integers(sound)[:, :4000], integers(take)[:, :4000])


def sidecar(gain_db: float, inpainting: Inpainted | None = None) -> Sidecar:
    return Sidecar(
        model_sha256="0" * 64, start=0, duration=2, rate=RATE, input="clip.mp4", input_sha256="0" * 64,
        inpainting=inpainting,
        options=GenerationOptions(model="draft", backend="onnxruntime", seed=1, steps=2, guidance=1.0),
        gain_db=gain_db, true_peak_dbtp=-1.0,
    )  # fmt: skip


def test_the_gain_reduction_of_a_take_is_read_from_its_sidecar(tmp_path: Path) -> None:
    sound, beside = write(tmp_path / "take.wav", noise(2 * RATE)), tmp_path / "take.json"
    wanted = Inpainting(sound=sound, start=0.5, duration=1.0)
    assert open_part(wanted).gain_db == 0, "nothing tells it"
    sidecar(-7.25).write(beside)
    assert open_part(wanted).gain_db == -7.25
    assert open_part(wanted.model_copy(update={"gain_db": 0.0})).gain_db == 0, "who asks knows better"
    before = Inpainted(sound="first.wav", sound_sha256="0" * 64, start=0, duration=1, gain_db=-3.5)
    sidecar(-1.5, before).write(beside)
    assert open_part(wanted).gain_db == -3.5, "the rest of a take with a new part is as loud as the take before"
    beside.write_text("[]")
    assert open_part(wanted).gain_db == 0, "it is another program's file"


def test_impossible_parts_are_messages(tmp_path: Path) -> None:
    sound = write(tmp_path / "take.wav", noise(2 * RATE))
    with pytest.raises(UserError, match=r"is not within take\.wav, which is 2 s long"):
        open_part(Inpainting(sound=sound, start=1.5, duration=1.0))
    with pytest.raises(UserError, match="too short to inpaint"):
        open_part(Inpainting(sound=sound, start=1.0, duration=0.2))
    stereo = tmp_path / "stereo.wav"
    soundfile.write(stereo, noise(RATE)[:2].T, RATE)
    with pytest.raises(UserError, match="first-order ambisonics has 4"):
        open_part(Inpainting(sound=stereo, start=0.0, duration=0.5))

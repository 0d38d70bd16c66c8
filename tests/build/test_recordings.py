"""The recipe's recordings: one form, and splits that depend on their names alone."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from support.paths import REPOSITORY

# Last, since the recipe has modules of the same names as the tests' own.
sys.path.append(str(REPOSITORY / "build" / "draft_model"))
from recordings import ACTIVE_LEVEL, RATE, Entry, read_kinds, read_sound, split_recordings, trimmed

from omniaudio.config import load_config


def bursts(pause: float) -> np.ndarray:
    """Silence, a burst of noise, a pause, a burst, silence; with an offset."""
    rng = np.random.default_rng(0)
    burst = rng.standard_normal(RATE // 2) * 0.01
    quiet = [np.zeros(int(seconds * RATE)) for seconds in (1.0, pause, 0.7)]
    return (np.concatenate([quiet[0], burst, quiet[1], burst, quiet[2]]) + 0.001).astype(np.float32)


def test_trimmed_sounds_have_one_level_no_offset_and_short_pauses() -> None:
    sound = trimmed(bursts(2.0))
    assert sound is not None
    assert 1.2 < len(sound) / RATE < 1.4  # two halves of a second and a quarter
    assert abs(sound.mean()) < 1e-3
    loud = sound[: RATE // 4]
    assert np.sqrt((loud**2).mean()) == pytest.approx(ACTIVE_LEVEL, rel=0.1)


@pytest.mark.parametrize("sound", [np.zeros(RATE, np.float32), np.ones(100, np.float32), np.ones(RATE, np.float32)])
def test_what_does_not_sound_is_none(sound: np.ndarray) -> None:
    assert trimmed(sound) is None


@pytest.mark.parametrize(("suffix", "channels"), [("wav", 1), ("flac", 2), ("ogg", 2)])
def test_any_file_is_read_as_one_channel_at_one_rate(tmp_path: Path, suffix: str, channels: int) -> None:
    path = tmp_path / f"sound.{suffix}"
    soundfile.write(path, np.full((32000, channels), 0.1), 32000)
    assert len(read_sound(path)) == pytest.approx(RATE, abs=RATE // 20)


def test_splits_follow_the_folds_and_else_the_names() -> None:
    def entry(number: int, source: str, split: str) -> tuple[Path, Entry]:
        return Path("a"), Entry(f"sounds/dog/{number}", "dog", split, 3, source, "", "")  # type: ignore[arg-type]

    found = [entry(n, "github:ESC-10", "test") for n in range(3)] + [entry(n, "pack", "train") for n in range(10, 30)]
    split = {e.path: e.split for _, e in split_recordings(found)}
    assert [split[f"sounds/dog/{n}"] for n in range(3)] == ["test"] * 3
    others = [split[f"sounds/dog/{n}"] for n in range(10, 30)]
    assert (others.count("test"), others.count("development")) == (2, 2)
    assert split == {e.path: e.split for _, e in split_recordings(found[::-1])}


def test_the_config_has_the_kinds_in_the_recipes_order() -> None:
    recipe = REPOSITORY / "build" / "draft_model"
    part = load_config(recipe / "stem_config.json").model.conditioning.configs[0]
    assert part.type == "kind_vector"
    assert part.config.kinds == tuple(read_kinds())

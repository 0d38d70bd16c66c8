"""The bank: what is read of it, in what order exemplars follow each other, and what a damaged one says."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from omniaudio.errors import ExitCode, UserError
from omniaudio.generation.exemplars import FADE_FRAMES, LATENTS_NAME, OWN_LICENCE, TABLE_NAME, Bank, Exemplar
from omniaudio.model_zoo import registry

FRAMES = 20


def _exemplar(name: str, source: str = "pypi:barks one.ogg", licence: str = "CC0-1.0") -> Exemplar:
    return Exemplar(name=name, kind="dog", source=source, author="A. Author", licence=licence)


def _bank(*exemplars: Exemplar) -> Bank:
    latents = {one.name: np.full((3, FRAMES), index, np.float32) for index, one in enumerate(exemplars)}
    return Bank(exemplars, latents)


def _one_recording(*names: str) -> Bank:
    return _bank(*map(_exemplar, names))


@pytest.mark.parametrize("frames", [1, FRAMES, FRAMES + 1, 7 * FRAMES])
def test_exemplars_follow_each_other_as_long_as_they_are_wanted(frames: int) -> None:
    strung, used = _one_recording("a", "b", "c").string("dog", frames, np.random.default_rng(0))
    assert strung.shape == (3, frames)
    assert len(used) == len(set(used)) <= 3


def test_none_follows_itself_while_there_are_others() -> None:
    for seed in range(20):
        strung, _ = _one_recording("a", "b").string("dog", 10 * FRAMES, np.random.default_rng(seed))
        middles = strung[0, FRAMES // 2 :: FRAMES - FADE_FRAMES]
        assert (np.diff(middles) != 0).all()


def test_one_alone_is_repeated_and_faded_into_itself() -> None:
    strung, used = _one_recording("a").string("dog", 3 * FRAMES, np.random.default_rng(0))
    assert [one.name for one in used] == ["a"]
    np.testing.assert_array_equal(strung, 0)


def test_one_take_is_of_one_recording_and_takes_differ() -> None:
    bank = _bank(*(_exemplar(f"{source}{n}", f"pypi:barks {source}.ogg") for source in "xyz" for n in range(2)))
    heard = [bank.string("dog", 5 * FRAMES, np.random.default_rng(seed))[1] for seed in range(20)]
    assert all(len({one.source for one in used}) == 1 for used in heard)
    assert len({used[0].source for used in heard}) == 3


def test_each_take_of_the_model_is_a_recording_by_itself() -> None:
    bank = _bank(*(_exemplar(name, "own take", OWN_LICENCE) for name in "ab"))
    assert all(len(bank.string("dog", 90, np.random.default_rng(seed))[1]) == 1 for seed in range(10))


def test_the_same_numbers_give_the_same_order() -> None:
    first, second = (_one_recording("a", "b", "c").string("dog", 200, np.random.default_rng(5))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def _write(folder: Path, names: list[str], stored: list[str]) -> None:
    entries = [
        f'[[exemplar]]\nname = "{name}"\nkind = "dog"\nsource = "pypi:barks x.ogg"\nauthor = "A"\nlicence = "CC0-1.0"\n'
        for name in names
    ]
    (folder / TABLE_NAME).write_text("\n".join(entries), "utf-8")
    save_file({name: np.ones((3, FRAMES), np.float16) for name in stored}, folder / LATENTS_NAME)


def test_a_bank_is_read(tmp_path: Path) -> None:
    _write(tmp_path, ["dog.0", "dog.1"], ["dog.0", "dog.1"])
    bank = Bank.load(tmp_path)
    assert bank.kinds == {"dog"}
    assert [one.name for one in bank.of("dog")] == ["dog.0", "dog.1"]


def test_a_model_without_a_bank_has_an_empty_one(tmp_path: Path) -> None:
    assert not Bank.load(tmp_path).kinds


def test_a_damaged_bank_is_named(tmp_path: Path) -> None:
    _write(tmp_path, ["dog.0", "dog.1"], ["dog.0"])
    with pytest.raises(UserError, match=r"dog\.1") as caught:
        Bank.load(tmp_path)
    assert caught.value.code is ExitCode.NO_MODEL
    (tmp_path / LATENTS_NAME).write_bytes(b"nothing")
    with pytest.raises(UserError, match="damaged"):
        Bank.load(tmp_path)
    (tmp_path / LATENTS_NAME).unlink()
    with pytest.raises(UserError, match="damaged"):
        Bank.load(tmp_path)


def test_the_shipped_bank_says_of_each_recording_whose_it_is() -> None:
    """And has nothing under a licence that asks for more than a credit."""
    bank = Bank.load(registry.PACKAGED / "draft")
    found = [one for kind in sorted(bank.kinds) for one in bank.of(kind)]
    assert len(bank.kinds) >= 45
    for one in found:
        assert one.own or one.licence == "MIT" or one.licence.startswith(("CC0-", "CC-BY-", "CC-PD")), one
        assert not {"SA", "NC", "ND"} & set(one.licence.split("-")), one
        assert one.own or one.author, one

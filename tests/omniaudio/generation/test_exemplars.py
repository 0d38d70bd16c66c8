"""The bank: what is read of it, in what order exemplars follow each other, and what a damaged one says."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from omniaudio import zoo
from omniaudio.errors import ExitCode, UserError
from omniaudio.generation.exemplars import FADE_FRAMES, LATENTS_NAME, TABLE_NAME, Bank, Exemplar

FRAMES = 20


def _exemplar(name: str, kind: str = "dog", licence: str = "CC0-1.0") -> Exemplar:
    return Exemplar(name=name, kind=kind, source=f"pypi:barks {name}.ogg", author="A. Author", licence=licence)


def _bank(*names: str) -> Bank:
    latents = {name: np.full((3, FRAMES), index, np.float32) for index, name in enumerate(names)}
    return Bank([_exemplar(name) for name in names], latents)


@pytest.mark.parametrize("frames", [1, FRAMES, FRAMES + 1, 7 * FRAMES])
def test_exemplars_follow_each_other_as_long_as_they_are_wanted(frames: int) -> None:
    strung, used = _bank("a", "b", "c").string("dog", frames, np.random.default_rng(0))
    assert strung.shape == (3, frames)
    assert len(used) == len(set(used)) <= 3


def test_none_follows_itself_while_there_are_others() -> None:
    for seed in range(20):
        strung, _ = _bank("a", "b").string("dog", 10 * FRAMES, np.random.default_rng(seed))
        middles = strung[0, FRAMES // 2 :: FRAMES - FADE_FRAMES]
        assert (np.diff(middles) != 0).all()


def test_one_alone_is_repeated_and_faded_into_itself() -> None:
    strung, used = _bank("a").string("dog", 3 * FRAMES, np.random.default_rng(0))
    assert [one.name for one in used] == ["a"]
    np.testing.assert_array_equal(strung, 0)


def test_the_same_numbers_give_the_same_order() -> None:
    first, second = (_bank("a", "b", "c").string("dog", 200, np.random.default_rng(5))[0] for _ in range(2))
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
    bank = Bank.load(zoo.PACKAGED / "draft")
    found = [one for kind in sorted(bank.kinds) for one in bank.of(kind)]
    assert len(bank.kinds) >= 45
    for one in found:
        assert one.own or one.licence.startswith(("CC0-", "CC-BY-", "CC-PD")), one
        assert not {"SA", "NC", "ND"} & set(one.licence.split("-")), one
        assert one.own or one.author, one

"""Which candidates become exemplars."""

import sys
import tomllib

import pytest
import torch

from support.paths import REPOSITORY

# Last, since the recipe has modules of the same names as the tests' own.
sys.path.append(str(REPOSITORY / "build" / "draft_model"))
from exemplars import LIST, Candidate, Exemplar, chosen, filled_up, read_list
from recordings import read_kinds
from sources import read_catalogue
from synthetic import MADE

FREE = {"CC0-1.0", "CC-PDDC", "CC-BY-3.0", "CC-BY-4.0", "MIT"}


def candidate(value: float, source: str, url: str = "https://example.org") -> Candidate:
    return Candidate(Exemplar("", "dog", source, "somebody", "CC0-1.0", url, 0.0), torch.zeros(1), value)


def test_the_best_are_chosen_few_of_one_recording() -> None:
    found = chosen([candidate(v, s) for v, s in ((0.9, "a"), (0.8, "a"), (0.7, "a"), (0.6, "b"), (0.5, "c"))], 4)
    assert [(one.value, one.exemplar.source) for one in found] == [(0.9, "a"), (0.8, "a"), (0.6, "b"), (0.5, "c")]


def test_what_is_not_heard_is_left_out_but_the_best_stays() -> None:
    assert [one.value for one in chosen([candidate(0.1, "a"), candidate(0.3, "b")], 4)] == [0.3]
    assert [one.value for one in chosen([candidate(0.1, "a"), candidate(0.9, "b")], 4)] == [0.9]


def test_a_recording_goes_before_what_is_made_if_they_are_about_as_good() -> None:
    assert chosen([candidate(0.75, "made", url=""), candidate(0.7, "recorded")], 1)[0].exemplar.source == "recorded"


def test_takes_fill_up_where_they_are_heard() -> None:
    kept, takes = [candidate(0.8, "a"), candidate(0.1, "b")], [candidate(v, "take", url="") for v in (0.9, 0.6, 0.2)]
    assert [one.value for one in filled_up(kept, takes, 3)] == [0.8, 0.9, 0.6]
    assert [one.value for one in filled_up(kept[1:], takes[2:], 3)] == [0.1]
    assert [one.value for one in filled_up([], takes[2:], 3)] == [0.2]


@pytest.mark.parametrize("entry", read_list()["exemplar"], ids=lambda entry: entry["file"])
def test_a_listed_recording_may_ship(entry: dict[str, str]) -> None:
    assert entry["licence"] in FREE
    assert entry["author"]
    assert entry["url"].startswith("http")
    assert entry["kind"] in read_kinds()
    sources = read_catalogue()["sources"] | tomllib.loads(LIST.read_text(encoding="utf-8"))["sources"]
    assert entry["file"].partition(":")[0] in sources


def test_what_is_played_or_made_is_of_known_kinds() -> None:
    table = read_list()
    assert {entry["kind"] for entry in table["played"] + table["made"]} <= set(read_kinds())
    assert {entry["formula"] for entry in table["made"]} <= set(MADE)
    assert {font["licence"] for font in table["fonts"]} <= FREE

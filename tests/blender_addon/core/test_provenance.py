"""What strips keep: written and read again, of older versions, and edited by hand."""

from dataclasses import fields
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.core.provenance import Provenance, keep, provenance_of
from omniaudio_client.options import MAX_SEED, MAX_TAKES, GenerationOptions


class Group:
    """A group of Blender's properties, as far as it is used here."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def to_dict(self) -> dict[str, Any]:
        return self._values


class Strip(dict[str, Any]):
    """A strip of which only the custom properties matter."""

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, Group(value) if isinstance(value, dict) else value)


anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()))
KINDS: dict[object, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(-(2**31), 2**31 - 1),
    int | None: st.none() | st.integers(1, 100),
    float: st.floats(allow_nan=False),
    float | None: st.none() | st.floats(0, 20),
    bool: st.booleans(),
    GenerationOptions: st.builds(
        GenerationOptions,
        model=st.none() | st.text(min_size=1),
        seed=st.integers(0, MAX_SEED),
        takes=st.integers(1, MAX_TAKES),
        steps=st.none() | st.integers(1, 1000),
        guidance=st.none() | st.floats(-100, 100),
        stems=st.booleans(),
    ),
}
provenances = st.builds(Provenance, **{field.name: KINDS[field.type] for field in fields(Provenance)})


@given(provenances)
def test_what_is_kept_is_read_back(made_by: Provenance) -> None:
    strip = Strip()
    keep(strip, made_by)
    assert provenance_of(strip) == made_by
    assert None not in strip["omniaudio"].to_dict().values()  # Blender has no such property


@given(st.dictionaries(st.sampled_from([field.name for field in fields(Provenance)]) | st.text(), anything))
def test_whatever_stands_there_is_read_as_far_as_it_can_be(kept: dict[str, Any]) -> None:
    found = Provenance.from_dict(kept)
    for field in fields(Provenance):
        assert type(getattr(found, field.name)) in (get_args(field.type) or (field.type,))


def test_one_bad_value_does_not_spoil_the_others() -> None:
    options = {"seed": "seven", "model": "draft", "steps": "20", "guidance": [3]}
    kept = {"options": options, "number": "two", "title": "forest", "of a later version": {}}
    expected = Provenance(title="forest", options=GenerationOptions(model="draft", steps=20))
    assert Provenance.from_dict(kept) == expected


@pytest.mark.parametrize("kept", [None, 3, "omniaudio", [1, 2]])
def test_what_is_no_group_of_properties_is_none_of_ours(kept: object) -> None:
    assert provenance_of(Strip(omniaudio=kept)) is None
    assert provenance_of(Strip()) is None

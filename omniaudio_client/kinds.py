"""The kinds of sound that are recognised and generated, read from `kinds.toml`. Does not import bpy."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("kinds.toml")
"""This version's table. A service of another version may know other kinds."""


@dataclass(frozen=True)
class Kind:
    """One kind: a `bed` surrounds the listener, any other has a direction."""

    id: str
    name: str
    bed: bool


@cache
def all_kinds() -> tuple[Kind, ...]:
    """All kinds in alphabetical order, sources before beds."""
    table = tomllib.loads(TABLE.read_text("utf-8"))
    kinds = [
        Kind(identifier, str(row["name"]), bed)
        for group, bed in (("sources", False), ("beds", True))
        for identifier, row in table[group].items()
    ]
    return tuple(sorted(kinds, key=lambda kind: (kind.bed, kind.name.casefold())))


@cache
def kind(identifier: str) -> Kind | None:
    """The kind with this id, or None."""
    return next((known for known in all_kinds() if known.id == identifier), None)


def name_of(identifier: str) -> str:
    """The name that people read. For a kind of another version it is the id."""
    known = kind(identifier)
    return identifier if known is None else known.name

"""The kinds of sound that the engine recognises and makes, as its own table lists them. Knows no bpy."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("kinds.toml")
"""The engine's own table; of an older or newer engine's there may be others."""


@dataclass(frozen=True)
class Kind:
    """One kind: `bed` where it surrounds the listener, else it is a thing that has a direction."""

    id: str
    name: str
    bed: bool


@cache
def all_kinds() -> tuple[Kind, ...]:
    """Every kind, the things before the beds, each by the alphabet."""
    table = tomllib.loads(TABLE.read_text("utf-8"))
    kinds = [
        Kind(identifier, str(row["name"]), bed)
        for group, bed in (("things", False), ("beds", True))
        for identifier, row in table[group].items()
    ]
    return tuple(sorted(kinds, key=lambda kind: (kind.bed, kind.name.casefold())))


@cache
def kind(identifier: str) -> Kind | None:
    """The kind with this id; None where the table has none."""
    return next((known for known in all_kinds() if known.id == identifier), None)


def name_of(identifier: str) -> str:
    """As people read it; the id itself of a kind that another version of the engine knows."""
    known = kind(identifier)
    return identifier if known is None else known.name

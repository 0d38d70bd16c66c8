"""What `prepare.py` made of the catalogue, as the recipe uses it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Split = Literal["train", "held_out"]


@dataclass(frozen=True)
class Entry:
    """A prepared file: `kinds` are the class of a thing, or the places that a panorama or an ambience fits."""

    id: str
    file: Path
    split: Split
    kinds: tuple[str, ...]
    source: str
    licence: str
    seconds: float = 0.0
    photo: bool = False


@dataclass(frozen=True)
class Library:
    """Everything the draft learns from or is tested on."""

    sounds: tuple[Entry, ...]
    pictures: tuple[Entry, ...]
    panoramas: tuple[Entry, ...]
    ambiences: tuple[Entry, ...]
    accepted: dict[str, tuple[str, ...]]  # class → YAMNet's names that count as found again

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted(self.accepted))

    @classmethod
    def read(cls, prepared: Path) -> "Library":
        index = json.loads((prepared / "index.json").read_text(encoding="utf-8"))
        accepted = {name: tuple(entry["yamnet"]) for name, entry in index["classes"].items()}

        def entries(kind: str) -> tuple[Entry, ...]:
            return tuple(_entry(prepared, data) for data in index[kind])

        return cls(entries("sounds"), entries("pictures"), entries("panoramas"), entries("ambiences"), accepted)


def _entry(prepared: Path, data: dict[str, Any]) -> Entry:
    kinds = (data["class"],) if "class" in data else tuple(data["place"])
    return Entry(
        data["id"], prepared / data["file"], data["split"], kinds, data["source"], data["licence"],
        data.get("seconds", 0.0), data.get("photo", False),
    )  # fmt: skip


def of(entries: tuple[Entry, ...], split: Split, kind: str | None = None) -> list[Entry]:
    """Entries of one split, and of one kind where it is given."""
    return [entry for entry in entries if entry.split == split and (kind is None or kind in entry.kinds)]

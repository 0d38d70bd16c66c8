"""The bank of exemplars: latents of each kind of sound, which sampling may start from once noise is added.

A bank is two files in a model's folder. `exemplars.safetensors` holds the latents by name, each `(channels, frames)`,
as half floats. `exemplars.toml` lists the kind, the origin and the credit of each. Its table `variation` overrides the
time at which sampling starts, for the kinds that it would change too much.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file

from omniaudio.errors import ExitCode, UserError
from omniaudio.generation.windows import raised_cosine

Float32 = NDArray[np.float32]

LATENTS_NAME, TABLE_NAME = "exemplars.safetensors", "exemplars.toml"
OWN_LICENCE = "as the model"
FADE_FRAMES = 6
"""Latent frames of the cross-fade between two consecutive exemplars."""


class Exemplar(BaseModel):
    """One sound of the bank."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    kind: str
    source: str
    author: str
    licence: str
    url: str = ""

    @property
    def own(self) -> bool:
        """Whether it is a take of the model itself, which needs no credit."""
        return self.licence == OWN_LICENCE


class Bank:
    """A model's exemplars."""

    def __init__(
        self,
        exemplars: Sequence[Exemplar],
        latents: Mapping[str, Float32],
        variations: Mapping[str, float] | None = None,
    ) -> None:
        """`latents` (channels, frames) by the exemplars' names; `variations` as in the attribute."""
        self.variations = dict(variations or {})
        """The time at which sampling starts by default, for kinds that the model's own `variation` changes too much."""
        self._latents = latents
        self._exemplars = tuple(exemplars)

    @classmethod
    def load(cls, folder: Path) -> "Bank":
        """The bank in a model's folder; an empty one if it has none.

        Raises:
            UserError: a file is missing or damaged, or the two do not match.
        """
        table, stored = folder / TABLE_NAME, folder / LATENTS_NAME
        if not table.is_file() and not stored.is_file():
            return cls((), {})
        try:
            content = tomllib.loads(table.read_text("utf-8"))
            exemplars = [Exemplar.model_validate(entry) for entry in content["exemplar"]]
            latents = {name: latent.astype(np.float32) for name, latent in load_file(stored).items()}
        except (OSError, ValueError, KeyError, ValidationError, SafetensorError) as error:
            raise UserError(
                f"The exemplars in {folder} are damaged ({error}): install the model again.", ExitCode.NO_MODEL
            ) from error
        if missing := [one.name for one in exemplars if one.name not in latents]:
            raise UserError(f"{stored} lacks {', '.join(missing[:5])}: install the model again.", ExitCode.NO_MODEL)
        return cls(exemplars, latents, content.get("variation"))

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds that have an exemplar."""
        return frozenset(one.kind for one in self._exemplars)

    def of(self, kind: str) -> tuple[Exemplar, ...]:
        """The exemplars of a kind, in the table's order."""
        return tuple(one for one in self._exemplars if one.kind == kind)

    def string(self, kind: str, frames: int, generator: np.random.Generator) -> tuple[Float32, tuple[Exemplar, ...]]:
        """Joins exemplars of one recording until they are long enough: the same dog barks on, the same engine runs on.

        Args:
            kind: one of `kinds`.
            frames: latent frames, 1 or more.
            generator: chooses the recording and the order.

        Returns:
            Latents (channels, frames), and the exemplars in them, each once.
        """
        choices = self._recordings(kind)
        chosen = choices[int(generator.integers(len(choices)))]
        parts: list[Float32] = []
        used: list[Exemplar] = []
        length = 0
        while length < frames:
            following = [one for one in chosen if not used or one is not used[-1]] or chosen
            used.append(following[int(generator.integers(len(following)))])
            parts.append(self._latents[used[-1].name])
            length += parts[-1].shape[1] - (FADE_FRAMES if len(parts) > 1 else 0)
        return _joined(parts)[:, :frames], tuple(dict.fromkeys(used))

    def _recordings(self, kind: str) -> list[list[Exemplar]]:
        """The exemplars of a kind, grouped by recording; each of the model's own takes is a group by itself."""
        found: dict[str, list[Exemplar]] = {}
        for one in self.of(kind):
            found.setdefault(one.name if one.own else one.source, []).append(one)
        return list(found.values())


NO_EXEMPLARS = Bank((), {})


def _joined(parts: Sequence[Float32]) -> Float32:
    """Latents `(channels, frames)` joined by cross-fades of FADE_FRAMES."""
    rise = raised_cosine(FADE_FRAMES)
    joined = parts[0]
    for part in parts[1:]:
        shared = joined[:, -FADE_FRAMES:] * (1 - rise) + part[:, :FADE_FRAMES] * rise
        joined = np.concatenate([joined[:, :-FADE_FRAMES], shared, part[:, FADE_FRAMES:]], axis=1)
    return joined

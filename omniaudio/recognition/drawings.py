"""Drawn things: clip-art, emoji, renders without textures. ImageNet's own classes know photographs only.

A linear head on the classifier's features names them. It was trained on emoji in views of panoramas and of plain
worlds, with `nothing` for what shows none of them; so its share of `nothing` says how far to believe ImageNet's
classes. `build/recognition/train_drawings.py` makes it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from omniaudio.recognition.kinds import Kinds
from omniaudio.recognition.networks import FOLDER, Float32

FILE = FOLDER / "drawings.npz"


@dataclass(frozen=True)
class DrawingsHead:
    """A linear head on the features of a view or window, as `balanced` gives them."""

    weights: Float32
    """`(1280, kinds + 1)`; the last column is `nothing`."""
    bias: Float32
    """`(kinds + 1,)`, minus infinity for the kinds that were not learnt."""

    @classmethod
    def load(cls, kinds: Kinds, file: Path = FILE) -> "DrawingsHead":
        """A stored head, its columns in the order of the table; kinds that the table has no more are left out."""
        with np.load(file) as stored:
            learnt, weights, bias = stored["kinds"].tolist(), stored["weights"], stored["bias"]
        ordered = np.zeros((len(weights), len(kinds.kinds) + 1), np.float32)
        starts = np.full(len(kinds.kinds) + 1, -np.inf, np.float32)
        columns = {identifier: index for index, identifier in enumerate(kinds.ids)}
        for learnt_column, identifier in enumerate(learnt):
            if (column := columns.get(identifier)) is not None:
                ordered[:, column], starts[column] = weights[:, learnt_column], bias[learnt_column]
        ordered[:, -1], starts[-1] = weights[:, -1], bias[-1]
        return cls(ordered, starts)

    def shares(self, features: Float32) -> Float32:
        """Mean features `(…, 1280)` to the probabilities of each drawn kind, and of none, `(…, kinds + 1)`."""
        scores = balanced(features) @ self.weights + self.bias
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def balanced(features: Float32) -> Float32:
    """Features `(…, 1280)` as roots, all of one length: no single one outweighs the others, nor a view another."""
    roots = np.sqrt(np.maximum(features, 0))  # a window's mean, by running sums, may fall short of zero
    return np.asarray(roots / np.maximum(np.linalg.norm(roots, axis=-1, keepdims=True), 1e-6), np.float32)

"""Drawings: clip-art, emoji, renders without textures. ImageNet's own classes cover photographs only.

A linear head on the classifier's features classifies them. It was trained on emoji in views of panoramas and of plain
worlds, with a class `nothing` for views without one. `build/recognition/train_drawings.py` makes it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from omniaudio.recognition.kinds import Kinds
from omniaudio.recognition.networks import FOLDER, Float32

FILE = FOLDER / "drawings.npz"


@dataclass(frozen=True)
class DrawingsHead:
    """A linear head on the `balanced` features of a view or window."""

    weights: Float32
    """`(1280, kinds + 1)`; the last column is `nothing`."""
    bias: Float32
    """`(kinds + 1,)`, minus infinity for kinds that were not learnt."""

    @classmethod
    def load(cls, kinds: Kinds, file: Path = FILE) -> "DrawingsHead":
        """Loads a head, its columns in the order of the table. Kinds that are no longer in the table are left out."""
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
        """Probabilities of each drawn kind, and of nothing, `(…, kinds + 1)`, from mean features `(…, 1280)`."""
        scores = balanced(features) @ self.weights + self.bias
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def balanced(features: Float32) -> Float32:
    """Square roots of features `(…, 1280)`, normalised to length 1, so that no feature and no view dominates."""
    roots = np.sqrt(np.maximum(features, 0))  # means by running sums can be slightly negative
    return np.asarray(roots / np.maximum(np.linalg.norm(roots, axis=-1, keepdims=True), 1e-6), np.float32)

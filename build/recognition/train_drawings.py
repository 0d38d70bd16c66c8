"""Makes `omniaudio/recognition/weights/drawings.npz`: the linear head that names drawings.

    python build/recognition/train_drawings.py CACHE

CACHE is filled with the emoji fonts and panoramas, from npm. Needs the extra `recipe`. About ten minutes on one core:
most of it the classifier, over some 6,000 views; then a regression with one seed, the same again every time.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from drawings import NOTHING, TRAIN, Fonts, background, fetched, hung
from numpy.typing import NDArray

from omniaudio.recognition import kinds
from omniaudio.recognition.drawings import FILE, balanced
from omniaudio.recognition.finder import COLUMNS, PATCH, ROWS
from omniaudio.recognition.networks import OnnxNetworks
from omniaudio.video.panorama import resize

sys.path.insert(0, str(Path(__file__).parents[1] / "draft_model"))
from panoramas import MIDDLE_GREY, from_exr_module
from sources import Source, fetch

PANORAMAS = Source("pmndrs", "npm:@pmndrs/assets==1.7.0", "package/hdri", "CC0-1.0")
BACKGROUNDS = ("esplanade", "hall", "lab", "sky", "sunrise", "workshop")
"""Those that show no place of which a panorama of development or test is, nor the demo's."""

TIMES, SILENT, EMPTY = 5, 140, 900
"""Views of each drawing; silent drawings of each font, one view each; views of nothing."""
BATCH = 8
LENGTH = 10.0
"""Of the features that the regression is given, so that its steps are of one size with the bias."""
DECAY = 1e-3
SURER, DOUBT = 1.5, 1.0
"""Times the scores, so that on development views as many are right as the head says; and added to that of nothing, so
that photographs are not taken for drawings."""
ROUNDS = 150

Floats = NDArray[np.float32]


def views_of(fonts: Fonts, panoramas: list[NDArray[np.uint8]], rng: np.random.Generator) -> tuple[Floats, list[str]]:
    """Features of the views to learn from `(views, 1280)`, and what each shows."""
    table, networks = kinds.load(), OnnxNetworks()
    drawings = [*list(fonts.drawings(table, TRAIN)) * TIMES, *fonts.silent(table, TRAIN, SILENT, rng)]
    shown = [*drawings, *[None] * EMPTY]
    features = []
    for start in range(0, len(shown), BATCH):
        images = [
            background(panoramas, rng) if one is None else hung(one.image, background(panoramas, rng), rng)
            for one in shown[start : start + BATCH]
        ]
        features.append(networks.classify(np.stack(images))[..., kinds.IMAGENET_CLASSES :].mean(axis=(1, 2)))
    return np.concatenate(features), [NOTHING if one is None else one.kind for one in shown]


def fit(features: Floats, shown: list[str]) -> tuple[list[str], Floats, Floats]:
    """The kinds that were learnt, and the head's weights and bias, `nothing` last. Every kind counts by the
    root of its views."""
    learnt = sorted(set(shown) - {NOTHING})
    columns = np.array([(*learnt, NOTHING).index(one) for one in shown])
    inputs = LENGTH * balanced(features)
    mean = inputs.mean(axis=0)
    given, wanted = torch.tensor(inputs - mean), torch.tensor(columns)
    share = torch.tensor(np.bincount(columns)[columns] ** -0.5, dtype=torch.float32)
    share /= share.sum()
    weights = torch.zeros(inputs.shape[1], len(learnt) + 1, requires_grad=True)
    bias = torch.zeros(len(learnt) + 1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=ROUNDS, history_size=8, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        wrong = torch.nn.functional.cross_entropy(given @ weights + bias, wanted, reduction="none")
        value = (wrong * share).sum() + DECAY * (weights**2).sum()
        value.backward()
        return value

    optimiser.step(loss)
    found = weights.detach().numpy()
    starts = SURER * (bias.detach().numpy() - mean @ found)
    starts[-1] += DOUBT
    return learnt, (SURER * LENGTH * found).astype(np.float32), starts.astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cache", type=Path, help="a folder for packages")
    cache = parser.parse_args().cache
    folder = fetch(PANORAMAS, cache)
    images = [from_exr_module(folder / f"{name}.exr.js", MIDDLE_GREY) for name in BACKGROUNDS]
    panoramas = [resize(image, ROWS * PATCH, COLUMNS * PATCH) for image in images]
    features, shown = views_of(fetched(cache), panoramas, np.random.default_rng(6))
    learnt, weights, bias = fit(features, shown)
    np.savez(FILE, kinds=np.array(learnt), weights=weights.astype(np.float16), bias=bias)


if __name__ == "__main__":
    main()

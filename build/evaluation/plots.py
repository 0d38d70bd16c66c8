"""Plots of the evaluation: which kinds are taken for which, and spectrograms of takes beside recordings."""

import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from scenes import BUILD
from scipy import signal
from takes_heard import Result, Seen

sys.path.insert(0, str(BUILD / "draft_model"))
from recordings import RATE, read_sound

NOTHING = "nothing there"
SECONDS = 5.0
RANGE_DB = 70


def taken_for(cutouts: Sequence[Seen], path: Path) -> None:
    """Draws the confusion matrix: true kinds in rows, recognised kinds in columns."""
    taken = [cutout.kind if cutout.near else NOTHING for cutout in cutouts]
    rows = sorted({cutout.right[0] for cutout in cutouts})
    columns = [*sorted({*taken} - {NOTHING}), NOTHING]
    counts = np.zeros((len(rows), len(columns)))
    for cutout, name in zip(cutouts, taken, strict=True):
        counts[rows.index(cutout.right[0]), columns.index(name)] += 1
    figure, axes = pyplot.subplots(figsize=(3 + 0.24 * len(columns), 2 + 0.24 * len(rows)), layout="constrained")
    axes.imshow(counts, cmap="Blues")
    for row, column in np.argwhere(counts > 0):
        shade = "white" if counts[row, column] > counts.max() / 2 else "black"
        axes.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", fontsize=7, color=shade)
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=7)
    axes.set_yticks(range(len(rows)), rows, fontsize=7)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def beside_recordings(takes: Sequence[tuple[Result, Path, Path | None]], path: Path) -> None:
    """Draws spectrograms of takes, each beside a recording of its true kind, where there is one."""
    count = max(1, len(takes))
    figure, axes = pyplot.subplots(count, 2, figsize=(11, 1.7 * count), layout="constrained", squeeze=False)
    for row, (result, take, recording) in zip(axes, takes, strict=False):
        cutout = result.cutouts[0]
        _spectrogram(row[0], take, f"{cutout.folder}, taken for {cutout.kind if cutout.near else NOTHING}")
        if recording is not None:
            _spectrogram(row[1], recording, f"recording: {recording.stem}")
        else:
            row[1].axis("off")
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def _spectrogram(axes: Axes, path: Path, title: str) -> None:
    sound = read_sound(path)[: round(SECONDS * RATE)]
    frequencies, times, power = signal.spectrogram(sound, RATE, nperseg=1024, noverlap=512)
    levels = 10 * np.log10(power + 1e-12)
    axes.pcolormesh(times, frequencies[1:] / 1000, levels[1:], vmin=levels.max() - RANGE_DB, vmax=levels.max())
    axes.set_yscale("log")
    axes.set_ylim(0.08, 16)
    axes.set_xlim(0, SECONDS)
    axes.set_title(title, fontsize=8)
    axes.tick_params(labelsize=6)

"""Draws the training curves that train.py leaves as curves.csv in its cache.

python build/draft_model/curves.py CACHE -o docs/pictures/draft_curves.png
"""

import csv
from pathlib import Path
from typing import Annotated

import typer
from matplotlib import pyplot

Run = list[tuple[int, float]]


def runs(rows: list[list[str]]) -> list[tuple[str, Run]]:
    """Rows of (part, step, loss, seconds) as runs: a new one begins where the part changes or the step falls."""
    found: list[tuple[str, Run]] = []
    for part, step, loss, _ in rows:
        if not found or found[-1][0] != part or int(step) <= found[-1][1][-1][0]:
            found.append((part, []))
        found[-1][1].append((int(step), float(loss)))
    return found


def main(
    cache: Annotated[Path, typer.Argument(help="the folder that prepare.py filled")],
    output: Annotated[Path, typer.Option("-o", help="the picture")],
) -> None:
    """Draws every run of every part, one after another."""
    with (cache / "work" / "curves.csv").open(newline="") as file:
        found = [run for run in runs(list(csv.reader(file))) if run[0] != "pointer"]
    figure, axes = pyplot.subplots(figsize=(10, 4), layout="constrained")
    begin = 0
    for part, run in found:
        axes.plot([begin + step for step, _ in run], [loss for _, loss in run], label=f"{part}, {run[-1][0]} steps")
        begin += run[-1][0]
    axes.set(xlabel="steps, of all runs", ylabel="loss (weighted as the run was)", ylim=(0.3, 2.5))
    axes.legend(fontsize="small", ncols=2)
    axes.grid(alpha=0.3)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=110)


if __name__ == "__main__":
    typer.run(main)

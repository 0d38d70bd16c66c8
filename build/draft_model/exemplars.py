"""Makes the bank of exemplars: latents that sampling may start from, with their authors and licences.

    python build/draft_model/exemplars.py CACHE --weights average.pt -o BANK

Recordings come from `exemplars.toml` alone: registry packages, CC0, public domain or CC-BY. Where a kind has too few,
the model's own best takes fill up: those in which the tagger hears the kind most, at a sane level. BANK gets
`exemplars.safetensors` (float16 latents by name) and `exemplars.toml`.
"""

import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from judge_stems import AT_ONCE, Judge, Row, active_level, decode, load_stem_model, one_hot, sample, strung
from recordings import Kind, Sound, read_kinds, read_sound, trimmed
from safetensors.torch import save_file
from sources import Source, fetch, read_catalogue, read_sources
from torch import Tensor

from omniaudio.errors import UserError
from omniaudio.model.omniaudio import OmniAudio

LIST = Path(__file__).with_name("exemplars.toml")
OWN = "omniaudio stem model, own take"
SANE_LEVEL = (-30.0, -14.0)  # dBFS, active
WINDOWS = 2  # of a long recording


@dataclass(frozen=True)
class Exemplar:
    """One entry of the bank."""

    name: str
    kind: str
    source: str
    author: str
    licence: str
    url: str
    score: float


def recorded(cache: Path, kinds: dict[str, Kind], samples: int) -> Iterator[tuple[Exemplar, Sound]]:
    """The recordings of `exemplars.toml`, as long as a stem; of a long one its first windows."""
    table = tomllib.loads(LIST.read_text(encoding="utf-8"))
    sources = read_sources(read_catalogue()) | {n: Source(n, **entry) for n, entry in table["sources"].items()}
    for entry in table["exemplar"]:
        name, _, path = entry["file"].partition(":")
        sound = trimmed(read_sound(fetch(sources[name], cache) / path))
        if sound is None:
            raise UserError(f"{entry['file']} of exemplars.toml is silent.")
        # Whole windows of a long recording, the first ones.
        starts = range(0, max(1, min(len(sound) - samples + 1, WINDOWS * samples)), samples)
        for start in starts:
            cut = strung(sound[start : start + samples], kinds[entry["kind"]].rhythm, samples)
            source = f"{sources[name].package} {path}"
            licence = entry["licence"]
            yield Exemplar("", entry["kind"], source, entry["author"], licence, entry["url"], 0.0), cut


def best_takes(
    model: OmniAudio, judge: Judge, kind: str, *, names: Sequence[str], tried: int, wanted: int
) -> list[tuple[float, Tensor]]:
    """The model's own takes of a kind that the tagger hears it in most, with their scores."""
    generator = torch.Generator().manual_seed(names.index(kind))
    found = []
    for first in range(0, tried, AT_ONCE):
        count = min(AT_ONCE, tried - first)
        latents = sample(model, one_hot([kind] * count, names), generator, guidance=model.config.omniaudio.guidance)
        for one, sound in zip(latents, decode(model, latents), strict=True):
            if SANE_LEVEL[0] < active_level(sound) < SANE_LEVEL[1]:
                found.append((judge.hear(Row(), kind, sound), one))
    return sorted(found, key=lambda item: -item[0])[:wanted]


def write(bank: Path, exemplars: Sequence[Exemplar], latents: dict[str, Tensor]) -> None:
    """`exemplars.safetensors` and `exemplars.toml`."""
    bank.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().contiguous() for name, value in latents.items()}, bank / "exemplars.safetensors")
    blocks = []
    for exemplar in exemplars:
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in asdict(exemplar).items()]
        blocks.append("[[exemplar]]\n" + "\n".join(lines) + "\n")
    (bank / "exemplars.toml").write_text("\n".join(blocks), encoding="utf-8")


def main(
    cache: Annotated[Path, typer.Argument(help="the folder that sources.py filled")],
    weights: Annotated[Path, typer.Option(help="average.pt, or a checkpoint of training")],
    output: Annotated[Path, typer.Option("-o", help="the folder for the bank")],
    each: Annotated[int, typer.Option(help="exemplars a kind")] = 3,
    tried: Annotated[int, typer.Option(help="takes of the model that are judged for a kind")] = 16,
) -> None:
    """Makes the bank of exemplars."""
    torch.set_num_threads(1)
    kinds = read_kinds()
    names = list(kinds)
    model = load_stem_model(weights)
    judge = Judge(cache, kinds)
    samples = model.config.latent_frames * model.config.samples_per_latent
    exemplars: list[Exemplar] = []
    latents: dict[str, Tensor] = {}

    def keep(exemplar: Exemplar, latent: Tensor, score: float) -> None:
        count = sum(other.kind == exemplar.kind for other in exemplars)
        name = f"{exemplar.kind}.{count}"
        exemplars.append(Exemplar(**{**asdict(exemplar), "name": name, "score": round(score, 4)}))
        latents[name] = latent

    for exemplar, sound in recorded(cache, kinds, samples):
        with torch.no_grad():
            latent = model.encode(torch.from_numpy(np.asarray(sound))[None, None])[0]
        keep(exemplar, latent, judge.hear(Row(), exemplar.kind, sound))
    for kind in names:
        missing = each - sum(exemplar.kind == kind for exemplar in exemplars)
        if missing > 0 and tried:
            for score, latent in best_takes(model, judge, kind, names=names, tried=tried, wanted=missing):
                keep(Exemplar("", kind, OWN, "OmniAudio for Blender", "as the model", "", 0.0), latent, score)
        write(output, exemplars, latents)
        print(kind, [(e.name, e.score, e.source[:30]) for e in exemplars if e.kind == kind], flush=True)


if __name__ == "__main__":
    typer.run(main)

"""Makes the bank of exemplars: latents that sampling may start from, with their authors and licences.

    python build/draft_model/exemplars.py CACHE PREPARED... --weights average.pt -o BANK

Candidates come from `exemplars.toml` alone: recordings in registry packages under CC0, CC-BY or in the public domain,
phrases played on sound fonts under MIT, and sounds made by formulas (`synthetic.py`). Each is judged as it comes back
from the codec, and by what the model makes of it from `--time`. Where a kind has too few that are heard as it, the
model's own best takes fill up: those in which the tagger hears the kind most, at a sane level and with a spectrum near
that of a recording of the kind in PREPARED. BANK gets `exemplars.safetensors` (float16 latents by name) and
`exemplars.toml`.
"""

import json
import tomllib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import typer
from judge_stems import AT_ONCE, Judge, Row, active_level, decode, load_stem_model, one_hot, sample, strung
from phrases import held, render, tune
from recordings import RATE, Kind, Sound, at_speeds, read_kinds, read_prepared, read_sound, trimmed
from safetensors.torch import save_file
from sources import Source, fetch, read_catalogue, read_sources
from synthetic import MADE
from torch import Tensor

from omniaudio.errors import UserError
from omniaudio.model.omniaudio import OmniAudio
from omniaudio.model.spectral import SpectralCodec

LIST = Path(__file__).with_name("exemplars.toml")
OWN = "omniaudio stem model, own take"
MADE_HERE = "build/draft_model/synthetic.py"
PROJECT, AS_MODEL = "OmniAudio for Blender", "as the model"
SANE_LEVEL = (-30.0, -14.0)  # dBFS, active
WINDOWS = 8  # of a long recording that are candidates, each half a stem after the last
FEW = 3  # recordings of a kind; with fewer, other speeds are candidates too
SEEDS = 8  # phrases and formulas that are candidates
FINALISTS = 8  # candidates of a kind that the model starts from
STARTS = 3  # times
OF_ONE = 2  # exemplars that may come from one recording
HEARD = 0.4  # value from which on a candidate counts as heard
RECORDED_BONUS = 0.1  # a recording has what the tagger does not listen to
BANDS = 24
FAR = 6.0  # dB off the spectrum of the nearest recording, from which on it counts against a take
FAR_PENALTY = 0.03  # of the value, for each dB


@dataclass(frozen=True)
class Exemplar:
    """One entry of the bank. `score`: 0 to 1, how surely the kind is heard in it and in what starts from it."""

    name: str
    kind: str
    source: str
    author: str
    licence: str
    url: str
    score: float


@dataclass(frozen=True)
class Candidate:
    """A candidate for the bank: latents (channels, frames), and the `value` by which candidates are ranked."""

    exemplar: Exemplar
    latents: Tensor
    value: float = 0.0


def read_list(wanted: Collection[str] | None = None) -> dict[str, Any]:
    """`exemplars.toml` as nested dictionaries; of the kinds `wanted`, or all of them."""
    table = tomllib.loads(LIST.read_text(encoding="utf-8"))
    entries = {
        name: [entry for entry in table[name] if wanted is None or entry["kind"] in wanted]
        for name in ("exemplar", "played", "made")
    }
    return table | entries


def recorded(
    table: Mapping[str, Any], cache: Path, kinds: Mapping[str, Kind], samples: int
) -> Iterator[tuple[Exemplar, Sound]]:
    """Windows of the list's recordings, as long as a stem; where a kind has few recordings, at other speeds too."""
    sources = read_sources(read_catalogue()) | {n: Source(n, **entry) for n, entry in table["sources"].items()}
    counts = Counter(entry["kind"] for entry in table["exemplar"])
    for entry in table["exemplar"]:
        name, _, path = entry["file"].partition(":")
        sound = trimmed(read_sound(fetch(sources[name], cache) / path))
        if sound is None:
            raise UserError(f"{entry['file']} of exemplars.toml is silent.")
        about = {key: entry[key] for key in ("kind", "author", "licence", "url")}
        exemplar = Exemplar(name="", source=f"{sources[name].package} {path}", score=0.0, **about)
        for played in at_speeds(sound) if counts[entry["kind"]] < FEW else [sound]:
            last = max(1, min(len(played) - samples + 1, WINDOWS * samples // 2))
            for start in range(0, last, samples // 2):
                yield exemplar, strung(played[start : start + samples], kinds[entry["kind"]].rhythm, samples)


def played(table: Mapping[str, Any], cache: Path, samples: int) -> Iterator[tuple[Exemplar, Sound]]:
    """Phrases of the list's instruments and effects on its sound fonts."""
    sources = read_sources(read_catalogue())
    with TemporaryDirectory() as folder:
        for entry in table["played"]:
            for number in range(SEEDS):
                font = table["fonts"][number % len(table["fonts"])]
                name, _, path = font["file"].partition(":")
                program = entry["programs"][number // len(table["fonts"]) % len(entry["programs"])]
                low, high = entry.get("keys", (48, 79))
                notes = held if entry.get("held") else tune
                wav = Path(folder, "phrase.wav")
                drums = entry.get("drums", False)
                render(
                    fetch(sources[name], cache) / path,
                    program,
                    number,
                    wav,
                    drums=drums,
                    low=low,
                    high=high,
                    notes=notes,
                )
                sound = trimmed(read_sound(wav))
                if sound is not None:
                    source = f"{sources[name].package} {path}#{'drums-' if drums else ''}{program}"
                    about = {key: font[key] for key in ("author", "licence", "url")}
                    exemplar = Exemplar(name="", kind=entry["kind"], source=source, score=0.0, **about)
                    yield exemplar, strung(sound[:samples], "continuous", samples)


def made(table: Mapping[str, Any], samples: int) -> Iterator[tuple[Exemplar, Sound]]:
    """Sounds of the list that are made by formulas."""
    for entry in table["made"]:
        exemplar = Exemplar("", entry["kind"], f"{MADE_HERE} {entry['formula']}", PROJECT, AS_MODEL, "", 0.0)
        for seed in range(SEEDS):
            sound = trimmed(MADE[entry["formula"]](samples / RATE, np.random.default_rng(seed)))
            if sound is not None:
                yield exemplar, strung(sound, "continuous", samples)


class Bench:
    """Judges candidates by what the tagger hears in them and in stems that start from them."""

    def __init__(self, model: OmniAudio, judge: Judge, time: float) -> None:
        self.model, self.judge, self.time = model, judge, time
        self.names = list(judge.kinds)

    def heard(self, kind: str, sounds: Sequence[Sound]) -> float:
        """0 to 1: the share of sounds with the kind among the tagger's first ten and three, a little by its score."""
        row = Row()
        scores = [self.judge.hear(row, kind, sound) for sound in sounds]
        return 0.45 * (row.share(0) + row.share(1)) + 0.1 * float(np.mean(scores))

    @torch.no_grad()
    def itself(self, candidate: Candidate) -> Candidate:
        """The candidate with the value of what comes back from the codec."""
        sound = decode(self.model, candidate.latents[None])
        return replace(candidate, value=self.heard(candidate.exemplar.kind, sound))

    def started_from(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates, all of one kind, with the value of themselves and of stems that start from them."""
        kind = candidates[0].exemplar.kind
        start = torch.stack([candidate.latents for candidate in candidates]).repeat_interleave(STARTS, 0)
        told = one_hot([kind] * len(start), self.names)
        generator = torch.Generator().manual_seed(self.names.index(kind))
        guidance = self.model.config.omniaudio.guidance
        stems = decode(self.model, sample(self.model, told, generator, guidance=guidance, start=start, time=self.time))
        values = [self.heard(kind, stems[first : first + STARTS]) for first in range(0, len(stems), STARTS)]
        return [
            replace(one, value=(one.value + STARTS * value) / (1 + STARTS))
            for one, value in zip(candidates, values, strict=True)
        ]

    def best_takes(self, kind: str, tried: int) -> list[Candidate]:
        """The model's own takes of a kind, from noise, those in which it is heard most first."""
        generator = torch.Generator().manual_seed(1000 + self.names.index(kind))
        exemplar = Exemplar("", kind, OWN, PROJECT, AS_MODEL, "", 0.0)
        found = []
        for first in range(0, tried, AT_ONCE):
            told = one_hot([kind] * min(AT_ONCE, tried - first), self.names)
            latents = sample(self.model, told, generator, guidance=self.model.config.omniaudio.guidance)
            for one, sound in zip(latents, decode(self.model, latents), strict=True):
                if SANE_LEVEL[0] < active_level(sound) < SANE_LEVEL[1]:
                    found.append(Candidate(exemplar, one, self.heard(kind, [sound])))
        return sorted(found, key=lambda one: -one.value)


def spectra(prepared: Sequence[Path]) -> dict[str, np.ndarray]:
    """Levels in dB of each training recording in `BANDS` bands, (recordings, bands) for each kind."""
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    for entry, recording in (item for folder in prepared for item in read_prepared(folder)):
        if entry.split == "train":
            found[entry.kind].append(_levels(np.asarray(recording.powers[0])))
    return {kind: np.stack(levels) for kind, levels in found.items()}


def _levels(power: np.ndarray) -> np.ndarray:
    """Mel power (mels, frames) → levels in dB of equally many mels each, the loudest at 0, at least -60."""
    bands = np.asarray(power.mean(1).reshape(BANDS, -1).mean(1))
    return np.asarray(np.maximum(10 * np.log10(bands / bands.max() + 1e-9), -60.0))


def penalised(candidates: Sequence[Candidate], codec: SpectralCodec, references: np.ndarray) -> list[Candidate]:
    """The candidates, less value where their spectrum is far from that of every recording (recordings, bands)."""
    out = []
    for one in candidates:
        levels = _levels(codec.mel_power(one.latents[None])[0].T.numpy())
        apart = float(np.sqrt(((references - levels) ** 2).mean(1)).min())
        out.append(replace(one, value=one.value - FAR_PENALTY * max(0.0, apart - FAR)))
    return out


def chosen(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """The best ones that are heard as their kind, few per recording; at least one."""
    kept: list[Candidate] = []
    for one in sorted(candidates, key=lambda one: -one.value - RECORDED_BONUS * bool(one.exemplar.url)):
        of_one = sum(other.exemplar.source == one.exemplar.source for other in kept)
        if len(kept) < most and of_one < OF_ONE and (one.value >= HEARD or not kept):
            kept.append(one)
    return kept


def filled_up(kept: Sequence[Candidate], takes: Sequence[Candidate], least: int) -> list[Candidate]:
    """What is kept, and the best takes up to `least` in all, of both only what is heard as its kind. Where nothing is,
    one of what is kept: it at least was made to be of that kind."""
    every = [*kept, *takes[: max(0, least - sum(one.value >= HEARD for one in kept))]]
    return [one for one in every if one.value >= HEARD] or every[:1]


def write(
    bank: Path, exemplars: Sequence[Exemplar], latents: dict[str, Tensor], variations: Mapping[str, float]
) -> None:
    """`exemplars.safetensors` and `exemplars.toml`."""
    bank.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().contiguous() for name, value in latents.items()}, bank / "exemplars.safetensors")
    blocks = ["[variation]\n" + "".join(f"{kind} = {time}\n" for kind, time in variations.items())]
    for exemplar in exemplars:
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in asdict(exemplar).items()]
        blocks.append("[[exemplar]]\n" + "\n".join(lines) + "\n")
    (bank / "exemplars.toml").write_text("\n".join(blocks), encoding="utf-8")


def main(
    cache: Annotated[Path, typer.Argument(help="the folder that sources.py filled")],
    prepared: Annotated[list[Path], typer.Argument(help="what recordings.py left: spectra to compare takes with")],
    *,
    weights: Annotated[Path, typer.Option(help="average.pt, or a checkpoint of training")],
    output: Annotated[Path, typer.Option("-o", help="the folder for the bank")],
    most: Annotated[int, typer.Option(help="exemplars a kind, where that many are heard as it")] = 4,
    least: Annotated[int, typer.Option(help="exemplars a kind, filled up with the model's own takes")] = 3,
    tried: Annotated[int, typer.Option(help="takes of the model that are judged for a kind")] = 24,
    time: Annotated[float, typer.Option(help="to which exemplars are noised when they are judged")] = 0.4,
    only: Annotated[list[str] | None, typer.Option(help="these kinds alone, to try something")] = None,
) -> None:
    """Makes the bank of exemplars."""
    torch.set_num_threads(1)
    kinds = read_kinds()
    model = load_stem_model(weights)
    codec = model.pretransform
    assert isinstance(codec, SpectralCodec)
    bench = Bench(model, Judge(cache, kinds), time)
    references = spectra(prepared)
    samples = model.config.latent_frames * model.config.samples_per_latent
    wanted = [kind for kind in kinds if not only or kind in only]
    candidates: dict[str, list[Candidate]] = defaultdict(list)
    table = read_list(wanted)
    for offer in (recorded(table, cache, kinds, samples), played(table, cache, samples), made(table, samples)):
        for exemplar, sound in offer:
            with torch.no_grad():
                latents = model.encode(torch.from_numpy(np.asarray(sound))[None, None])[0]
            candidates[exemplar.kind].append(bench.itself(Candidate(exemplar, latents)))
    exemplars: list[Exemplar] = []
    stored: dict[str, Tensor] = {}
    for kind in wanted:
        finalists = sorted(candidates[kind], key=lambda one: -one.value)[:FINALISTS]
        kept = chosen(bench.started_from(finalists), most) if finalists else []
        if len(kept) < least or kept[0].value < HEARD:
            takes = penalised(bench.best_takes(kind, tried)[:FINALISTS], codec, references[kind])
            takes = sorted(bench.started_from(takes), key=lambda one: -one.value)
            kept = filled_up(kept, takes, least)
        for number, one in enumerate(kept):
            exemplar = replace(one.exemplar, name=f"{kind}.{number}", score=round(one.value, 4))
            exemplars.append(exemplar)
            stored[exemplar.name] = one.latents
        write(output, exemplars, stored, table["variation"])
        print(kind, [(e.score, e.source[-40:]) for e in exemplars if e.kind == kind], flush=True)


if __name__ == "__main__":
    typer.run(main)

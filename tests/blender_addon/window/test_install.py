"""The zip and the repository's index, by Blender's own commands."""

import functools
import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Command = Callable[..., str]


@pytest.fixture
def address(dist: Path) -> Iterator[str]:
    """Of a server on this machine that has what `dist` has."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=dist)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_blender_finds_the_zip_valid(extension_command: Command, extension_zip: Path, tmp_path: Path) -> None:
    said = extension_command(tmp_path / "user", "validate", str(extension_zip))
    assert "Success" in said
    assert "error" not in said.lower()


def test_the_zip_is_installed_and_enabled(extension_command: Command, installed: Path) -> None:
    assert "omniaudio [installed]" in extension_command(installed, "list")


def test_it_is_installed_from_the_repository(extension_command: Command, address: str, tmp_path: Path) -> None:
    user = tmp_path / "user"
    extension_command(user, "repo-add", "--name", "OmniAudio", "--url", f"{address}/index.json", "omniaudio_site")
    said = extension_command(user, "install", "--sync", "--enable", "omniaudio_site.omniaudio")
    assert "Installed" in said
    assert (user / "extensions" / "omniaudio_site" / "omniaudio" / "blender_manifest.toml").is_file()


def test_the_index_is_as_blender_writes_it(extension_command: Command, dist: Path, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    shutil.copy(next(dist.glob("*.zip")), folder)
    extension_command(tmp_path / "user", "server-generate", "--repo-dir", str(folder))
    ours, theirs = (json.loads((place / "index.json").read_text()) for place in (dist, folder))
    assert ours == theirs

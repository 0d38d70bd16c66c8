"""Names that are not UTF-8, too long, or not printable."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from omniaudio.analysis.inspect import describe
from omniaudio.audio.binaural import BinauralRequest
from omniaudio.errors import ExitCode, UserError, printable
from omniaudio.generation.request import Request
from omniaudio.paths import check_name, check_readable
from omniaudio.video.clip import clip_sha256

LATIN_1 = "bad\udcff.mp4"
"""What Python makes of a name in Latin-1."""
posix = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")


def test_a_message_is_one_line_of_utf8() -> None:
    error = UserError("a\nb\r\x1b[31m\udcff\ud800\u2028: é ° × 音 \N{NO-BREAK SPACE}")
    assert error.message == r"a\nb\r\x1b[31m\xff\ud800\u2028: é ° × 音 " + "\N{NO-BREAK SPACE}"
    assert str(error) == error.message
    assert printable(error.message) == error.message


@posix
@pytest.mark.parametrize("name", [LATIN_1, f"folder\udce4/{LATIN_1}", "fo\udce4lder/clip.mp4"])
def test_a_name_that_is_not_utf8_is_refused_at_once(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"0")
    good = tmp_path / "good.wav"
    for use in (
        lambda: check_name(path),
        lambda: describe(path),
        lambda: clip_sha256(path),
        lambda: Request(input=path, output=good),
        lambda: Request(input=good, output=path),
        lambda: BinauralRequest(sound=path, output=good),
    ):
        with pytest.raises(
            UserError, match="a name that is not UTF-8, or is in a folder with one; rename it"
        ) as caught:
            use()
        caught.value.message.encode()


@posix
def test_where_a_link_leads_counts(tmp_path: Path) -> None:
    """Sidecars tell that."""
    (tmp_path / LATIN_1).touch()
    (tmp_path / "link.mp4").symlink_to(tmp_path / LATIN_1)
    with pytest.raises(UserError, match="is not UTF-8"):
        check_name(tmp_path / "link.mp4")


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, "a\0b"])
def test_names_that_no_system_takes(name: str) -> None:
    with pytest.raises(UserError, match="cannot be looked up") as caught:
        check_name(Path(name))
    assert len(caught.value.message) < 200
    with pytest.raises(UserError) as caught:
        Request(input=Path("a.mp4"), output=Path(name))
    assert caught.value.code is ExitCode.NOT_WRITABLE


@pytest.mark.parametrize("name", ["a b", "#1 100%.mp4", "'\".mp4", "音.mp4", "a" * 250, "%s.mp4"])
def test_other_names_are_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"0")
    check_readable(tmp_path / name, "another")


@posix
def test_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to(tmp_path / "a.mp4")
    with pytest.raises(UserError, match="cannot be looked up"):
        check_name(tmp_path / "a.mp4")


@posix
@pytest.mark.parametrize(("name", "as_json"), [(LATIN_1, True), ("line\nbreak\x1b[31m é.wav", False)])
def test_a_terminal_without_utf8_gets_one_line(tmp_path: Path, name: str, as_json: bool) -> None:
    """In the C locale, without Python's own way out of it."""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    environment.pop("PYTHONIOENCODING", None)
    command = [sys.executable, "-m", "omniaudio.cli", "binaural", name, "-o", "a.wav", *(["--json"] if as_json else [])]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == ExitCode.NO_INPUT, done.stderr
    said = done.stdout if as_json else done.stderr
    assert len(said.strip().splitlines()) == 1
    if as_json:
        json.loads(said)["message"].encode()

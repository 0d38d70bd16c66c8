import asyncio
import os
import shutil
import string
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from omniaudio.errors import UserError
from trt_engine.service.errors import ErrorCode, ServiceError
from trt_engine.service.jobs.clips import Media, Sources
from trt_engine.service.kinds.request import MediaSource, PathSource
from trt_engine.service.settings import MEDIA, Settings, default_roots

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes as POSIX has them")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed"
    folder.mkdir()
    return folder


@pytest.fixture
def sources(tmp_path: Path, root: Path) -> Sources:
    return Sources(Settings(folder=tmp_path / "service", roots=(root,), keep_days=1))


def refusal(sources: Sources, path: Path | str) -> str:
    with pytest.raises(ServiceError) as caught:
        sources.find(PathSource(path=str(path)))
    assert caught.value.code is ErrorCode.SOURCE
    return caught.value.message


def clip(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"clip")
    return path


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def upload(sources: Sources, name: str = "clip.mp4", *parts: bytes) -> Media:
    return asyncio.run(sources.receive(name, chunks(*(parts or (b"some ", b"bytes")))))


def test_a_file_under_a_root_is_found(sources: Sources, root: Path) -> None:
    path = clip(root / "deep" / "ünï côde.mp4")
    assert sources.find(PathSource(path=str(path))) == path.resolve()
    assert sources.find(PathSource(path=str(root / "deep" / ".." / "deep" / path.name))) == path.resolve()


@posix
def test_links_are_followed_before_the_root_is_checked(sources: Sources, root: Path, tmp_path: Path) -> None:
    path, secret = clip(root / "clip.mp4"), clip(tmp_path / "secret.mp4")
    (root / "inside").symlink_to(path)
    (root / "outside").symlink_to(secret)
    (root / "folder").symlink_to(tmp_path)
    (tmp_path / "way").symlink_to(root)
    assert sources.find(PathSource(path=str(root / "inside"))) == path.resolve()
    assert sources.find(PathSource(path=str(tmp_path / "way" / "clip.mp4"))) == path.resolve()
    for leaving in (root / "outside", root / "folder" / "secret.mp4", root / ".." / "secret.mp4"):
        assert "does not lie in a folder that this service may read" in refusal(sources, leaving)


def test_nothing_is_told_of_what_lies_outside(sources: Sources, tmp_path: Path) -> None:
    clip(tmp_path / "there.mp4")
    there, missing = refusal(sources, tmp_path / "there.mp4"), refusal(sources, tmp_path / "missing.mp4")
    assert there.replace("there.mp4", "") == missing.replace("missing.mp4", "")
    assert refusal(sources, f"{tmp_path}/allowed-not/clip.mp4")  # no root, though it begins like one


@posix
@pytest.mark.parametrize("name", ["secret.mp4", "secret\udcff.mp4"])
def test_nothing_is_told_of_where_a_link_leads(sources: Sources, root: Path, tmp_path: Path, name: str) -> None:
    (root / "link.mp4").symlink_to(clip(tmp_path / name))
    (root / "frame_0001.png").symlink_to(tmp_path / name)
    for asked in ("link.mp4", "frame_####.png"):
        message = refusal(sources, root / asked)
        assert message.startswith(f"{asked.replace('####', '0001')} does not lie in a folder")
        assert "secret" not in message


@posix
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_link_to_a_name_that_is_not_utf8(sources: Sources, root: Path) -> None:
    (root / "bad\udcff.mp4").touch()
    (root / "link.mp4").symlink_to(root / "bad\udcff.mp4")
    with pytest.raises(ServiceError, match="a name that is not UTF-8, or is in") as caught:
        sources.find(PathSource(path=str(root / "link.mp4")))
    caught.value.message.encode()


def test_only_ordinary_files(sources: Sources, root: Path) -> None:
    os.mkfifo(root / "pipe.mp4")
    assert "no ordinary file" in refusal(sources, root / "pipe.mp4")
    assert "is a folder: name a file, or an image sequence like" in refusal(sources, root)
    assert "There is no file" in refusal(sources, root / "missing.mp4")
    everything = Sources(Settings(folder=root / "service", roots=(Path("/"),)))
    assert "no ordinary file" in refusal(everything, "/dev/zero")


@pytest.mark.parametrize(
    "path",
    [
        "clip.mp4",
        "./clip.mp4",
        "~/clip.mp4",
        " ",
        "file:///etc/passwd",
        "http://example.org/clip.mp4",
        "concat:/a|/b",
        "//server/share/clip.mp4",
        r"\\server\share\clip.mp4",
        r"\\?\C:\clip.mp4",
        r"\\.\pipe\clip",
        r"/\server\share\clip.mp4",
        r"\/server/share/clip.mp4",
    ],
)
def test_no_addresses_shares_or_relative_paths(sources: Sources, path: str) -> None:
    assert "is not the absolute path of a file on the service's own machine" in refusal(sources, path)


@posix
def test_paths_that_cannot_be_followed(sources: Sources, root: Path) -> None:
    (root / "loop").symlink_to(root / "loop")
    for path in (f"{root}/a\0b", f"{root}/{'x' * 300}", root / "loop"):
        assert refusal(sources, path)


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(sources: Sources, root: Path) -> None:
    clip(root / "clip.mp4").chmod(0)
    assert "change its permissions" in refusal(sources, root / "clip.mp4")


def test_an_image_sequence(sources: Sources, root: Path) -> None:
    for number in (1, 2, 4):
        clip(root / f"frame_{number:04}.png")
    assert sources.find(PathSource(path=str(root / "frame_####.png"))) == root.resolve() / "frame_####.png"
    assert "There is no image of a sequence" in refusal(sources, root / "other_####.png")


@posix
def test_each_frame_of_a_sequence_is_checked(sources: Sources, root: Path, tmp_path: Path) -> None:
    clip(root / "frame_0001.png")
    (root / "frame_0002.png").symlink_to(clip(tmp_path / "secret.png"))
    assert "does not lie in a folder" in refusal(sources, root / "frame_####.png")
    (root / "frame_0002.png").unlink()
    os.mkfifo(root / "frame_0002.png")
    assert "no ordinary file" in refusal(sources, root / "frame_####.png")


@posix
def test_a_sequence_beyond_a_link(sources: Sources, root: Path, tmp_path: Path) -> None:
    clip(tmp_path / "secret" / "frame_0001.png")
    (root / "way").symlink_to(tmp_path / "secret")
    assert "does not lie in a folder" in refusal(sources, root / "way" / "frame_####.png")


def test_a_root_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no folder .*missing: name another one with --allow-root"):
        Sources(Settings(folder=tmp_path, roots=(tmp_path / "missing",)))


def test_the_whole_file_system_is_no_root_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(Path(tmp_path.anchor))
    assert default_roots() == (Path.home(),)
    monkeypatch.chdir(tmp_path)
    assert default_roots() == (Path.home(), tmp_path)


def test_an_upload_is_kept_as_it_came(sources: Sources) -> None:
    media = upload(sources, "clip.mp4", b"some ", b"", b"bytes")
    assert media == Media(id=media.id, name="clip.mp4", size=10)
    found = sources.find(MediaSource(media=media.id))
    assert found.name == "clip.mp4"
    assert found.read_bytes() == b"some bytes"
    sources.remove(media.id)
    for forget in (lambda: sources.find(MediaSource(media=media.id)), lambda: sources.remove(media.id)):
        with pytest.raises(ServiceError) as caught:
            forget()
        assert caught.value.code is ErrorCode.NOT_FOUND


def test_an_upload_that_is_being_deleted(sources: Sources, tmp_path: Path) -> None:
    """In the middle of it, and left so by a crash."""
    media = upload(sources)
    (tmp_path / "service" / MEDIA / media.id / media.name).unlink()
    with pytest.raises(ServiceError) as caught:
        sources.find(MediaSource(media=media.id))
    assert caught.value.code is ErrorCode.NOT_FOUND


def test_an_upload_is_deleted_once_whoever_asks_for_it(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = upload(sources)
    delete = shutil.rmtree

    def meanwhile(path: Path, **options: bool) -> None:
        with pytest.raises(ServiceError) as caught:
            sources.remove(media.id)
        assert caught.value.code is ErrorCode.NOT_FOUND
        delete(path, **options)

    monkeypatch.setattr(shutil, "rmtree", meanwhile)
    sources.remove(media.id)
    assert list((tmp_path / "service" / MEDIA).iterdir()) == []


def test_an_upload_that_breaks_off_leaves_nothing(sources: Sources, tmp_path: Path) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"some"
        raise ConnectionResetError

    with pytest.raises(ServiceError):
        asyncio.run(sources.receive("clip.mp4", breaking()))
    with pytest.raises(ServiceError, match="The body is empty"):
        upload(sources, "clip.mp4", b"")
    assert list((tmp_path / "service" / MEDIA).iterdir()) == []


def test_a_folder_that_takes_no_upload(tmp_path: Path, root: Path) -> None:
    sources = Sources(Settings(folder=tmp_path / "service", roots=(root,)))
    (tmp_path / "service").write_bytes(b"")  # a file where the folder should be
    with pytest.raises(ServiceError, match=r"cannot keep the upload .*: make room") as caught:
        upload(sources)
    assert caught.value.code is ErrorCode.NO_ROOM


@settings(deadline=None, max_examples=50)
@example(name="a" * 119 + " b")
@given(name=st.text(min_size=1, max_size=255) | st.text("./\\:\0#%" + string.ascii_letters, min_size=1))
def test_any_name_becomes_one_that_every_system_takes(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("names")
    media = upload(Sources(Settings(folder=folder, roots=())), name)
    assert [path.name for path in (folder / MEDIA / media.id).iterdir()] == [media.name]
    assert not set(media.name) & set('\0\n/\\:*?"<>|#%')
    assert media.name.strip(" .") == media.name
    assert 0 < len(media.name.encode()) <= 120
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("forest.mp4", "forest.mp4"),
        ("/home/me/forest.mp4", "forest.mp4"),
        (r"C:\clips\forest.mp4", "forest.mp4"),
        ("..", "clip"),
        (".mp4", "mp4"),
        ("a#b%04d.png", "a_b_04d.png"),
        ("ä" * 200 + ".mp4", "ä" * 58 + ".mp4"),
    ],
)
def test_names_of_uploads(sources: Sources, name: str, kept: str) -> None:
    assert upload(sources, name).name == kept


def test_old_uploads_expire_unless_a_job_wants_them(sources: Sources, tmp_path: Path) -> None:
    old, wanted, new = upload(sources), upload(sources), upload(sources)
    media = tmp_path / "service" / MEDIA
    broken, begun = media / ".broken", media / ".begun"
    broken.mkdir()
    begun.mkdir()
    past = time.time() - 25 * 3600
    for folder in (media / old.id, media / wanted.id, broken):
        os.utime(folder, (past, past))
    sources.expire({wanted.id})
    assert {path.name for path in media.iterdir()} == {wanted.id, new.id, begun.name}

"""Clips: the paths that a client may name, and uploads.

A path is checked before anything is opened: links are resolved first, and the result must lie under an allowed root.
Whether a file exists is only said of paths under a root."""

import asyncio
import os
import re
import shutil
import stat
import time
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from uuid import uuid4

import anyio

from omniaudio.errors import ExitCode, UserError
from omniaudio.paths import check_name
from omniaudio.video.stills import is_sequence, sequence_files
from trt_engine.service.errors import ErrorCode, ServiceError
from trt_engine.service.kinds.request import MediaId, MediaSource, PathSource
from trt_engine.service.records import Record
from trt_engine.service.settings import MEDIA, Settings

_UNFIT = re.compile(r"[\x00-\x1f\x7f\\:*?\"<>|#%]")
"""Not allowed in the name of an upload: a file system refuses it, or it has a meaning in a URL or a sequence's name."""
_MAX_NAME_BYTES = 120
_DAY = 24 * 3600
_PARTIAL = "."
"""Prefix of an upload's folder while it is received or deleted."""


class Media(Record):
    """An uploaded clip."""

    id: MediaId
    name: str
    size: int


class Sources:
    """The clips that a service may read."""

    def __init__(self, settings: Settings) -> None:
        """Resolve the roots.

        Raises:
            UserError: one of them is not a folder.
        """
        for root in settings.roots:
            if not root.is_dir():
                raise UserError(f"There is no folder {root}: name another one with --allow-root.", ExitCode.NO_INPUT)
        self._roots = tuple(root.resolve() for root in settings.roots)
        self._media = settings.folder / MEDIA
        self._keep_seconds = settings.keep_days * _DAY

    def find(self, source: PathSource | MediaSource) -> Path:
        """The resolved path of a source, which a worker may open. May block on a slow file system.

        Raises:
            ServiceError: SOURCE, the path is not allowed, or not a readable file; NOT_FOUND, there is no such upload.
        """
        if isinstance(source, MediaSource):
            return self._uploaded(source.media)
        try:
            return self._find(source.path)
        except UserError as error:
            raise _refused(error.message) from error
        except (OSError, ValueError, RuntimeError) as error:  # a NUL, a loop of links, a name that is too long
            raise _refused(f"{source.path[:200]!r} cannot be resolved: check the path.") from error

    def _find(self, given: str) -> Path:
        # Windows accepts either slash, and would connect to the server of a share.
        if given[:2].replace("\\", "/") == "//" or not Path(given).is_absolute():
            raise _refused(
                f"{given[:200]!r} is not the absolute path of a file on the service's own machine: give one that is no "
                f"URL and no network share, or upload the clip with POST /v1/media."
            )
        path = Path(given).resolve()
        self._check_root(path, Path(given).name)
        check_name(path)
        if path.is_dir():
            raise _refused(f"{path} is a folder: name a file, or an image sequence like {path / 'frame_####.png'}.")
        for file in [file for _, file in sequence_files(path)] if is_sequence(path) else [path]:
            real = file.resolve()
            self._check_root(real, file.name)
            _check_file(real)
        return path

    def _check_root(self, path: Path, given: str) -> None:
        """The message has only the given name, not the target of a link."""
        if not any(path.is_relative_to(root) for root in self._roots):
            roots = ", ".join(map(str, self._roots))
            raise _refused(
                f"{given} does not lie in a folder that this service may read ({roots}): move it there, or start "
                f"the service with --allow-root."
            )

    async def receive(self, name: str, body: AsyncIterator[bytes]) -> Media:
        """Store an upload.

        Args:
            name: the file's name; characters that are not allowed become `_`.
            body: its bytes.

        Raises:
            ServiceError: INVALID, there are no bytes; NO_ROOM. Nothing is kept then, nor if `body` raises.
        """
        media_id = uuid4().hex
        partial = self._media / f"{_PARTIAL}{media_id}"
        file_name = _fitting(name)
        size = 0
        try:
            partial.mkdir(parents=True)
            async with await anyio.open_file(partial / file_name, "xb") as file:
                async for chunk in body:
                    size += len(chunk)
                    await file.write(chunk)
                await file.flush()
                await anyio.to_thread.run_sync(os.fsync, file.wrapped.fileno())
            if size == 0:
                raise ServiceError(ErrorCode.INVALID, "The body is empty: send the clip's bytes as the body.")
            partial.rename(self._media / media_id)
        except OSError as error:
            raise ServiceError(
                ErrorCode.NO_ROOM, f"The service cannot keep the upload ({error.strerror}): make room on its disk."
            ) from error
        finally:
            await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
        return Media(id=media_id, name=file_name, size=size)

    def remove(self, media_id: str) -> None:
        """Delete an upload. Raises ServiceError (NOT_FOUND)."""
        deleted = self._media / f"{_PARTIAL}{media_id}"
        try:
            (self._media / media_id).rename(deleted)
        except FileNotFoundError:
            raise _no_upload(media_id) from None
        shutil.rmtree(deleted, ignore_errors=True)

    def expire(self, in_use: Collection[str]) -> None:
        """Delete uploads older than the settings allow, except those in use, by id."""
        if not self._media.is_dir():
            return
        for folder in self._media.iterdir():
            kept = _DAY if folder.name.startswith(_PARTIAL) else self._keep_seconds
            with suppress(FileNotFoundError):  # deleted meanwhile
                if time.time() - folder.stat().st_mtime > kept and folder.name not in in_use:
                    shutil.rmtree(folder, ignore_errors=True)

    def uploads(self, files: Iterable[Path]) -> set[str]:
        """The ids of the uploads among some files."""
        return {file.parent.name for file in files if file.parent.parent == self._media}

    def _uploaded(self, media_id: str) -> Path:
        try:
            (path,) = (self._media / media_id).iterdir()
        except (FileNotFoundError, ValueError):  # or it is half deleted
            raise _no_upload(media_id) from None
        return path


def _check_file(path: Path) -> None:
    if not path.exists():
        raise _refused(f"There is no file {path}: check the path.")
    if not stat.S_ISREG(path.stat().st_mode):
        raise _refused(f"{path} is no ordinary file: name a video or an image.")
    if not os.access(path, os.R_OK):
        raise _refused(f"The service may not read {path}: change its permissions.")


def _fitting(name: str) -> str:
    """A file name that every system accepts, with the suffix kept."""
    last = PurePosixPath(_UNFIT.sub("_", name.replace("\\", "/"))).name.strip(" .")
    stem, suffix = os.path.splitext(last or "clip")
    room = _MAX_NAME_BYTES - len(suffix.encode())
    if room < 1:
        stem, suffix, room = stem + suffix, "", _MAX_NAME_BYTES
    # Windows removes spaces and dots at the end of a name.
    return stem.encode()[:room].decode(errors="ignore").rstrip(" .") + suffix


def _no_upload(media_id: str) -> ServiceError:
    return ServiceError(ErrorCode.NOT_FOUND, f"There is no upload {media_id}: it may have been deleted.")


def _refused(message: str) -> ServiceError:
    # Names on a disk need not be Unicode; answers must be.
    return ServiceError(ErrorCode.SOURCE, message.encode(errors="backslashreplace").decode())

"""Downloading a model's files from the Hub: listing them, resumable download, and verification."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2
import huggingface_hub

from omniaudio.config import load_config
from omniaudio.errors import ExitCode, UserError
from omniaudio.files import file_sha256
from omniaudio.model_zoo.registry import HUB, HubPart, Model, user_folder


@dataclass(frozen=True)
class HubFile:
    """A file as listed by the Hub; `digest` is its SHA-256 or, outside large-file storage, git's SHA-1."""

    part: HubPart
    name: str
    revision: str
    size: int
    digest: str

    @property
    def path(self) -> Path:
        """Its destination on this machine."""
        return user_folder() / self.part.folder / self.name


def listed(name: str) -> list[HubFile]:
    """List the files of a model on the Hub.

    Raises:
        UserError: the model is not on the Hub, or the Hub cannot be reached; the message then says how to download by
            hand.
    """
    if name not in HUB:
        raise UserError(f"There is no model {name!r} to download; choose one of {', '.join(HUB)}.", ExitCode.NO_MODEL)
    files = []
    for part in HUB[name]:
        try:
            # No token: the repositories are public, and the user's token must not be sent.
            repository = huggingface_hub.HfApi(token=False).model_info(part.repository, files_metadata=True)
        except (httpx2.HTTPError, OSError) as error:
            raise UserError(_by_hand(name), ExitCode.NO_MODEL) from error
        there = {sibling.rfilename: sibling for sibling in repository.siblings or ()}
        for alternatives in part.files:
            chosen = next((there[option] for option in alternatives if option in there), None)
            if chosen is None or repository.sha is None or chosen.size is None:
                message = f"{part.repository} no longer has {' or '.join(alternatives)}; update omniaudio."
                raise UserError(message, ExitCode.NO_MODEL)
            digest = chosen.lfs.sha256 if chosen.lfs else chosen.blob_id or ""
            files.append(HubFile(part, chosen.rfilename, repository.sha, chosen.size, digest))
    return files


def download(files: Sequence[HubFile]) -> None:
    """Download missing files, with progress; interrupted downloads resume.

    Raises:
        UserError: the disk is too small, the connection fails, or a file differs from the Hub's listing.
    """
    wanted = [file for file in files if not file.path.is_file()]
    target = user_folder()
    target.mkdir(parents=True, exist_ok=True)
    needed, free = sum(file.size for file in wanted), shutil.disk_usage(target).free
    if needed > free:
        message = f"{target} has {free / 1e9:.1f} GB left, but {needed / 1e9:.1f} GB are needed; make room there."
        raise UserError(message, ExitCode.NOT_WRITABLE)
    for file in wanted:
        try:
            huggingface_hub.hf_hub_download(
                file.part.repository, file.name, revision=file.revision, local_dir=file.path.parent, token=False
            )
        except (httpx2.HTTPError, OSError) as error:
            message = f"{file.name} could not be downloaded ({error}); run the command again to resume."
            raise UserError(message, ExitCode.NO_MODEL) from error
    for file in files:
        if file.path.stat().st_size != file.size or _digest(file) != file.digest:
            file.path.unlink()
            message = f"{file.path} differed from the Hub's listing and was removed; run the command again."
            raise UserError(message, ExitCode.NO_MODEL)


def check(model: Model) -> bool:
    """Check all names and shapes of the downloaded checkpoint's tensors against the model's config.

    Returns:
        False if torch is not installed to read them; `omniaudio build` checks them later.

    Raises:
        UserError: they differ.
    """
    try:
        from omniaudio.model.checkpoint import check_tensors, find_weights, read_tensors  # noqa: PLC0415
    except ImportError:
        return False
    weights = find_weights(model.folder)
    check_tensors(load_config(model.config), read_tensors(weights), str(weights))
    return True


def _digest(file: HubFile) -> str:
    if len(file.digest) == 64:
        return file_sha256(file.path)
    content = file.path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _by_hand(name: str) -> str:
    steps = [
        f"{huggingface_hub.hf_hub_url(part.repository, alternatives[0])} into {user_folder() / part.folder}"
        for part in HUB[name]
        for alternatives in part.files
    ]
    return f"The Hub cannot be reached; on a machine that can, download {', '.join(steps)}."

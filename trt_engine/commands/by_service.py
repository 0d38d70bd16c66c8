"""`omniaudio generate --service`: generates with a service, and writes the same files as without one."""

import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from omniaudio.errors import ExitCode, UserError
from omniaudio.files import file_sha256, relative, together
from omniaudio.generation import inpainting, takes
from omniaudio.generation.request import Request, check, paths
from omniaudio.sidecar import Sidecar
from omniaudio.video.clip import clip_sha256
from omniaudio.video.stills import is_sequence
from omniaudio_client.client import Client
from omniaudio_client.http import ServiceError
from omniaudio_client.records import (
    GenerateRequest,
    Inpainting,
    Job,
    MediaSource,
    PathSource,
    Progress,
    ResultFile,
    TakeResult,
)
from trt_engine.commands.which_service import as_user_error, user_errors

ASSUMED_RATE = 48_000
"""Hz; used to check the free disk space if the service's model chooses the rate."""
UPLOAD_SHARE = 0.3
"""The share of an upload in the progress of a job."""

Reporting = Callable[[Progress], None]


class Generated(NamedTuple):
    """The takes, and the model and back-end that generated them."""

    model: str
    backend: str
    takes: list[takes.Take]


def generate(client: Client, request: Request, report: Reporting) -> Generated:
    """Generate the sound of a clip with a service, and write it here.

    A service on this machine reads the clip by its path if it may; otherwise the clip is uploaded. An interruption
    cancels the job.

    Args:
        client: the service.
        request: the clip, the output and the options; the model and the back-end are the service's.
        report: called after each step.

    Returns:
        The takes, with the model and the back-end that the service used.

    Raises:
        UserError: as `takes.generate`; also if the service refuses the job, fails, or cannot be reached.
    """
    model = request.options.model
    if model is not None and Path(model).name != model:
        raise UserError(f"--service takes the name of a model, not a folder such as {model}.", ExitCode.NO_MODEL)
    check(request, request.rate or ASSUMED_RATE)
    part = request.inpainting
    wanted = GenerateRequest(
        source=_by_its_path(request.input),
        request_id=uuid4().hex,
        start=request.start,
        duration=request.duration,
        rate=request.rate,
        options=request.options,
        force=request.force,
        allow_truncated=request.allow_truncated,
        inpainting=None if part is None else _asked(part),
        sources=None if request.sources is None else request.sources.model_dump(mode="json"),
    )
    with user_errors():
        job = _by_path(client, wanted, report) or _by_upload(client, wanted, report)
        if job.error is not None:
            raise as_user_error(job.error)
        assert job.result is not None
        input_sha256 = clip_sha256(request.input)
        sound_sha256 = None if part is None else file_sha256(part.sound)
        numbered = zip(paths(request), job.result.takes, strict=True)
        fetch = partial(client.download, job.id)
        made = [_downloaded(take, path, request, (input_sha256, sound_sha256), fetch) for (_, path), take in numbered]
    assert job.result.model is not None
    assert job.result.backend is not None
    return Generated(job.result.model, job.result.backend, made)


def _asked(part: inpainting.Inpainting) -> Inpainting:
    """Return the inpainting for a service. Reads the sidecar of the take here, because it is not uploaded."""
    return Inpainting(_by_its_path(part.sound), part.start, part.duration, inpainting.open_part(part).gain_db)


def _by_path(client: Client, wanted: GenerateRequest, report: Reporting) -> Job | None:
    """Return the ended job; None if the service cannot read the clip by its path but the clip can be uploaded."""
    assert isinstance(wanted.source, PathSource)
    can_be_sent = not is_sequence(Path(wanted.source.path))
    if can_be_sent and not client.local:
        return None
    try:
        return _carried_out(client, wanted, report)
    except ServiceError as error:
        if error.code != "source" or not can_be_sent:
            raise
        return None


def _by_upload(client: Client, wanted: GenerateRequest, report: Reporting) -> Job:
    part = wanted.inpainting
    files = [source.path for source in (wanted.source, part and part.sound) if isinstance(source, PathSource)]
    whole, before = sum(map(os.path.getsize, files)), 0
    with ExitStack() as uploads:
        media = []
        for file in files:

            def tell(sent: int, size: int, before: int = before) -> None:
                report(Progress("uploading", UPLOAD_SHARE * (before + sent) / whole))

            media.append(MediaSource(client.upload(Path(file), tell).id))
            uploads.callback(_remove, client, media[-1])
            before += os.path.getsize(file)
        return _carried_out(
            client,
            replace(
                wanted,
                source=media[0],
                inpainting=None if part is None else replace(part, sound=media[1]),
                request_id=uuid4().hex,
            ),
            lambda step: report(replace(step, fraction=UPLOAD_SHARE + (1 - UPLOAD_SHARE) * step.fraction)),
        )


def _remove(client: Client, upload: MediaSource) -> None:
    """Delete an upload, which no other job uses. If that fails, the service deletes it later."""
    with suppress(ServiceError):
        client.remove_upload(upload.media)


def _by_its_path(file: Path) -> PathSource:
    return PathSource(os.path.abspath(file))


def _carried_out(client: Client, wanted: GenerateRequest, report: Reporting) -> Job:
    """Return the ended job of a request. A refusal raises ServiceError; a failure is in the job."""
    try:
        job = client.create(wanted)
        for state in client.events(job.id):
            job = state
            if job.progress is not None:
                report(job.progress)
    except KeyboardInterrupt:
        # The same request id gives the same job, even if the interruption came before the answer.
        with suppress(ServiceError):
            client.cancel(client.create(wanted).id)
        raise
    return job


def _downloaded(
    take: TakeResult,
    path: Path,
    request: Request,
    sha256: tuple[str, str | None],
    fetch: Callable[[ResultFile, Path], None],
) -> takes.Take:
    """Download the files of a take to their places, all or none.

    `sha256` are the hashes of the clip and of the inpainted take."""
    sidecar, preview, drawn = (path.with_suffix(ending) for ending in (".json", ".preview.wav", ".map.png"))
    assert take.seed is not None
    files = [(take.sound, path), (take.sidecar, sidecar), (take.preview, preview), (take.map, drawn)]
    # After the take's name comes the suffix of the stem.
    its_name = Path(take.sound.name).stem
    stems = [(file, path.with_name(path.stem + file.name.removeprefix(its_name))) for file in take.stems]
    files += stems
    with together(path.parent) as folder, user_errors():
        for file, target in files:
            if file is not None:
                fetch(file, folder / target.name)
        kept = Sidecar.read(folder / sidecar.name)
        read: list[tuple[Path, str, str | None]] = [(request.input, kept.input_sha256, sha256[0])]
        changed: dict[str, object] = {"input": relative(request.input, path.parent)}
        if request.inpainting is not None and kept.inpainting is not None:
            read.append((request.inpainting.sound, kept.inpainting.sound_sha256, sha256[1]))
            sound = relative(request.inpainting.sound, path.parent)
            changed["inpainting"] = kept.inpainting.model_copy(update={"sound": sound})
        for source, its, ours in read:
            if its != ours:
                raise UserError(
                    f"{source} differs from the file that the service read: generate again; if the service runs on "
                    f"another machine, use its address there, not a forwarded one.",
                    ExitCode.NO_INPUT,
                )
        kept.model_copy(update=changed).write(folder / sidecar.name)
    return takes.Take(
        sound=path,
        sidecar=sidecar,
        preview=None if take.preview is None else preview,
        map=None if take.map is None else drawn,
        seed=take.seed,
        take=take.take,
        rate=take.rate,
        samples=take.samples,
        gain_db=take.gain_db,
        true_peak_dbtp=take.true_peak_dbtp,
        stems=tuple(target for _, target in stems),
    )

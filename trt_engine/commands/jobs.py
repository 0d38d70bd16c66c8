"""`omniaudio jobs`: lists and controls the jobs of a service."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import PurePath
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from omniaudio.commands.progress_bar import progress_bar
from omniaudio.errors import ExitCode, UserError
from omniaudio_client.client import Client
from omniaudio_client.records import (
    GenerateRequest,
    InspectRequest,
    Job,
    MediaSource,
    OtherRequest,
    PathSource,
    SceneSource,
)
from trt_engine.commands.which_service import ServiceUrl, TokenFile, as_user_error, connect, user_errors

ID_LENGTH = 32
SHOWN = 8
"""Characters of an id in the table."""
MAX_LISTED = 1000

jobs_app = typer.Typer(help="List, follow, cancel and remove the jobs of a service.")

JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job's id, or the beginning of it.")]
JobIds = Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids of jobs, or the beginnings of them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@jobs_app.callback(invoke_without_command=True)
def jobs(context: typer.Context) -> None:
    """List, follow, cancel and remove the jobs of a service."""
    if context.invoked_subcommand is None:
        list_jobs()


@jobs_app.command("list")
def list_jobs(
    *,
    state: Annotated[str | None, typer.Option(help="queued, running, done, failed or cancelled; default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LISTED, help="The number of jobs to list.")] = 20,
    as_json: AsJson = False,
    service: ServiceUrl = None,
    token_file: TokenFile = None,
) -> None:
    """List jobs, newest first."""
    client = connect(service, token_file)
    with user_errors():
        found = client.jobs(state, limit)
    if as_json:
        typer.echo(json.dumps({"jobs": [asdict(job) for job in found]}, default=datetime.isoformat))
        return
    table = Table(
        "job", "kind", "state", "clip", Column("created", no_wrap=True), Column("took", no_wrap=True), "result"
    )
    for job in found:
        created = job.created.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(job.id[:SHOWN], job.request.kind, job.state, _clip(job), created, _took(job), _what(job))
    Console(markup=False, emoji=False).print(table)


@jobs_app.command()
def show(job_id: JobId, as_json: AsJson = False, service: ServiceUrl = None, token_file: TokenFile = None) -> None:
    """Show a job: its request, state and results."""
    client = connect(service, token_file)
    with user_errors():
        _show(client.job(_whole_id(client, job_id)), as_json)


@jobs_app.command()
def watch(job_id: JobId, as_json: AsJson = False, service: ServiceUrl = None, token_file: TokenFile = None) -> None:
    """Follow a job until it ends; exits with the code of `omniaudio generate`. Ctrl-C leaves the job running."""
    client = connect(service, token_file)
    with user_errors():
        whole = _whole_id(client, job_id)
        if as_json:
            for job in client.events(whole):
                _show(job, as_json)
        else:
            with progress_bar() as bar:
                for job in client.events(whole):
                    if job.progress is not None:
                        bar(job.progress)
            if job.error is None:
                _show(job, as_json)
    if job.error is not None:
        raise as_user_error(job.error)


@jobs_app.command()
def cancel(job_ids: JobIds, service: ServiceUrl = None, token_file: TokenFile = None) -> None:
    """Cancel jobs; those that have ended are left as they are."""
    client = connect(service, token_file)
    with user_errors():
        for whole in [_whole_id(client, job_id) for job_id in job_ids]:
            typer.echo(f"{whole}: {client.cancel(whole).state}")


@jobs_app.command()
def remove(job_ids: JobIds, service: ServiceUrl = None, token_file: TokenFile = None) -> None:
    """Remove jobs that have ended, and delete their files in the service's folder."""
    client = connect(service, token_file)
    with user_errors():
        for whole in [_whole_id(client, job_id) for job_id in job_ids]:
            client.remove(whole)
            typer.echo(f"{whole}: removed")


def _whole_id(client: Client, beginning: str) -> str:
    """Return the id of the only job whose id begins with `beginning`."""
    if len(beginning) >= ID_LENGTH:
        return beginning
    found = [job.id for job in client.jobs(limit=MAX_LISTED) if job.id.startswith(beginning)]
    if len(found) != 1:
        how_many = "No job has an id" if not found else f"{len(found)} jobs have an id"
        raise UserError(f"{how_many} that begins with {beginning!r}: `omniaudio jobs` lists them.", ExitCode.NO_INPUT)
    return found[0]


def _show(job: Job, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(job), default=datetime.isoformat), flush=True)
        return
    options = {name: value for name, value in asdict(job.request).items() if value is not None}
    options |= {name: value for name, value in options.pop("options", {}).items() if value is not None}
    if "sources" in options:
        options["sources"] = len(options["sources"]["sources"])
    table = Table.grid("", "", padding=(0, 2))
    table.add_row("job", job.id)
    table.add_row("state", job.state)
    table.add_row("clip", source.path if isinstance(source := _source(job), PathSource) else _clip(job))
    table.add_row("options", ", ".join(f"{name} {value}" for name, value in options.items() if name != "source"))
    table.add_row("took", _took(job))
    table.add_row("result", _what(job))
    for take in job.result.takes if job.result is not None else ():
        for file in (take.sound, take.preview, take.map, *take.stems, take.sidecar):
            if file is not None:
                table.add_row(f"take {take.take}", file.path)
    for file in job.result.files if job.result is not None else ():
        table.add_row(job.request.kind, file.path)
    if job.result is not None and job.result.sources is not None:
        for kind in _named(job.result.sources):
            table.add_row("source", kind)
    Console(markup=False, emoji=False).print(table)


def _named(sources: dict[str, Any]) -> list[str]:
    """Return the kinds of the sources, the bed last."""
    bed = sources.get("bed")
    return [source["kind"] for source in sources["sources"]] + ([bed["kind"]] if bed else [])


def _clip(job: Job) -> str:
    match _source(job):
        case PathSource(path):
            return PurePath(path).name
        case MediaSource(media):
            return f"upload {media[:SHOWN]}"
        case SceneSource():
            return "Blender scene"
        case None:
            return ""


def _source(job: Job) -> PathSource | MediaSource | SceneSource | None:
    """Return what a job is about; None for a kind that this client does not know."""
    match job.request:
        case GenerateRequest(source=source) | InspectRequest(source=source):
            return source
        case OtherRequest():
            return None
        case request:
            return request.sound


def _took(job: Job) -> str:
    return "" if job.started is None or job.ended is None else f"{(job.ended - job.started).total_seconds():.1f} s"


def _what(job: Job) -> str:
    if job.error is not None:
        return job.error.message
    if job.result is not None:
        if job.result.sources is not None:
            return ", ".join(_named(job.result.sources)) or "no sources"
        made = len(job.result.takes) + len(job.result.files)
        return f"{made} by {job.result.model} on {job.result.backend}" if job.result.model else f"{made}"
    if job.progress is None:
        return ""
    left = "" if job.progress.seconds_left is None else f", {job.progress.seconds_left:.0f} s left"
    return f"{job.progress.stage}, {100 * job.progress.fraction:.0f} %{left}"

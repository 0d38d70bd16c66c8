"""The command `omniaudio`: its own commands, and those that other packages add by the entry points."""

import io
import json
import logging
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from omniaudio.errors import ExitCode, UserError, installation
from omniaudio.model_zoo import registry
from omniaudio.output import check_output

ENTRY_POINTS = "omniaudio.commands"

_log = logging.getLogger(__name__)

models_app = typer.Typer(help="List the models that are here or to be had, and fetch them.")


def verify(
    folder: Annotated[Path, typer.Argument(help="A folder with a model, its inputs and the outputs expected of it.")],
) -> None:
    """Check this installation against figures of the released code: one JSON line, tensor → relative error."""
    try:
        from omniaudio.model import verify as parity  # noqa: PLC0415 - torch is not always installed
    except ImportError as error:
        raise UserError(f"Verifying needs torch: run {installation('torch')}.", ExitCode.NO_BACKEND) from error
    errors, good = parity.verify(folder)
    typer.echo(json.dumps(errors))
    raise typer.Exit(0 if good else ExitCode.FAILED)


def info(
    file: Annotated[Path, typer.Argument(help="A 360° video or picture, or a 4-channel ambisonic file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    sources: Annotated[
        Path | None,
        typer.Option(
            "--sources", help="Find what sounds in a 360° video or image, print it, and write it to this .json file."
        ),
    ] = None,
) -> None:
    """Describe a 360° video, or an ambisonic file: its convention, level and direction through time."""
    if sources is not None:
        _find_sources(file, sources, as_json)
        return
    from omniaudio.analysis.inspect import as_text, describe  # noqa: PLC0415 - other commands start without it

    report = describe(file)
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        Console().print(as_text(report))


def _find_sources(clip: Path, target: Path, as_json: bool) -> None:
    from omniaudio.recognition.networks import OnnxNetworks  # noqa: PLC0415 - other commands start without it
    from omniaudio.recognition.recognise import recognise  # noqa: PLC0415
    from omniaudio.recognition.sources import as_text  # noqa: PLC0415
    from omniaudio.video.clip import Clip  # noqa: PLC0415

    check_output(target, ".json", clip)
    found = recognise(Clip(clip), OnnxNetworks())
    found.write(target)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        Console().print(as_text(found))


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List the models that are here or to be had, and fetch them."""
    if context.invoked_subcommand is None:
        table = Table("model", "state", "on disk", "to fetch", "licence", Column("folder", overflow="fold"))
        for model in registry.models():
            to_fetch = sum(part.gigabytes for part in model.missing)
            table.add_row(
                model.name,
                "ready" if model.ready else "not here",
                f"{model.size / 1e6:.1f} MB" if model.ready else "",
                f"{to_fetch:.1f} GB" if to_fetch else "",
                model.licence,
                str(model.folder),
            )
        Console().print(table)


@models_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="The model to fetch, as `omniaudio models` lists it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Agree to the licences without being asked.")] = False,
) -> None:
    """Fetch a model from the Hub: its licences are shown, then it is downloaded and checked."""
    from omniaudio.model_zoo import download  # noqa: PLC0415 - other commands start without it

    files = download.listed(name)
    for file in files:
        typer.echo(f"{file.part.what}: {file.name}, {file.size / 1e9:.2f} GB. Licence: {file.part.licence}.")
    typer.echo(f"To {registry.user_folder()}.")
    if not yes and not typer.confirm("Do you agree to these licences, and fetch?"):
        raise typer.Exit(ExitCode.CANCELLED)
    download.download(files)
    model = registry.find(name)
    if download.check(model):
        typer.echo(f"The model {name!r} is complete, and its tensors are exactly its config's.")
    else:
        typer.echo(
            f"The model {name!r} is complete: its files are what the Hub lists. To use it, run "
            f"{installation('cpu', 'released', 'torch')}, then `omniaudio build --model {name} --target cpu "
            f"-o {model.folder}`, which compares its tensors with its config too."
        )


def application() -> typer.Typer:
    """The command line with the commands of all packages that are installed."""
    app = typer.Typer(
        help="360° pictures in, first-order ambisonics out.", no_args_is_help=True, pretty_exceptions_enable=False
    )
    app.command()(verify)
    app.command()(info)
    app.add_typer(models_app, name="models")
    for entry_point in entry_points(group=ENTRY_POINTS):
        try:
            register = entry_point.load()
        except ImportError as error:
            _log.warning("The commands of %r are not available: %s.", entry_point.name, error)
            continue
        register(app)
    return app


def main() -> None:
    """Runs the command line; an error that a person can mend is one sentence and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # tests put others in their place
            # Names, and signs like °, that a terminal's encoding lacks are shown as escapes.
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        application()()
    except UserError as error:
        print(error.sentence, file=sys.stderr)
        sys.exit(error.code)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or find_spec(package) is not None:  # a fault of ours or of the package
            raise
        # As in a checkout whose newest version needs more than was installed.
        print(f"The package {package} is missing in {sys.prefix}: run {installation()}.", file=sys.stderr)
        sys.exit(ExitCode.FAILED)


if __name__ == "__main__":
    main()

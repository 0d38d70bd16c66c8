"""`omniaudio models`: lists and downloads models."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from omniaudio.errors import ExitCode, installation
from omniaudio.model_zoo import registry

models_app = typer.Typer(help="List and download models.")


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List and download models; without a subcommand, list them."""
    if context.invoked_subcommand is None:
        list_models()


@models_app.command("list")
def list_models() -> None:
    """List all models, with their state, sizes and licences."""
    table = Table("model", "state", "on disk", "to download", "licence", Column("folder", overflow="fold"))
    for model in registry.models():
        missing = sum(part.gigabytes for part in model.missing)
        table.add_row(
            model.name,
            "ready" if model.ready else "not installed",
            f"{model.size / 1e6:.1f} MB" if model.ready else "",
            f"{missing:.1f} GB" if missing else "",
            model.licence,
            str(model.folder),
        )
    Console().print(table)


@models_app.command()
def download(
    name: Annotated[str, typer.Argument(help="A model that `omniaudio models list` shows.")],
    yes: Annotated[bool, typer.Option("--yes", help="Accept the licences without a prompt.")] = False,
) -> None:
    """Download a model from the Hugging Face Hub. Shows its licences first and checks the files afterwards."""
    from omniaudio.model_zoo import download as hub  # noqa: PLC0415 - keeps other commands fast

    files = hub.listed(name)
    for file in files:
        typer.echo(f"{file.part.what}: {file.name}, {file.size / 1e9:.2f} GB. Licence: {file.part.licence}.")
    typer.echo(f"Destination: {registry.user_folder()}.")
    if not yes and not typer.confirm("Accept these licences and download?"):
        raise typer.Exit(ExitCode.CANCELLED)
    hub.download(files)
    model = registry.find(name)
    if hub.check(model):
        typer.echo(f"The model {name!r} is complete, and its tensors match its configuration.")
    else:
        typer.echo(
            f"The model {name!r} is complete: its files match the Hub's list. To use it, run "
            f"{installation('cpu', 'released', 'torch')}, then `omniaudio build --model {name} --target cpu "
            f"-o {model.folder}`, which also checks its tensors against its configuration."
        )

"""The commands of `omniaudio` that need no other package; one file each."""

import typer

from omniaudio.commands.binaural import binaural
from omniaudio.commands.export import export
from omniaudio.commands.inspect import inspect
from omniaudio.commands.map import draw_map
from omniaudio.commands.models import models_app
from omniaudio.commands.rotate import rotate
from omniaudio.commands.verify import verify


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(inspect)
    app.command()(binaural)
    app.command()(rotate)
    app.command("map")(draw_map)
    app.command()(export)
    app.add_typer(models_app, name="models")
    app.command()(verify)

"""The commands that this package adds to `omniaudio`; one file each."""

import typer

from osc_bridge.commands.osc import osc
from osc_bridge.commands.osc_send import osc_send


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(osc)
    app.command(name="osc-send")(osc_send)

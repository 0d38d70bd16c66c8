"""The commands that this package adds to `omniaudio`; one file each."""

import typer

from trt_engine.commands.backends import backends
from trt_engine.commands.build import BuildCommand, build
from trt_engine.commands.generate import generate
from trt_engine.commands.jobs import jobs_app
from trt_engine.commands.serve import serve


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(generate)
    app.command(cls=BuildCommand)(build)
    app.command()(backends)
    app.command()(serve)
    app.add_typer(jobs_app, name="jobs")

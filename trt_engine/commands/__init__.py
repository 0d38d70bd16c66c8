"""The commands that this package adds to `omniaudio`: one file each."""

import typer

from trt_engine.commands.backends import backends
from trt_engine.commands.build import BuildCommand, build
from trt_engine.commands.deliver import deliver
from trt_engine.commands.generate import generate
from trt_engine.commands.jobs import jobs_app
from trt_engine.commands.listen import listen
from trt_engine.commands.map import draw_map
from trt_engine.commands.serve import serve
from trt_engine.commands.turn import turn


def register(app: typer.Typer) -> None:
    """Add this package's commands."""
    app.command()(generate)
    app.command(cls=BuildCommand)(build)
    app.command()(listen)
    app.command("map")(draw_map)
    app.command()(turn)
    app.command()(deliver)
    app.command()(backends)
    app.command()(serve)
    app.add_typer(jobs_app, name="jobs")

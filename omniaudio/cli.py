"""The command `omniaudio`: assembles the commands of this package and those that other packages register."""

import io
import logging
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec

import typer

from omniaudio import commands
from omniaudio.errors import ExitCode, UserError, installation

ENTRY_POINTS = "omniaudio.commands"
"""The entry-point group of functions that add commands to a `typer.Typer`."""

_log = logging.getLogger(__name__)


def application() -> typer.Typer:
    """Build the command line with the commands of all installed packages."""
    app = typer.Typer(
        help="360° video in, first-order ambisonics out.", no_args_is_help=True, pretty_exceptions_enable=False
    )
    commands.register(app)
    for entry_point in entry_points(group=ENTRY_POINTS):
        try:
            register = entry_point.load()
        except ImportError as error:
            _log.warning("The commands of %r are not available: %s.", entry_point.name, error)
            continue
        register(app)
    return app


def main() -> None:
    """Run the command line. A `UserError` becomes one message on standard error and its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # tests replace them
            # Escape characters such as ° that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        application()()
    except UserError as error:
        print(error.message, file=sys.stderr)
        sys.exit(error.code)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or find_spec(package) is not None:  # a bug here or in the package
            raise
        # An updated checkout may need packages that are not installed yet.
        print(f"The package {package} is missing in {sys.prefix}: run {installation()}.", file=sys.stderr)
        sys.exit(ExitCode.FAILED)


if __name__ == "__main__":
    main()

"""`omniaudio verify`: compares this installation with the released code."""

import json
from pathlib import Path
from typing import Annotated

import typer

from omniaudio.errors import ExitCode, UserError, installation


def verify(
    folder: Annotated[Path, typer.Argument(help="A folder with a model, its inputs and its expected outputs.")],
) -> None:
    """Compare this installation with outputs of the released code; prints relative errors as one line of JSON."""
    try:
        from omniaudio.model import verify as parity  # noqa: PLC0415 - torch is not always installed
    except ImportError as error:
        raise UserError(f"Verifying needs torch: run {installation('torch')}.", ExitCode.NO_BACKEND) from error
    errors, passed = parity.verify(folder)
    typer.echo(json.dumps(errors))
    raise typer.Exit(0 if passed else ExitCode.FAILED)

"""The service that a command uses, and the service's errors as the command's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from omniaudio.errors import ExitCode, UserError
from omniaudio_client.client import Client
from omniaudio_client.discovery import NO_TOKEN, TOKEN_VARIABLE, TOKEN_WANTED, UNAUTHORIZED, named
from omniaudio_client.http import ServiceError
from omniaudio_client.records import Error

ServiceUrl = Annotated[
    str | None, typer.Option("--service", metavar="URL", help="The service, such as http://127.0.0.1:4360.")
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        help=f"The file that holds the service's token; default: {TOKEN_VARIABLE}, or your own service's file."
    ),
]

_CODES = {
    "source": ExitCode.NO_INPUT,
    NO_TOKEN: ExitCode.NO_INPUT,
    "not_360": ExitCode.NOT_360,
    "truncated": ExitCode.TRUNCATED,
    "no_model": ExitCode.NO_MODEL,
    "no_backend": ExitCode.NO_BACKEND,
    "cancelled": ExitCode.CANCELLED,
    "file": ExitCode.NOT_WRITABLE,
}


def connect(url: str | None, token_file: Path | None) -> Client:
    """Return the service at an address, or the user's own where that is None, after it has answered.

    Raises:
        UserError: no service answers there, it has another version, or the token file cannot be read.
    """
    with user_errors():
        client = named(url, token_file)
        client.health()
        return client


@contextmanager
def user_errors() -> Iterator[None]:
    """Raise errors of the client as `UserError`."""
    try:
        yield
    except ServiceError as error:
        raise as_user_error(error) from error


def as_user_error(error: ServiceError | Error) -> UserError:
    """Return the error with the exit code of a command that generates without a service."""
    message = TOKEN_WANTED if error.code == UNAUTHORIZED else error.message
    return UserError(message, _CODES.get(error.code, ExitCode.FAILED))

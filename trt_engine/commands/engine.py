"""Which service a command speaks to, and what goes wrong there as the command's own error."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from omniaudio.errors import ExitCode, UserError
from omniaudio_client.client import Client
from omniaudio_client.discovery import find
from omniaudio_client.http import EngineError
from omniaudio_client.records import Error

TOKEN_VARIABLE = "OMNIAUDIO_TOKEN"
UNAUTHORIZED = "unauthorized"
"""The service's code: the token is missing or wrong."""
TOKEN_WANTED = (
    f"The service asks for its token: name the file that holds it with --token-file, or put it into {TOKEN_VARIABLE}. "
    "`omniaudio serve` says where it lies."
)

Engine = Annotated[str | None, typer.Option("--engine", metavar="URL", help="The service, like http://127.0.0.1:4360.")]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        help=f"Holds the service's token, if it asks for one; else {TOKEN_VARIABLE} does, or your own service's file."
    ),
]

_CODES = {
    "source": ExitCode.NO_INPUT,
    "not_360": ExitCode.NOT_360,
    "truncated": ExitCode.TRUNCATED,
    "no_model": ExitCode.NO_MODEL,
    "no_backend": ExitCode.NO_BACKEND,
    "cancelled": ExitCode.CANCELLED,
    "file": ExitCode.NOT_WRITABLE,
}


def connect(url: str | None, token_file: Path | None) -> Client:
    """The service at an address, or else the user's own, once it has answered.

    The token comes from the file, the environment, or the folder of the user's own service; the last one is for that
    service alone.

    Raises:
        UserError: there is no such service, it is of another version, or the file of the token cannot be read.
    """
    with user_errors():
        client = named(url, token_file)
        client.health()
        return client


def named(url: str | None, token_file: Path | None) -> Client:
    """The service as `connect`, whether or not it answers.

    Raises:
        UserError: the file of the token cannot be read.
        EngineError: the address is none, or no service was started here.
    """
    client = find() if url is None else _at(url)
    token = _given(token_file)
    return client if token is None else Client(client.url, token)


@contextmanager
def user_errors() -> Iterator[None]:
    """An error of the client, with its sentence, as the command's."""
    try:
        yield
    except EngineError as error:
        raise as_user_error(error) from error


def as_user_error(error: EngineError | Error) -> UserError:
    """The same sentence, or what it means here, with the exit code that the command has for it when it works by
    itself."""
    sentence = TOKEN_WANTED if error.code == UNAUTHORIZED else error.sentence
    return UserError(sentence, _CODES.get(error.code, ExitCode.FAILED))


def _at(url: str) -> Client:
    """The service at an address; with its token, where it is the user's own."""
    client = Client(url)
    with suppress(EngineError):
        own = find()
        # By the own one's address: whoever listens at another one that `localhost` may mean, is told no token.
        if own.port == client.port and (own.host == client.host or (own.local and client.host == "localhost")):
            return own
    return client


def _given(token_file: Path | None) -> str | None:
    if token_file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip() or None
    try:
        return token_file.read_text("ascii").strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(
            f"The token {token_file} cannot be read ({reason}): name its file.", ExitCode.NO_INPUT
        ) from error

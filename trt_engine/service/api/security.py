"""Who may speak to the service: the token, and what the headers Host and Origin have to be.

A page in a browser reaches this machine's ports too. It cannot know the token; and where none is required, the Host
header gives away a name that was made to point here (DNS rebinding), and Origin a page from elsewhere."""

import hmac
import os
import re
import secrets
import stat
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from omniaudio.errors import ExitCode, UserError
from trt_engine.service.api.answers import answer
from trt_engine.service.api.records import API_VERSION
from trt_engine.service.errors import ErrorCode
from trt_engine.service.settings import TOKEN

HEALTH = f"/v{API_VERSION}/health"
"""The one address that needs no token: it tells what anyone who reaches the port can guess."""

_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:[0-9]{1,5})?")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43,}")  # 256 bits in base64url, or more


def token(folder: Path) -> str:
    """The token of the service in a folder; made, for the user's eyes alone, where there is none yet.

    Raises:
        UserError: others may read the file, it holds no token, or it cannot be read or written.
    """
    path = folder / TOKEN
    try:
        if not path.exists():
            _make(path)
        with path.open(encoding="ascii", errors="replace") as file:
            state = os.fstat(file.fileno())
            kept = file.read(1024).strip()
    except OSError as error:
        raise UserError(
            f"The token {path} cannot be used ({error.strerror}): mend its permissions, or delete it.",
            ExitCode.NOT_WRITABLE,
        ) from error
    # Windows keeps a user's folder from other users by itself, and its mode bits say nothing.
    if os.name == "posix" and (stat.S_IMODE(state.st_mode) & 0o077 or state.st_uid != os.geteuid()):
        raise UserError(f"Others can read the token {path}: delete it, and the service makes a new one.")
    if not _TOKEN.fullmatch(kept):
        raise UserError(f"There is no token in {path}: delete the file, and the service makes a new one.")
    return kept


def _make(path: Path) -> None:
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class Guard:
    """Lets through to an application what names this service in Host, comes from no foreign page and has the token.

    Args:
        app: the application.
        token: which `Authorization: Bearer` has to carry, or None where none is required.
        hosts: names that a Host header may have beside the loopback's and the address that was connected to.
    """

    def __init__(self, app: ASGIApp, token: str | None, hosts: Collection[str]) -> None:
        self._app = app
        self._token = None if token is None else token.encode("ascii")
        self._hosts = {*_LOCAL, *(bracketed(host.lower()) for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if not self._knows_host(headers, scope):
                refusal = answer(
                    ErrorCode.FORBIDDEN,
                    "The Host header is not a name of this service: ask by its own address, or start it with "
                    "--allow-host NAME.",
                )
            elif not _is_own_origin(headers):
                refusal = answer(ErrorCode.FORBIDDEN, "Pages from elsewhere (the Origin header) may not ask here.")
            elif scope["path"] != HEALTH and not self._knows_token(scope):
                refusal = answer(
                    ErrorCode.UNAUTHORIZED,
                    f"The token is missing or wrong: send `Authorization: Bearer` with what the file {TOKEN} "
                    f"in the service's folder holds.",
                    headers={"WWW-Authenticate": "Bearer"},
                )
            else:
                refusal = None
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _knows_host(self, headers: Headers, scope: Scope) -> bool:
        """By the name alone: a port that is forwarded from elsewhere may be another one."""
        given = headers.getlist("host")
        match = _HOST.fullmatch(given[0].lower()) if len(given) == 1 else None
        server = scope.get("server")
        return match is not None and (
            match["name"] in self._hosts or (server is not None and match["name"] == bracketed(server[0]))
        )

    def _knows_token(self, scope: Scope) -> bool:
        if self._token is None:
            return True
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, credentials = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return hmac.compare_digest(credentials.strip(), self._token) and scheme.lower() == b"bearer"


def _is_own_origin(headers: Headers) -> bool:
    origins = headers.getlist("origin")
    if not origins:
        return True
    try:
        origin = urlsplit(origins[0].lower())
    except ValueError:
        return False
    return len(origins) == 1 and origin.scheme in ("http", "https") and origin.netloc == headers["host"].lower()


def bracketed(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host

"""Finds a service, or starts one as a child process and stops it.

Standard library only, like `client.py`, so that both ship in Blender's extension unchanged. A service outlives a
program that started it and crashed; the next program finds it by its folder. It exits by itself after `LINGER_SECONDS`
without a job or a connected Blender.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from .client import Client
from .http import FILE, FOREIGN, UNREACHABLE, ServiceError
from .records import SERVICE

ADDRESS, TOKEN = "service.json", "token"
"""Files in a service's folder: its address, and its token."""

LINGER_SECONDS = 60
SECONDS_TO_STOP = 8.0
"""The service lets downloads continue for five seconds."""
START_SECONDS = 120.0
"""How long a service may take to its first answer: from a cold disk, Python may need a minute to import its
libraries."""
IN_USE = 10
"""The exit code of a service whose folder another service uses: two programs started one at the same time."""

TOKEN_VARIABLE = "OMNIAUDIO_TOKEN"
"""The environment variable that may hold the token of a service."""
UNAUTHORIZED, NO_TOKEN = "unauthorized", "no_token"
"""Codes of a ServiceError: the token is missing or wrong; a token file cannot be read."""
TOKEN_WANTED = (
    f"The service requires its token: name the file that holds it with --token-file, or set {TOKEN_VARIABLE}. "
    "`omniaudio serve` prints the path of that file."
)

SERVICE_FAILED = "service_failed"
"""Code of a ServiceError: the service does not start, or has ended unexpectedly."""

_LOG = "start.log"
_SERVICE_LOG = "service.log"
_MAX_LOG_BYTES = 1 << 20
_LAST_BYTES, _MAX_LINE = 8192, 300
_ASK_SECONDS = 0.1
_LAST_SECONDS = 2.0
"""The timeout of requests while the program that started the service exits."""


def find(folder: Path | None = None, timeout: float = 30.0) -> Client:
    """The client of the service that was last started in a folder (None: the user's own); it may have stopped.
    `timeout` as for `Client`.

    Raises:
        ServiceError: no service was started there, or its files cannot be read.
    """
    folder = folder or default_folder()
    try:
        url = json.loads((folder / ADDRESS).read_bytes())["url"]
        token = (folder / TOKEN).read_text("ascii").strip() if (folder / TOKEN).exists() else None
    except FileNotFoundError as error:
        message = "No service runs on this machine: start one with `omniaudio serve`, or name its address."
        raise ServiceError(UNREACHABLE, message) from error
    except OSError as error:
        raise ServiceError(
            FILE, f"{error.filename} cannot be read ({error.strerror}): correct its permissions."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceError(FILE, f"The files in {folder} are damaged: start the service again.") from error
    return Client(str(url), token, timeout)


def default_folder(platform: str = sys.platform, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of a user's own service, by platform."""
    home = Path.home()
    if platform == "win32":
        data = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif environment.get("XDG_DATA_HOME", "").startswith("/"):
        data = Path(environment["XDG_DATA_HOME"])
    else:
        data = home / "Library" / "Application Support" if platform == "darwin" else home / ".local" / "share"
    return data / SERVICE / "service"


def log_of(folder: Path) -> Path:
    """The log of a service that was written last: that of its start, or that of its run."""
    logs = [folder / _LOG, folder / _SERVICE_LOG]
    return max(logs, key=lambda log: log.stat().st_mtime if log.is_file() else 0.0)


def running(folder: Path) -> Client:
    """The client of the service that runs in a folder. Raises ServiceError if none answers, or it has another
    version."""
    client = find(folder)
    # After a power cut another program may have its port; that one must not get the token.
    Client(client.url).health()
    return client


def named(url: str | None, token_file: Path | None = None) -> Client:
    """Return the service at an address, or the user's own where that is None, whether or not it answers.

    The token comes from the file, from `TOKEN_VARIABLE`, or, for the user's own service only, from its folder.

    Raises:
        ServiceError: NO_TOKEN, the token file cannot be read; the address is invalid; or there is no address and no
            service was started on this machine.
    """
    client = find() if url is None else _at(url)
    token = _given_token(token_file)
    return client if token is None else Client(client.url, token)


def _at(url: str) -> Client:
    client = Client(url)
    with suppress(ServiceError):
        own = find()
        # Use the own service's address: another listener that `localhost` may resolve to must not get the token.
        if own.port == client.port and (own.host == client.host or (own.local and client.host == "localhost")):
            return own
    return client


def _given_token(token_file: Path | None) -> str | None:
    if token_file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip() or None
    try:
        return token_file.read_text("ascii").strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise ServiceError(
            NO_TOKEN, f"The token file {token_file} cannot be read ({reason}): check its path."
        ) from error


def default_roots() -> tuple[Path, ...]:
    """Return the folders that a service may read clips in by default: the user's home and the current folder, except
    where that is the root of the file system, as for a daemon."""
    here = Path.cwd()
    return (Path.home(), here) if here != here.parent else (Path.home(),)


class ServiceProcess:
    """A service that this program started."""

    def __init__(self, command: Sequence[str], folder: Path, roots: Sequence[Path]) -> None:
        """Start the service; `ready` waits until it answers.

        Args:
            command: the command line of `omniaudio`.
            folder: the service's folder; created if it is missing.
            roots: the folders in which it may read clips.

        Raises:
            ServiceError: SERVICE_FAILED, the program cannot be started, or the folder cannot be used.
        """
        words = [*command, "serve", "--folder", str(folder), "--port", "0", "--linger", str(LINGER_SECONDS)]
        for root in roots:
            words += ["--allow-root", str(root)]
        self._folder = folder
        self._log = folder / _LOG
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Another program that starts a service in this folder at this moment writes here too, so only append.
            with self._log.open("ab") as log:
                if log.tell() > _MAX_LOG_BYTES:
                    log.truncate(0)
                self._first_byte = log.seek(0, os.SEEK_END)
                self._process = subprocess.Popen(
                    words,
                    cwd=folder,  # not the current folder, which may be on a removable drive
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "PYTHONUTF8": "1"},
                    creationflags=_creation_flags(),
                    start_new_session=True,
                )
        except OSError as error:
            raise ServiceError(
                SERVICE_FAILED,
                f"The OmniAudio service could not be started ({error}): check the program {command[0]} and the folder "
                f"{folder}.",
            ) from error

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def ready(self, given_up: Callable[[float], bool]) -> Client:
        """Wait until a service in the folder answers, this one or one that was faster, and return its client.

        Args:
            given_up: waits the given seconds, and returns whether to stop waiting.

        Raises:
            ServiceError: this one has ended, the other one has another version, or none answered within
                `START_SECONDS` or before `given_up`.
        """
        silence = ServiceError(UNREACHABLE, "")
        deadline = time.monotonic() + START_SECONDS
        while not given_up(_ASK_SECONDS) and time.monotonic() < deadline:
            code = self.exit_code
            if code not in (None, IN_USE):
                raise self.epitaph()
            try:
                return running(self._folder)
            except ServiceError as error:
                silence = error
            if code == IN_USE and silence.code == FOREIGN:
                raise silence  # the service that uses the folder has another version
        self.stop()
        raise ServiceError(
            SERVICE_FAILED,
            f"The OmniAudio service does not answer after {START_SECONDS:.0f} s: see its log {log_of(self._folder)}."
            f" {silence.message}".rstrip(),
        )

    def epitaph(self) -> ServiceError:
        """An error with the last line that the service printed before it ended."""
        try:
            with self._log.open("rb") as log:
                log.seek(max(self._first_byte, log.seek(0, os.SEEK_END) - _LAST_BYTES))
                lines = log.read().decode("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        # The option parser prints errors in a frame.
        bare = [line.strip(" │╭─╮╰╯") for line in lines]
        last = next((line for line in reversed(bare) if line), "")
        said = f"its last line was: {last[:_MAX_LINE]}" if last else "it printed nothing"
        return ServiceError(
            SERVICE_FAILED, f"The OmniAudio service ended unexpectedly (exit code {self.exit_code}); {said}"
        )

    def let_go(self, blender: str = "") -> None:
        """Stop the service, unless another program needs it: a job is queued or running, or a Blender with another id
        than `blender` is connected. Then it exits by itself later."""
        if self.exit_code is not None:
            return
        # If it does not answer, nobody can use it.
        with suppress(ServiceError):
            client = find(self._folder, _LAST_SECONDS)
            others = any(other.id != blender for other in client.blenders())
            if others or client.jobs("queued", 1) or client.jobs("running", 1):
                return
        self.stop()

    def stop(self, seconds: float = SECONDS_TO_STOP) -> None:
        """Terminate the service, and kill it if it has not ended after so many seconds. Its unfinished jobs wait for
        the next start."""
        if self.exit_code is None:
            with suppress(OSError):  # it has just ended, or Windows has no console to send the signal
                self._process.send_signal(_END)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


if sys.platform == "win32":
    _END = signal.CTRL_BREAK_EVENT
else:
    _END = signal.SIGTERM


def _creation_flags() -> int:
    """Give the child a process group of its own, as a session does elsewhere: Ctrl-C in this program's terminal reaches
    only this program, and Ctrl-Break only the service."""
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP
    return 0

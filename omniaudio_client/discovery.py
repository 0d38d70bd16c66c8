"""Finds a service, or starts one as a child process and stops it.

Standard library only, like `client.py`, so that both ship in Blender's extension unchanged. A service outlives a
program that started it and crashed; the next program finds it by its folder. It exits by itself after
`LINGER_SECONDS` in which nobody needed it.
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
"""Files of a service's folder: where it listens, and the token."""

LINGER_SECONDS = 60
SECONDS_TO_STOP = 8.0
"""The service lets downloads go on for five seconds."""
START_SECONDS = 120.0
"""For so long a service may take to its first answer: from a cold disk Python may read its libraries for a minute."""
IN_USE = 10
"""The exit code by which a service says that another one has the folder; the start was a race, then."""

TOKEN_VARIABLE = "OMNIAUDIO_TOKEN"
"""The environment variable that may hold the token of a service."""
UNAUTHORIZED, NO_TOKEN = "unauthorized", "no_token"
"""Codes of an ServiceError: the service misses the token or refuses it; a token file cannot be read."""
TOKEN_WANTED = (
    f"The service requires its token: name the file that holds it with --token-file, or set {TOKEN_VARIABLE}. "
    "`omniaudio serve` prints the path of that file."
)

SERVICE_FAILED = "engine_failed"
"""Code of an ServiceError: the service does not start, or ends by itself."""

_LOG = "start.log"
_SERVICE_LOG = "service.log"
_MAX_LOG_BYTES = 1 << 20
_LAST_BYTES, _MAX_WORD = 8192, 300
_ASK_SECONDS = 0.1
_QUESTION_SECONDS = 2.0
"""For an answer when the program that has started it ends, and waits for it."""


def find(folder: Path | None = None, timeout: float = 30.0) -> Client:
    """The service that was last started in a folder, else in the user's own; whether it runs is not asked. `timeout` as
    of `Client`.

    Raises:
        ServiceError: none was started there, or its files cannot be read.
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
            FILE, f"{error.filename} cannot be read ({error.strerror}): mend its permissions."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceError(FILE, f"The files in {folder} are damaged: start the service again.") from error
    return Client(str(url), token, timeout)


def default_folder(platform: str = sys.platform, environment: Mapping[str, str] = os.environ) -> Path:
    """Where a user's service keeps its files, on a platform."""
    home = Path.home()
    if platform == "win32":
        data = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif environment.get("XDG_DATA_HOME", "").startswith("/"):
        data = Path(environment["XDG_DATA_HOME"])
    else:
        data = home / "Library" / "Application Support" if platform == "darwin" else home / ".local" / "share"
    return data / SERVICE / "service"


def log_of(folder: Path) -> Path:
    """What a service says of its troubles: the newest of what it said at its start, and of what it wrote since."""
    logs = [folder / _LOG, folder / _SERVICE_LOG]
    return max(logs, key=lambda log: log.stat().st_mtime if log.is_file() else 0.0)


def running(folder: Path) -> Client:
    """The service that has a folder. Raises ServiceError where it does not answer, or is of another version."""
    client = find(folder)
    # After a power cut its port may be somebody else's, who need not be told the token.
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
    """A service that this program has started."""

    def __init__(self, command: Sequence[str], folder: Path, roots: Sequence[Path]) -> None:
        """Start it; whether it will answer is not known yet.

        Args:
            command: the words that start the command `omniaudio`.
            folder: the service's own, for its jobs; made where it is missing.
            roots: the folders that it may read clips in.

        Raises:
            ServiceError: SERVICE_FAILED, the system cannot start it, or the folder cannot be used.
        """
        words = [*command, "serve", "--folder", str(folder), "--port", "0", "--linger", str(LINGER_SECONDS)]
        for root in roots:
            words += ["--allow-root", str(root)]
        self._folder = folder
        self._log = folder / _LOG
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Whoever else starts one on this folder at this moment writes here too, so it is only ever appended to.
            with self._log.open("ab") as log:
                if log.tell() > _MAX_LOG_BYTES:
                    log.truncate(0)
                self._first_byte = log.seek(0, os.SEEK_END)
                self._process = subprocess.Popen(
                    words,
                    cwd=folder,  # this program's own may be a drive that is to be taken out
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
                f"The OmniAudio engine could not be started ({error}): check its program {command[0]}, and the folder "
                f"{folder}.",
            ) from error

    @property
    def exit_code(self) -> int | None:
        """None as long as it runs."""
        return self._process.poll()

    def ready(self, given_up: Callable[[float], bool]) -> Client:
        """The service on the folder once it answers, be it this one or one that was faster.

        Args:
            given_up: waits so many seconds, and says whether nobody wants it any more.

        Raises:
            ServiceError: this one has ended, the other is of another version, or none answers within `START_SECONDS`
                or until it is given up.
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
                raise silence  # it has the folder, and is of another version
        self.stop()
        raise ServiceError(
            SERVICE_FAILED,
            f"The OmniAudio engine does not answer after {START_SECONDS:.0f} s: look at its log {log_of(self._folder)}."
            f" {silence.message}".rstrip(),
        )

    def epitaph(self) -> ServiceError:
        """Why one ended that should not have, in its own last words."""
        try:
            with self._log.open("rb") as log:
                log.seek(max(self._first_byte, log.seek(0, os.SEEK_END) - _LAST_BYTES))
                lines = log.read().decode("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        # The option parser frames what it says with a box.
        bare = [line.strip(" │╭─╮╰╯") for line in lines]
        last = next((line for line in reversed(bare) if line), "")
        said = f"its last words were: {last[:_MAX_WORD]}" if last else "it said nothing"
        return ServiceError(
            SERVICE_FAILED, f"The OmniAudio engine ended by itself (exit code {self.exit_code}); {said}"
        )

    def let_go(self, blender: str = "") -> None:
        """Have it end, unless somebody needs it: a job waits or runs, or a Blender is connected that is not this one,
        by its id. It then ends by itself in time."""
        if self.exit_code is not None:
            return
        # Who does not answer does not work for anybody.
        with suppress(ServiceError):
            client = find(self._folder, _QUESTION_SECONDS)
            others = any(other.id != blender for other in client.blenders())
            if others or client.jobs("queued", 1) or client.jobs("running", 1):
                return
        self.stop()

    def stop(self, seconds: float = SECONDS_TO_STOP) -> None:
        """Have it end: it is asked to, and killed where it has not ended after so many seconds. Its jobs that have not
        ended wait for the next one."""
        if self.exit_code is None:
            with suppress(OSError):  # it has ended this moment, or Windows has no console to tell it by
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
    """A group of the child's own, as a session is elsewhere: Ctrl-C in this program's terminal reaches this program
    alone, and Ctrl-Break the service alone."""
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP
    return 0

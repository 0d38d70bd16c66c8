"""Each `pip install ".[…]"` of the documentation gives an environment in which the commands shown after it start.

The commands are run as they are shown, on a clip of half a second: numbers and ports are changed to fit, nothing else.
"""

import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from omniaudio.errors import ExitCode
from support import environments
from support.panorama_clip import write_clip

pytestmark = pytest.mark.skipif(environments.os.name != "posix", reason="environments are made of links")

PAGES = [environments.REPOSITORY / "README.md", *sorted((environments.REPOSITORY / "docs").glob("*.md"))]
INSTALLS = re.compile(r"""pip install (?:-c requirements\.lock )?(?:-e )?["']\.\[(?P<extras>[a-z,]+)\]["']""")
STAYS = {"serve": "listens on", "osc": "listens on", "build": '"stage": "(?!exporting)'}
"""Commands that last, and what they say (patterns) when they have all that they need; a build has its graphs then."""
TO_FIT = {
    "--start 12 --duration 20 --takes 3": "--start 0.2 --duration 0.3 --takes 2",
    "--range 3:6": "--range 0.1:0.2",
}
SECONDS = 120.0


class Shown(NamedTuple):
    """Commands that a page shows after an installation, up to the next one."""

    page: str
    extras: tuple[str, ...]
    commands: tuple[str, ...]


def shown(page: Path) -> list[Shown]:
    """What a page shows in its code blocks."""
    found: list[tuple[tuple[str, ...], list[str]]] = []
    code = False
    for line in page.read_text("utf-8").splitlines():
        if line.lstrip().startswith("```"):
            code = not code
        elif code and (match := INSTALLS.search(line)):
            found.append((tuple(sorted(match["extras"].split(","))), []))
        elif code and found and line.removeprefix("$ ").startswith("omniaudio "):
            found[-1][1].append(line.removeprefix("$ "))
    return [Shown(page.name, extras, tuple(commands)) for extras, commands in found]


RUN = [part for page in PAGES for part in shown(page) if part.commands]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], Path]:
    """The programs of an environment with these extras, made once."""
    made: dict[tuple[str, ...], Path] = {}

    def get(extras: tuple[str, ...]) -> Path:
        if extras not in made:
            made[extras] = environments.make(tmp_path_factory.mktemp("environment"), extras)
        return made[extras]

    return get


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the commands are given, with the clip that they name."""
    write_clip(tmp_path / "clip.mp4", frames=5)
    return tmp_path


def test_the_documentation_shows_what_is_run_here() -> None:
    extras = environments.project()["project"]["optional-dependencies"].keys()
    named = {extra for page in PAGES for match in INSTALLS.finditer(page.read_text("utf-8"))
             for extra in match["extras"].split(",")}  # fmt: skip
    assert named <= extras
    assert {part.page for part in RUN} >= {"README.md", "engines.md"}
    assert {command.split()[1] for part in RUN for command in part.commands} > {"generate", *STAYS}


@pytest.mark.slow
@pytest.mark.parametrize("part", RUN, ids=lambda part: f"{part.page}-{'-'.join(part.extras)}-{len(part.commands)}")
def test_the_commands_start(part: Shown, programs: Callable[[tuple[str, ...]], Path], folder: Path) -> None:
    variables = environments.variables(programs(part.extras), folder / "home")
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = {"serve": one.getsockname()[1], "osc": other.getsockname()[1]}
    lasting: list[subprocess.Popen[bytes]] = []
    try:
        for command in part.commands:
            fitting = command.replace("4360", str(ports["serve"]))
            for pattern, replacement in TO_FIT.items():
                fitting = fitting.replace(pattern, replacement)
            words = shlex.split(fitting, comments=True)
            words += ["--port", str(ports[words[1]])] if words[1] in ports else ["--json"] * (words[1] == "build")
            log = folder / f"{len(list(folder.glob('*.log')))}.log"
            with log.open("wb") as output:
                process = subprocess.Popen(words, cwd=folder, env=variables, stdout=output, stderr=output)
            lasting.append(process)
            deadline = time.monotonic() + SECONDS
            while process.poll() is None and not re.search(STAYS.get(words[1], "$^"), log.read_text("utf-8")):
                assert time.monotonic() < deadline, log.read_text("utf-8")
                time.sleep(0.05)
            assert process.poll() in (None, 0), f"{command}\n{log.read_text('utf-8')}"
            if words[1] == "build":
                _end(process)
    finally:
        for process in reversed(lasting):
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.mark.slow
def test_without_extras_it_says_what_to_install(programs: Callable[[tuple[str, ...]], Path], folder: Path) -> None:
    """And shows thereby that an environment here holds no more than it should."""
    variables = environments.variables(programs(()), folder / "home")
    words = ["omniaudio", "generate", "clip.mp4"]
    done = subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.NO_BACKEND
    assert done.stderr.splitlines()[-1] == (
        "No back-end is installed: run `pip install '.[cpu]'` in OmniAudio's folder."
    )

"""Fixtures for the tests of several packages, and the distribution of tests among processes.

What needs more than pytest is imported where it is used: this is read in Blender's Python too.
"""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.paths import FOOTAGE, REAL_FOOTAGE, SHARED

if TYPE_CHECKING:
    from support.running_service import RunningService

SLOW_FILES = ("test_in_blender.py", "test_full_size.py", "test_blender_page.py", "test_builder.py", "window/")
"""Files and folders that take minutes: they start first, so that no core is idle at the end."""
APART = ("test_in_blender.py", "test_blender_page.py")
"""Files whose tests share nothing, so that they need not run one after the other."""


def pytest_configure() -> None:
    """A shell that runs the tests in the background has them ignore Ctrl C, and so would the programs that they start,
    some of which are to be interrupted by it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not any(part in item.path.as_posix() for part in SLOW_FILES))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Where pytest-xdist distributes tests, those of a file stay together, as they share what they start; but a test
    of `APART` may run anywhere."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - Blender's Python has none

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return nodeid if file.endswith(APART) else file

    return Files(config, log)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material beside the checkout; a test that needs it is skipped where it is missing."""
    folder = SHARED
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared with reference material")
    return folder


@pytest.fixture(params=[FOOTAGE, REAL_FOOTAGE], ids=lambda path: path.stem)
def footage(request: pytest.FixtureRequest) -> Path:
    """40 s of 360° video, 1202 frames shown 644 x 322, silent: self-made, and of a real camera where `../shared` is."""
    path: Path = request.param
    if not path.is_file():
        pytest.skip(f"needs ../shared/media/{path.name}, the footage of a real camera")
    return path


@pytest.fixture(scope="session")
def panorama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still panorama, 1024 x 512, whose edges meet."""
    from support.panoramas import write_panorama  # noqa: PLC0415

    return write_panorama(tmp_path_factory.mktemp("images") / "panorama.png")


@pytest.fixture(scope="session")
def still(panorama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The panorama, 256 x 128."""
    from PIL import Image  # noqa: PLC0415

    path = tmp_path_factory.mktemp("stills") / "still.png"
    Image.open(panorama).resize((256, 128)).save(path)
    return path


@pytest.fixture(scope="session")
def engine(panorama: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator["RunningService"]:
    """`omniaudio serve` with the draft model, as a process; it may read what lies under pytest's folder."""
    from support.running_service import RunningService  # noqa: PLC0415

    service = RunningService(tmp_path_factory.mktemp("engine") / "service", tmp_path_factory.getbasetemp())
    service.start()
    yield service
    service.stop()

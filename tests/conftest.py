"""Fixtures that more than one package's tests use."""

import signal
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
LONGEST = ("test_in_blender.py", "test_full_size.py", "test_blender_page.py", "test_builder.py", "window/")
"""Files and folders that take minutes: they begin first, so that no core is idle at the end."""
APART = ("test_in_blender.py", "test_blender_page.py")
"""Files whose tests share nothing, so that they need not run one after the other."""


def pytest_configure() -> None:
    """A shell that runs the tests in the background has them ignore Ctrl C, and so would the programs that they start,
    some of which are to be interrupted by it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not any(part in item.path.as_posix() for part in LONGEST))


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
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared with reference material")
    return folder

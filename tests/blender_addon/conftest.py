"""Engines of the extension, without Blender. What needs more than the standard library is imported where it is used:
this is read in Blender's Python too."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from blender_addon.service.service import Service


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], "Service"]]:
    """Makes Engines on one folder, with this environment's program; they are stopped in the end."""
    pytest.importorskip("fastapi")
    from blender_addon.service.service import Service  # noqa: PLC0415
    from blender_addon.service.service_watch import ServiceChoice  # noqa: PLC0415

    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    made: list[Service] = []

    def make() -> Service:
        service = Service(tmp_path / "service")
        service.configure(ServiceChoice(program=sys.executable))
        made.append(service)
        return service

    yield make
    for service in made:
        service.stop()

"""Models to generate with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from panoramas import write_panorama
from running import Running

from omniaudio import zoo
from trt_engine.bundle import BUNDLE_FILE


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> zoo.Model:
    """A small model with random weights and the bundle that was exported of it; needs torch, and half a minute."""
    pytest.importorskip("torch")
    from tiny import write_model  # noqa: PLC0415 - needs torch

    from trt_engine.export import export_model  # noqa: PLC0415

    model = write_model(tmp_path_factory.mktemp("models") / "tiny")
    export_model(model)
    return model


@pytest.fixture(scope="session")
def model(request: pytest.FixtureRequest) -> zoo.Model:
    """The draft model, or the small one in a tree that has no draft yet."""
    if (zoo.PACKAGED / "draft" / BUNDLE_FILE).is_file():
        return zoo.find("draft")
    small: zoo.Model = request.getfixturevalue("tiny")
    return small


@pytest.fixture(scope="session")
def panorama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still panorama whose edges meet."""
    return write_panorama(tmp_path_factory.mktemp("pictures") / "panorama.png")


@pytest.fixture(scope="session")
def engine(panorama: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`omniaudio serve` with the draft model, as a process; it may read what lies under pytest's folder."""
    service = Running(tmp_path_factory.mktemp("engine") / "service", tmp_path_factory.getbasetemp())
    service.start()
    yield service
    service.stop()

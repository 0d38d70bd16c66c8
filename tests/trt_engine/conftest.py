"""Models to generate with."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
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
    azimuth = np.linspace(np.pi, -np.pi, 1024, endpoint=False)
    elevation = np.linspace(np.pi / 2, -np.pi / 2, 512)
    waves = [np.cos(elevation)[:, None] * np.cos(azimuth + turn) for turn in (0.0, 1.0, 2.0)]
    path = tmp_path_factory.mktemp("pictures") / "panorama.png"
    Image.fromarray(np.stack([127 + 120 * wave for wave in waves], axis=-1).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def engine(panorama: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`omniaudio serve` with the draft model, as a process; it may read what lies under pytest's folder."""
    pytest.importorskip("fastapi")
    service = Running(tmp_path_factory.mktemp("engine") / "service", tmp_path_factory.getbasetemp())
    service.start()
    yield service
    service.stop()

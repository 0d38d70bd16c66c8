"""A clip for quick jobs."""

import os
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture(scope="session")
def still(panorama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small still panorama."""
    path = tmp_path_factory.mktemp("stills") / "still.png"
    Image.open(panorama).resize((256, 128)).save(path)
    return path


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers leave cores to the others."""
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))

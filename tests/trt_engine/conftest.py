"""Models to generate with."""

import os

import pytest
from filelock import FileLock

from omniaudio.model_zoo import registry
from trt_engine.compile.bundle import BUNDLE_FILE


@pytest.fixture(scope="session")
def model() -> registry.Model:
    """The draft model, which generates a mono stem of a given kind and has no vision encoder."""
    return registry.find(registry.DRAFT)


@pytest.fixture(scope="session")
def joint(tmp_path_factory: pytest.TempPathFactory) -> registry.Model:
    """A small model of the released form with random weights and a vision encoder, and its exported bundle.

    Needs torch and transformers, and half a minute, once for all processes that test.
    """
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from benchmarks.prepare import MODEL, write_model  # noqa: PLC0415
    from support.released_form import models_in, write_config  # noqa: PLC0415 - needs torch
    from trt_engine.bundling.export import export_model  # noqa: PLC0415

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "joint"
    with FileLock(f"{folder}.lock"), models_in(folder):
        if not (folder / MODEL / BUNDLE_FILE).is_file():
            folder.mkdir(exist_ok=True)
            export_model(write_model(write_config(folder / "config.json"), folder))
        return registry.find(MODEL)

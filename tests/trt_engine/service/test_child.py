"""What a worker process is given, and how its end is told."""

import asyncio
from pathlib import Path

import pytest

from trt_engine.service.jobs import child
from trt_engine.service.jobs.child import Child, _how
from trt_engine.service.worker.gpu import environment


@pytest.mark.parametrize(
    ("device", "given", "seen"),
    [
        ("cpu", None, ""),
        ("cpu", "0,1", ""),
        ("cuda:0", None, "0"),
        ("cuda:1", None, "1"),
        ("cuda:1", "4, 7", "7"),
        ("cuda:2", "4,7", ""),
        ("cuda:0", "", ""),
        ("cuda:0", "GPU-8932f937", "GPU-8932f937"),
    ],
)
def test_a_worker_sees_its_own_device_alone(
    monkeypatch: pytest.MonkeyPatch, device: str, given: str | None, seen: str
) -> None:
    monkeypatch.setenv("KEPT", "as it is")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    given_to_it = environment(device)
    assert (given_to_it["CUDA_VISIBLE_DEVICES"], given_to_it["KEPT"]) == (seen, "as it is")


def test_a_worker_imports_nothing_from_the_folder_that_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the one with the clips."""
    (tmp_path / "filelock.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(child, "END_SECONDS", 120.0)

    async def run() -> str:
        return await (await Child.start("cpu", tmp_path)).end()

    assert asyncio.run(run()) == "ended with the exit code 0"


@pytest.mark.parametrize(
    ("code", "words"),
    [(-9, "too little memory"), (-11, "crashed (SIGSEGV)"), (-250, "crashed (signal 250)"), (3, "the exit code 3")],
)
def test_an_end_is_told(code: int, words: str) -> None:
    assert words in _how(code)

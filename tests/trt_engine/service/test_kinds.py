"""The kinds of jobs: what their list promises to the rooms that derive from it."""

import subprocess
import sys

import pytest

from trt_engine.service.jobs.job import Job
from trt_engine.service.kinds.inspect import InspectResult
from trt_engine.service.kinds.registry import KINDS, REQUESTS
from trt_engine.service.kinds.result import Result


def test_each_kind_has_its_name_once() -> None:
    assert len(set(KINDS)) == len(KINDS) == len(REQUESTS)


def test_results_are_told_apart_by_a_field_of_their_own() -> None:
    """Else one would be read as another's."""
    derived = {kind.result for kind in REQUESTS} - {Result}
    for result in derived:
        own = {name for name, field in result.model_fields.items() if field.is_required()} - set(Result.model_fields)
        assert own, result
        assert all(not own & set(other.model_fields) for other in derived - {result}), result


@pytest.mark.parametrize(
    "result",
    [
        Result(model="draft", backend="torch"),
        InspectResult(sources={"version": 1, "seconds": 1, "sources": [], "bed": None}),
    ],
)
def test_a_job_keeps_the_result_of_its_kind(result: Result) -> None:
    request = {"source": {"path": "/a"}}
    job = Job(id="0" * 32, state="done", request=request, created="2026-01-01T00:00:00Z", result=result)
    read = Job.model_validate_json(job.model_dump_json())
    assert type(read.result) is type(result)
    assert read == job


def test_the_service_starts_without_what_only_workers_need() -> None:
    code = (
        "import sys, trt_engine.service.api.server; "
        "print(*(name for name in ('onnxruntime', 'torch', 'omniaudio.generation.takes', "
        "'omniaudio.export360.spatial_video', 'trt_engine.runtime.open') if name in sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""

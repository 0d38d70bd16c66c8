"""The schema: the documentation matches it, and the service follows it."""

import shutil
import subprocess
import sysconfig
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from omniaudio.model_zoo import registry
from support.http_service import serving
from support.paths import REPOSITORY
from trt_engine.service.api.routes import create_api
from trt_engine.service.jobs.supervisor import Supervisor
from trt_engine.service.settings import LOG, Settings

PAGE = REPOSITORY / "docs" / "service.md"
BEGIN, END = "<!-- endpoints -->\n", "<!-- /endpoints -->"
REFUSED = "#/components/schemas/ErrorAnswer"


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    settings = Settings(folder=tmp_path_factory.mktemp("service"))
    return create_api(settings, Supervisor(settings)).openapi()


def operations(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }


def table(schema: dict[str, Any]) -> str:
    """The endpoints as the page shows them."""
    rows = ["| request | what it does | answer | refused with |", "| --- | --- | --- | --- |"]
    for name, operation in sorted(operations(schema).items(), key=lambda item: item[0].split()[::-1]):
        answers = operation["responses"].items()
        good = ", ".join(_answer(status, answer) for status, answer in sorted(answers) if int(status) < 400)
        bad = ", ".join(status for status in sorted(operation["responses"]) if int(status) >= 400)
        rows.append(f"| `{name}` | {operation['description']} | {good} | {bad} |")
    return "\n".join(rows) + "\n"


def _answer(status: str, answer: dict[str, Any]) -> str:
    content = answer.get("content", {})
    model = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
    return f"{status} `{model}`" if model else f"{status} {', '.join(content)}".strip()


def test_the_page_lists_the_endpoints_of_the_schema(schema: dict[str, Any]) -> None:
    listed = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert listed == table(schema), f"docs/service.md lacks this table:\n{table(schema)}"


def test_every_refusal_is_documented_and_the_same(schema: dict[str, Any]) -> None:
    for name, operation in operations(schema).items():
        refusals = {int(status): answer for status, answer in operation["responses"].items() if int(status) >= 400}
        always = {403, 500} if name == "GET /v1/health" else {401, 403, 500}
        assert always <= refusals.keys(), name
        for status, answer in refusals.items():
            assert answer["content"] == {"application/json": {"schema": {"$ref": REFUSED}}}, (name, status)
            assert HTTPStatus(status)


def test_everything_but_health_wants_the_token(schema: dict[str, Any]) -> None:
    open_ones = [name for name, operation in operations(schema).items() if "security" not in operation]
    assert open_ones == ["GET /v1/health"]


@pytest.mark.slow
def test_schemathesis_finds_nothing(tmp_path: Path, panorama: Path, model: registry.Model) -> None:
    """All checks, over a service with a real job that is done."""
    roots = tmp_path / "roots"
    roots.mkdir()
    clip = shutil.copy(panorama, roots)
    # As long as the schema lets a job be, since it cannot tell what this service is set to.
    settings = Settings(folder=tmp_path / "service", port=0, roots=(roots,), max_seconds=360_000)
    with serving(settings) as client:
        request = {"source": {"path": str(clip)}, "duration": 0.5, "options": {"model": model.name, "steps": 1}}
        job_id = client.ask("POST", "/v1/jobs", request).json["id"]
        with client.events(job_id) as events:
            *_, (_, job) = events
        assert job["state"] == "done", job["error"]
        config = tmp_path / "schemathesis.toml"
        config.write_text(f"""
            headers = {{ Authorization = "{client.authorization["Authorization"]}" }}
            [[operations]]
            include-method = "GET"
            include-path-regex = "^/v1/jobs/"
            parameters = {{ "path.job_id" = "{job_id}", "path.name" = "{job["result"]["takes"][0]["sound"]["name"]}" }}
            # No schema says that the times of a path rise, or what does not go together.
            [[operations]]
            include-name = "POST /v1/jobs"
            checks.positive_data_acceptance.expected-statuses = ["2xx", 404, 409, 422]
            # A stream without an end.
            [[operations]]
            include-path = "/v1/blenders/events"
            enabled = false
        """)
        found = subprocess.run(
            [
                str(Path(sysconfig.get_path("scripts")) / "schemathesis"),
                f"--config-file={config}",
                "run",
                f"{client.service.url}/v1/openapi.json",
                "--checks=all",
                "--max-examples=10",
                "--seed=1",
                "--generation-database=none",
                "--no-color",
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=tmp_path,
        )
        assert found.returncode == 0, found.stdout + found.stderr
        assert "Operations:       18 selected / 19 total" in found.stdout
    log = settings.folder / LOG
    assert not log.exists() or "Traceback" not in log.read_text()

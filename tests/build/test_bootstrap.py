"""The command line of build/bootstrap.py, and what .ci/run starts from."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from support.paths import REPOSITORY

TOOLS = ["ruff", "importlinter", "mypy", "pytest"]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that a task runs, which are only noted here; every environment is there."""
    commands: list[list[str]] = []

    def run(command: Sequence[str]) -> int:
        commands.append(list(command[1:]))
        return 0

    monkeypatch.setattr(bootstrap, "run", run)
    monkeypatch.setattr(bootstrap, "ensure", lambda name, wanted, requirements: bootstrap.python_of(name))
    monkeypatch.setattr(bootstrap, "ensure_blender", lambda name, more: bootstrap.python_of(name))
    return commands


def load() -> ModuleType:
    """build/bootstrap.py, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("bootstrap", REPOSITORY / "build" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bootstrap = load()


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", *words])
    return int(bootstrap.main())


def test_words_after_two_dashes_go_to_pytest_and_nothing_else_runs(
    ran: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(monkeypatch, "test", "--", "tests/osc_bridge", "-k", "sender", "--", "-x") == 0
    assert ran == [["-m", "pytest", "tests/osc_bridge", "-k", "sender", "--", "-x"]]


def test_quick_is_lint_and_the_quick_tests(ran: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "quick") == 0
    tools = [next(tool for tool in TOOLS if tool in command[1]) for command in ran]
    assert sorted(tools) == ["importlinter", "mypy", "pytest", "ruff", "ruff"]
    assert [command[-2:] for command in ran if command[1] == "pytest"] == [["-m", "not slow"]]


@pytest.mark.parametrize("fails", TOOLS)
def test_whatever_fails_the_whole_fails(fails: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "dev", lambda: 0)
    monkeypatch.setattr(bootstrap, "run", lambda command: int(fails in command[2]))
    assert call(monkeypatch, "test") == 1


def test_an_environment_is_installed_once_until_the_lock_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(REPOSITORY / name, tmp_path)
    installed: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "REPOSITORY", tmp_path)
    monkeypatch.setattr(bootstrap, "run", lambda command: installed.append(command[2:]) or 0)
    python = Path(bootstrap.python_of(".venv"))  # is there, so that no environment has to be made
    python.parent.mkdir(parents=True)
    python.touch()
    for _ in range(2):
        assert bootstrap.ensure_engine(["cpu"]) == str(python)
    once = ["pip", "install", "--quiet", "--disable-pip-version-check", "-c", "requirements.lock", "-e", ".[cpu]"]
    assert installed == [once]
    with (tmp_path / "requirements.lock").open("a") as lock:
        lock.write("another==1.0\n")
    bootstrap.ensure_engine(["cpu"])
    assert installed == [once, once]


def test_what_the_lock_lacks_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bootstrap, "REPOSITORY", tmp_path)
    (tmp_path / "requirements.lock").write_text("pytest-xdist==3.8.0  # via omniaudio-blender\n")
    assert bootstrap.locked("pytest-xdist") == "pytest-xdist==3.8.0"
    with pytest.raises(SystemExit, match=r"requirements\.lock has no pytest: rewrite it"):
        bootstrap.locked("pytest")


def test_a_command_that_a_signal_ends_has_failed() -> None:
    assert bootstrap.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 15)"]) == 15


def test_only_test_takes_words_for_pytest(
    ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, "demo", "--", "-x")
    assert stopped.value.code == 2
    assert "only the task test takes arguments" in capsys.readouterr().err
    assert ran == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("name", [".venv", ".venv-bpy50"])
def test_ci_refuses_to_start_with_an_environment(name: str, tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(REPOSITORY / ".ci" / "run", tmp_path / ".ci")
    (tmp_path / name).symlink_to(tmp_path / "missing")
    done = subprocess.run(["bash", ".ci/run"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"{name} exists, and CI starts without an environment. Run this in a fresh clone.\n"

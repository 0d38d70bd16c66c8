"""Sets up what a task needs and runs the task: `python build/bootstrap.py TASK`.

demo, test, bench, lint, dev and clean are tasks, and quick, which is lint and the quick tests. `test -- ARGUMENTS` runs
only pytest, with these arguments: `test -- tests/osc_bridge -k sender`. lock writes requirements.lock anew.

Standard library only, Python 3.11, no root, no make; on Linux, macOS and Windows. The environments lie in the
checkout: `.venv` has the engine, `.venv-bpy50` and `.venv-bpy45` have Blender as a module. They hold the versions of
requirements.lock. They are made once, and again only when what they hold changes; the engine is installed editable, so
that source needs no reinstallation.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHON = (3, 11)  # the one that Blender's modules are built for
ENGINE = ".venv"
BLENDER, BLENDER_LTS = ".venv-bpy50", ".venv-bpy45"
BLENDERS = {BLENDER: "bpy==5.0.1", BLENDER_LTS: "bpy==4.5.15"}
BLENDERS_NUMPY = "numpy==1.26.4"  # bpy does not say which it was built with
STAMP = "omniaudio.json"  # in each environment: what it holds
LOCK = "requirements.lock"
LOCKER, LOCKER_TOOL = ".venv-lock", "uv==0.13.9"  # pip locks for its own platform only, uv for all
DEBIAN_LIBRARIES = "libegl1 libgl1 libice6 libsm6 libx11-6 libxext6 libxfixes3 libxi6 libxkbcommon0 libxrender1"
WORKING_EXTRAS = ["cpu", "dev", "released", "rtx", "torch"]
MADE = [
    ".cache/benchmarks",
    ".cache/evaluation",
    "dist",
    "demo/demo*",
    "demo/table.txt",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
]


def main() -> int:
    """Runs the task that the command line names. Returns its exit status."""
    tasks = {
        "demo": demo,
        "test": test,
        "quick": quick,
        "bench": bench,
        "lint": lint,
        "dev": dev,
        "lock": lock,
        "clean": clean,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=tasks)
    words, for_pytest = split(sys.argv[1:])
    task = parser.parse_args(words).task
    if for_pytest and task != "test":
        parser.error(f"only the task test takes arguments after --, {task} takes none")
    if sys.version_info[:2] != PYTHON:
        here = ".".join(map(str, sys.version_info[:2]))
        raise SystemExit(f"This is Python {here}; start it with Python {'.'.join(map(str, PYTHON))} instead.")
    return some_tests(for_pytest) if for_pytest else tasks[task]()


def split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The words before the first `--` and those after it."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def demo() -> int:
    """Runs the demo, which prints its table and leaves its files in demo/."""
    engine = ensure_engine(["cpu", "evaluation"])
    blender = ensure_blender(BLENDER, [])
    return run([engine, "demo/run.py", blender])


def test() -> int:
    """Lint, types and all tests, the slow ones too."""
    dev()
    return checked_and_tested([])


def some_tests(arguments: Sequence[str]) -> int:
    """pytest alone, with these arguments."""
    dev()
    return run([python_of(ENGINE), "-m", "pytest", *arguments])


def quick() -> int:
    """Lint, types and the quick tests, in a few minutes; they need no Blender."""
    ensure_engine(WORKING_EXTRAS)
    return checked_and_tested(["-m", "not slow"])


def checked_and_tested(arguments: Sequence[str]) -> int:
    """Style, then types beside all tests that pytest selects by these arguments."""
    if style():
        return 1
    # One more than there are cores: tests wait for the programs that they start. tests/conftest.py shares them out.
    processes = ["-n", str((os.cpu_count() or 1) + 1), "--no-loadscope-reorder"]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ThreadPoolExecutor() as pool:
        typed = pool.submit(types)
        tested = run([python_of(ENGINE), "-m", "pytest", "-q", *processes, *arguments])
    return max(typed.result(), tested)


def bench() -> int:
    """Measures time and memory on this machine's CPU and writes docs/benchmarks.md; takes about 40 minutes."""
    return run([ensure_engine(["cpu", "released", "torch"]), "-m", "benchmarks"])


def lint() -> int:
    """Lint, format, imports and types."""
    ensure_engine(WORKING_EXTRAS)
    return max(style(), types())


def style() -> int:
    """Lint, format, and which package imports which; takes a few seconds."""
    tools = (
        ["-m", "ruff", "check", "."],
        ["-m", "ruff", "format", "--check", "."],
        ["-c", "from importlinter.cli import lint_imports_command as check; check()", "--no-cache", "--no-logo"],
    )
    return max(run([python_of(ENGINE), *tool]) for tool in tools)


def types() -> int:
    """Takes a minute on one core without a cache."""
    return run([python_of(ENGINE), "-m", "mypy"])


def dev() -> int:
    """All environments, for working on the project."""
    with ThreadPoolExecutor() as pool:
        made = [pool.submit(ensure_engine, WORKING_EXTRAS)]
        made += [pool.submit(ensure_blender, name, [locked("pytest")]) for name in BLENDERS]
    for environment in made:
        environment.result()
    return 0


def lock() -> int:
    """Writes requirements.lock from pyproject.toml, for all platforms. A version that still fits stays; if the file was
    removed before, every package gets the newest that fits."""
    locker = ensure(LOCKER, [LOCKER_TOOL], [LOCKER_TOOL])
    compile_ = [locker, "-m", "uv", "pip", "compile", "pyproject.toml", "--output-file", LOCK, "--quiet"]
    compile_ += ["--all-extras", "--universal", "--python-version", ".".join(map(str, PYTHON))]
    # Nothing of this machine: neither its registry nor its settings.
    compile_ += ["--no-config", "--no-emit-index-url", "--no-emit-find-links"]
    compile_ += ["--annotation-style", "line", "--custom-compile-command", "make lock"]
    return run(compile_)


def clean() -> int:
    """Removes what the tasks made, except the environments."""
    for pattern in MADE:
        for path in REPOSITORY.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return 0


def ensure_engine(extras: Sequence[str]) -> str:
    """The Python of an environment that has the package with these extras of pyproject.toml."""
    held = {extra for extra in holds(ENGINE).get("wanted", []) if extra in project()["optional-dependencies"]}
    wanted = sorted(held.union(extras))
    # Constraints and no hashes: each task installs what it needs of the lock, pip cannot hash an editable project, and
    # one version of torch has several builds (CPU, CUDA) of different content.
    return ensure(ENGINE, wanted, ["-c", LOCK, "-e", f".[{','.join(wanted)}]"])


def ensure_blender(name: str, more: Sequence[str]) -> str:
    """The Python of an environment that has Blender as a module, and `more`."""
    held = set(holds(name).get("wanted", [])) if BLENDERS[name] in holds(name).get("wanted", []) else set()
    wanted = sorted(held.union([BLENDERS[name], BLENDERS_NUMPY, *more]))
    python = ensure(name, wanted, wanted)
    check = subprocess.run([python, "-c", "import bpy"], capture_output=True, text=True, check=False)
    if check.returncode:
        reason = (check.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SystemExit(
            f"Blender's module does not start ({reason}); if a system library is missing, "
            f"Debian and Ubuntu have it: apt-get install {DEBIAN_LIBRARIES}"
        )
    return python


def ensure(name: str, wanted: Sequence[str], requirements: Sequence[str]) -> str:
    """The Python of the environment `name`, in which pip has installed `requirements`; at once if `wanted`, the
    project and the lock are those of the last time."""
    # The folder too: an environment that was moved or copied does not work.
    stamp = {"wanted": list(wanted), "project": project(), "lock": lock_digest(), "folder": str(REPOSITORY)}
    folder, python = REPOSITORY / name, python_of(name)
    if holds(name) == stamp and Path(python).exists():
        return python
    print(f"Setting up {name}: {', '.join(wanted)}", flush=True)
    if not Path(python).exists() or holds(name).get("folder", str(REPOSITORY)) != str(REPOSITORY):
        try:
            venv.create(folder, with_pip=True, clear=True)
        except subprocess.CalledProcessError as error:
            raise SystemExit("Python has no ensurepip; on Debian and Ubuntu: apt-get install python3-venv.") from error
    (folder / STAMP).unlink(missing_ok=True)
    if run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]):
        raise SystemExit(f"pip could not set up {name}; its reason is above.")
    (folder / STAMP).write_text(json.dumps(stamp), "utf-8")
    return python


def holds(name: str) -> dict[str, Any]:
    """The stamp of an environment; empty if it has none."""
    try:
        stamp: dict[str, Any] = json.loads((REPOSITORY / name / STAMP).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp


def project() -> dict[str, Any]:
    """What pyproject.toml says of the package; the settings of the tools need no reinstallation."""
    table: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def lock_digest() -> str:
    """SHA-256 of requirements.lock; empty without it, as when it is about to be rewritten."""
    path = REPOSITORY / LOCK
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def locked(package: str) -> str:
    """The requirement of a package as requirements.lock has it: `pytest==9.2.0`."""
    found = re.search(rf"^{re.escape(package)}==\S+", (REPOSITORY / LOCK).read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{LOCK} has no {package}: rewrite it with `python build/bootstrap.py lock`.")
    return found[0]


def python_of(name: str) -> str:
    """The Python of an environment, which need not exist."""
    return str(REPOSITORY / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def run(command: Sequence[str]) -> int:
    """Runs a command in the checkout; its exit status, or the number of the signal that ended it."""
    return abs(subprocess.run(command, cwd=REPOSITORY, check=False).returncode)


if __name__ == "__main__":
    sys.exit(main())

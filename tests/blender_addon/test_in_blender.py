"""Runs the tests of `in_blender/` in each Blender that the bootstrap has made an environment for."""

import os
import subprocess
from pathlib import Path

import pytest

from support.paths import REPOSITORY

TESTS = Path(__file__).parent / "in_blender"


@pytest.mark.slow
@pytest.mark.parametrize("environment", [".venv-bpy50", ".venv-bpy45"])
def test_the_extension_in_blender(environment: str) -> None:
    programs = [REPOSITORY / environment / part for part in ("bin/python", "Scripts/python.exe")]
    python = next((program for program in programs if program.exists()), None)
    if python is None:
        pytest.skip(f"needs {environment}, which `python build/bootstrap.py test` makes")
    command = [str(python), "-m", "pytest", str(TESTS), "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]

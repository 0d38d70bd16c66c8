"""A whole Blender in a window, with the extension as a user installs it; skipped where there is none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.blender_window.live_blender import LiveBlender, environment
from support.blender_window.screen import REPOSITORY, Screen, in_blender_s_system

ARTEFACTS = REPOSITORY / "artefacts" / "window"
FRAMES = 90
"""Of the clip that sound is made for, at 30 a second."""

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def whole_blender() -> None:
    """There is one."""
    trial = subprocess.run(in_blender_s_system(["true"]), capture_output=True, text=True, check=False)
    if trial.returncode:
        pytest.skip(trial.stderr.strip())


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """A folder for what people look at after the tests."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    print(f"Screenshots and figures: {ARTEFACTS}")
    return ARTEFACTS


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the built zip and the index of its repository."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, str(REPOSITORY / "build" / "build_addon.py"), str(folder)], check=True)
    return folder


@pytest.fixture(scope="session")
def extension_zip(dist: Path) -> Path:
    return next(dist.glob("*.zip"))


@pytest.fixture(scope="session")
def service_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `omniaudio` as Blender sees it: this environment's, outside of Blender's system."""
    program = tmp_path_factory.mktemp("bin") / "omniaudio"
    program.write_text(f'#!/bin/sh\nexec chroot /host {sys.executable} -m omniaudio.cli "$@"\n')
    program.chmod(0o755)
    return program


@pytest.fixture(scope="session")
def extension_command(whole_blender: None, service_program: Path) -> Callable[..., str]:
    """Runs Blender's own command `extension` for the user folder `user`; returns what it says."""

    def run(user: Path, *words: str) -> str:
        user.mkdir(parents=True, exist_ok=True)
        command = in_blender_s_system(["blender", "--online-mode", "--command", "extension", *words])
        done = subprocess.run(
            command, env=environment(user, service_program), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def installed(
    extension_command: Callable[..., str], extension_zip: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A user's folder of Blender with the extension, installed from the zip and enabled."""
    user = tmp_path_factory.mktemp("user")
    extension_command(user, "install-file", "-r", "user_default", "-e", str(extension_zip))
    return user


@pytest.fixture
def start_blender(installed: Path, service_program: Path, tmp_path: Path) -> Iterator[Callable[..., LiveBlender]]:
    """Starts Blenders of one user, who so have one service; each on a screen of its own."""
    user = tmp_path / "user"
    shutil.copytree(installed, user)
    started: list[LiveBlender] = []

    def start() -> LiveBlender:
        log = tmp_path / f"blender_{len(started) + 1}.log"
        started.append(LiveBlender(Screen(), user, service_program, log))
        return started[-1]

    yield start
    for blender in reversed(started):
        blender.quit()
        blender.screen.close()
    for blender in started:
        assert "Traceback" not in (said := blender.log.read_text(errors="replace")), said[-3000:]


@pytest.fixture
def live_blender(start_blender: Callable[..., LiveBlender]) -> LiveBlender:
    """One, with the file that it starts with."""
    return start_blender()


@pytest.fixture
def place_panorama(panorama: Path, tmp_path: Path) -> Callable[..., Path]:
    """Places the clip in a Blender's sequencer, saves, and opens the sidebar; returns the .blend."""

    def place(blender: LiveBlender, name: str = "forest", frames: int = FRAMES) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        blend = folder / f"{name}.blend"
        blender.do(
            "scene = bpy.context.window_manager.windows[0].scene\n"
            "scene.render.fps = 30\n"
            "editor = scene.sequence_editor_create()\n"
            f"strip = editor.strips.new_image('panorama', {os.fspath(panorama)!r}, 1, 1)\n"
            f"strip.frame_final_duration = {frames}\n"
            "editor.active_strip = strip\n"
            "show_sequencer()\n"
            f"bpy.ops.wm.save_as_mainfile(filepath={os.fspath(blend)!r})\n"
            "bpy.ops.ed.undo_push(message='panorama')"
        )
        blender.open_sidebar()
        return blend

    return place

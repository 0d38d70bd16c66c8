"""docs/blender.md: its examples do what it says, in Blender; what it quotes is what the panels and errors say."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from support.panoramas import write_panorama
from support.paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "blender.md"
STAND_IN = Path(__file__).with_name("bpy_as_blender.py")
SECONDS = 300.0
FRAMES = 48
"""Of the video in the examples, at 24 a second."""

SCENE = f"""
import os
import bpy
bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
bpy.ops.preferences.addon_enable(module="bl_ext.user_default.omniaudio")
scene = bpy.context.scene
scene.frame_end = {FRAMES}
camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
scene.collection.objects.link(camera)
scene.camera = camera
strip = scene.sequence_editor_create().strips.new_image("harbour", os.path.abspath("harbour.png"), 1, 1)
strip.frame_final_duration = {FRAMES}
scene.omniaudio.width, scene.omniaudio.samples, scene.omniaudio.frames_per_second = 256, 1, 2
bpy.ops.wm.save_as_mainfile(filepath="scene.blend")
"""
WHAT_LIES_THERE = """
import bpy
for strip in bpy.data.scenes[0].sequence_editor.strips_all:
    kept = strip.get("omniaudio")
    if kept is not None and kept["role"] == "master":
        seed = kept["options"]["seed"]
        print("MASTER", strip.sound.filepath, strip.frame_final_start, strip.frame_final_duration, seed)
"""

Run = Callable[[str], subprocess.CompletedProcess[str]]


def shell_examples() -> list[str]:
    """The command lines, in the order of the page."""
    return [line.strip() for line in re.findall(r"```sh\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL)]


def scripts() -> dict[str, str]:
    """The Python files, by their names."""
    return dict(re.findall(r"<!-- (\S+\.py) -->\n```python\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL))


@pytest.fixture(params=["bpy 5.0", "Blender 5.2"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Runs a line of shell in `tmp_path`, where `blender` and `python` are the ones of a Blender."""
    pytest.importorskip("fastapi")  # the service is the one of this environment
    programs = tmp_path / "bin"
    programs.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "BLENDER_USER_RESOURCES": str(tmp_path / "user"),
        "OMNIAUDIO_PYTHON": sys.executable,
        "OMP_NUM_THREADS": "1",
    }
    if request.param == "bpy 5.0":
        python = REPOSITORY / ".venv-bpy50" / "bin" / "python"
        if not python.exists():
            pytest.skip("needs .venv-bpy50, which `python build/bootstrap.py test` makes")
        write_program(programs / "blender", f'exec {python} {STAND_IN} "$@"')
        write_program(programs / "python", f'exec {python} "$@"')
    else:
        inside = f"{sys.executable} {REPOSITORY / 'build' / 'blender_window.py'} run"
        trial = subprocess.run(f"{inside} true", shell=True, capture_output=True, text=True, check=False)
        if trial.returncode:
            pytest.skip(trial.stderr.strip())
        here = f'exec {inside} sh -c \'cd "$1"; shift; exec "$@"\' sh "$PWD"'
        write_program(programs / "blender", f'{here} /usr/bin/blender "$@"')
        # Debian's Blender is no module; it runs a script as one would be run, without a file and without preferences.
        as_script = "/usr/bin/blender -b --factory-startup --python-exit-code 1 --python"
        write_program(programs / "python", f'{here} {as_script} "$@"')
        write_program(programs / "omniaudio", f'exec chroot /host {sys.executable} -m omniaudio.cli "$@"')
        environment |= {"OMNIAUDIO_PYTHON": str(programs / "omniaudio"), "HOME": str(tmp_path)}
    (tmp_path / "user").mkdir()
    return lambda line: run_line(line, tmp_path, environment)


def write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def run_line(line: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the examples are for a POSIX shell")
def test_the_examples_do_what_the_page_says(run: Run, tmp_path: Path) -> None:
    def succeeds(line: str) -> str:
        done = run(line)
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{line}\n{said[-4000:]}"
        assert "Traceback" not in said, said[-4000:]
        return said

    def masters() -> list[list[str]]:
        said = succeeds("blender -b scene.blend --python-exit-code 1 --python list.py")
        return [line.split()[1:] for line in said.splitlines() if line.startswith("MASTER")]

    write_panorama(tmp_path / "harbour.png")
    for name, text in {**scripts(), "video.py": SCENE, "list.py": WHAT_LIES_THERE}.items():
        (tmp_path / name).write_text(text, "utf-8")
    subprocess.run([sys.executable, str(REPOSITORY / "build" / "build_addon.py"), str(tmp_path / "dist")], check=True)
    install, scene, every_strip, export = shell_examples()

    succeeds(install)
    succeeds("python video.py")
    succeeds(scene)
    assert masters() == [["//scene_001.wav", "1", str(FRAMES), "0"]]
    succeeds(every_strip)
    assert [[file, seed] for file, _, _, seed in masters() if "harbour" in file] == [
        ["//harbour_001.wav", "7"],
        ["//harbour_001.take2.wav", "7"],
    ]
    succeeds(export)
    assert [seed for file, _, _, seed in masters() if file == "//harbour_002.wav"] == ["8"]
    assert (tmp_path / "harbour_360_001.mp4").stat().st_size > 0

    refused = run(scene.replace("bpy.ops.omniaudio", "bpy.context.scene.camera = None; bpy.ops.omniaudio"))
    assert refused.returncode == 1
    assert "has no camera; add one where the listener is" in refused.stdout + refused.stderr


def spoken(*folders: str) -> str:
    """The source of what speaks to a user, with pieces of text that Python joins joined, and quotes left out."""
    files = [path for folder in folders for path in sorted((REPOSITORY / folder).rglob("*.py"))]
    text = "\n".join(path.read_text("utf-8") for path in files)
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_the_names_of_panels_and_buttons_are_theirs() -> None:
    names = set(re.findall(r"\*\*(.+?)\*\*", PAGE.read_text("utf-8").replace("\n", " "))) - {"bold"}
    source = spoken("blender_addon")
    assert len(names) > 50
    assert [name for name in sorted(names) if f'"{name}' not in source] == []


def test_the_messages_are_theirs() -> None:
    table = PAGE.read_text("utf-8").split("## When something is wrong")[1].split("\n## ")[0]
    messages = [part for quoted in re.findall(r"^\| “(.+?)”", table, re.MULTILINE) for part in quoted.split(" … ")]
    source = spoken("blender_addon", "omniaudio", "omniaudio_client", "trt_engine")
    assert len(messages) > 15
    assert [message for message in messages if message not in source] == []


def test_the_links_lead_somewhere() -> None:
    text = PAGE.read_text("utf-8")
    targets = re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text)
    for file, anchor in targets:
        path = PAGE.parent / file if file else PAGE
        assert path.is_file(), file
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

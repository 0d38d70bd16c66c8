"""The built extension in Blender: valid, installed, enabled, disabled without a trace."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy


def test_blender_finds_the_extension_valid(extension_zip: Path) -> None:
    """What `blender --command extension validate` runs; it is a program of its own inside Blender."""
    program = Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py"
    done = subprocess.run(
        [sys.executable, str(program), "validate", str(extension_zip)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_enabled_it_has_its_operator_panel_and_settings(scene: bpy.types.Scene) -> None:
    assert scene.omniaudio.source == "STRIP"
    assert bpy.ops.omniaudio.generate.poll()
    assert not bpy.ops.omniaudio.cancel.poll()
    assert hasattr(bpy.types, "OMNIAUDIO_PT_generate")


def test_disabled_nothing_of_it_runs(installed: str, module: Callable[[str], ModuleType]) -> None:
    module("session.blender_service").service()
    bpy.ops.preferences.addon_disable(module=installed)
    try:
        handlers = [handler for name in dir(bpy.app.handlers) for handler in listed(getattr(bpy.app.handlers, name))]
        assert [handler for handler in handlers if handler.__module__.startswith(installed)] == []
        assert [thread.name for thread in threading.enumerate() if "omniaudio" in thread.name] == []
    finally:
        bpy.ops.preferences.addon_enable(module=installed)


def listed(handlers: object) -> list[Callable[..., object]]:
    return handlers if isinstance(handlers, list) else []


def test_disabled_it_leaves_nothing(installed: str) -> None:
    def names() -> set[str]:
        return {
            name for name in dir(bpy.types) + dir(bpy.types.Scene) + dir(bpy.types.Strip) if "omniaudio" in name.lower()
        }

    before = names()
    assert before
    for _ in range(2):
        bpy.ops.preferences.addon_disable(module=installed)
        assert names() == set()
        bpy.ops.preferences.addon_enable(module=installed)
        assert names() == before

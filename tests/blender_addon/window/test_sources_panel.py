"""The list of what sounds, by mouse and keys: detected, corrected by typing a name, undone, saved and reopened."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from support.blender_window.live_blender import LiveBlender

DETECT, ADD = "bpy.ops.omniaudio.detect_sources(", "bpy.ops.omniaudio.add_source("
ADD_FROM_RIGHT = 49
"""The plus beside the list, in pixels from the sidebar's right edge, where the tabs are."""
LISTED = "[entry.kind for entry in sequence().strips['panorama'].omniaudio_sources.entries]"

Place = Callable[..., Path]


def test_what_sounds_is_detected_and_corrected(
    live_blender: LiveBlender, place_panorama: Place, artefacts: Path
) -> None:
    blender = live_blender
    blend = place_panorama(blender)
    blender.click_button(DETECT)
    blender.wait_for("jobs()[-1:] and jobs()[-1]['state'] != 'running'")
    assert blender.jobs()[-1]["state"] == "done", blender.jobs()
    found = blender.ask(LISTED)
    blender.do("watch_parts(); gaps.start()")
    blender.click_button(ADD, ADD_FROM_RIGHT)
    time.sleep(1)
    blender.screen.screenshot(artefacts / "kinds.png")
    blender.screen.press("r o o s t e r")
    blender.screen.press("Return")
    blender.wait_for(f"'chicken' in {LISTED}")
    assert sorted(blender.ask(LISTED)) == sorted([*found, "chicken"])
    time.sleep(0.5)
    blender.screen.screenshot(artefacts / "sources.png")
    blender.over_sequence()
    blender.screen.press("ctrl+z")
    blender.wait_for(f"{LISTED} == {found!r}")
    blender.screen.press("ctrl+shift+z")
    blender.wait_for(f"'chicken' in {LISTED}")
    blender.do(f"bpy.ops.wm.save_mainfile(); bpy.ops.wm.open_mainfile(filepath={os.fspath(blend)!r})")
    blender.wait_for(f"'chicken' in {LISTED}")
    parts = blender.ask("gaps.result()")["parts"]
    (artefacts / "sources.json").write_text(json.dumps(parts, indent=2), "utf-8")
    print(json.dumps(parts, indent=2))
    assert parts["drawing of OMNIAUDIO_PT_generate"]["longest_own"] < 20, parts

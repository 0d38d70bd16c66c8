"""The few words of Blender's command line that docs/blender.md uses, for the module bpy, which has no such program.

    python bpy_as_blender.py -b FILE [--python-exit-code CODE] [--python SCRIPT | --python-expr TEXT]
    python bpy_as_blender.py --command extension install-file -r REPOSITORY -e ZIP

The extension is enabled for `-b`, as it is in a Blender that was told to enable it: the module reads no preferences.
"""

import argparse
import sys
import traceback
from pathlib import Path

import bpy

PACKAGE = "bl_ext.user_default.omniaudio"


def run_in_file(words: list[str]) -> int:
    """Opens the file and runs the script in it; returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-b", dest="file", required=True)
    parser.add_argument("--python-exit-code", type=int, default=0)
    script = parser.add_mutually_exclusive_group(required=True)
    script.add_argument("--python", type=Path)
    script.add_argument("--python-expr")
    asked = parser.parse_args(words)
    bpy.ops.preferences.addon_enable(module=PACKAGE)
    bpy.ops.wm.open_mainfile(filepath=asked.file)
    text = asked.python_expr or asked.python.read_text("utf-8")
    try:
        exec(compile(text, str(asked.python or "--python-expr"), "exec"), {"__name__": "__main__"})
    except Exception:
        traceback.print_exc()
        return asked.python_exit_code
    return 0


def install(words: list[str]) -> int:
    """Installs the zip and enables what is in it."""
    match words:
        case ["extension", "install-file", "-r", repository, "-e", archive]:
            bpy.ops.extensions.package_install_files(filepath=archive, repo=repository, enable_on_install=True)
            return 0
    raise SystemExit(f"not among the words that are known here: {words}")


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(install(words[1:]) if words[:1] == ["--command"] else run_in_file(words))

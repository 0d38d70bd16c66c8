"""A whole Blender with its window, on a machine without a screen: Debian sid's (5.2 LTS), in a folder of its own.

    python build/blender_window.py setup                 makes the folder, or says why it cannot; minutes the first time
    python build/blender_window.py run COMMAND ...       runs a command in it: blender, Xvfb, xdotool, import

The module `bpy` has no window, so mouse, keys and redrawing are tried here. The folder is `.blender52` in the checkout,
or the one that OMNIAUDIO_BLENDER_ROOT names. It is a Debian of its own, made by debootstrap from the mirror that apt is
set up with, so this needs root on a Debian whose mirror has sid. Nothing of this machine's system is changed.

What runs in it sees the folder for temporary files, the checkout and `../shared` under their own names, and all of
this machine at /host, so that Blender there can start the engine here: `chroot /host PROGRAM`. These mounts are the
command's own and end with it. Standard library only, Python 3.11.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ROOT_VARIABLE = "OMNIAUDIO_BLENDER_ROOT"
SUITE = "sid"
PACKAGES = (
    "blender imagemagick libgl1-mesa-dri python3-cattr python3-numpy python3-requests xauth xdotool xfonts-base xvfb"
)
STAMP = "omniaudio.json"  # in the folder: what it holds
HOST = "/host"

_NEEDS = "debootstrap chroot unshare mount apt-get"
# $1 is the folder, $2 how many folders follow that are seen under their own names; the rest is the command.
_ENTER = f"""
set -e
root=$1; count=$2; shift 2
mkdir -p "$root{HOST}"
mount --rbind / "$root{HOST}"
while [ "$count" -gt 0 ]; do
  mkdir -p "$root$1"
  mount --rbind "$1" "$root$1"
  count=$((count - 1)); shift
done
exec chroot "$root" "$@"
"""


class CannotError(Exception):
    """Why this Blender cannot be set up here."""


def main() -> int:
    """Runs the command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    tasks.add_parser("setup")
    tasks.add_parser("run").add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    try:
        if arguments.task == "setup":
            print(set_up())
            return 0
        os.execvp(*_program(command_in(find(), arguments.command)))
    except CannotError as error:
        print(f"No Blender with a window: {error}", file=sys.stderr)
        return 1


def find() -> Path:
    """The folder, which is there and can be used.

    Raises:
        CannotError: it is not, with what to do.
    """
    root = _root()
    if not (root / "usr/bin/blender").exists():
        named = os.environ.get(ROOT_VARIABLE)
        raise CannotError(
            f"{ROOT_VARIABLE} names {root}, which has no usr/bin/blender."
            if named
            else "it is made by: python build/blender_window.py setup (as root, on Debian)."
        )
    _check_rights("chroot unshare mount")
    return root


def set_up() -> Path:
    """Makes the folder if it is missing or outdated.

    Raises:
        CannotError: this machine cannot make it, or debootstrap or apt failed; their words are above then.
    """
    if os.environ.get(ROOT_VARIABLE):
        return find()
    root = _root()
    stamp = {"suite": SUITE, "packages": PACKAGES}
    if _held(root) == stamp:
        return find()
    _check_rights(_NEEDS)
    mirror = _mirror()
    print(f"Setting up {root}: {PACKAGES}, from {mirror}", file=sys.stderr, flush=True)
    shutil.rmtree(root, ignore_errors=True)
    _run(["debootstrap", "--variant=minbase", SUITE, str(root), mirror])
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *PACKAGES.split()]
    _run(["chroot", str(root), *install], quiet)
    _run(["chroot", str(root), "apt-get", "clean"])
    (root / STAMP).write_text(json.dumps(stamp), "utf-8")
    return find()


def command_in(root: Path, command: Sequence[str]) -> list[str]:
    """The words that run a command in the folder. The process is the command's own: it has the pid, and gets the
    signals."""
    seen = {Path("/dev"), Path("/proc"), Path(tempfile.gettempdir()).resolve(), REPOSITORY}
    shared = REPOSITORY.parent / "shared"
    if shared.is_dir():
        seen.add(shared)
    folders = [str(folder) for folder in sorted(seen)]
    enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh"]
    return [*enter, str(root), str(len(folders)), *folders, *command]


def _root() -> Path:
    return Path(os.environ.get(ROOT_VARIABLE) or REPOSITORY / ".blender52").absolute()


def _held(root: Path) -> object:
    """The stamp of the folder; None if it has none."""
    try:
        return json.loads((root / STAMP).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _check_rights(needs: str) -> None:
    """Raises CannotError unless this is root on Linux, with these programs and the right to mount."""
    if sys.platform != "linux":
        raise CannotError("it needs Linux.")
    if os.geteuid() != 0:
        raise CannotError("it needs root, to make a system in a folder and to run programs in it.")
    missing = [program for program in needs.split() if shutil.which(program) is None]
    if missing:
        raise CannotError(f"it needs {' and '.join(missing)}; on Debian: apt-get install debootstrap.")
    trial = ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        raise CannotError("root may not mount folders here (a container without CAP_SYS_ADMIN).")


def _mirror() -> str:
    """Debian's archive as this machine's apt is set up to read it.

    Raises:
        CannotError: apt has none, or has not read it yet.
    """
    question = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    told = subprocess.run([*question, "Label: Debian"], capture_output=True, text=True, check=False).stdout.split()
    if not told:
        raise CannotError("apt knows no mirror of Debian; if it should, apt-get update comes first.")
    return told[0]


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """What the command mounts ends with it; what it says goes to the standard error."""
    words = ["unshare", "--mount", "--propagation", "private", *command]
    done = subprocess.run(words, stdout=sys.stderr, env={**os.environ, **(environment or {})}, check=False)
    if done.returncode:
        raise CannotError(f"{command[0]} failed with exit code {done.returncode}; its reason is above.")


def _program(command: list[str]) -> tuple[str, list[str]]:
    return command[0], command


if __name__ == "__main__":
    sys.exit(main())

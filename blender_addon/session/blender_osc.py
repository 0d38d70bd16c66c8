"""This Blender's OSC bridge, run as the preferences say."""

import atexit
from pathlib import Path

import bpy

from ..core.package import PACKAGE
from ..service.osc_process import OscChoice, OscProcess, OscState
from ..service.service_program import find_program
from . import blender_service
from .preferences import preferences

LOOK_SECONDS = 0.5

_process: OscProcess | None = None
_shown = OscState()


def state() -> OscState:
    """The bridge's current state."""
    return OscState() if _process is None else _process.state


def start() -> None:
    """Starts the bridge and the service, which from then on accepts requests for this scene. Raises UserError if the
    service's program was not found."""
    global _process  # noqa: PLW0603 (nothing is done at import)
    chosen = preferences()
    program = chosen.program.strip()
    command = find_program(bpy.path.abspath(program) if program else "")
    if _process is None:
        _process = OscProcess(Path(bpy.utils.extension_path_user(PACKAGE, path="osc", create=True)))
        atexit.register(stop)  # if Blender quits without unregistering
    blender_service.service().wake()
    blender_service.watch()
    _process.start(command, _choice(chosen))
    if not bpy.app.background and not bpy.app.timers.is_registered(_show):
        bpy.app.timers.register(_show, first_interval=LOOK_SECONDS, persistent=True)


def stop() -> None:
    """Stops the bridge; returns at once."""
    if _process is not None:
        _process.stop()


def unregister() -> None:
    global _process  # noqa: PLW0603
    if bpy.app.timers.is_registered(_show):
        bpy.app.timers.unregister(_show)
    stop()
    atexit.unregister(stop)
    _process = None


def _choice(chosen: bpy.types.AddonPreferences) -> OscChoice:
    folders = [Path(bpy.path.abspath(folder.path)) for folder in chosen.osc.folders if folder.path.strip()]
    roots = tuple(folders) or (Path.home(),)
    if chosen.connection == "CONNECT":
        return OscChoice(chosen.osc.port, roots, address=chosen.address.strip(), token=chosen.token.strip())
    return OscChoice(chosen.osc.port, roots, service_folder=blender_service.folder())


def _show() -> float | None:
    """Redraws the panel after a change."""
    global _shown  # noqa: PLW0603
    if (now := state()) != _shown:
        _shown = now
        blender_service.redraw()
    return None if now.kind in ("off", "failed") else LOOK_SECONDS

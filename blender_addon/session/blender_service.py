"""The one engine of this Blender, as the preferences want it."""

import atexit
from pathlib import Path

import bpy

from ..core.package import PACKAGE
from ..service.service import Service, ServiceChoice
from . import scene_requests

_REGIONS = {"SEQUENCE_EDITOR": "UI", "PROPERTIES": "WINDOW", "PREFERENCES": "WINDOW"}
"""Of the areas in which there are panels of ours, the region that has them."""

REDRAW_SECONDS = 0.25

_NAME_CHANGES = (bpy.app.handlers.load_post, bpy.app.handlers.save_post)

_engine: Service | None = None


def engine() -> Service:
    """It is not started by being asked for: its `wake` and `client` do that."""
    global _engine  # noqa: PLW0603 (nothing is done at import)
    if _engine is None:
        # Without a window nothing takes requests up: they are refused then.
        _engine = Service(folder(), None if bpy.app.background else scene_requests.asked)
        atexit.register(stop)  # where Blender ends without unregistering
        for handlers in _NAME_CHANGES:
            handlers.append(_announce)
        _announce()
        configure()
    return _engine


def folder() -> Path:
    """Of an engine that is started here."""
    return Path(bpy.utils.extension_path_user(PACKAGE, path="engine"))


def chosen() -> Service:
    """The engine as the preferences choose it now; that Blender may go online is told nobody when it changes."""
    found = engine()
    configure()
    return found


def configure() -> None:
    """Has the engine be the one that the preferences choose; another one is let go of."""
    if _engine is None:
        return
    wanted = bpy.context.preferences.addons[PACKAGE].preferences
    if wanted.connection == "CONNECT":
        address, token = wanted.address.strip(), wanted.token.strip()
        _engine.configure(ServiceChoice(address, token, online=bpy.app.online_access))
    else:
        _engine.configure(ServiceChoice(program=bpy.path.abspath(wanted.program.strip())))


def restart() -> None:
    """Starts it, or starts it anew; an engine that others use too goes on as it is."""
    stop()
    chosen().wake()
    watch()


def watch() -> None:
    """Has the panels show what becomes of an engine that starts."""
    if not bpy.app.background and not bpy.app.timers.is_registered(_show):
        bpy.app.timers.register(_show, first_interval=REDRAW_SECONDS, persistent=True)


def stop() -> None:
    """Lets go of it; it ends if this Blender started it and no other one uses it. Returns in bounded time."""
    if _engine is not None:
        _engine.stop()


def unregister() -> None:
    global _engine  # noqa: PLW0603
    if bpy.app.timers.is_registered(_show):
        bpy.app.timers.unregister(_show)
    for handlers in _NAME_CHANGES:
        if _announce in handlers:
            handlers.remove(_announce)
    stop()
    atexit.unregister(stop)
    _engine = None


def redraw() -> None:
    """Has everything be drawn anew that shows works or the engine, and no more: strips take long to draw."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            shown = _REGIONS.get(area.type)
            for region in area.regions:
                if region.type == shown:
                    region.tag_redraw()


@bpy.app.handlers.persistent
def _announce(*_: object) -> None:
    """Tells what is open here, for whom asks the engine for a sound of the scene."""
    if _engine is not None:
        _engine.announce(Path(bpy.data.filepath).name or "untitled")


def _show() -> float | None:
    redraw()
    if _engine is not None and _engine.state.kind in ("starting", "waiting"):
        return REDRAW_SECONDS
    return None

"""This Blender's service, chosen by the preferences."""

import atexit
from pathlib import Path

import bpy

from ..core.package import PACKAGE
from ..service.service import Service, ServiceChoice
from . import scene_requests
from .preferences import preferences

_REGIONS = {"SEQUENCE_EDITOR": "UI", "PROPERTIES": "WINDOW", "PREFERENCES": "WINDOW"}
"""The region that has our panels, by the type of the area."""

REDRAW_SECONDS = 0.25

_NAME_CHANGES = (bpy.app.handlers.load_post, bpy.app.handlers.save_post)

_service: Service | None = None


def service() -> Service:
    """This Blender's service; not started before its `wake` or `client` is called."""
    global _service  # noqa: PLW0603 (nothing is done at import)
    if _service is None:
        # Without a window nothing takes up requests, so the service refuses them.
        _service = Service(folder(), None if bpy.app.background else scene_requests.receive)
        atexit.register(stop)  # if Blender quits without unregistering
        for handlers in _NAME_CHANGES:
            handlers.append(_announce)
        _announce()
        configure()
    return _service


def folder() -> Path:
    """The folder of a service that is started here."""
    return Path(bpy.utils.extension_path_user(PACKAGE, path="service"))


def chosen() -> Service:
    """The service, configured from the preferences: Blender sends no event when online access is allowed."""
    found = service()
    configure()
    return found


def configure() -> None:
    """Applies the preferences: releases the service if they choose another one."""
    if _service is None:
        return
    wanted = preferences()
    if wanted.connection == "CONNECT":
        address, token = wanted.address.strip(), wanted.token.strip()
        _service.configure(ServiceChoice(address, token, online=bpy.app.online_access))
    else:
        _service.configure(ServiceChoice(program=bpy.path.abspath(wanted.program.strip())))


def model_names() -> list[str]:
    """The names of the service's models; empty before it has answered for the first time."""
    return [model.name for model in service().state.models]


def restart() -> None:
    """Starts or restarts the service; one that other Blenders use keeps running."""
    stop()
    chosen().wake()
    watch()


def watch() -> None:
    """Redraws the panels while the service starts."""
    if not bpy.app.background and not bpy.app.timers.is_registered(_show):
        bpy.app.timers.register(_show, first_interval=REDRAW_SECONDS, persistent=True)


def stop() -> None:
    """Releases the service; it ends if this Blender started it and no other one uses it. Returns in bounded time."""
    if _service is not None:
        _service.stop()


def unregister() -> None:
    global _service  # noqa: PLW0603
    if bpy.app.timers.is_registered(_show):
        bpy.app.timers.unregister(_show)
    for handlers in _NAME_CHANGES:
        if _announce in handlers:
            handlers.remove(_announce)
    stop()
    atexit.unregister(stop)
    _service = None


def redraw() -> None:
    """Redraws only the regions that show jobs or the service: drawing strips takes long."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            shown = _REGIONS.get(area.type)
            for region in area.regions:
                if region.type == shown:
                    region.tag_redraw()


@bpy.app.handlers.persistent
def _announce(*_: object) -> None:
    """Tells the service the name of the open file."""
    if _service is not None:
        _service.announce(Path(bpy.data.filepath).name or "untitled")


def _show() -> float | None:
    redraw()
    if _service is not None and _service.state.kind in ("starting", "waiting"):
        return REDRAW_SECONDS
    return None

"""OmniAudio for Blender: spatial audio for 360° video, in the sequencer.

`core` and `service` do not import bpy and are tested as plain Python; the other packages need Blender.
"""


def register() -> None:
    # Imported here, so that the package can be imported without bpy.
    from . import operators, panels  # noqa: PLC0415
    from .props import osc_settings, settings, source_list  # noqa: PLC0415
    from .render import scene_copy  # noqa: PLC0415
    from .session import scene_requests  # noqa: PLC0415

    osc_settings.register()
    source_list.register()
    settings.register()
    operators.register()
    panels.register()
    scene_copy.register()
    scene_requests.register()


def unregister() -> None:
    from . import operators, panels  # noqa: PLC0415
    from .props import osc_settings, settings, source_list  # noqa: PLC0415
    from .render import scene_copy  # noqa: PLC0415
    from .session import blender_osc, blender_service, scene_requests  # noqa: PLC0415

    scene_requests.unregister()
    panels.unregister()
    operators.unregister()
    scene_copy.unregister()
    settings.unregister()
    source_list.unregister()
    osc_settings.unregister()
    blender_osc.unregister()
    blender_service.unregister()

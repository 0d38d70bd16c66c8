"""OmniAudio for Blender: spatial audio for 360° pictures, in the sequencer.

`client`, `service_process`, `engine`, `engine_process`, `task`, `work`, `frames`, `geometry`, `provenance`, `kinds`,
`sound_sources`, `sound_part`, `osc_process`, `scene_asked`, `fixes` and `errors` know no bpy and are tested as plain
Python; the others live in Blender.
"""


def register() -> None:
    # Nothing is done at import; no bpy, no harm.
    from . import (  # noqa: PLC0415
        operators,
        osc_settings,
        panels,
        preferences,
        scene_copy,
        scene_requests,
        settings,
        source_list,
    )

    osc_settings.register()
    preferences.register()
    source_list.register()
    settings.register()
    operators.register()
    panels.register()
    scene_copy.register()
    scene_requests.register()


def unregister() -> None:
    from . import (  # noqa: PLC0415
        blender_engine,
        blender_osc,
        operators,
        osc_settings,
        panels,
        preferences,
        scene_copy,
        scene_requests,
        settings,
        source_list,
    )

    scene_requests.unregister()
    panels.unregister()
    operators.unregister()
    scene_copy.unregister()
    settings.unregister()
    source_list.unregister()
    preferences.unregister()
    osc_settings.unregister()
    blender_osc.unregister()
    blender_engine.unregister()

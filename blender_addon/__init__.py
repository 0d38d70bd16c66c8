"""OmniAudio for Blender: spatial audio for 360° pictures, in the sequencer.

`client`, `engine`, `engine_process`, `task`, `work`, `frames`, `geometry`, `provenance`, `fixes` and `errors` know no
bpy and are tested as plain Python; the others live in Blender.
"""


def register() -> None:
    from . import operators, panels, preferences, settings  # noqa: PLC0415 (nothing is done at import; no bpy, no harm)

    preferences.register()
    settings.register()
    operators.register()
    panels.register()


def unregister() -> None:
    from . import blender_engine, operators, panels, preferences, settings  # noqa: PLC0415

    panels.unregister()
    operators.unregister()
    settings.unregister()
    preferences.unregister()
    blender_engine.unregister()

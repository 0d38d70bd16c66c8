"""OmniAudio for Blender: spatial audio for 360° pictures, in the sequencer.

The modules `errors`, `frames` and `engine` know no bpy and are tested as plain Python; the others live in Blender.
"""


def register() -> None:
    from . import operators, panel, preferences  # noqa: PLC0415 (nothing is done at import; no bpy, no harm)

    preferences.register()
    operators.register()
    panel.register()


def unregister() -> None:
    from . import operators, panel, preferences  # noqa: PLC0415

    panel.unregister()
    operators.unregister()
    preferences.unregister()

"""The extension's own package, whose name depends on the repository that Blender installed it from."""

PACKAGE = __package__.rpartition(".")[0]
"""Its module name, such as `bl_ext.user_default.omniaudio`."""

"""A whole Blender in a window of a virtual screen, driven by mouse and keys."""

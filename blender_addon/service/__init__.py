"""The service and the OSC bridge, as Blender uses them. Does not import bpy."""

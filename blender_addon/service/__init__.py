"""The service and the OSC bridge, as this Blender uses them. Knows no bpy."""

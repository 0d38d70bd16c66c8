"""Blender's properties of scenes and strips, and of the OSC bridge."""

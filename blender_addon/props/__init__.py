"""Blender's properties: of scenes, of strips, and the preferences."""

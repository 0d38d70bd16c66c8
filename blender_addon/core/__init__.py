"""Plain logic that needs neither Blender nor the service. Does not import bpy."""

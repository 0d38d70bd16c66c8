"""What needs neither Blender nor the service. Knows no bpy."""

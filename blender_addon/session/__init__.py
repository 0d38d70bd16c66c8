"""What one running Blender holds: its service, its OSC bridge, its connection for scenes."""

"""The state of a running Blender: its service, its OSC bridge, requests for its scene."""

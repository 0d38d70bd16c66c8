"""Frames that have to be rendered first, from a copy of the scene."""

"""Clips: videos, still images and image sequences, read as upright panoramas."""

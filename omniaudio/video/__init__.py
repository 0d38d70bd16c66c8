"""The clip: video, still images and sequences, read as upright panoramas."""

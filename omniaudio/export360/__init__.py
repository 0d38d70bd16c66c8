"""360° video with spatial audio, and video of the direction map."""

"""The strips: the clip that is chosen, and the sound that was generated for it."""

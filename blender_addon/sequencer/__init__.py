"""The strips: the frames that are meant, and the sound that was made for them."""

"""Sound: ambisonics, its conventions and files, and binaural rendering."""

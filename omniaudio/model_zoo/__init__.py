"""Models: which are installed, which can be downloaded, and those that ship with the package (`checkpoints/`)."""

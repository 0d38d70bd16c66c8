"""The models: which are here, which can be downloaded, and the ones that ship (`checkpoints/`)."""

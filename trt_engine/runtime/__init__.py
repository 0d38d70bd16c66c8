"""The back-ends: one session each."""

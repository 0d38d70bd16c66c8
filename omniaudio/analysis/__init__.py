"""Describing files, and drawing where their sound comes from."""

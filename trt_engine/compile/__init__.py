"""Bundles, and the compilation of their graphs into engines."""

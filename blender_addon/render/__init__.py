"""Renders clips and follows cameras, in copies of the scene."""

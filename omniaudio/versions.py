"""The versions of what has a say in a result, as sidecars keep them."""

from importlib.metadata import PackageNotFoundError, version
from platform import python_version

_EVERYWHERE = ("omniaudio-blender", "numpy", "scipy", "av")
"""Distributions that have a say whatever runs a model."""


def distribution_versions(*distributions: str) -> dict[str, str]:
    """The versions of those distributions that are installed, by name. Nothing is imported."""
    versions = {}
    for name in distributions:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def installed_versions() -> dict[str, str]:
    """The versions of Python and of the libraries that every result depends on; what ran a model is not among them."""
    return {"python": python_version()} | distribution_versions(*_EVERYWHERE)

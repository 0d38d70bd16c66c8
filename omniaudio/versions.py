"""The versions of everything that affects a result, for sidecars."""

from importlib.metadata import PackageNotFoundError, version
from platform import python_version

_EVERYWHERE = ("omniaudio-blender", "numpy", "scipy", "av")
"""Distributions that affect every result, whatever the back-end."""


def distribution_versions(*distributions: str) -> dict[str, str]:
    """The versions of the installed ones among some distributions, by name. Nothing is imported."""
    versions = {}
    for name in distributions:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def installed_versions() -> dict[str, str]:
    """The versions of Python and of the libraries that every result depends on, without the back-end's."""
    return {"python": python_version()} | distribution_versions(*_EVERYWHERE)

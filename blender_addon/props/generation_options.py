"""Converts between GenerationOptions and Blender's properties of the same names.

The scene's settings take precedence over the preferences. An option that may be left to the model has a switch
`NAME_own` beside its property, or an invalid value (empty, 0) that means so."""

from typing import Any

import bpy

from omniaudio_client.options import GenerationOptions, Option, options_of

MAX_NUMBER = 2**31 - 1
"""The largest value of Blender's integer properties."""


def generation_options(settings: bpy.types.PropertyGroup, preferences: Any) -> GenerationOptions:
    """The options of the panel, or else of the preferences."""
    values = {option.name: _value(option, settings, preferences) for option in options_of(GenerationOptions)}
    return GenerationOptions(**{name: value for name, value in values.items() if value is not None})


def show_options(settings: bpy.types.PropertyGroup, options: GenerationOptions) -> None:
    """Show the options in the panel's fields."""
    for option in options_of(GenerationOptions):
        if not hasattr(settings, option.name):
            continue
        value, own = getattr(options, option.name), f"{option.name}_own"
        if hasattr(settings, own):
            setattr(settings, own, value is not None)
            if value is None:
                continue
        if value is None:
            value = option.kind()
        setattr(settings, option.name, min(value, MAX_NUMBER) if option.kind is int else value)


def _value(option: Option, settings: bpy.types.PropertyGroup, preferences: Any) -> Any:
    """The option's value; None if it is left to the model, or has no property."""
    if not getattr(settings, f"{option.name}_own", True):
        return None
    for group in (settings, preferences):
        value = getattr(group, option.name, None)
        if isinstance(value, str):
            value = value.strip()
        if value is not None and option.read(value) is not None:
            return option.read(value)
    return None

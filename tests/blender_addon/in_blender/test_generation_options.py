"""The options of a generation, from the panel's fields to a snapshot, and back."""

from collections.abc import Callable
from dataclasses import asdict, fields
from types import ModuleType

import bpy
import pytest

Modules = Callable[[str], ModuleType]


def test_every_option_comes_from_the_field_of_its_name_and_goes_back(module: Modules, scene: bpy.types.Scene) -> None:
    options = module("omniaudio_client.options")
    panel = module("props.generation_options")
    settings, preferences = scene.omniaudio, module("session.preferences").preferences()
    before = panel.generation_options(settings, preferences)
    found = [option for option in options.options_of(options.GenerationOptions) if hasattr(settings, option.name)]
    for option in found:
        value = "another" if option.kind is str else not getattr(before, option.name)
        if option.kind in (int, float):
            ours = settings.bl_rna.properties[option.name]
            value = option.kind(ours.hard_max if option.limits.maximum > ours.hard_max else option.limits.maximum)
        if hasattr(settings, f"{option.name}_own"):
            setattr(settings, f"{option.name}_own", True)
        setattr(settings, option.name, value)
        assert getattr(panel.generation_options(settings, preferences), option.name) == value, option.name
    after = panel.generation_options(settings, preferences)
    names = {option.name for option in found}
    assert {"seed", "takes", "steps", "guidance", "variation", "stems", "model"} <= names
    assert all(asdict(after)[name] != asdict(before)[name] for name in names)
    panel.show_options(settings, options.GenerationOptions())
    assert panel.generation_options(settings, preferences) == before
    panel.show_options(settings, after)
    assert panel.generation_options(settings, preferences) == after


def test_an_option_without_a_field_is_the_preferences_or_the_default(
    module: Modules, scene: bpy.types.Scene, preferences: object
) -> None:
    options = module("omniaudio_client.options").GenerationOptions
    preferences.preview, preferences.backend, preferences.model = False, " openvino ", "draft"
    made = module("props.generation_options").generation_options(scene.omniaudio, preferences)
    assert (made.preview, made.backend, made.model) == (False, "openvino", "draft")
    assert (made.map, made.order) == (options().map, options().order)


@pytest.mark.parametrize("name", ["steps", "guidance", "variation", "model"])
def test_what_is_left_to_the_model(module: Modules, scene: bpy.types.Scene, preferences: object, name: str) -> None:
    preferences.model, preferences.steps = "", 0
    made = module("props.generation_options").generation_options(scene.omniaudio, preferences)
    assert getattr(made, name) is None
    assert name in {field.name for field in fields(made)}

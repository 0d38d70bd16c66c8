"""The takes that lie in the sequencer: found from any of their strips, switched, and given another sound."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import bpy
import pytest

Modules = Callable[[str], ModuleType]
Takes = Callable[..., object]


@pytest.fixture
def placed(module: Modules, scene: bpy.types.Scene, make_take: Takes) -> object:
    """Three takes from frame 11, a second long."""
    made_by = module("core.provenance").Provenance(
        source="SCENE", clip="//video.mp4", options=module("omniaudio_client.options").GenerationOptions(steps=20)
    )
    takes = [make_take(1.0, f"take_{n}", n) for n in (1, 2, 3)]
    place = module("core.frames").Placement(11, 24)
    return module("sequencer.strips").insert_takes(scene, takes, place, "shot", made_by)


def strips(scene: bpy.types.Scene) -> bpy.types.bpy_prop_collection:
    return scene.sequence_editor.strips_all


def heard(module: Modules, scene: bpy.types.Scene, placed: object) -> list[str]:
    return [take.master for take in module("sequencer.takes").takes_of(scene, strips(scene)[placed.group]) if take.used]


def test_takes_are_found_from_any_of_their_strips(module: Modules, scene: bpy.types.Scene, placed: object) -> None:
    takes_of = module("sequencer.takes").takes_of
    found = takes_of(scene, strips(scene)[placed.group])
    assert [(take.master, take.preview) for take in found] == [(t.master, t.preview) for t in placed.takes]
    assert [take.used for take in found] == [True, False, False]
    assert [take.provenance.take for take in found] == [1, 2, 3]
    assert [take.ambix.name for take in found] == ["take_1.wav", "take_2.wav", "take_3.wav"]
    assert found[0].preview_file.name == "take_1.preview.wav"
    assert found[0].place == found[0].content == module("core.frames").Placement(11, 24)
    for take in placed.takes:
        assert takes_of(scene, strips(scene)[take.master]) == found
        assert takes_of(scene, strips(scene)[take.preview]) == found


def test_what_is_none_of_ours_has_no_takes(
    module: Modules, scene: bpy.types.Scene, placed: object, write_wav: Callable[..., Path]
) -> None:
    other = scene.sequence_editor.strips.new_sound("other", str(write_wav("other.wav", 4, 1.0)), 9, 11)
    takes_of = module("sequencer.takes").takes_of
    assert takes_of(scene, None) == takes_of(scene, other) == []
    other["omniaudio"] = "edited by hand"
    assert takes_of(scene, other) == []
    other["omniaudio"] = {"role": "master"}
    assert takes_of(scene, other) == []
    assert takes_of(bpy.data.scenes.new("empty"), None) == []


def test_a_take_is_used_instead_of_the_others(module: Modules, scene: bpy.types.Scene, placed: object) -> None:
    module("sequencer.takes").use_take(scene, placed.takes[1].master)
    assert [strips(scene)[take.preview].mute for take in placed.takes] == [True, False, True]
    assert all(strips(scene)[take.master].mute for take in placed.takes)
    assert heard(module, scene, placed) == [placed.takes[1].master]
    strips(scene)[placed.takes[1].preview].mute = True  # by hand
    assert heard(module, scene, placed) == []


def test_without_previews_there_is_a_take_in_use_all_the_same(
    module: Modules, scene: bpy.types.Scene, make_take: Takes
) -> None:
    takes = [make_take(1.0, f"take_{n}", n, preview=False) for n in (1, 2)]
    made_by, place = module("core.provenance").Provenance(), module("core.frames").Placement(1, 24)
    placed = module("sequencer.strips").insert_takes(scene, takes, place, "shot", made_by)
    assert heard(module, scene, placed) == [placed.takes[0].master]
    module("sequencer.takes").use_take(scene, placed.takes[1].master)
    assert heard(module, scene, placed) == [placed.takes[1].master]


def test_strips_that_were_deleted_or_taken_out_of_the_meta_strip(
    module: Modules, scene: bpy.types.Scene, placed: object
) -> None:
    group = strips(scene)[placed.group]
    group.strips.remove(group.strips[placed.takes[0].master])
    group.strips.remove(group.strips[placed.takes[1].preview])
    found = module("sequencer.takes").takes_of(scene, group)
    assert [(take.master, take.preview) for take in found] == [
        (placed.takes[1].master, None),
        (placed.takes[2].master, placed.takes[2].preview),
    ]
    with pytest.raises(module("core.errors").UserError, match="is gone"):
        module("sequencer.takes").use_take(scene, placed.takes[0].master)
    scene.sequence_editor.active_strip = group
    for strip in strips(scene):
        strip.select = strip == group
    with module("blender_versions").editing(scene):
        bpy.ops.sequencer.meta_separate()
    assert placed.group not in strips(scene)
    found = module("sequencer.takes").takes_of(scene, strips(scene)[placed.takes[2].preview])
    assert [take.master for take in found] == [placed.takes[1].master, placed.takes[2].master]
    module("sequencer.takes").use_take(scene, placed.takes[2].master)
    assert not strips(scene)[placed.takes[2].preview].mute


def test_which_second_of_the_sound_is_heard_at_a_frame(module: Modules, scene: bpy.types.Scene, placed: object) -> None:
    group = strips(scene)[placed.group]
    module("blender_versions").move_to(group, 101)
    take = module("sequencer.takes").takes_of(scene, group)[0]
    assert take.seconds_at(113, Fraction(24)) == 0.5


def other_sound(module: Modules, scene: bpy.types.Scene, placed: object, **files: Path | None) -> None:
    made_by = replace(
        module("sequencer.takes").takes_of(scene, strips(scene)[placed.group])[0].provenance, anchor="WORLD"
    )
    module("sequencer.takes").replace_sound(scene, placed.takes[0].master, made_by=made_by, **files)


def test_a_take_gets_another_sound(
    module: Modules, scene: bpy.types.Scene, placed: object, write_wav: Callable[..., Path], tmp_path: Path
) -> None:
    before = module("sequencer.takes").takes_of(scene, strips(scene)[placed.group])
    ambix, preview = write_wav("world.wav", 4, 1.0), write_wav("world.preview.wav", 2, 1.0)
    other_sound(module, scene, placed, ambix=ambix, preview=preview)
    after = module("sequencer.takes").takes_of(scene, strips(scene)[placed.group])
    assert (after[0].ambix, after[0].preview_file, after[0].provenance.anchor) == (ambix, preview, "WORLD")
    assert (after[0].place, after[0].used) == (before[0].place, True)
    assert after[1:] == before[1:]
    assert module("core.provenance").provenance_of(strips(scene)[placed.takes[0].preview]).role == "preview"
    other_sound(module, scene, placed, ambix=before[0].ambix, preview=None)
    back = module("sequencer.takes").takes_of(scene, strips(scene)[placed.group])[0]
    assert (back.ambix, back.preview_file) == (before[0].ambix, preview)


def test_a_take_without_a_preview_gets_one(
    module: Modules, scene: bpy.types.Scene, make_take: Takes, write_wav: Callable[..., Path]
) -> None:
    made_by, place = module("core.provenance").Provenance(), module("core.frames").Placement(11, 24)
    take = make_take(1.0, preview=False)
    placed = module("sequencer.strips").insert_takes(scene, [take], place, "shot", made_by)
    other_sound(module, scene, placed, ambix=take.ambix, preview=write_wav("new.wav", 2, 1.0))
    (found,) = module("sequencer.takes").takes_of(scene, strips(scene)[placed.group])
    assert (found.preview_file.name, found.used) == ("new.wav", True)
    strip = strips(scene)[found.preview]
    assert (strip.parent_meta().name, module("blender_versions").place_of(strip)) == (placed.group, place)


@pytest.mark.parametrize("broken", ["ambix", "preview", "missing"])
def test_a_sound_that_cannot_be_read_changes_nothing(
    module: Modules, scene: bpy.types.Scene, placed: object, write_wav: Callable[..., Path], tmp_path: Path, broken: str
) -> None:
    before = module("sequencer.takes").takes_of(scene, strips(scene)[placed.group])
    files = {"ambix": write_wav("new.wav", 4, 1.0), "preview": write_wav("new.preview.wav", 2, 1.0)}
    if broken == "missing":
        files["preview"] = tmp_path / "missing.wav"
    else:
        files[broken].write_bytes(b"RIFF")
    with pytest.raises(module("core.errors").UserError, match=r"\.wav"):
        other_sound(module, scene, placed, **files)
    assert module("sequencer.takes").takes_of(scene, strips(scene)[placed.group]) == before

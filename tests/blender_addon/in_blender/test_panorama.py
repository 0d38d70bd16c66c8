"""The scene rendered in 360°: directions, time, and the user's settings."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix, Vector

Modules = Callable[[str], ModuleType]

# In the camera's space (it looks along -Z, +Y is up): colour, direction, azimuth and elevation in degrees.
AXES = {
    "front": ((1, 0, 0), (0, 0, -1), (0, 0)),
    "left": ((0, 1, 0), (-1, 0, 0), (90, 0)),
    "back": ((0, 0, 1), (0, 0, 1), (180, 0)),
    "right": ((1, 1, 0), (1, 0, 0), (-90, 0)),
    "up": ((0, 1, 1), (0, 1, 0), (0, 90)),
    "down": ((1, 0, 1), (0, -1, 0), (0, -90)),
}
POSES = [(90, 0, 0), (90, 0, 65), (60, 25, -130), (200, -40, 10)]


def glow(name: str, colour: tuple[int, ...], place: Vector) -> None:
    """A ball that shines in one colour: a sixth of the distance across, so that its centre is its image's centre."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    emission = tree.nodes.new("ShaderNodeEmission")
    emission.inputs["Color"].default_value = (*colour, 1)
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(emission.outputs[0], output.inputs["Surface"])
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=3, radius=0.5, location=place)
    bpy.context.object.data.materials.append(material)


def render_image(module: Modules, scene: bpy.types.Scene, folder: Path, frame: int = 1) -> np.ndarray:
    """One frame of the panorama, (height, width, 3) from top to bottom, linear for what is fully on or off."""
    place, settings = module("core.frames").Placement(frame, 1), module("sequencer.sources").Panorama(128, 4, 1)
    file = folder / f"picture_{frame:04d}.png"
    scene.view_settings.view_transform = "Standard"
    with module("render.panorama_render").panorama_scene(scene, settings, place, file) as copy:
        if hasattr(copy.render.image_settings, "media_type"):
            copy.render.image_settings.media_type = "IMAGE"
        copy.render.image_settings.file_format = "PNG"
        copy.render.filepath = str(folder / "picture_")
        bpy.ops.render.render(animation=True, scene=copy.name)
    image = bpy.data.images.load(str(file))
    width, height = image.size
    assert (width, height) == (128, 64)
    pixels = np.array(image.pixels[:]).reshape(height, width, 4)[::-1, :, :3]
    bpy.data.images.remove(image)
    return pixels


def direction_of(image: np.ndarray, colour: tuple[int, ...]) -> Vector:
    """The mean direction of the pixels of this colour: x front, y left, z up, by the project's own convention."""
    height, width, _ = image.shape
    weight = (np.abs(image - np.array(colour)).max(-1) < 0.3).astype(float)
    assert weight.sum() > 0, f"nothing of the colour {colour} is seen"
    u, v = (np.arange(width) + 0.5) / width, 1 - (np.arange(height) + 0.5) / height
    azimuth, elevation = np.meshgrid((0.5 - u) * 2 * math.pi, (v - 0.5) * math.pi)
    x, y, z = np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)
    weight *= np.cos(elevation)  # a pixel near a pole covers less of the sphere
    return Vector([float((weight * axis).sum()) for axis in (x, y, z)]).normalized()


@pytest.mark.parametrize("pose", POSES)
def test_objects_lie_where_the_camera_has_them(
    module: Modules, scene: bpy.types.Scene, tmp_path: Path, pose: tuple[float, ...]
) -> None:
    camera = scene.camera
    camera.rotation_euler = [math.radians(angle) for angle in pose]
    camera.location = (2.0, -1.0, 3.0)
    camera.scale = (1.0, 2.0, 0.5)  # a viewer has no scale
    rotation = Euler(camera.rotation_euler).to_matrix()
    for name, (colour, direction, _) in AXES.items():
        glow(name, colour, Vector(camera.location) + rotation @ (Vector(direction) * 3))
    image = render_image(module, scene, tmp_path)
    for name, (colour, _, (azimuth, elevation)) in AXES.items():
        a, e = math.radians(azimuth), math.radians(elevation)
        wanted = Vector((math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)))
        error = math.degrees(direction_of(image, colour).angle(wanted))
        assert error < 1.5, f"{name} is {error:.1f} degrees away"  # a pixel is 2.8 degrees wide


def test_an_animated_camera_and_one_that_a_marker_chooses_are_followed(
    module: Modules, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    glow("placed", (1, 0, 0), Vector((0, 3, 0)))
    for frame, rotation in ((1, 0.0), (11, -math.pi / 2)):
        scene.camera.rotation_euler.z = rotation
        scene.camera.keyframe_insert("rotation_euler", frame=frame)
    other = bpy.data.objects.new("other", bpy.data.cameras.new("other"))
    other.rotation_euler = Matrix.Rotation(math.pi / 2, 3, "X").to_euler()
    other.rotation_euler.z = math.pi / 2  # looks along -X: the placed is on its right
    scene.collection.objects.link(other)
    scene.timeline_markers.new("start", frame=1).camera = scene.camera
    scene.timeline_markers.new("cut", frame=20).camera = other
    for frame, wanted in ((1, (1, 0, 0)), (11, (0, 1, 0)), (20, (0, -1, 0))):
        found = direction_of(render_image(module, scene, tmp_path, frame), (1, 0, 0))
        assert math.degrees(found.angle(Vector(wanted))) < 1.5, frame


def test_a_camera_that_is_carried_aimed_and_scaled_is_followed(
    module: Modules, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    """Its axes in the world are those that the constraints and the parent leave it with."""
    glow("placed", (1, 0, 0), Vector((4, 3, 2)))
    arm, aim = (bpy.data.objects.new(name, None) for name in ("arm", "aim"))
    for placed in (arm, aim):
        scene.collection.objects.link(placed)
    arm.rotation_euler, arm.scale, arm.location = (0.3, -0.5, 1.1), (2, 2, 2), (1, 0, 0)
    aim.location = (-3, 2, 1)
    camera = scene.camera
    camera.parent, camera.location = arm, (0, 0.5, 0)
    constraint = camera.constraints.new("TRACK_TO")
    constraint.target, constraint.track_axis, constraint.up_axis = aim, "TRACK_NEGATIVE_Z", "UP_Y"
    found = direction_of(render_image(module, scene, tmp_path), (1, 0, 0))
    bpy.context.view_layer.update()
    inside = camera.matrix_world.normalized().inverted() @ Vector((4, 3, 2))
    wanted = Vector((-inside.z, -inside.x, inside.y))
    assert math.degrees(found.angle(wanted)) < 1.5


def everything(owner: object, path: str = "") -> dict[str, str]:
    """All plain properties of what a user sets for a render, by name."""
    values = {}
    for name in owner.bl_rna.properties.keys():  # noqa: SIM118 (a collection of Blender's, not a dict)
        value = getattr(owner, name, None)
        if isinstance(value, (bool, int, float, str)):
            values[path + name] = repr(value)
    return values


def settings_of(scene: bpy.types.Scene) -> dict[str, object]:
    found: dict[str, object] = everything(scene)
    for name in ("render", "cycles", "view_settings"):
        found |= everything(getattr(scene, name), name + ".")
    found |= everything(scene.render.image_settings, "image_settings.")
    found |= everything(scene.render.ffmpeg, "ffmpeg.")
    found["camera"] = scene.camera.name
    found["markers"] = [(m.name, m.camera.name if m.camera else "") for m in scene.timeline_markers]
    for kind in ("scenes", "objects", "cameras", "collections", "images", "movieclips", "actions"):
        found[kind] = sorted(item.name for item in getattr(bpy.data, kind) if item.name != "Render Result")
    return found


def with_a_user_s_settings(scene: bpy.types.Scene) -> None:
    scene.render.resolution_x, scene.render.resolution_y = 333, 222
    scene.render.resolution_percentage = 50
    scene.render.use_border = True
    scene.render.film_transparent = True
    scene.render.filepath = "//somewhere/else_"
    scene.frame_start, scene.frame_end = 5, 10
    scene.frame_set(7)
    scene.timeline_markers.new("cut", frame=6).camera = scene.camera
    scene.sequence_editor_create()


def rendered(
    module: Modules,
    scene: bpy.types.Scene,
    target: Path,
    *,
    frames: int = 2,
    step: int = 1,
    cancelled: bool = False,
) -> Iterator[float]:
    """The panorama from frame 5 on, rendered into a video."""
    scene.omniaudio.source = "SCENE"
    snapshot = replace(
        module("workflows.snapshot").take_snapshot(bpy.context),
        source=module("sequencer.sources").Panorama(128, 1, step),
        place=module("core.frames").Placement(5, frames),
    )
    return module("render.rendering").render(
        snapshot.scene, snapshot.source, snapshot.place, target, blocking=True, cancelled=lambda: cancelled
    )


def test_the_video_has_the_scene_s_time_and_the_settings_are_as_before(
    module: Modules, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    scene.render.fps, scene.render.fps_base = 24, 1.001
    with_a_user_s_settings(scene)
    scene.omniaudio.source = "SCENE"
    before = settings_of(scene)
    target = tmp_path / "panorama.mp4"
    fractions = list(rendered(module, scene, target, frames=6, step=2))
    assert fractions[-1] == 1.0
    assert settings_of(scene) == before
    assert scene.sequence_editor is not None
    clip = bpy.data.movieclips.load(str(target))
    assert (clip.frame_duration, tuple(clip.size)) == (3, (128, 64))
    assert clip.fps == pytest.approx(24 / 1.001 / 2, rel=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["panorama.mp4"]
    bpy.data.movieclips.remove(clip)


def test_the_settings_are_as_before_when_the_render_fails(
    module: Modules, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    with_a_user_s_settings(scene)
    scene.omniaudio.source = "SCENE"
    before = settings_of(scene)
    in_a_file = tmp_path / "file"
    in_a_file.write_text("not a folder")
    with pytest.raises(module("core.errors").UserError, match="render"):
        list(rendered(module, scene, in_a_file / "x.mp4"))
    assert settings_of(scene) == before
    settings, place = module("sequencer.sources").Panorama(128, 1, 1), module("core.frames").Placement(5, 2)
    copied = module("render.panorama_render").panorama_scene(scene, settings, place, tmp_path / "x.mp4")
    with pytest.raises(ZeroDivisionError), copied:
        1 / 0  # noqa: B018
    assert settings_of(scene) == before


def test_a_cancelled_render_leaves_no_file(module: Modules, scene: bpy.types.Scene, tmp_path: Path) -> None:
    with pytest.raises(module("core.errors").CancelledError):
        list(rendered(module, scene, tmp_path / "x.mp4", cancelled=True))
    assert list(tmp_path.iterdir()) == []


def test_a_scene_that_is_gone_is_a_message(module: Modules, scene: bpy.types.Scene, tmp_path: Path) -> None:
    steps = rendered(module, scene, tmp_path / "x.mp4")
    scene.name = "another"
    with pytest.raises(module("core.errors").UserError, match="The scene Scene is gone"):
        next(steps)


def test_of_one_frame_too_there_is_a_video(module: Modules, scene: bpy.types.Scene, tmp_path: Path) -> None:
    list(rendered(module, scene, tmp_path / "x.mp4", frames=1, step=3))
    clip = bpy.data.movieclips.load(str(tmp_path / "x.mp4"))
    assert clip.frame_duration == 1
    bpy.data.movieclips.remove(clip)

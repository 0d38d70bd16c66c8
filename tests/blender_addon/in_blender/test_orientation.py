"""The camera's orientation frame by frame: against what Blender itself says, and against what the panorama shows."""

import math
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType

import bpy
import pytest
from mathutils import Euler, Matrix, Quaternion, Vector

Modules = Callable[[str], ModuleType]

FROM_AMBIX = Matrix(((0, -1, 0), (0, 0, 1), (-1, 0, 0)))


def followed(
    module: Modules,
    scene: bpy.types.Scene,
    start: int,
    frames: int,
    rate: Fraction = Fraction(24),
    camera: str = "",
):
    """The orientations, all at once."""
    place = module("core.frames").Placement(start, frames)
    steps = module("render.orientation").camera_orientations(scene, place, rate, camera)
    while True:
        try:
            assert 0 <= next(steps) < 1
        except StopIteration as end:
            return end.value


def matrix_of(found) -> Matrix:
    return Quaternion(found[1:]).to_matrix()


def assert_same(found: Matrix, wanted: Matrix) -> None:
    assert max(abs(found[i][k] - wanted[i][k]) for i in range(3) for k in range(3)) < 1e-5


@pytest.mark.parametrize("pose", [(90, 0, 0), (90, 35, 0), (55, 0, 0), (120, -70, 200), (0, 0, 0), (180, 10, -20)])
def test_level_rolled_and_tilted_cameras(module: Modules, scene: bpy.types.Scene, pose: tuple[float, ...]) -> None:
    scene.camera.rotation_euler = tuple(map(math.radians, pose))
    (found,) = followed(module, scene, 7, 1)
    rotation = Euler(tuple(map(math.radians, pose))).to_matrix()
    assert_same(matrix_of(found), rotation @ FROM_AMBIX)
    assert found.seconds == 0.0


def test_another_camera_than_the_scene_s(module: Modules, scene: bpy.types.Scene) -> None:
    other = bpy.data.objects.new("other", bpy.data.cameras.new("other"))
    scene.collection.objects.link(other)
    scene.camera.rotation_euler, other.rotation_euler = (0.5, 0, 0), (1.2, 0.3, 2)
    scene.timeline_markers.new("cut", frame=2).camera = own = scene.camera
    found = followed(module, scene, 1, 3, camera="other")
    for orientation in found:
        assert_same(matrix_of(orientation), Euler((1.2, 0.3, 2)).to_matrix() @ FROM_AMBIX)
    assert scene.camera is own
    assert scene.timeline_markers["cut"].camera == own
    with pytest.raises(module("core.errors").UserError, match=f"no camera Kran; its cameras are: {own.name}, other"):
        followed(module, scene, 1, 1, camera="Kran")


def test_every_frame_of_a_camera_that_is_animated_carried_and_aimed(module: Modules, scene: bpy.types.Scene) -> None:
    arm, aim = (bpy.data.objects.new(name, None) for name in ("arm", "aim"))
    for target in (arm, aim):
        scene.collection.objects.link(target)
    scene.camera.parent, scene.camera.location = arm, (0, 1, 0)
    track = scene.camera.constraints.new("TRACK_TO")
    track.target, track.track_axis, track.up_axis = aim, "TRACK_NEGATIVE_Z", "UP_Y"
    for frame, rotation, place in ((1, 0.0, (5, 1, 0)), (10, 2.0, (-4, 2, 3)), (20, -3.0, (0, 7, -5))):
        arm.rotation_euler = (rotation, rotation / 2, rotation / 3)
        arm.keyframe_insert("rotation_euler", frame=frame)
        aim.location = place
        aim.keyframe_insert("location", frame=frame)
    scene.frame_set(13)
    where = (scene.camera.matrix_world.copy(), arm.rotation_euler.copy())
    found = followed(module, scene, 1, 20, Fraction(24000, 1001))
    assert (scene.frame_current, scene.camera.matrix_world, arm.rotation_euler) == (13, *where)
    assert [s.name for s in bpy.data.scenes] == ["Scene"]
    assert len(found) == 20
    for i, one in enumerate(found):
        scene.frame_set(1 + i)
        assert one.seconds == pytest.approx(i * 1001 / 24000)
        assert_same(matrix_of(one), scene.camera.matrix_world.to_3x3().normalized() @ FROM_AMBIX)


def test_the_camera_that_a_marker_chooses(module: Modules, scene: bpy.types.Scene) -> None:
    other = bpy.data.objects.new("other", bpy.data.cameras.new("other"))
    other.rotation_euler = (math.pi / 2, 0, math.pi)
    scene.collection.objects.link(other)
    scene.timeline_markers.new("one", frame=1).camera = scene.camera
    scene.timeline_markers.new("cut", frame=5).camera = other
    first, user_s = scene.camera, scene.frame_current
    found = followed(module, scene, 3, 4)
    fronts = [matrix_of(one) @ Vector((1, 0, 0)) for one in found]
    assert [round(front.y) for front in fronts] == [1, 1, -1, -1]
    assert (scene.camera, scene.frame_current) == (first, user_s)


def test_between_two_steps_the_window_lives(module: Modules, scene: bpy.types.Scene, monkeypatch) -> None:
    monkeypatch.setattr(module("render.orientation"), "MAX_SECONDS_A_STEP", 0.0)
    place = module("core.frames").Placement(1, 5)
    fractions = list(module("render.orientation").camera_orientations(scene, place, Fraction(24)))
    assert fractions == sorted(fractions)
    assert len(fractions) == 5


def test_what_cannot_be_followed_is_a_message(module: Modules, scene: bpy.types.Scene, monkeypatch) -> None:
    user_error = module("core.errors").UserError
    scene.camera.scale.x = -1
    with pytest.raises(user_error, match="mirrored"):
        followed(module, scene, 1, 2)
    scene.camera = None
    with pytest.raises(user_error, match="no camera at frame 1"):
        followed(module, scene, 1, 2)
    assert [s.name for s in bpy.data.scenes] == ["Scene"]
    monkeypatch.setattr(module("render.orientation"), "MAX_SECONDS_A_STEP", 0.0)
    steps = module("render.orientation").camera_orientations(scene, module("core.frames").Placement(1, 3), Fraction(24))
    next(steps)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)  # the user opens another file
    with pytest.raises(user_error, match="scene changed"):
        list(steps)

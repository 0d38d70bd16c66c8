"""The part of the demo that runs in Blender: builds the scene, runs the extension, saves, reopens, mixes down.

`python demo/scene.py EXTENSION.zip FOLDER REPORT.json`, in a Python that has bpy and with BLENDER_USER_RESOURCES set to
a folder that may be filled; `demo/run.py` does both. On a quay in Venice a bird flies around the camera, and two other
sources stay in place. The camera looks along +X, so that the world's axes are the sound's: X front, Y left, Z up.
"""

import json
import math
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import bpy
from mathutils import Vector

EXTENSION = "bl_ext.user_default.omniaudio"
ASSETS = Path(__file__).resolve().parent / "assets"
FRAMES_PER_SECOND, SECONDS = 8, 10
EYE = Vector((0.0, 0.0, 1.7))
DISTANCE = 4.0
SAMPLES = 2
"""Cycles samples; everything is emissive."""


class Source(NamedTuple):
    """What is seen and should be heard."""

    kind: str
    """In the words of `omniaudio_client/kinds.toml`."""
    file: str
    size: float
    """Its width in degrees, seen from the camera."""
    path: tuple[tuple[float, float, float], ...]
    """Seconds, azimuth and elevation in degrees."""


SOURCES = (
    Source("bird", "bird.png", 36, ((0, -60, 10), (10, 60, 12))),
    Source("dog", "dog.png", 40, ((0, 130, -8),)),
    Source("car", "car.png", 44, ((0, -140, -8),)),
)


def main() -> None:
    """See the module."""
    extension, folder, report = map(Path, sys.argv[1:4])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.extensions.package_install_files(filepath=str(extension), repo="user_default", enable_on_install=True)
    bpy.context.preferences.filepaths.save_version = 0  # no demo.blend1
    shown = build_scene(bpy.context.scene)
    blend = folder / "demo.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))

    bpy.context.scene.omniaudio.source = "SCENE"
    bpy.context.scene.omniaudio.samples = SAMPLES
    bpy.context.scene.omniaudio.stems = True
    started = time.time()
    if bpy.ops.omniaudio.generate() != {"FINISHED"}:
        raise SystemExit("The extension did not finish.")
    ended = time.time()
    seen = [
        {
            "kind": source.kind,
            "directions": [direction_of(board, (at + 0.5) * FRAMES_PER_SECOND) for at in range(SECONDS)],
        }
        for source, board in shown
    ]
    bpy.ops.wm.save_mainfile()

    bpy.ops.wm.open_mainfile(filepath=str(blend))
    ours = [strip for strip in bpy.context.scene.sequence_editor.strips_all if "omniaudio" in strip]
    strips = {strip["omniaudio"]["role"]: strip for strip in ours}
    master = Path(bpy.path.abspath(strips["master"].sound.filepath))
    video = Path(bpy.path.abspath(strips["master"]["omniaudio"]["clip"]))
    mixdown = report.with_suffix(".wav")
    mix_down(strips["master"], strips["preview"], mixdown)
    rendered = video.stat().st_mtime  # the render's last write
    bpy.ops.preferences.addon_disable(module=EXTENSION)  # which stops the service
    made = {
        "blend": str(blend),
        "video": str(video),
        "master": str(master),
        "mixdown": str(mixdown),
        "strips": {role: [s.name, s.channel, s.frame_final_start, s.frame_final_end] for role, s in strips.items()},
        "render_seconds": rendered - started,
        "generate_seconds": ended - rendered,
        "service_bytes": peak_memory_of_children(),
        "seen": seen,
    }
    report.write_text(json.dumps(made))


def build_scene(scene: bpy.types.Scene) -> list[tuple[Source, bpy.types.Object]]:
    """Builds the quay, the camera and the sources. Returns the sources with their objects."""
    scene.render.fps = FRAMES_PER_SECOND
    scene.frame_start, scene.frame_end = 1, FRAMES_PER_SECOND * SECONDS
    scene.render.engine = "CYCLES"
    scene.cycles.use_denoising = False  # everything is emissive, so there is no noise
    scene.view_settings.view_transform = "Standard"  # photographs keep their colours
    scene.world = surroundings(ASSETS / "venice.jpg")
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = EYE
    camera.rotation_euler = (math.pi / 2, 0.0, -math.pi / 2)  # looks along +X
    scene.collection.objects.link(camera)
    scene.camera = camera
    return [(source, hung(scene, camera, source)) for source in SOURCES]


def hung(scene: bpy.types.Scene, camera: bpy.types.Object, source: Source) -> bpy.types.Object:
    """A source on its path, facing the camera."""
    width = 2 * DISTANCE * math.tan(math.radians(source.size) / 2)
    shown = billboard(source.kind.title(), ASSETS / source.file, width)
    scene.collection.objects.link(shown)
    facing = shown.constraints.new("TRACK_TO")
    facing.target, facing.track_axis, facing.up_axis = camera, "TRACK_Z", "UP_Y"
    for frame in range(scene.frame_start, scene.frame_end + 1):
        azimuth, elevation = map(math.radians, where(source.path, (frame - scene.frame_start) / FRAMES_PER_SECOND))
        flat = math.cos(elevation)
        offset = Vector((flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation)))
        shown.location = EYE + DISTANCE * offset
        shown.keyframe_insert("location", frame=frame)
    return shown


def where(path: tuple[tuple[float, float, float], ...], seconds: float) -> tuple[float, float]:
    """Azimuth and elevation of a path in degrees, linear between its points."""
    for (begin, *start), (end, *stop) in pairwise(path):
        if seconds <= end:
            part = (seconds - begin) / (end - begin)
            azimuth, elevation = (a + part * (b - a) for a, b in zip(start, stop, strict=True))
            return azimuth, elevation
    return path[-1][1], path[-1][2]


def surroundings(panorama: Path) -> bpy.types.World:
    """A world that shows the panorama all around, its centre along +X."""
    world = bpy.data.worlds.new(panorama.stem)
    world.use_nodes = True
    tree = world.node_tree
    background = next(node for node in tree.nodes if node.type == "BACKGROUND")
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = load_packed(panorama)
    tree.links.new(texture.outputs["Color"], background.inputs["Color"])
    world.cycles.sampling_method = "NONE"  # it lights nothing; preparing it as a light takes seconds a frame
    return world


def billboard(name: str, file: Path, width: float) -> bpy.types.Object:
    """A flat emissive image, transparent where the file is; `width` in metres, its front along +Z."""
    image = load_packed(file)
    half, high = width / 2, width / 2 * image.size[1] / image.size[0]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(-half, -high, 0), (half, -high, 0), (half, high, 0), (-half, high, 0)], [], [(0, 1, 2, 3)])
    for corner, place in zip(mesh.uv_layers.new().data, [(0, 0), (1, 0), (1, 1), (0, 1)], strict=True):
        corner.uv = place
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    nothing, shine, mix, output = (
        tree.nodes.new(f"Shader{kind}")
        for kind in ("NodeBsdfTransparent", "NodeEmission", "NodeMixShader", "NodeOutputMaterial")
    )
    tree.links.new(texture.outputs["Color"], shine.inputs["Color"])
    tree.links.new(texture.outputs["Alpha"], mix.inputs[0])
    tree.links.new(nothing.outputs[0], mix.inputs[1])
    tree.links.new(shine.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], output.inputs["Surface"])
    mesh.materials.append(material)
    return bpy.data.objects.new(name, mesh)


def load_packed(file: Path) -> bpy.types.Image:
    """The image, kept inside the .blend."""
    image = bpy.data.images.load(str(file))
    image.pack()
    return image


def direction_of(shown: bpy.types.Object, frame: float) -> tuple[float, float]:
    """Azimuth and elevation in degrees of an object in the camera's own space, `frame` frames after the start."""
    scene = bpy.context.scene
    moment = scene.frame_start + frame
    scene.frame_set(math.floor(moment), subframe=moment % 1)
    seen = scene.camera.matrix_world.inverted() @ shown.matrix_world.translation
    front, left, up = -seen.z, -seen.x, seen.y
    return math.degrees(math.atan2(left, front)), math.degrees(math.atan2(up, math.hypot(front, left)))


def mix_down(master: bpy.types.Strip, preview: bpy.types.Strip, target: Path) -> None:
    """The master alone, as Blender's mixer gives it out."""
    master.mute, preview.mute = False, True
    bpy.ops.sound.mixdown(
        filepath=str(target),
        container="WAV",
        codec="PCM",
        format="F32",
        channels="SURROUND4",
        mixrate=master.sound.samplerate,
    )


def peak_memory_of_children() -> int | None:
    """Bytes of the largest process that has ended here: the service's worker; None if the system does
    not tell."""
    try:
        import resource  # noqa: PLC0415 (not on Windows)
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


if __name__ == "__main__":
    main()

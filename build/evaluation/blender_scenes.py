"""Renders simple Blender scenes in 360°: one model of a few shapes in a plain world, as beginners build them.

    .venv-bpy50/bin/python build/evaluation/blender_scenes.py CACHE/test/renders --split test

Development and test show different kinds. `scenes.csv` lists what is where. The camera looks along +X, so that the
world's axes are the sound's.
"""

import argparse
import csv
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import bpy
from mathutils import Vector

EYE = Vector((0.0, 0.0, 1.6))
WIDTH = 1024
SAMPLES = 12
TIMES = 2  # each kind in so many scenes
SIZE = (30, 50)  # degrees that the longer side takes

Colour = tuple[float, float, float]
BLACK, WHITE, GREY, WOOD = (0.02, 0.02, 0.02), (0.9, 0.9, 0.9), (0.35, 0.35, 0.35), (0.4, 0.2, 0.08)


class Model:
    """Parts under one object, which is rotated, scaled and moved as a whole. Longer side along x, front along −y."""

    def __init__(self, colour: Colour) -> None:
        self.colour = colour
        self.whole = bpy.data.objects.new("model", None)
        bpy.context.collection.objects.link(self.whole)

    def box(
        self, place: Sequence[float], size: Sequence[float], colour: Colour | None = None, **rotation: float
    ) -> None:
        bpy.ops.mesh.primitive_cube_add(size=1, location=place, rotation=_radians(rotation))
        self._add(size, colour, bevel=0.08 * min(size))

    def ball(
        self, place: Sequence[float], size: Sequence[float], colour: Colour | None = None, **rotation: float
    ) -> None:
        bpy.ops.mesh.primitive_uv_sphere_add(radius=0.5, location=place, rotation=_radians(rotation))
        bpy.ops.object.shade_smooth()
        self._add(size, colour)

    def rod(
        self, place: Sequence[float], size: Sequence[float], colour: Colour | None = None, **rotation: float
    ) -> None:
        """A cylinder, its axis along z unless it is rotated."""
        bpy.ops.mesh.primitive_cylinder_add(
            radius=0.5, depth=1, vertices=48, location=place, rotation=_radians(rotation)
        )
        self._add(size, colour)

    def cone(
        self,
        place: Sequence[float],
        size: Sequence[float],
        colour: Colour | None = None,
        top: float = 0.0,
        **rotation: float,
    ) -> None:
        bpy.ops.mesh.primitive_cone_add(
            radius1=0.5, radius2=top / 2, depth=1, vertices=48, location=place, rotation=_radians(rotation)
        )
        self._add(size, colour)

    def wheels(self, across: Sequence[float], radius: float, y: float) -> None:
        for x in across:
            for side in (-y, y):
                self.rod((x, side, radius), (2 * radius, 2 * radius, 0.25 * radius + 0.1), BLACK, x=90)
                self.rod((x, side * 1.05, radius), (radius, radius, 0.25 * radius + 0.1), GREY, x=90)

    def _add(self, size: Sequence[float], colour: Colour | None, bevel: float = 0.0) -> None:
        part = bpy.context.object
        part.scale = size
        if bevel:
            bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
            part.modifiers.new("edges", "BEVEL").width = bevel
        part.data.materials.append(_material(colour or self.colour))
        part.parent = self.whole


def _radians(degrees: dict[str, float]) -> tuple[float, ...]:
    return tuple(math.radians(degrees.get(axis, 0.0)) for axis in "xyz")


def _material(colour: Colour, roughness: float = 0.4) -> bpy.types.Material:
    material = bpy.data.materials.new("colour")
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Roughness"].default_value = roughness
    return material


def car(model: Model) -> None:
    model.box((0, 0, 0.65), (4.2, 1.7, 0.6))
    model.box((-0.2, 0, 1.2), (2.2, 1.5, 0.6))
    model.box((-0.2, 0, 1.22), (1.9, 1.54, 0.42), BLACK)
    model.wheels((-1.3, 1.3), 0.36, 0.82)
    for side in (-0.55, 0.55):
        model.ball((2.1, side, 0.7), (0.12, 0.3, 0.2), WHITE)


def clock(model: Model) -> None:
    model.rod((0, 0, 1), (2, 2, 0.2), x=90)
    model.rod((0, -0.1, 1), (1.8, 1.8, 0.05), WHITE, x=90)
    for hour in range(12):
        angle = math.radians(30 * hour)
        model.box((0.75 * math.sin(angle), -0.14, 1 + 0.75 * math.cos(angle)), (0.06, 0.04, 0.2), BLACK, y=30 * hour)
    model.box((0.2, -0.15, 1.12), (0.07, 0.03, 0.5), BLACK, y=60)
    model.box((-0.15, -0.15, 1.3), (0.05, 0.03, 0.75), BLACK, y=-25)


def dog(model: Model) -> None:
    model.ball((0, 0, 0.6), (1.1, 0.45, 0.5))
    model.ball((0.6, 0, 0.95), (0.45, 0.4, 0.4))
    model.ball((0.82, 0, 0.88), (0.36, 0.2, 0.18))
    model.ball((0.99, 0, 0.92), (0.08, 0.1, 0.08), BLACK)
    model.rod((0.42, 0, 0.8), (0.28, 0.28, 0.5), y=40)
    for side in (-0.17, 0.17):
        model.ball((0.52, side, 1.0), (0.15, 0.08, 0.36), BLACK)
        model.ball((0.74, side * 0.7, 1.04), (0.06, 0.06, 0.06), BLACK)
        for x in (-0.38, 0.36):
            model.rod((x, side, 0.25), (0.14, 0.14, 0.5))
            model.ball((x + 0.04, side, 0.04), (0.22, 0.15, 0.1))
    model.rod((-0.62, 0, 0.85), (0.08, 0.08, 0.5), y=-35)


def drums(model: Model) -> None:
    model.rod((0, 0, 0.6), (1.1, 1.1, 0.6), x=90)
    model.rod((0, -0.3, 0.6), (1.0, 1.0, 0.04), WHITE, x=90)
    for x, z, size in ((-0.9, 0.7, 0.6), (0.9, 0.6, 0.7), (-0.35, 1.35, 0.5), (0.35, 1.35, 0.5)):
        model.rod((x, 0, z), (size, size, 0.4))
        model.rod((x, 0, z + 0.21), (size * 0.95, size * 0.95, 0.02), WHITE)
    for x in (-1.3, 1.3):
        model.rod((x, 0, 0.8), (0.04, 0.04, 1.6), GREY)
        model.rod((x, 0, 1.6), (0.8, 0.8, 0.02), (0.8, 0.6, 0.1), y=10)


def train(model: Model) -> None:
    model.rod((0.8, 0, 1.5), (1.4, 1.4, 4.2), y=90)
    model.box((-2.0, 0, 1.9), (1.6, 1.8, 2.2))
    model.box((-2.0, 0, 3.05), (2.0, 2.1, 0.15), BLACK)
    model.box((-2.0, 0, 2.35), (0.9, 1.84, 0.7), BLACK)
    model.box((0, 0, 0.7), (5.6, 1.5, 0.25), BLACK)
    model.rod((2.3, 0, 2.5), (0.4, 0.4, 1.0), BLACK)
    model.cone((2.3, 0, 3.1), (0.7, 0.7, 0.4), BLACK, x=180)
    model.ball((0.8, 0, 2.25), (0.6, 0.6, 0.6), (0.8, 0.6, 0.1))
    model.wheels((-2.1, -0.6, 0.6, 1.8), 0.5, 0.8)
    for side in (-1.2, 1.2):
        model.box((0, side * 0.65, 0.03), (9, 0.1, 0.1), GREY)


def piano(model: Model) -> None:
    model.box((0, 0.2, 1.0), (2.2, 0.7, 0.35))
    model.box((0, 0.5, 1.5), (2.2, 0.12, 1.0), y=0, x=-15)
    model.box((0, -0.25, 0.95), (2.2, 0.4, 0.12))
    for key in range(28):
        model.box((-0.95 + key * 0.07, -0.28, 1.03), (0.062, 0.3, 0.05), WHITE)
        if key % 7 not in (2, 6):
            model.box((-0.915 + key * 0.07, -0.2, 1.07), (0.035, 0.18, 0.05), BLACK)
    for x in (-0.95, 0.95):
        model.rod((x, -0.2, 0.45), (0.12, 0.12, 0.9))
        model.rod((x, 0.45, 0.45), (0.12, 0.12, 0.9))


def guitar(model: Model) -> None:
    model.rod((-0.7, 0, 0.8), (1.0, 1.2, 0.2), WOOD, x=90)
    model.rod((-0.05, 0, 0.8), (0.8, 0.9, 0.2), WOOD, x=90)
    model.rod((-0.1, -0.11, 0.8), (0.35, 0.35, 0.02), BLACK, x=90)
    model.box((1.0, -0.1, 0.8), (1.7, 0.08, 0.14), BLACK)
    model.box((1.95, -0.1, 0.8), (0.4, 0.08, 0.22))
    model.box((-0.75, -0.12, 0.8), (0.1, 0.04, 0.4), BLACK)
    for string in range(6):
        model.box((0.6, -0.16, 0.75 + 0.02 * string), (2.7, 0.008, 0.008), WHITE)


def aeroplane(model: Model) -> None:
    model.ball((0, 0, 0), (6.5, 0.8, 0.8), WHITE)
    model.box((0.2, 0, -0.1), (1.0, 6.5, 0.08), GREY)
    model.box((-2.8, 0, 0.1), (0.6, 2.2, 0.06), GREY)
    model.box((-2.8, 0, 0.6), (0.7, 0.08, 1.1), y=-15)
    for side in (-1.4, 1.4):
        model.rod((0.5, side, -0.3), (0.35, 0.35, 0.9), y=90)
    for window in range(14):
        model.ball((-1.6 + 0.25 * window, -0.36, 0.12), (0.12, 0.06, 0.12), BLACK)


def ship(model: Model) -> None:
    model.box((0, 0, 0.5), (6.0, 1.4, 1.0))
    model.cone((3.3, 0, 0.5), (1.0, 1.35, 1.2), y=90)
    model.box((-0.5, 0, 1.3), (3.6, 1.1, 0.6), WHITE)
    model.box((-0.3, 0, 1.85), (2.2, 0.9, 0.5), WHITE)
    for x in (-1.0, 0.0):
        model.rod((x, 0, 2.5), (0.45, 0.45, 0.9), (0.6, 0.05, 0.05))
    for window in range(9):
        model.ball((-2.0 + 0.4 * window, -0.56, 1.3), (0.16, 0.06, 0.16), BLACK)


def bird(model: Model) -> None:
    model.ball((0, 0, 0.6), (1.2, 0.6, 0.65), y=15)
    model.ball((0.55, 0, 1.0), (0.5, 0.45, 0.45))
    model.cone((0.88, 0, 1.0), (0.16, 0.16, 0.3), (0.9, 0.5, 0.05), y=90)
    model.ball((0.68, -0.17, 1.08), (0.08, 0.08, 0.08), BLACK)
    model.ball((-0.1, -0.3, 0.65), (0.8, 0.12, 0.4), GREY, y=15)
    model.box((-0.75, 0, 0.75), (0.6, 0.3, 0.06), GREY, y=15)
    for side in (-0.12, 0.12):
        model.rod((0.05, side, 0.18), (0.05, 0.05, 0.4), (0.9, 0.5, 0.05))
        model.box((0.12, side, 0.0), (0.25, 0.14, 0.03), (0.9, 0.5, 0.05))


def truck_bus(model: Model) -> None:
    model.box((0, 0, 1.7), (8, 2.3, 2.6))
    model.wheels((-2.6, 2.6), 0.5, 1.1)
    for window in range(6):
        model.box((-3.1 + 1.15 * window, 0, 2.2), (0.95, 2.34, 0.9), BLACK)
    model.box((4.0, 0, 2.1), (0.06, 2.0, 1.2), BLACK)


def bell(model: Model) -> None:
    gold = (0.8, 0.55, 0.1)
    model.cone((0, 0, 0.75), (1.5, 1.5, 1.1), gold, top=0.5)
    model.ball((0, 0, 1.28), (0.78, 0.78, 0.5), gold)
    model.rod((0, 0, 0.2), (1.65, 1.65, 0.1), gold)
    model.ball((0, 0, 0.1), (0.35, 0.35, 0.35), GREY)
    model.rod((0, 0, 1.65), (0.2, 0.2, 0.4), GREY)


KINDS: dict[str, tuple[Callable[[Model], None], ...]] = {
    "development": (car, clock, dog, drums),
    "test": (train, piano, guitar, aeroplane, ship, bird, truck_bus, bell),
}
FLYING = (aeroplane,)


def build(kind: Callable[[Model], None], rng: random.Random) -> tuple[float, float, float]:
    """A scene with one model; returns its azimuth, elevation and apparent size in radians."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    model = Model(rng.choice([(0.6, 0.05, 0.05), (0.05, 0.15, 0.6), (0.05, 0.4, 0.1), (0.8, 0.6, 0.1), WOOD]))
    kind(model)
    azimuth, size = rng.uniform(-math.pi, math.pi), math.radians(rng.uniform(*SIZE))
    bpy.context.view_layer.update()
    low, high = _bounds(model.whole)
    distance = max(high - low) / 2 / math.tan(size / 2)
    height = distance * math.tan(math.radians(rng.uniform(15, 30))) if kind in FLYING else 0.0
    if distance < 3:  # a small model stands on a block
        height = EYE.z - 0.25 * distance
        bpy.ops.mesh.primitive_cube_add(
            size=1, location=(distance * math.cos(azimuth), distance * math.sin(azimuth), height / 2),
            rotation=(0, 0, azimuth), scale=(0.8 * max(high - low), 0.9 * max(high - low), height - 0.02),
        )  # fmt: skip
        bpy.context.object.data.materials.append(_material(WHITE))
    model.whole.location = (distance * math.cos(azimuth), distance * math.sin(azimuth), height - low.z)
    # its front, along −y, to the camera, rotated by a little
    model.whole.rotation_euler.z = azimuth - math.pi / 2 + math.radians(rng.uniform(-35, 35))
    bpy.context.view_layer.update()
    low, high = _bounds(model.whole)
    to = (low + high) / 2 - EYE
    _surroundings(scene, rng)
    return math.atan2(to.y, to.x), math.atan2(to.z, math.hypot(to.x, to.y)), size


def _bounds(whole: bpy.types.Object) -> tuple[Vector, Vector]:
    corners = [part.matrix_world @ Vector(corner) for part in whole.children for corner in part.bound_box]
    return (
        Vector([min(corner[axis] for corner in corners) for axis in range(3)]),
        Vector([max(corner[axis] for corner in corners) for axis in range(3)]),
    )


def _surroundings(scene: bpy.types.Scene, rng: random.Random) -> None:
    """Ground, sky, sun, and the camera."""
    bpy.ops.mesh.primitive_plane_add(size=400)
    ground = rng.choice([(0.1, 0.25, 0.05), (0.3, 0.3, 0.3), (0.5, 0.4, 0.25)])
    bpy.context.object.data.materials.append(_material(ground, roughness=1.0))
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (*rng.choice([(0.35, 0.6, 1.0), (0.7, 0.75, 0.8)]), 1)
    scene.world = world
    bpy.ops.object.light_add(type="SUN", rotation=(math.radians(rng.uniform(20, 50)), 0, rng.uniform(0, 2 * math.pi)))
    bpy.context.object.data.energy = 3
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = EYE, (math.pi / 2, 0.0, -math.pi / 2)
    camera.data.type, camera.data.panorama_type = "PANO", "EQUIRECTANGULAR"
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", SAMPLES, False
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, WIDTH // 2
    scene.render.image_settings.file_format = "PNG"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the renders and scenes.csv go")
    parser.add_argument("--split", choices=KINDS, required=True)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, kind in enumerate(KINDS[asked.split] * TIMES):
        rng = random.Random(f"{asked.split} {number}")
        azimuth, elevation, size = build(kind, rng)
        name = f"render-{number:02d}.png"
        bpy.context.scene.render.filepath = str((asked.folder / name).resolve())
        bpy.ops.render.render(write_still=True)
        rows.append({"file": name, "kind": kind.__name__, "azimuth": azimuth, "elevation": elevation, "size": size})
    with (asked.folder / "scenes.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()

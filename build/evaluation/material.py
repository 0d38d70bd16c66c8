"""The images that scenes are made of, and the file of each scene."""

import csv
import sys
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from zlib import crc32

import av
import numpy as np
from PIL import Image
from scenes import BUILD, SECONDS, Cutout, Listing, Scene, Split

from omniaudio.recognition import kinds
from omniaudio.training.scenes import Billboard, render
from omniaudio.video.linear_images import read_exr
from omniaudio.video.panorama import Rgb

sys.path[:0] = [str(BUILD / "recognition"), str(BUILD / "draft_model")]
import drawings  # noqa: E402
import panoramas  # noqa: E402
from evaluate import cut_out, read_panoramas, split_of  # noqa: E402

FRAME_RATE = 10
"""Of the videos with moving cutouts."""
BLENDER_PANORAMAS = ("city", "courtyard", "forest", "interior", "night")
"""Those of Blender's studio lights (CC0, Poly Haven) that nothing was trained or tuned on; all of them test."""


class Material:
    """The images and where they are.

    data: `photos/` and `panoramas/`. packages: a folder that keeps those of the emoji fonts. blender: the environment
    of Blender's module, which brings panoramas. renders: what `blender_scenes.py` made.
    """

    def __init__(self, data: Path, packages: Path, blender: Path, renders: Path, split: Split) -> None:
        self.data, self.split, self.renders = data, split, renders
        self._packages = packages
        self._blender = blender

    @cached_property
    def panoramas(self) -> dict[str, Rgb]:
        """Those of the split, 512 × 1024, by name."""
        found = read_panoramas(self.data / "panoramas", self.split)
        if self.split == "test":
            for name in BLENDER_PANORAMAS:
                pattern = f"lib/python*/site-packages/bpy/*/datafiles/studiolights/world/{name}.exr"
                (file,) = self._blender.glob(pattern)
                found[f"blender_{name}"] = panoramas.resize(read_exr(file))
        return found

    @cached_property
    def photos(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for photo in sorted((self.data / "photos").glob("*/*.jpg")):
            if split_of(photo) == self.split:
                found.setdefault(photo.parent.name, []).append(photo.relative_to(self.data).as_posix())
        return found

    @cached_property
    def drawn(self) -> dict[str, drawings.Drawing]:
        """The drawings of the split's fonts, by `font:name`."""
        fonts = drawings.TEST if self.split == "test" else drawings.DEVELOPMENT
        found = drawings.fetched(self._packages).drawings(kinds.load(), fonts)
        return {f"{one.font}:{one.name}": one for one in found}

    @property
    def listing(self) -> Listing:
        drawn = {name: one.kind for name, one in self.drawn.items()}
        return Listing(self.split, sorted(self.panoramas), self.photos, drawn)

    def rendered(self) -> list[Scene]:
        """The scenes that Blender rendered."""
        table = self.renders / "scenes.csv"
        if not table.is_file():
            return []
        with table.open(newline="", encoding="utf-8") as file:
            return [_rendered(row) for row in csv.DictReader(file)]


def _rendered(row: dict[str, str]) -> Scene:
    azimuth, elevation, size = (float(row[name]) for name in ("azimuth", "elevation", "size"))
    cutout = Cutout(row["kind"], row["file"], azimuth, elevation, size)
    return Scene(Path(row["file"]).stem, "render", "", 0.0, False, (cutout,))


def show(scene: Scene, material: Material, folder: Path, seconds: float = SECONDS) -> Path:
    """A scene's file in a folder, which is written if it does not exist."""
    path = folder / f"{scene.key}{'.mp4' if scene.group == 'moving' else '.png'}"
    if path.is_file():
        return path
    partial = path.with_name(f".partial-{path.name}")
    if scene.group == "render":
        Image.open(material.renders / scene.cutouts[0].image).convert("RGB").save(partial)
    elif scene.group == "moving":
        _write_video(partial, scene, material, seconds)
    else:
        Image.fromarray(_frame(scene, material, 0.0)).save(partial)
    partial.replace(path)
    return path


def _frame(scene: Scene, material: Material, time: float) -> Rgb:
    panorama = material.panoramas[scene.panorama]
    panorama = np.roll(panorama, round(scene.rotation * panorama.shape[1]), axis=1)
    panorama = np.ascontiguousarray(panorama[:, ::-1] if scene.mirrored else panorama)
    boards = [
        Billboard(_cut(scene, cutout, material), cutout.azimuth + cutout.speed * time, cutout.elevation, cutout.size)
        for cutout in scene.cutouts
    ]
    return render(panorama, boards)


_cuts: dict[tuple[str, str], Image.Image] = {}


def _cut(scene: Scene, cutout: Cutout, material: Material) -> Image.Image:
    key = scene.name, cutout.image
    if key not in _cuts:
        if scene.group == "drawing":
            _cuts[key] = material.drawn[cutout.image].image
        else:
            rng = np.random.default_rng(crc32(f"{scene.name} {cutout.image}".encode()))
            _cuts[key] = cut_out(material.data / cutout.image, rng)
    return _cuts[key]


def _write_video(path: Path, scene: Scene, material: Material, seconds: float) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(FRAME_RATE), options={"crf": "18", "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = material.panoramas[scene.panorama].shape[:2]
        for number in range(round(seconds * FRAME_RATE)):
            frame = _frame(scene, material, number / FRAME_RATE)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())

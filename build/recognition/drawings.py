"""Drawings of what sounds, by kind: the emoji of `kinds.toml` in several fonts, and views of them in scenes.

The fonts are npm packages. Those that the head for drawings learns from are Apache-2.0 and MIT; the others only measure
it.
"""

import io
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import resvg_py
from PIL import Image, ImageEnhance

from omniaudio.recognition.kinds import Kinds
from omniaudio.recognition.views import Look, views
from omniaudio.video.panorama import Rgb

sys.path.insert(0, str(Path(__file__).parents[1] / "draft_model"))
from sources import Source, fetch

FONTS = tuple(
    Source(name, f"npm:@iconify-json/{package}", "package", licence)
    for name, package, licence in (
        ("noto", "noto==1.2.9", "Apache-2.0"),
        ("noto_v1", "noto-v1==1.2.5", "Apache-2.0"),
        ("fluent", "fluent-emoji==1.2.7", "MIT"),
        ("fluent_flat", "fluent-emoji-flat==1.2.6", "MIT"),
        ("fxemoji", "fxemoji==1.2.2", "Apache-2.0"),
        ("emojione", "emojione==1.2.3", "CC-BY-4.0"),
        ("twemoji", "twemoji==1.2.5", "CC-BY-4.0"),
        ("openmoji", "openmoji==1.2.29", "CC-BY-SA-4.0"),
    )
)
TRAIN = ("noto", "noto_v1", "fluent", "fluent_flat", "fxemoji")
DEVELOPMENT = ("emojione",)
TEST = ("twemoji", "openmoji")

NOTHING = "nothing"
"""The class of views without a drawing, or with one of something silent."""

SIZE = 160
VIEW = 224
_SKIN_TONE = re.compile(r"-(skin-tone|light|medium|dark)|^flag-|clock|o-clock|thirty|keycap|^input-")
"""Variants of one drawing, letters, and dials, which show a clock that nobody hears: none of them is a silent thing."""
_NAMES = "noto"
"""The font whose names stand for the characters; all but fxemoji write them alike."""


@dataclass(frozen=True)
class Drawing:
    kind: str
    font: str
    name: str
    image: Image.Image
    """RGBA, cropped to what is not transparent."""


def characters(text: str) -> list[str]:
    """The emoji in a text, joined ones whole."""
    return re.findall(r".\ufe0f?(?:\u200d.\ufe0f?)*", text)


class Fonts:
    """Emoji fonts as Iconify packs them, by name the folder in which `icons.json` lies."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self._folders = folders
        self._name: dict[str, str] = _read(folders[_NAMES] / "chars.json")

    def drawings(self, kinds: Kinds, fonts: tuple[str, ...]) -> Iterator[Drawing]:
        """What the fonts draw of each thing's emoji."""
        for kind in kinds.sources:
            for name in self._names(kind.emoji):
                yield from self._in_each(fonts, kind.id, name)

    def silent(self, kinds: Kinds, fonts: tuple[str, ...], count: int, rng: np.random.Generator) -> Iterator[Drawing]:
        """`count` emoji of silent objects in each font."""
        used = {name for kind in kinds.kinds for name in self._names(kind.emoji)}
        stems = {name.removesuffix("-face").removeprefix("oncoming-") for name in used}
        for font in fonts:
            icons = _read(self._folders[font] / "icons.json")["icons"]
            known = {_plain(name) for name in used}
            names = [n for n in sorted(icons) if _plain(n) not in known and not _SKIN_TONE.search(n)]
            names = [n for n in names if not any(stem in n for stem in stems if len(stem) > 3)]
            for name in rng.choice(names, min(count, len(names)), replace=False):
                yield from self._in_each((font,), NOTHING, str(name))

    def _names(self, emoji: str) -> list[str]:
        codes = ["-".join(f"{ord(one):x}" for one in whole if one != "\ufe0f") for whole in characters(emoji)]
        return [self._name[code] for code in codes if code in self._name]

    def _in_each(self, fonts: tuple[str, ...], kind: str, name: str) -> Iterator[Drawing]:
        for font in fonts:
            image = render(self._folders[font] / "icons.json", name)
            if image is not None:
                yield Drawing(kind, font, name, image)


def fetched(cache: Path) -> Fonts:
    """The fonts, from packages that `cache` keeps."""
    return Fonts({font.name: fetch(font, cache) for font in FONTS})


def render(icons: Path, name: str) -> Image.Image | None:
    """One drawing of a font, its longer side `SIZE` pixels at most; None if the font lacks it."""
    font = _read(icons)
    found = name if name in font["icons"] else font.get("aliases", {}).get(name, {}).get("parent", _plain(name))
    icon = font["icons"].get(found)
    if icon is None:
        return None
    width, height = icon.get("width", font.get("width", 16)), icon.get("height", font.get("height", 16))
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    svg = f'<svg {namespaces} viewBox="0 0 {width} {height}">{icon["body"]}</svg>'
    png = resvg_py.svg_to_bytes(svg_string=svg, width=SIZE, height=SIZE, skip_system_fonts=True)
    whole = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    box = whole.getchannel("A").point(lambda alpha: 255 * (alpha > 16)).getbbox()
    return whole.crop(box) if box and max(box[2] - box[0], box[3] - box[1]) > SIZE // 4 else None


def _plain(name: str) -> str:
    return name.replace("-", "")


@cache
def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


# --- what a view shows of them ----------------------------------------------------------------------------------------


def background(panoramas: list[Rgb], rng: np.random.Generator) -> Rgb:
    """A view without anything in front: of a panorama, or of a plain world as an empty Blender scene has it."""
    if rng.random() < 0.35:
        return plain_world(rng)
    panorama = panoramas[int(rng.integers(len(panoramas)))]
    azimuth, elevation, field = rng.uniform(-np.pi, np.pi), rng.normal(-0.05, 0.3), np.radians(rng.uniform(30, 80))
    (view,) = views(panorama, [Look(float(azimuth), float(elevation), float(field))], VIEW)
    return np.asarray(view)


def plain_world(rng: np.random.Generator) -> Rgb:
    """One colour or two, with a sharp or a soft horizon."""
    sky, ground = rng.uniform(20, 250, (2, 3)) if rng.random() < 0.6 else rng.uniform(20, 250, (2, 1)).repeat(3, axis=1)
    height, softness = rng.uniform(-0.3, 1.3), rng.choice([0.005, 0.1, 0.5])
    down = 1 / (1 + np.exp(-(np.linspace(0, 1, VIEW) - height) / softness))
    if rng.random() < 0.3:
        down[:] = 0
    rows = sky + (ground - sky) * down[:, None]
    return np.broadcast_to(rows[:, None], (VIEW, VIEW, 3)).astype(np.uint8).copy()


def hung(drawing: Image.Image, behind: Rgb, rng: np.random.Generator) -> Rgb:
    """Places a drawing in a view: rotated, tinted, at a panorama's resolution."""
    image = _restyled(drawing, rng)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = image.rotate(rng.normal(0, 7), Image.Resampling.BICUBIC, expand=True)
    longer = VIEW * rng.uniform(0.4, 1.1)
    scale = longer / max(image.size) * np.exp(rng.normal(0, 0.07, 2))
    size = (max(8, round(image.width * scale[0])), max(8, round(image.height * scale[1])))
    sharp = rng.uniform(0.4, 1)  # of the view's own resolution
    image = image.resize((max(4, round(size[0] * sharp)), max(4, round(size[1] * sharp))), Image.Resampling.LANCZOS)
    image = image.resize(size, Image.Resampling.BILINEAR)
    whole = Image.fromarray(behind).convert("RGB")
    shift = rng.normal(0, 0.08, 2) * VIEW
    place = (round((VIEW - size[0]) / 2 + shift[0]), round((VIEW - size[1]) / 2 + shift[1]))
    whole.paste(image, place, image)
    return np.asarray(whole)


def _restyled(drawing: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The drawing as it is, in other colours, or like a render without textures."""
    style = rng.random()
    pixels = np.asarray(drawing).astype(np.float32)
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    if style < 0.15:  # other colours
        hsv = cv2.cvtColor(colours / 255, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + rng.uniform(0, 360)) % 360
        colours = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255
    elif style < 0.4:  # one material under a lamp: what is inside shows faintly, the edges fall off
        colour = rng.uniform(60, 250, 3) if rng.random() < 0.7 else np.full(3, rng.uniform(120, 240))
        light = colours.mean(axis=2, keepdims=True) / 255
        light = 1 + rng.uniform(0.1, 0.8) * (light - light.mean())
        depth = cv2.distanceTransform((alpha[..., 0] > 128).astype(np.uint8), cv2.DIST_L2, 3)
        bulge = np.sqrt(np.minimum(depth, 25) / 25)
        slopes = np.gradient(cv2.GaussianBlur(bulge.astype(np.float32), (0, 0), 3))
        angle = rng.uniform(0, 2 * np.pi)
        shade = 1 + rng.uniform(0, 8) * (slopes[0] * np.cos(angle) + slopes[1] * np.sin(angle))
        colours = colour * light * np.clip(shade, 0.3, 1.5)[..., None]
    image = Image.fromarray(np.concatenate([colours.clip(0, 255), alpha], axis=2).astype(np.uint8), "RGBA")
    opacity = image.getchannel("A")
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(float(np.exp(rng.normal(0, 0.2))))
    image.putalpha(opacity)
    return image

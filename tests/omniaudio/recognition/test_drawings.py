"""Drawings: the head that names them, its columns by the table of kinds, and the demo's flat bird."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omniaudio.audio.ambisonics import unit_vector
from omniaudio.recognition import kinds
from omniaudio.recognition.drawings import DrawingsHead, balanced
from omniaudio.recognition.finder import Finder
from omniaudio.recognition.networks import OnnxNetworks
from omniaudio.training.scenes import Billboard, render
from support.paths import REPOSITORY

TABLE = kinds.load()
ASSETS = REPOSITORY / "demo" / "assets"


def _stored(folder: Path, learnt: list[str]) -> Path:
    """A head whose n-th kind, and nothing last, answers to the n-th feature alone."""
    weights = np.eye(1280, len(learnt) + 1, dtype=np.float16) * 20
    np.savez(folder / "head.npz", kinds=np.array(learnt), weights=weights, bias=np.zeros(len(learnt) + 1, np.float32))
    return folder / "head.npz"


def test_columns_follow_the_table_and_what_was_not_learnt_has_no_share(tmp_path: Path) -> None:
    head = DrawingsHead.load(TABLE, _stored(tmp_path, ["car", "no_longer_a_kind", "dog"]))
    features = np.full((3, 1280), 0.01, np.float32)
    features[[0, 1, 2], [0, 2, 3]] = 6
    shares = head.shares(features)
    assert shares.shape == (3, len(TABLE.kinds) + 1)
    assert shares.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert [int(row.argmax()) for row in shares] == [TABLE.ids.index("car"), TABLE.ids.index("dog"), len(TABLE.kinds)]
    assert np.count_nonzero(shares[0]) == 3  # a kind that is no longer in the table is left out


def test_features_of_nothing_and_below_zero_by_rounding_stay_finite() -> None:
    assert np.isfinite(balanced(np.array([[0, 0], [1, -1e-4]], np.float32))).all()


def test_the_shipped_head_has_learnt_what_the_table_has_emoji_for() -> None:
    head = DrawingsHead.load(TABLE)
    unknown = [kind.id for kind in TABLE.sources if kind.emoji and not np.isfinite(head.bias[TABLE.ids.index(kind.id)])]
    assert unknown == []


def test_a_flat_car_among_real_houses_is_found_and_named() -> None:
    panorama = np.asarray(Image.open(ASSETS / "venice.jpg").convert("RGB"))
    image = Image.open(ASSETS / "car.png").convert("RGBA")
    car = Billboard(image, np.radians(-140), np.radians(-8), np.radians(44))
    surest = Finder(OnnxNetworks(), TABLE).look(render(panorama, [car])).sources[0]
    assert TABLE.ids[int(surest.shares.argmax())] == "car"
    assert surest.confidence > 0.8
    assert np.degrees(np.arccos(surest.direction @ unit_vector(car.azimuth, car.elevation))) < 15

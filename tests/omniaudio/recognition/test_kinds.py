"""The table of kinds: complete, without contradictions, in AudioSet's and COCO's words."""

import re
from importlib.resources import files

import numpy as np
import pytest

from omniaudio.recognition import kinds
from support.paths import DATA

AUDIOSET = set((DATA / "audioset_labels.txt").read_text("utf-8").splitlines())
"""The 521 classes that YAMNet knows."""
COCO = set((DATA / "coco_classes.txt").read_text("utf-8").splitlines())
"""The 80 classes that a COCO detector knows."""
TABLE = files("omniaudio_client").joinpath("kinds.toml").read_text("utf-8")


def test_there_are_at_least_45_kinds_and_every_bed_of_the_design() -> None:
    table = kinds.load()
    assert len(table.sources) >= 45
    beds = {"sea_waves", "stream", "rain", "wind", "forest", "meadow", "traffic", "crowd", "night", "interior"}
    assert {bed.id for bed in table.beds} == beds


def test_all_1000_classes_stand_once() -> None:
    columns = kinds.load().columns()
    assert columns.shape == (1000,)
    listed = sum(len(kind.imagenet) for kind in kinds.load().kinds) + len(kinds.load().silent)
    assert listed == 1000
    assert np.count_nonzero(columns == len(kinds.load().kinds)) == len(kinds.load().silent)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (7, "chicken"),  # cock
        (131, "bird"),  # little blue heron
        (9, "bird"),  # ostrich
        (145, "penguin"),
        (207, "dog"),  # golden retriever
        (292, "big_cat"),  # tiger
        (319, "insect"),  # dragonfly
        (323, "insect"),  # monarch
        (404, "aeroplane"),  # airliner
        (530, "clock"),  # digital clock
        (528, "telephone"),  # dial telephone
        (628, "ship"),  # ocean liner
        (780, "sailboat"),  # schooner
        (889, "strings"),  # violin
        (978, "sea_waves"),  # seashore
    ],
)
def test_a_class_stands_under_its_kind(number: int, kind: str) -> None:
    assert number in kinds.load()[kind].imagenet


def test_labels_are_audiosets_and_classes_cocos() -> None:
    for kind in kinds.load().kinds:
        assert set(kind.labels) <= AUDIOSET, kind.id
        assert set(kind.coco) <= COCO, kind.id


def test_a_coco_class_has_one_kind() -> None:
    named = [name for kind in kinds.load().kinds for name in kind.coco]
    assert len(named) == len(set(named))


def test_every_voice_is_its_own() -> None:
    """Voices do not chain: a voice that used a third kind's would not be found."""
    table = kinds.load()
    for kind in table.kinds:
        assert table[kind.voice].voice == kind.voice


def test_the_level_falls_with_the_distance_that_the_apparent_size_tells() -> None:
    dog, train, sea = (kinds.load()[name] for name in ("dog", "train", "sea_waves"))
    near, far = 20.0, 2.0
    assert dog.distance_at(far) > 9 * dog.distance_at(near)
    assert dog.level_at(near) - dog.level_at(far) == pytest.approx(20, abs=0.5)
    assert train.level_at(near) - train.level_at(far) == pytest.approx(10, abs=0.5)
    assert sea.level_at(near) == sea.level_at(far) == sea.level
    assert dog.level_at(120) == dog.level


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('imagenet = "84"', 'imagenet = "85"', "85.* listed twice.*84.* missing"),
        ("size = 0.7", "size = 0", "dog: a source has a size"),
        ('voice = "bell"', 'voice = "bel"', "not kinds:.*bel'"),
        ("level = 65", "level = 650", "less than or equal to 140"),
    ],
)
def test_contradictions_are_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        kinds.parse(TABLE.replace(old, new, 1))

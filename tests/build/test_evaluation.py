"""The evaluation: scenes that never mix the splits' draw, and figures on results whose truth is known."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from omniaudio.recognition.sources import Bed, Place, Source, Sources
from support.paths import REPOSITORY

# Last, since the recipe has modules of the same names as the tests' own.
sys.path.append(str(REPOSITORY / "build" / "evaluation"))
import figures
from cost import Cost, measure_cost
from scenes import SECONDS, Cutout, Group, Listing, Scene, scenes
from takes_heard import Heard, Recording, Result, Row, Seen, rows_of, seen, true_sources

THERE = Listing(
    "development",
    panoramas=["hall", "park"],
    photos={"dog": ["dog/1.jpg", "dog/2.jpg"], "piano": ["piano/1.jpg"], "mandolin": ["mandolin/1.jpg"]},
    drawn={"font:cat": "cat", "font:bell": "bell"},
)
COUNTS: dict[Group, int] = {"photograph": 4, "drawing": 2, "moving": 2, "two": 3}
DOG = Cutout("dog", "dog/1.jpg", np.radians(90), 0.0, np.radians(40))


def test_scenes_are_the_same_each_time_and_a_smaller_count_has_the_first_ones() -> None:
    every = list(scenes(THERE, COUNTS))
    assert every == list(scenes(THERE, COUNTS))
    assert [scene for scene in scenes(THERE, {"photograph": 2}) if scene.cutouts] == every[:2]
    assert len({scene.key for scene in every}) == len(every)


def test_the_splits_draw_other_scenes() -> None:
    ours = {scene.key for scene in scenes(THERE, COUNTS) if scene.cutouts}
    assert not ours & {scene.key for scene in scenes(replace(THERE, split="test"), COUNTS)}


def test_groups_have_what_their_names_say() -> None:
    by_group: dict[str, list[Scene]] = {}
    for scene in scenes(THERE, COUNTS, rotations=2):
        by_group.setdefault(scene.group, []).append(scene)
    assert {group: len(found) for group, found in by_group.items()} == {**COUNTS, "empty": 4}
    assert {cutout.folder for scene in by_group["drawing"] for cutout in scene.cutouts} == {"cat", "bell"}
    assert all(cutout.speed for scene in by_group["moving"] for cutout in scene.cutouts)
    for scene in by_group["two"]:
        first, second = scene.cutouts
        assert first.folder != second.folder
        apart = first.directions(np.zeros(1))[0] @ second.directions(np.zeros(1))[0]
        assert apart < np.cos(np.radians(30))


def test_only_one_photograph_of_each_folder_is_heard_in_every_row() -> None:
    scene = Scene("photograph-02", "photograph", "hall", 0.0, False, (DOG,))
    assert set(rows_of(scene)) == set(Row)
    assert rows_of(replace(scene, name="photograph-31")) == (Row.DEFAULT,)


def source(kind: str, azimuth: float, confidence: float = 0.9) -> Source:
    return Source(kind=kind, confidence=confidence, path=(Place(time=0, azimuth=azimuth, elevation=0),))


def test_the_nearest_source_belongs_to_the_cutout() -> None:
    found = Sources(seconds=5, sources=(source("cat", -90), source("dog", 80, 0.7)))
    ours = seen(DOG, found)
    assert (ours.kind, ours.confidence, ours.named) == ("dog", 0.7, True)
    assert ours.error == pytest.approx(10)
    assert ours.from_front == pytest.approx(90)


@pytest.mark.parametrize("found", [(), (source("cat", 90),), (source("dog", 40),)])
def test_nothing_another_kind_and_elsewhere_are_not_named_right(found: tuple[Source, ...]) -> None:
    assert not seen(DOG, Sources(seconds=5, sources=found)).named


def test_what_moves_is_compared_along_its_path() -> None:
    moving = replace(DOG, speed=np.radians(10))
    scene = Scene("moving-00", "moving", "rooitou_park", 0.0, False, (moving,))
    truth = true_sources(scene, Bed(kind="night"))
    assert seen(moving, truth).error == pytest.approx(0, abs=0.5)
    assert seen(moving, Sources(seconds=SECONDS, sources=(source("dog", 90),))).error == pytest.approx(25, abs=0.5)
    assert truth.bed is not None
    assert truth.bed.kind == "meadow"  # the panorama's own


def test_true_sources_keep_the_recognised_bed_where_nobody_knows_better() -> None:
    truth = true_sources(Scene("render-00", "render", "", 0.0, False, (DOG,)), Bed(kind="night"))
    assert truth.bed is not None
    assert truth.bed.kind == "night"
    assert truth.sources[0].path[0].azimuth == pytest.approx(90)
    assert truth.sources[0].path[0].size == pytest.approx(40)


# --- figures ----------------------------------------------------------------------------------------------------------


def heard(*labels: str, error: float | None = None) -> Heard:
    filled = [*labels, *(f"other {n}" for n in range(10 - len(labels)))]
    return Heard(labels=tuple(filled), error=error, level=-20)


def photograph(folder: str, kind: str, sound: Heard, error: float = 5) -> Result:
    cutout = Seen(folder=folder, right=(folder,), size=40, from_front=90, kind=kind, confidence=0.9, error=error)
    return Result(
        name=f"photograph-{folder}", group="photograph", panorama="rooitou_park", beds=("meadow",), cutouts=(cutout,),
        found=(kind,), bed="meadow", sounds={Row.DEFAULT: sound},
    )  # fmt: skip


LATE = heard("a", "b", "c", "Piano", error=10)
RESULTS = [
    photograph("dog", "dog", heard("Bark", error=4)),
    photograph("piano", "piano", LATE),
    photograph("cat", "dog", heard("Bark", error=6)),
    photograph("frog", "frog", heard("Croak", error=60), error=60),
]
RECORDINGS = [
    Recording(kind="dog", path="sounds/dog/1.ogg", real=heard("Dog"), codec=heard("Noise")),
    Recording(kind="dog", path="sounds/dog/2.ogg", real=heard("Rain"), codec=heard("Noise")),
]


def cells(table: str, first: str) -> list[str]:
    """The cells after the first of the one row that starts with `first`."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
    (found,) = [row for row in rows if row[0].strip().startswith(first)]
    return found[1:]


def test_each_row_of_a_group() -> None:
    table = figures.group_table(RESULTS, RECORDINGS)
    assert cells(table, "**the draft** (4)") == ["75 %", "50 %", "8.0°", "75 %"]
    assert cells(table, "real recordings of the kind (1 of") == ["50 %", "50 %", "–", "–"]
    assert cells(table, "the same through the codec") == ["0 %", "0 %", "–", "–"]
    assert cells(table, "the draft, where it is named right (2)") == ["100 %", "50 %", "–", "–"]
    assert cells(table, "always front") == ["–", "–", "90.0°", "0 %"]


def test_a_shuffled_sound_is_judged_by_another_kinds_words() -> None:
    for sound, words in figures.shuffled(RESULTS):
        assert not sound.finds(words, 10) or sound is RESULTS[2].sounds[Row.DEFAULT]


def test_found_and_named() -> None:
    assert cells(figures.recognition_table(RESULTS), "Photographs") == [
        "4", "5.0°", "75 %", "50 %", "67 %", "0.00",
    ]  # fmt: skip


def test_all_tables_are_written() -> None:
    empty = RESULTS[0].model_copy(update={"group": "empty", "cutouts": (), "found": ("dog",)})
    cost = Cost(
        clip_seconds=10, wall_seconds=(3.0, 4.0, 9.0), cpu_seconds=(5.0, 5.0, 5.0), peak_bytes=(10**9,) * 3,
        weights_bytes=5 * 10**7, load=0.1,
    )  # fmt: skip
    text = figures.summary([*RESULTS, empty], RECORDINGS, cost, "test")
    assert "5 scenes of the test split (4 photographs, 1 empty)" in text
    assert cells(text, "kind named right")[1] == "50 % (15 to 85)"
    assert cells(text, "nothing that sounds")[1].startswith("0 %")
    assert cells(text, "10 s clip")[1].startswith("0.40 ×")
    assert cells(text, "weights together")[1] == "50 MB"
    assert cells(figures.details([*RESULTS, empty], RECORDINGS), "dog")[:2] == ["1", "100 %"]
    broken = RESULTS[0].model_copy(update={"sounds": {Row.DEFAULT: LATE.model_copy(update={"defects": ("silent",)})}})
    assert "Defects (NaN, silence, clipping, DC): 1 of 1 sounds" in figures.details([broken], [])


@pytest.mark.slow
def test_time_and_memory_of_the_command(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from PIL import Image  # noqa: PLC0415

    Image.new("RGB", (256, 128), (90, 120, 60)).save(tmp_path / "clip.png")
    cost = measure_cost(tmp_path / "clip.png", 2.0, REPOSITORY)
    assert cost.ratio > 0
    assert min(cost.peak_bytes) > 5e7
    assert cost.weights_bytes > 1e6


def test_plots_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    import plots  # noqa: PLC0415

    sound = tmp_path / "take.wav"
    soundfile.write(sound, np.random.default_rng(0).normal(0, 0.1, 44100), 44100)
    plots.taken_for([result.cutouts[0] for result in RESULTS], tmp_path / "taken_for.png")
    plots.beside_recordings([(RESULTS[0], sound, sound), (RESULTS[1], sound, None)], tmp_path / "takes.png")
    for name in ("taken_for.png", "takes.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")

"""The operator from the button to the strips, with the real engine; and what it says when something is missing."""

import json
import os
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import bpy
import pytest

Modules = Callable[[str], ModuleType]

REPOSITORY = Path(__file__).resolve().parents[3]
ENGINES = [REPOSITORY / ".venv" / part for part in ("bin/python", "Scripts/python.exe")]
DRAFT = REPOSITORY / "omniaudio" / "models" / "draft" / "bundle.json"
FILM = REPOSITORY.parent / "shared" / "media" / "ricoh_360_mono.mp4"  # 360°, 1202 frames at 30 a second


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, installed: str) -> Iterator[None]:
    """The checkout's own engine, found as a user's is."""
    python = next((path for path in ENGINES if path.exists()), None)
    if python is None or not DRAFT.exists():
        pytest.skip("needs the engine in .venv and the draft model")
    monkeypatch.setenv("OMNIAUDIO_PYTHON", str(python))
    yield
    bpy.context.preferences.addons[installed].preferences.engine = ""


@pytest.fixture
def film(scene: bpy.types.Scene) -> bpy.types.Strip:
    """The real footage as the active strip, from frame 11, in a scene of its own rate."""
    if not FILM.exists():
        pytest.skip("needs the folder ../shared with reference material")
    scene.render.fps = 30
    editor = scene.sequence_editor_create()
    strip = editor.strips.new_movie("film", str(FILM), 1, 11)
    editor.active_strip = strip
    return strip


def saved(folder: Path) -> Path:
    path = folder / "film.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def finish(job: object) -> None:
    while not job.step():
        time.sleep(0.01)


def test_sound_for_a_trimmed_movie_strip(
    engine: None, film: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    film.frame_offset_start, film.frame_offset_end = 60, 1202 - 60 - 45  # 1.5 s, from second 2
    saved(tmp_path)
    scene.omniaudio.seed = 5
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    master, preview = (
        next(strip for strip in scene.sequence_editor.strips if strip.get("omniaudio", {}).get("role") == role)
        for role in ("master", "preview")
    )
    for strip in (master, preview):
        assert (strip.frame_final_start, strip.frame_final_duration) == (71, 45)
        assert strip.sound.filepath.startswith("//")
    with wave.open(bpy.path.abspath(master.sound.filepath)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (4, 3)
        assert file.getnframes() == round(1.5 * file.getframerate())
    made_by = master["omniaudio"].to_dict()
    assert (made_by["source_start"], made_by["source_duration"], made_by["seed"]) == (2.0, 1.5, 5)
    assert made_by["model"] == "draft"
    sidecar = json.loads(Path(bpy.path.abspath(made_by["sidecar"])).read_text())
    assert sidecar["seed"] == 5
    assert Path(bpy.path.abspath(made_by["sound_map"])).is_file()


def test_another_take_does_not_overwrite_the_first(
    engine: None, film: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    film.frame_offset_end = 1202 - 30
    saved(tmp_path)
    for _ in range(2):
        assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    sounds = {strip.sound.filepath for strip in scene.sequence_editor.strips if strip.type == "SOUND"}
    stem = FILM.stem
    assert sounds == {f"//{stem}_00{n}{kind}.wav" for n in (1, 2) for kind in ("", ".preview")}


def test_sound_for_the_scene_in_a_file_that_was_never_saved(
    engine: None, scene: bpy.types.Scene, module: Modules
) -> None:
    scene.render.fps, scene.frame_start, scene.frame_end = 8, 3, 10
    scene.cycles.use_denoising = False
    scene.world = bpy.data.worlds.new("sky")
    scene.omniaudio.source = "SCENE"
    scene.omniaudio.width, scene.omniaudio.samples = 256, 1
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    strips = list(scene.sequence_editor.strips)
    assert [(s.frame_final_start, s.frame_final_duration) for s in strips] == [(3, 8), (3, 8)]
    folder = module("snapshot").output_folder("//")
    assert folder.is_absolute()
    assert {Path(strip.sound.filepath).parent for strip in strips} == {folder}
    assert (folder / "Scene_001.mp4").is_file()


def test_a_cancelled_job_ends_the_engine_and_leaves_nothing(
    engine: None, film: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    """Stepped by hand, as the modal operator does: without a window Blender's timers never fire."""
    saved(tmp_path)
    job = module("job").Job(module("snapshot").take_snapshot(bpy.context), blocking=False)
    while job.progress.stage == "starting":
        job.step()
    job.cancel()
    with pytest.raises(module("errors").CancelledError):
        finish(job)
    assert [strip.name for strip in scene.sequence_editor.strips] == ["film"]
    assert [path.name for path in tmp_path.iterdir()] == ["film.blend"]


def test_a_scene_that_is_gone_is_a_sentence_with_the_place_of_the_files(
    engine: None, film: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path, module: Modules
) -> None:
    film.frame_offset_end = 1202 - 30
    saved(tmp_path)
    job = module("job").Job(module("snapshot").take_snapshot(bpy.context), blocking=False)
    scene.name = "another"
    with pytest.raises(module("errors").UserError, match=f"is gone; the files are in {tmp_path}"):
        finish(job)


def says(sentence: str) -> None:
    """The operator refuses with this sentence, and with no trace."""
    with pytest.raises(RuntimeError) as error:
        bpy.ops.omniaudio.generate()
    assert sentence in str(error.value)
    assert "Traceback" not in str(error.value)


def test_a_missing_engine_is_a_sentence(
    film: bpy.types.Strip, monkeypatch: pytest.MonkeyPatch, installed: str, scene: bpy.types.Scene
) -> None:
    monkeypatch.delenv("OMNIAUDIO_PYTHON", raising=False)
    monkeypatch.setenv("PATH", os.devnull)
    says("The OmniAudio engine was not found")
    preferences = bpy.context.preferences.addons[installed].preferences
    preferences.engine = "/no/such/python"
    try:
        says("'/no/such/python' is no program")
    finally:
        preferences.engine = ""
    assert [strip.name for strip in scene.sequence_editor.strips] == ["film"]


def test_an_engine_s_refusal_is_shown(engine: None, film: bpy.types.Strip, installed: str, tmp_path: Path) -> None:
    saved(tmp_path)
    preferences = bpy.context.preferences.addons[installed].preferences
    preferences.model = "no such model"
    try:
        says("no such model")
    finally:
        preferences.model = ""


def test_what_a_strip_cannot_do_is_refused(film: bpy.types.Strip, scene: bpy.types.Scene) -> None:
    scene.render.fps = 24
    says("0.8 times its speed; set the scene's frame rate to 30")
    scene.render.fps = 30
    film.use_flip_x = True
    says("is mirrored")
    film.use_flip_x = False
    film.use_reverse_frames = True
    says("retimed or reversed")
    film.use_reverse_frames = False
    film.filepath = "//gone.mp4"
    says("is missing")
    scene.sequence_editor.active_strip = None
    says("Select a movie strip")
    scene.omniaudio.source = "SCENE"
    scene.camera = None
    says("has no camera")


def test_a_rendered_panorama_outlives_the_engine_s_failure(
    engine: None, scene: bpy.types.Scene, installed: str, tmp_path: Path
) -> None:
    saved(tmp_path)
    scene.frame_end = 2
    scene.omniaudio.source = "SCENE"
    scene.omniaudio.width, scene.omniaudio.samples = 256, 1
    preferences = bpy.context.preferences.addons[installed].preferences
    preferences.model = "no such model"
    try:
        says(f"The rendered panorama is kept: {tmp_path / 'film_001.mp4'}")
    finally:
        preferences.model = ""
    assert (tmp_path / "film_001.mp4").is_file()


@pytest.mark.skipif("sequencer_scene" not in bpy.types.WorkSpace.bl_rna.properties, reason="needs Blender 5.0 or later")
def test_the_sequencer_shows_the_scene_that_got_the_strips(
    engine: None, film: bpy.types.Strip, scene: bpy.types.Scene, tmp_path: Path
) -> None:
    film.frame_offset_end = 1202 - 30
    saved(tmp_path)
    bpy.context.workspace.sequencer_scene = None
    assert bpy.ops.omniaudio.generate() == {"FINISHED"}
    assert bpy.context.workspace.sequencer_scene == scene

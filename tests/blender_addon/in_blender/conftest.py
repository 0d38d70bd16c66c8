"""The extension as a user gets it: built as a zip, installed by Blender, in user folders of its own.

These tests run in the Python that has bpy (`.venv-bpy50/bin/python -m pytest tests/blender_addon/in_blender`); where
there is no bpy, nothing here is collected, and `test_in_blender.py` says so.
"""

import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from support.paths import FOOTAGE, REPOSITORY

PACKAGE = "bl_ext.user_default.omniaudio"
PYTHONS = [REPOSITORY / ".venv" / part for part in ("bin/python", "Scripts/python.exe")]
DRAFT = REPOSITORY / "omniaudio" / "model_zoo" / "checkpoints" / "draft" / "bundle.json"
FOOTAGE_FRAMES = 1202

if importlib.util.find_spec("bpy") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    # Before the first `import bpy`, which reads it.
    os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="omniaudio-test-")


@pytest.fixture(autouse=True)
def quiet_console(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever goes wrong is told in a message: no traceback stands in the console, of Blender's own or of ours."""
    yield
    out, err = capfd.readouterr()
    sys.stdout.write(out)
    sys.stderr.write(err)
    assert "Traceback" not in out + err


@pytest.fixture(scope="session")
def extension_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, str(REPOSITORY / "build" / "build_addon.py"), str(folder)]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


@pytest.fixture(scope="session")
def installed(extension_zip: Path) -> str:
    """The extension's package name, after Blender has installed and enabled it."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.extensions.package_install_files(
        filepath=str(extension_zip), repo="user_default", enable_on_install=True, overwrite=True
    )
    assert PACKAGE in bpy.context.preferences.addons
    return PACKAGE


@pytest.fixture
def module(installed: str) -> Callable[[str], ModuleType]:
    """A module of the installed extension by its name."""
    return lambda name: importlib.import_module(f"{installed}.{name}")


@pytest.fixture
def scene(installed: str) -> object:
    """An empty file's scene, with a camera at the origin that looks along +Y."""
    import bpy

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    assert installed in bpy.context.preferences.addons
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.rotation_euler = (1.5707963267948966, 0.0, 0.0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    return scene


@pytest.fixture
def preferences(installed: str) -> Iterator[object]:
    """The extension's preferences, which are the defaults again after the test."""
    import bpy

    chosen = bpy.context.preferences.addons[installed].preferences
    yield chosen
    for name in chosen.bl_rna.properties.keys():  # noqa: SIM118 (Blender's collections are no mappings)
        if name != "bl_idname" and not chosen.bl_rna.properties[name].is_readonly:
            chosen.property_unset(name)
    importlib.import_module(f"{installed}.session.blender_service").configure()  # nobody tells it of that


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, preferences: object) -> None:
    """The checkout's own service, found as a user's is."""
    python = next((path for path in PYTHONS if path.exists()), None)
    if python is None or not DRAFT.exists():
        pytest.skip("needs the engine in .venv and the draft model")
    monkeypatch.setenv("OMNIAUDIO_PYTHON", str(python))


@pytest.fixture
def video(scene: object) -> object:
    """Footage as the active strip, from frame 11, in a scene of its rate."""
    scene.render.fps = 30
    editor = scene.sequence_editor_create()
    strip = editor.strips.new_movie("video", str(FOOTAGE), 1, 11)
    editor.active_strip = strip
    return strip


@pytest.fixture
def short_video(video: object) -> object:
    """Its first second."""
    video.frame_offset_end = FOOTAGE_FRAMES - 30
    return video


@pytest.fixture
def write_wav(tmp_path: Path) -> Callable[..., Path]:
    """Writes noise as 24-bit WAV, as the service does: `seconds` long, rounded to whole samples."""
    import numpy as np

    def write(name: str, channels: int, seconds: float, rate: int = 44100) -> Path:
        samples = np.random.default_rng(0).integers(-(2**22), 2**22, (round(seconds * rate), channels), np.int32)
        data = (samples << 8).astype("<i4").view(np.uint8).reshape(-1, 4)[:, 1:]
        path = tmp_path / name
        with wave.open(str(path), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(3)
            file.setframerate(rate)
            file.writeframes(data.tobytes())
        return path

    return write


@pytest.fixture
def make_take(module: Callable[[str], ModuleType], write_wav: Callable[..., Path]) -> Callable[..., object]:
    """A take as the service makes it, of noise: `seconds` long, with other samples for each name."""

    def make(seconds: float, name: str = "take_001", take: int = 1, preview: bool = True) -> object:
        ambix = write_wav(f"{name}.wav", 4, seconds)
        return module("service.service_job").TakeFiles(
            ambix=ambix,
            preview=write_wav(f"{name}.preview.wav", 2, seconds) if preview else None,
            direction_map=None,
            sidecar=ambix.with_suffix(".json"),
            seed=6 + take,
            take=take,
            rate=44100,
            samples=round(seconds * 44100),
            gain_db=0.0,
        )

    return make


@pytest.fixture
def numbered_frames(tmp_path: Path) -> Callable[..., list[Path]]:
    """Writes 64 x 32 images whose grey says their number, and whose left quarter is black."""
    import bpy
    import numpy as np

    def write(count: int) -> list[Path]:
        files = []
        for number in range(count):
            pixels = np.ones((32, 64, 4), np.float32)
            pixels[:, :, :3] = (number + 2) / (count + 2)
            pixels[:, :16, :3] = 0
            file = tmp_path / f"numbered_{number:03d}.png"
            image = bpy.data.images.new("numbered", 64, 32)
            image.pixels.foreach_set(pixels.ravel())
            image.filepath_raw = str(file)
            image.file_format = "PNG"
            image.save()
            bpy.data.images.remove(image)
            files.append(file)
        return files

    return write

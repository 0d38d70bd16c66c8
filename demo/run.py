"""The demo: `python build/bootstrap.py demo` makes the environments and runs this in the service's.

Blender builds a scene, renders it in 360°, generates its sound with the extension, saves and reopens it. Then Blender's
mixdown is compared with the file, and each source of the scene with what was recognised, with the direction of its
stem, and with what an independent tagger hears in the stem.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import soundfile

from omniaudio.audio import ambisonics
from omniaudio.audio.ambisonics import Floats
from omniaudio.errors import UserError
from omniaudio.evaluation.metrics import level_dbfs, track, track_error
from omniaudio.evaluation.yamnet import Yamnet, fetch_weights
from omniaudio.recognition import kinds
from omniaudio.recognition.sources import Sources
from omniaudio.sidecar import Sidecar

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
NEAR = 25.0
"""Degrees within which a recognised source matches one of the scene."""


def main() -> None:
    """Runs the demo. Exits with status 1 if Blender's mixdown differs from the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("blender", type=Path, help="the Python that has bpy")
    made = make(parser.parse_args().blender)
    master, _ = soundfile.read(made["master"], dtype="float32", always_2d=True)
    difference = compare(master, Path(made["mixdown"]))
    Path(made["mixdown"]).unlink()
    report = describe(made, Path(made["master"]), difference, tagger_if_any())
    (HERE / "table.txt").write_text(report, "utf-8")
    print(report)
    if difference >= 2.0**-24:
        raise SystemExit(f"Blender's mixdown differs from {made['master']} by {difference:.1e}.")


def make(blender: Path) -> dict[str, Any]:
    """Runs `scene.py` in Blender's Python, with a fresh build of the extension and this Python's service."""
    for old in (path for path in HERE.iterdir() if path.name.startswith(("demo.", "demo_"))):
        old.unlink()
    report = HERE / "demo_scene.json"  # beside it, while this runs, the mixdown
    with tempfile.TemporaryDirectory() as user_folders:
        build = [sys.executable, str(REPOSITORY / "build" / "build_addon.py"), user_folders]
        extension = subprocess.run(build, check=True, capture_output=True, text=True).stdout.strip()
        command = [str(blender), str(HERE / "scene.py"), extension, str(HERE), str(report)]
        environment = {**os.environ, "OMNIAUDIO_PYTHON": sys.executable, "BLENDER_USER_RESOURCES": user_folders}
        log = HERE / "demo_blender.txt"
        with log.open("w") as output:
            done = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)
    # Blender sometimes exits with 0 after an exception, but the report is written last.
    if not report.exists():
        lines = log.read_text("utf-8", "replace").strip().splitlines()
        raise SystemExit("\n".join([*lines[-5:], f"Blender failed (exit {done.returncode}); its full output: {log}"]))
    made: dict[str, Any] = json.loads(report.read_text("utf-8"))
    report.unlink()
    return made


def compare(master: np.ndarray, mixdown: Path) -> float:
    """The largest difference between the file (samples, 4) and Blender's mixdown of it; 1 is full scale."""
    mixed, _ = soundfile.read(mixdown, dtype="float32", always_2d=True)
    # Blender fills up its last buffer, with up to 1024 samples.
    if not 0 <= len(mixed) - len(master) <= 1024:
        return float("inf")
    return float(np.abs(mixed[: len(master)] - master).max())


def describe(made: dict[str, Any], master: Path, difference: float, tagger: Yamnet | None) -> str:
    """The report as text: a line for each source, then times, memory, strips and files.

    Args:
        made: the report of `scene.py`.
        master: the take, with its sidecar and stems beside it.
        difference: the result of `compare`.
        tagger: judges the stems, if it is available.
    """
    found = Sidecar.read(master.with_suffix(".json")).sources
    assert found is not None
    lines = [f"{'seen':<8}{'recognised as':<22}{'sure':>5}{'apart':>8}{'level':>8}   the tagger hears"]
    for seen in made["seen"]:
        directions = unit_vectors(seen["directions"])
        number = nearest(found, directions)
        if number is None:
            lines.append(f"{seen['kind']:<8}nothing")
            continue
        source = found.sources[number]
        stem, rate = soundfile.read(stem_of(master, number + 1, source.kind), dtype="float32", always_2d=True)
        heard = track(stem.T[:, : len(directions) * rate], rate, 1.0)
        lines.append(
            f"{seen['kind']:<8}{kinds.load()[source.kind].name:<22}{source.confidence:>5.0%}"
            f"{track_error(heard, directions):>7.0f}°{level_dbfs(stem.T):>8.1f}   {heard_as(tagger, stem[:, 0], rate)}"
        )
    bed = found.bed
    if bed is not None:
        lines.append(f"{'around':<8}{kinds.load()[bed.kind].name:<22}{bed.confidence:>5.0%}")
    memory = made["service_bytes"]
    lines += [
        "",
        "apart: median angle between where it is seen and where its stem sounds from; level in dBFS",
        f"rendered in 360° in {made['render_seconds']:.0f} s, sound generated in {made['generate_seconds']:.0f} s, "
        + (f"{memory / 1e9:.2f} GB at most" if memory else "memory not measured on this system"),
        f"mixed down from the .blend: largest difference from the file {difference:.1e}, "
        + ("below 24 bit" if difference < 2.0**-24 else "MORE THAN 24 BIT"),
        *(f"strip {name}: channel {at}, frames {a} to {b}" for name, at, a, b in made["strips"].values()),
        *(str(path.relative_to(REPOSITORY)) for path in sorted(HERE.glob("demo*")) if path.suffix != ".txt"),
    ]
    return "\n".join(lines) + "\n"


def unit_vectors(degrees: list[tuple[float, float]]) -> Floats:
    """Azimuths and elevations in degrees as unit vectors `(…, 3)`."""
    azimuths, elevations = np.radians(np.array(degrees)).T
    return ambisonics.unit_vector(azimuths, elevations)


def nearest(found: Sources, directions: Floats) -> int | None:
    """The index of the recognised source along the directions, one per second; None if none is within NEAR."""
    times = np.arange(len(directions)) + 0.5
    apart = [
        float(np.median(np.degrees(ambisonics.angle_between(source.directions(times), directions))))
        for source in found.sources
    ]
    best = int(np.argmin(apart)) if apart else None
    return best if best is not None and apart[best] < NEAR else None


def stem_of(master: Path, number: int, kind: str) -> Path:
    """The file of a take's stem."""
    (stem,) = master.parent.glob(f"*.stem-{number}-{kind}.wav")
    return stem


def heard_as(tagger: Yamnet | None, sound: Floats, rate: int) -> str:
    """What the tagger hears in a mono sound, its first three words."""
    if tagger is None:
        return "(the tagger is not at hand)"
    return ", ".join(label for label, _ in tagger.top(tagger.scores(sound, rate), 3))


def tagger_if_any() -> Yamnet | None:
    """The judge of what is heard, 40 MB; None where it cannot be had."""
    try:
        return Yamnet(fetch_weights(platformdirs.user_cache_path("omniaudio", appauthor=False)))
    except UserError:
        return None


if __name__ == "__main__":
    main()

"""The whole demo: `python build/bootstrap.py demo` makes the environments and runs this in the engine's.

A scene is built and rendered in 360° in Blender, gets its sound by the extension, is saved and opened again; here the
sound that Blender mixes down is compared with the file, and where it comes from with where the thing is seen.
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
import soundfile

from omniaudio import ambisonics
from omniaudio.evaluation.metrics import level_dbfs, track, track_error

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent


def main() -> None:
    """See the module; exit status 1 if what Blender mixes down is not what is in the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("blender", type=Path, help="the Python that has bpy")
    made = make(parser.parse_args().blender)
    master, rate = soundfile.read(made["master"], dtype="float32", always_2d=True)
    difference = compare(master, Path(made["mixdown"]))
    Path(made["mixdown"]).unlink()
    report = describe(made, master.T, rate, difference)
    (HERE / "table.txt").write_text(report, "utf-8")
    print(report)
    if difference >= 2.0**-24:
        raise SystemExit(f"Blender's mixdown differs from {made['master']} by {difference:.1e}.")


def make(blender: Path) -> dict[str, Any]:
    """Runs `scene.py` in Blender's Python, with the extension built now and this Python's engine."""
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
    # Blender ends with 0 even after an exception at times; the report is its last deed.
    if not report.exists():
        lines = log.read_text("utf-8", "replace").strip().splitlines()
        raise SystemExit("\n".join([*lines[-5:], f"Blender's part failed (exit {done.returncode}); all of it: {log}"]))
    made: dict[str, Any] = json.loads(report.read_text("utf-8"))
    report.unlink()
    return made


def compare(master: np.ndarray, mixdown: Path) -> float:
    """The largest difference, 1 being full scale, between the file and Blender's mixdown of it, (samples, 4) each."""
    mixed, _ = soundfile.read(mixdown, dtype="float32", always_2d=True)
    # Blender fills its last buffer with what it pleases, 1024 samples at most.
    if not 0 <= len(mixed) - len(master) <= 1024:
        return float("inf")
    return float(np.abs(mixed[: len(master)] - master).max())


def describe(made: dict[str, Any], foa: np.ndarray, rate: int, difference: float) -> str:
    """What was made, as text: the table second by second, the times, the files."""
    seen = np.radians(np.array(made["seen"]))
    heard = track(foa[:, : len(seen) * rate], rate, 1.0)
    directions = ambisonics.unit_vector(seen[:, 0], seen[:, 1])
    errors = np.degrees(ambisonics.angle_between(heard.directions, directions))
    azimuths, elevations = map(np.degrees, ambisonics.angles(heard.directions))
    lines = ["             seen           heard", "second   az    el        az    el    apart   level (dBFS)"]
    for second, (azimuth, elevation) in enumerate(made["seen"]):
        level = level_dbfs(foa[:, second * rate : (second + 1) * rate])
        lines.append(
            f"{second:4d}   {azimuth:5.0f} {elevation:5.0f}     {azimuths[second]:5.0f} {elevations[second]:5.0f}"
            f"    {errors[second]:4.0f}°   {level:6.1f}"
        )
    memory = made["engine_bytes"]
    lines += [
        "",
        f"median angle between them, weighted by energy: {track_error(heard, directions):.0f}° (90° by chance)",
        f"rendered in 360° in {made['render_seconds']:.0f} s, sound generated in {made['generate_seconds']:.0f} s, "
        + (f"{memory / 1e9:.2f} GB at most" if memory else "memory not measured on this system"),
        f"mixed down from the .blend: largest difference from the file {difference:.1e}, "
        + ("below 24 bit" if difference < 2.0**-24 else "MORE THAN 24 BIT"),
        *(f"strip {name}: channel {at}, frames {a} to {b}" for name, at, a, b in made["strips"].values()),
        *(str(path.relative_to(REPOSITORY)) for path in sorted(HERE.glob("demo*")) if path.suffix != ".txt"),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

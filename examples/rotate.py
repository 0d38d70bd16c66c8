"""Rotate the sound of a camera that turns at a constant speed, so that its sources stay in place in the world.

python examples/rotate.py camera.ambix.wav world.wav --degrees-per-second 30
"""

import argparse
from math import cos, radians, sin

import omniaudio
from omniaudio.audio.rotation import Orientation
from omniaudio.errors import UserError

STEP_SECONDS = 0.1
"""Between two orientations; they are interpolated sample by sample."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sound", help="a 4-channel WAV in the camera's axes")
    parser.add_argument("output", help="the WAV to write")
    parser.add_argument("--degrees-per-second", type=float, default=30.0, help="positive turns the camera left")
    arguments = parser.parse_args()
    try:
        report = omniaudio.inspect(arguments.sound)
        if report.kind != "ambisonic":
            raise SystemExit(f"{arguments.sound} is not a sound file.")
        steps = int(report.seconds / STEP_SECONDS) + 2
        course = [yawed(step * STEP_SECONDS, arguments.degrees_per_second) for step in range(steps)]
        rotated = omniaudio.rotate(arguments.sound, course, arguments.output)
    except UserError as error:
        raise SystemExit(str(error)) from error
    print(rotated.sound)


def yawed(seconds: float, speed: float) -> Orientation:
    """Return the orientation of a camera that turns left about the vertical axis, `speed` in degrees per second."""
    half = radians(speed * seconds) / 2
    return Orientation(seconds=seconds, w=cos(half), x=0.0, y=0.0, z=sin(half))


if __name__ == "__main__":
    main()

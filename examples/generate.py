"""Generate spatial audio for one 360° clip, with progress, and print where its sources are.

python examples/generate.py clip.mp4 --seed 3
"""

import argparse

import omniaudio
from omniaudio.errors import UserError
from omniaudio.progress import Report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", help="a 360° video or still image")
    parser.add_argument("--output", help="the WAV to write; default: CLIP.ambix.wav")
    parser.add_argument("--duration", type=float, help="seconds; required for a still image")
    parser.add_argument("--seed", type=int, default=0, help="each seed gives another result")
    arguments = parser.parse_args()
    try:
        result = omniaudio.generate(
            arguments.clip,
            arguments.output,
            duration=arguments.duration,
            seed=arguments.seed,
            progress=show,
        )
    except UserError as error:
        raise SystemExit(str(error)) from error
    print(f"\n{result.takes[0].sound}, by {result.model} on {result.backend}")
    print(f"{result.read().shape[0]} channels, {result.read().shape[1]} samples")
    found = result.sources()
    for source in found.sources if found is not None else ():
        first = source.path[0]
        print(f"{source.kind}: azimuth {first.azimuth:.0f}°, elevation {first.elevation:.0f}°")


def show(step: Report) -> None:
    """Print the progress on one line."""
    print(f"\r{step.stage:>10} {step.fraction:4.0%}", end="", flush=True)


if __name__ == "__main__":
    main()

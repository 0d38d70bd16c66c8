"""Generate spatial audio for all videos in a folder. The model is opened once; a bad clip does not stop the others.

python examples/batch_folder.py clips/ sounds/
"""

import argparse
import sys
from pathlib import Path

import omniaudio
from omniaudio.errors import UserError

ENDINGS = {".mp4", ".mov", ".mkv", ".webm"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="the folder of the videos")
    parser.add_argument("sounds", type=Path, help="the folder to write to")
    arguments = parser.parse_args()
    arguments.sounds.mkdir(parents=True, exist_ok=True)
    model = omniaudio.open_model()
    failed = 0
    for clip in sorted(arguments.clips.iterdir()):
        target = arguments.sounds / f"{clip.stem}.ambix.wav"
        if clip.suffix.lower() not in ENDINGS or target.exists():  # so that an interrupted batch continues
            continue
        try:
            omniaudio.generate(clip, target, model=model)
        except UserError as error:
            print(error, file=sys.stderr)
            failed += 1
        else:
            print(target)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()

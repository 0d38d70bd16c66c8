"""`omniaudio build` from the repository: `python build/build_engine.py --help`."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    from omniaudio.cli import main

    sys.argv.insert(1, "build")
    main()

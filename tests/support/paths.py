"""Paths of the repository, the tests' data and the optional reference material."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY / "tests" / "data"
"""Small files; `README.md` there says how each was made."""
FOOTAGE = DATA / "footage_360.mp4"
"""40 s of 360° video as it comes from the web: 1202 frames at 30 a second, shown 644 x 322, silent."""
REAL_FOOTAGE = REPOSITORY.parent / "shared" / "media" / "ricoh_360_mono.mp4"
"""Of a real camera, with the same figures; it may be missing."""
SHARED = REPOSITORY.parent / "shared"
"""Reference material outside the repository: real recordings and the released code's figures. It may be missing."""

"""Where the repository, the tests' data and the optional reference material lie."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY / "tests" / "data"
"""Small files; `README.md` there says how each was made."""
SHARED = REPOSITORY.parent / "shared"
"""Reference material outside the repository: real recordings and the released code's figures. It may be missing."""

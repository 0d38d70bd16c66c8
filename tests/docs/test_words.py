"""The words of docs/glossary.md are used, and not what they replace: in names, and in what people read."""

import io
import re
import subprocess
import tokenize
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NOT_OURS = ("CHANGELOG.md", "tests/docs/test_words.py", "omniaudio/model_zoo/checkpoints/", "LICENSE")
"""What tells of the past, lists the words, or was written elsewhere."""

NAMES = {
    r"MOST|LEAST|LONGEST|SHORTEST|FURTHEST|HIGHEST|LOWEST|LARGEST|SMALLEST|FEWEST|FASTEST|SLOWEST": "MAX, MIN, FIRST",
    r"again|anew": "inpainting, repeat",
    r"films?|movies?": "video",
    r"listen(s|ed|ing)?": "binaural",
    r"pictures?": "frame, image, clip or video",
    r"sentences?": "message",
    r"sound_?maps?|SoundMaps?": "direction map",
    r"things?": "source",
    r"turn(s|ed|ing)?": "rotation",
    r"wish(es)?": "job, request",
    r"works?": "job",
}
"""Parts of names, as in `part_of_a_name` and `PartOfAName`, and what is said instead."""

ENGINE = r"engines?"
"""A compiled graph, so no part of a name where there are none."""
WITHOUT_ENGINES = ("blender_addon/", "osc_bridge/", "omniaudio_client/", "omniaudio/")
RENDER_ENGINES = ("blender_addon/render/",)
"""Where an engine is Blender's."""

OF_LIBRARIES = {
    "listen",  # socket.socket
    "listening",
    "listener",
    "MovieStrip",  # bpy.types
    "WorkSpace",
    "movie",
    "movieclips",
    "new_movie",
    "PictureType",  # av.video.frame
    "film_transparent",  # bpy.types.RenderSettings
}
"""Names that others have given."""

TEXT = {
    r"\bmade (again|anew)\b|\bmak(e|es|ing) (a part|it|the part) (again|anew)\b": "regenerate; inpainting",
    r"\bsentences?\b": "message",
    # But for Blender's own: `"MOVIE"`, movie strips, the menu Add › Movie.
    r"(?<!\")(?<!Add › )\b(films?|movies?)\b(?! (or image )?strips?\b)": "video",
    r"\bpictures?\b(?!/)": "frame, image, clip or video",
    r"\bsound ?maps?\b|\bmap_movie\b": "direction map",
    r"\bwhat the (true-peak )?guard took\b": "gain reduction",
    r"\bturning camera\b": "moving camera; head-locked",
}
"""What people read: documentation, docstrings, comments and messages."""


@cache
def files(*endings: str) -> list[Path]:
    """Ours, of all that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [
        REPOSITORY / name
        for name in listed.stdout.split("\0")
        if name.endswith(endings) and not name.startswith(NOT_OURS) and "LICENSE" not in name
    ]


def parts(name: str) -> list[str]:
    """`part_of_aName` as part, of, a, Name."""
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)


@cache
def names(path: Path) -> list[tuple[str, int]]:
    """The names in a Python file, each with the line where it stands first."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline)
    found: dict[str, int] = {}
    for token in tokens:
        if token.type == tokenize.NAME:
            found.setdefault(token.string, token.start[0])
    return list(found.items())


@pytest.mark.parametrize("pattern", NAMES)
def test_no_name_has_a_replaced_word(pattern: str) -> None:
    word = re.compile(pattern, re.IGNORECASE if pattern.islower() else 0)
    found = [
        f"{path.relative_to(REPOSITORY)}:{line}: {name} ({NAMES[pattern]})"
        for path in files(".py")
        for name, line in names(path)
        if name not in OF_LIBRARIES and any(word.fullmatch(part) for part in parts(name))
    ]
    assert found == []


def test_only_a_compiled_graph_is_an_engine() -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{line}: {name} (service)"
        for path in files(".py")
        if path.relative_to(REPOSITORY).as_posix().startswith(WITHOUT_ENGINES)
        and not path.relative_to(REPOSITORY).as_posix().startswith(RENDER_ENGINES)
        for name, line in names(path)
        if name != "trt_engine" and any(re.fullmatch(ENGINE, part, re.IGNORECASE) for part in parts(name))
    ]
    assert found == []


@pytest.mark.parametrize("pattern", TEXT)
def test_no_text_has_a_replaced_word(pattern: str) -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()} ({TEXT[pattern]})"
        for path in files(".py", ".md", ".toml", ".lua")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(pattern, line, re.IGNORECASE)
    ]
    assert found == []


def test_no_file_has_a_replaced_word_in_its_name() -> None:
    replaced = re.compile("|".join(f"(?:{pattern})" for pattern in NAMES), re.IGNORECASE)
    found = [
        str(path.relative_to(REPOSITORY))
        for path in files(".py", ".md", ".toml")
        if any(replaced.fullmatch(part) for part in parts(path.stem))
    ]
    assert found == []

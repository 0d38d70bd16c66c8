"""Sidecars that were edited by hand: each can be repeated, or is refused with one message when it is read."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omniaudio.errors import ExitCode, UserError
from omniaudio.generation.inpainting import Inpainting
from omniaudio.generation.request import Request, as_request
from omniaudio.sidecar import MAX_SIDECAR_BYTES, Sidecar
from omniaudio_client.options import GenerationOptions

Edit = Callable[[dict[str, Any]], None]
VALID = json.loads(
    Sidecar(
        model_sha256="0" * 64,
        take=1,
        options=GenerationOptions(model="draft", backend="onnxruntime", seed=3, steps=4, guidance=2.0, takes=2),
        start=0,
        duration=2,
        rate=44100,
        input="clip.mp4",
        input_sha256="1" * 64,
        gain_db=0,
        true_peak_dbtp=-3,
        versions={"python": "3.11.7"},
    ).model_dump_json()
)
PART = {"sound": "take.wav", "sound_sha256": "2" * 64, "start": 0.5, "duration": 1.0, "gain_db": -3.0}


def edited(path: Path, edit: Edit) -> Path:
    content = json.loads(json.dumps(VALID))
    edit(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def at(name: str, value: object) -> Edit:
    *folders, last = name.split(".")

    def edit(content: dict[str, Any]) -> None:
        for folder in folders:
            content = content[folder]
        content[last] = value

    return edit


def asked_for(sidecar: Sidecar) -> Request:
    """The request that it gives, once its input and its sound have been found."""
    part = sidecar.inpainting
    inpainting = None if part is None else Inpainting(sound=Path("take.wav"), start=part.start, duration=part.duration)
    return as_request(sidecar, Path("clip.mp4"), Path("a.wav"), inpainting)


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("rate", 1, "1000"),
        ("rate", 7999, "8000 to 192000"),
        ("rate", 5_000_000, "768000"),
        ("options.steps", 0, "1"),
        ("options.steps", 1001, "1000"),
        ("options.steps", 2.5, "integer"),
        ("options.takes", 17, "16"),
        ("options.model", None, "not be null"),
        ("options.steps", None, "not be null"),
        ("options.colour", 1, "Unexpected"),
        ("options.guidance", float("nan"), "finite"),
        ("options.guidance", float("inf"), "finite"),
        ("options.guidance", 1e30, "100"),
        ("start", -1, "0"),
        ("duration", 0, "greater than 0"),
        ("duration", float("inf"), "finite"),
        ("options.backend", "a" * 201, "200"),
        ("options.seed", -1, "0"),
        ("options.seed", 2**53, str(2**53 - 1)),
        ("options.seed", 2**70, ""),
        ("take", 3, "1 to options.takes"),
        ("take", 0, "1"),
        ("options.model", "a" * 5000, "4096"),
        ("input", "a" * 5000, "4096"),
        ("input", "", "1 character"),
        ("input", 7, "string"),
        ("input", None, "string"),
        ("input_sha256", "0" * 5000, "200"),
        ("gain_db", 5, "0"),
        ("gain_db", float("nan"), "finite"),
        ("true_peak_dbtp", float("inf"), "finite"),
        ("versions", {str(number): "" for number in range(101)}, "100"),
        ("versions", {"numpy": "9" * 201}, "200"),
        ("convention", "FuMa", "AmbiX"),
        ("format", "omniaudio-sidecar-2", "omniaudio-sidecar-1"),
        ("created", "yesterday", ""),
        ("unknown", 1, "not permitted"),
        ("inpainting", {**PART, "duration": float("inf")}, "finite"),
        ("inpainting", {**PART, "gain_db": -500}, "-120"),
        ("inpainting", {**PART, "sound": ""}, "1 character"),
    ],
)
def test_a_value_that_cannot_be_asked_for_is_refused_when_it_is_read(
    tmp_path: Path, name: str, value: object, limit: str
) -> None:
    path = edited(tmp_path / "a.json", at(name, value))
    with pytest.raises(UserError) as caught:
        Sidecar.read(path)
    assert caught.value.code is ExitCode.NO_INPUT
    assert name.rsplit(".", maxsplit=1)[-1] in caught.value.message
    assert limit in caught.value.message
    assert len(caught.value.message) < 500 + len(str(tmp_path))


@pytest.mark.parametrize(
    "edit",
    [
        at("rate", 192_000),
        at("options.steps", 1000),
        at("options.guidance", -100),
        at("options.seed", 2**53 - 1),
        at("take", 2),
        at("options.model", "folder/of/a model"),
        at("versions", {}),
        at("inpainting", PART),
        lambda content: content.update(inpainting=PART, rate=768_000),
    ],
)
def test_every_value_within_the_limits_can_be_asked_for(tmp_path: Path, edit: Edit) -> None:
    assert asked_for(Sidecar.read(edited(tmp_path / "a.json", edit)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "its form"),
        (b"[]", "dictionary"),
        (b"7", "dictionary"),
        (b"[" * 100_000, "nested too deep|its form"),
        (json.dumps(VALID)[:-1].encode(), "its form"),
        (json.dumps(VALID).encode("utf-16"), "its form"),
        (b'{"seed": 1' + b"0" * 5000 + b"}", "its form"),
        (json.dumps(VALID).replace('"seed"', '"seed": 1, "seed"', 1).encode(), "'seed' occurs twice"),
        (json.dumps(VALID).replace("clip.mp4", "clip\\udcff.mp4").encode(), "input"),
        (b" " * (MAX_SIDECAR_BYTES + 1), "larger than 1 MiB"),
    ],
)
def test_what_is_no_sidecar(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        Sidecar.read(tmp_path / "a.json")
    assert caught.value.code is ExitCode.NO_INPUT


def test_an_editor_may_add_a_mark_of_utf8(tmp_path: Path) -> None:
    """As Windows' Notepad does."""
    (tmp_path / "a.json").write_text(json.dumps(VALID), encoding="utf-8-sig")
    assert Sidecar.read(tmp_path / "a.json").options.seed == 3


FIELDS = [*VALID, *(f"options.{name}" for name in VALID["options"]), *(f"inpainting.{name}" for name in PART)]
SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("/dev/zero")
ANYTHING = SIMPLE | st.lists(SIMPLE, max_size=2) | st.dictionaries(st.text(max_size=2), SIMPLE, max_size=2)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FIELDS), value=ANYTHING, deleted=st.booleans())
def test_any_edit_can_be_asked_for_or_is_refused(tmp_path: Path, name: str, value: object, deleted: bool) -> None:
    *folder, last = name.split(".")

    def edit(content: dict[str, Any]) -> None:
        content["inpainting"] = dict(PART)
        place = content[folder[0]] if folder else content
        place[last] = value
        if deleted:
            del place[last]

    with suppress(UserError):
        asked_for(Sidecar.read(edited(tmp_path / "a.json", edit)))

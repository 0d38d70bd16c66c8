"""The options of a generation, on their way through every layer; a layer that forgets one fails here."""

import inspect
import json
import re
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from blender_addon.core.provenance import Provenance
from omniaudio.cli import application
from omniaudio.generation.request import Request, as_request
from omniaudio.sidecar import Sidecar
from omniaudio_client.options import GenerationOptions, Length, Option, OptionError, Range, options_of
from omniaudio_client.records import GenerateRequest, PathSource, parsed
from osc_bridge.ledger import Entry, Ledger
from osc_bridge.messages import Generate, parse
from osc_bridge.packets import Message
from trt_engine.commands.generate import generate
from trt_engine.service.kinds import generate as kinds

OPTIONS = options_of(GenerationOptions)
NAMES = [option.name for option in OPTIONS]


def another(option: Option) -> Any:
    """A value that is possible, and not the default."""
    default = getattr(GenerationOptions(), option.name)
    if option.kind is bool:
        return not default
    if option.kind is str:
        return "another"
    assert isinstance(option.limits, Range)
    return next(value for value in (option.limits.maximum, option.limits.minimum) if value != default)


ANOTHER = GenerationOptions(**{option.name: another(option) for option in OPTIONS})


def test_every_value_is_another_than_the_default() -> None:
    ours, default = asdict(ANOTHER), asdict(GenerationOptions())
    assert all(ours[name] != default[name] for name in NAMES)


def test_they_come_through_every_layer(tmp_path: Path) -> None:
    """Client, HTTP, request, sidecar, request, OSC, ledger, client and a strip of Blender's."""
    sent = json.dumps(asdict(GenerateRequest(PathSource("/clip.mp4"), options=ANOTHER)))
    received = kinds.GenerateRequest.model_validate_json(sent)
    assert received.options == ANOTHER
    assert parsed(GenerateRequest, json.loads(received.model_dump_json())).options == ANOTHER
    request = Request(input=Path("clip.mp4"), output=Path("a.wav"), options=received.options)
    sidecar = Sidecar(
        options=request.options,
        model_sha256="0" * 64,
        input="clip.mp4",
        input_sha256="1" * 64,
        start=0,
        duration=1,
        rate=48_000,
        gain_db=0,
        true_peak_dbtp=None,
    )
    sidecar.write(tmp_path / "a.json")
    reread = as_request(Sidecar.read(tmp_path / "a.json"), Path("clip.mp4"), Path("a.wav"), None)
    assert reread.options == ANOTHER
    text = json.dumps(asdict(reread.options))
    _, asked = parse(Message("/omniaudio/generate", ("id", "/clip.mp4", text)))
    assert isinstance(asked, Generate)
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    ledger.put(Entry("id", "", "/clip.mp4", asked.options, "127.0.0.1", None))
    entry = ledger.get("id")
    ledger.close()
    assert entry is not None
    assert entry.options == asked.options
    assert asked.options.generation == ANOTHER
    assert Provenance.from_dict(Provenance(options=asked.options.generation).to_dict()).options == ANOTHER


@pytest.mark.parametrize("name", NAMES)
def test_the_command_has_an_option_for_each(name: str) -> None:
    assert name in inspect.signature(generate).parameters
    shown = CliRunner().invoke(application(), ["generate", "--help"], env={"COLUMNS": "200"}).output
    assert f"--{name.replace('_', '-')}" in re.sub(r"\x1b\[[0-9;]*m", "", shown)


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS if option.limits is not None], ids=lambda one: one.name
)
def test_the_schema_has_the_limits(option: Option) -> None:
    schema = kinds.GenerateRequest.model_json_schema()["$defs"]["GenerationOptions"]
    field = schema["properties"][option.name]
    value = field["anyOf"][0] if option.optional else field
    names = ("minimum", "maximum") if isinstance(option.limits, Range) else ("minLength", "maxLength")
    assert isinstance(option.limits, Range | Length)
    assert [value[name] for name in names] == [option.limits.minimum, option.limits.maximum]
    assert field["description"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"guidance": 200}, "guidance cannot be 200: give -100 to 100, or leave it to the model."),
        ({"guidance": float("nan")}, "guidance cannot be nan"),
        ({"takes": 17}, "takes cannot be 17: give 1 to 16."),
        ({"takes": True}, "takes cannot be True"),
        ({"takes": 1.5}, "takes cannot be 1.5"),
        ({"seed": -1}, "seed cannot be -1: give 0 to 9007199254740991."),
        ({"seed": None}, "seed cannot be None"),
        ({"model": ""}, "model cannot be '': give a text of 1 to 4096 characters, or leave it to the model."),
        ({"stems": 1}, "stems cannot be 1: give true or false."),
        ({"steps": "20"}, "steps cannot be '20': give 1 to 1000, or leave it to the model."),
    ],
)
def test_an_impossible_value_is_refused_in_one_message(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        GenerationOptions(**wrong)
    assert message in str(caught.value)
    with pytest.raises(OptionError):
        replace(ANOTHER, **wrong)


def test_as_much_as_can_be_understood() -> None:
    given = {"seed": "seven", "model": "draft", "steps": "20", "guidance": [3], "takes": 99, "of a later version": {}}
    assert GenerationOptions.understood(given) == GenerationOptions(model="draft", steps=20)
    assert GenerationOptions.understood(ANOTHER.given()) == ANOTHER
    assert [field.name for field in fields(GenerationOptions)] == NAMES

"""The messages of clients below /omniaudio/, as pydantic models."""

import json
from dataclasses import fields
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from omniaudio.limits import OutputRate
from omniaudio.recognition.sources import Given
from omniaudio_client.options import GenerationOptions
from osc_bridge.packets import Argument, Message

PREFIX = "/omniaudio/"
PROTOCOL = 1
"""Version of these messages; another one is incompatible."""
MAX_FAULTS, MAX_FAULTS_SECONDS = 20, 1000
"""The invalid fields that one refusal names, and the characters of client text that it repeats."""


class RefusedError(Exception):
    """A request that was refused or failed: `code` is for programs, `message` says what to do."""

    def __init__(self, code: str, message: str, request_id: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request_id = request_id


def _whole(value: Any) -> Any:
    """A float as an integer, if it is one: Pure Data has only floats, so 9001.0 means 9001."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _identifier(value: Any) -> Any:
    """A number as an id: patches may count their requests."""
    value = _whole(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


RequestId = Annotated[str, BeforeValidator(_identifier), Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Port = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=65535)]


_BY_PATH, _BY_VALUE = "by path", "by value"
_NESTED = "generation"
"""The field of `_Generation` that holds the options which the JSON has beside the others."""


def _how_given(value: Any) -> str:
    return _BY_PATH if isinstance(value, str) else _BY_VALUE


SourcesOption = Annotated[
    Annotated[str, Field(min_length=1, max_length=4096), Tag(_BY_PATH)] | Annotated[Given, Tag(_BY_VALUE)],
    Discriminator(_how_given),
]
"""The sources: the path of a `sources.json` on the bridge's machine, or its content."""


_GENERATION = {field.name for field in fields(GenerationOptions)}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Asked(_Model):
    """The fields that the JSON of every job may hold."""

    secret: str | None = Field(default=None, max_length=200, description="the bridge's, beyond loopback")


class _OfClip(_Asked):
    """The fields of the JSON about a clip."""

    start: float = Field(default=0.0, ge=0, allow_inf_nan=False, description="seconds into the clip")
    duration: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="seconds; else to the end")
    force: bool = Field(default=False, description="treat the clip as a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="use the readable part of a file that was cut off")


class _Generation(_Asked):
    """The fields of the JSON of every generation. In the JSON the generation options stand beside the others, by their
    own names, since people write it by hand."""

    generation: GenerationOptions
    rate: OutputRate | None = Field(default=None, description="Hz")
    sources: SourcesOption | None = Field(default=None, description="the sources; else they are recognised")

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, given: Any) -> Any:
        """Move the generation options into their record. A DAW shows no map, so the default is to make none."""
        if not isinstance(given, dict) or _NESTED in given:
            return given
        options = {name: value for name, value in given.items() if name in _GENERATION}
        others = {name: value for name, value in given.items() if name not in _GENERATION}
        return {**others, _NESTED: {"map": False, **options}}


class Options(_OfClip, _Generation):
    """The JSON of a generation for a clip."""


class InspectOptions(_OfClip):
    """The JSON of an inspection."""


Frame = Annotated[int, Field(ge=-1_048_574, le=1_048_574)]
"""A frame number within Blender's limits (MINAFRAME and MAXFRAME of its DNA_scene_types.h)."""


class SceneOptions(_Generation):
    """The JSON of a generation for Blender's scene. Omitted values are the scene's own."""

    frame_start: Frame | None = Field(default=None, description="the first frame")
    frame_end: Frame | None = Field(default=None, description="the last frame, inclusive")
    camera: str | None = Field(default=None, min_length=1, max_length=255, description="the name of a camera")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.frame_start is not None and self.frame_end is not None and self.frame_end < self.frame_start:
            raise ValueError(f"frame_end {self.frame_end} lies before frame_start {self.frame_start}")
        return self


class Generate(_Model):
    """`/omniaudio/generate s:request_id s:video [s:options] [i:reply_port]`."""

    request_id: RequestId
    video: str = Field(min_length=1, max_length=4096)
    options: Options = Options.model_validate({})
    reply_port: Port | None = None


class GenerateScene(_Model):
    """`/omniaudio/generate_scene s:request_id [s:options] [i:reply_port]`."""

    request_id: RequestId
    options: SceneOptions = SceneOptions.model_validate({})
    reply_port: Port | None = None


class Inspect(_Model):
    """`/omniaudio/inspect s:request_id s:video [s:options] [i:reply_port]`."""

    request_id: RequestId
    video: str = Field(min_length=1, max_length=4096)
    options: InspectOptions = InspectOptions()
    reply_port: Port | None = None


class About(_Model):
    """`/omniaudio/status|cancel|ack s:request_id [i:reply_port]`."""

    request_id: RequestId
    reply_port: Port | None = None


class Ask(_Model):
    """`/omniaudio/list|version|ping|subscribe|unsubscribe [i:reply_port]`."""

    reply_port: Port | None = None


Job = Generate | GenerateScene | Inspect
"""A message that becomes a job."""
Request = Job | About | Ask
JOBS: dict[str, type[Generate] | type[GenerateScene] | type[Inspect]] = {
    "generate": Generate,
    "generate_scene": GenerateScene,
    "inspect": Inspect,
}
"""The messages that become jobs: the last part of the address, and the form of the arguments."""
FORMS: dict[str, type[Generate] | type[GenerateScene] | type[Inspect] | type[About] | type[Ask]] = {
    **JOBS,
    "status": About,
    "cancel": About,
    "ack": About,
    "list": Ask,
    "version": Ask,
    "ping": Ask,
    "subscribe": Ask,
    "unsubscribe": Ask,
}
"""All messages: the last part of the address, and the form of the arguments."""


def parse(message: Message) -> tuple[str, Request]:
    """Parse a message into its verb and its arguments.

    Raises:
        RefusedError: the address is unknown, or arguments are invalid; the message names each one.
    """
    verb = message.address.removeprefix(PREFIX)
    form = FORMS.get(verb)
    if form is None or not message.address.startswith(PREFIX):
        known = ", ".join(FORMS)
        address = _printable(message.address[:80])
        raise RefusedError("unknown", f"There is no {address}: use {PREFIX} and one of {known}.")
    given = _named(form, message.arguments)
    request_id = given.get("request_id", "")
    try:
        return verb, form.model_validate(given)
    except ValidationError as error:
        # Without the input: the refusal must not repeat it.
        faults = error.errors(include_input=False, include_url=False)
        refused = "; ".join(
            f"{_field(fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}" for fault in faults[:MAX_FAULTS]
        )
        more = f"; and {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
        text = f"{message.address}: {_printable(refused)}{more}."
        raise RefusedError("invalid", text, _about(request_id)) from error


def _field(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place if part not in (_BY_PATH, _BY_VALUE, _NESTED))


def asked_port(message: Message) -> int | None:
    """The reply port of a message, even if the rest is invalid, so that the refusal reaches the client. It is the last
    argument, after the required ones."""
    form = FORMS.get(message.address.removeprefix(PREFIX))
    if form is None:
        return None
    needed = sum(field.is_required() for field in form.model_fields.values())
    port = _whole(message.arguments[-1]) if len(message.arguments) > needed else None
    return port if type(port) is int and 1 <= port <= 65535 else None


def asked_about(message: Message) -> str:
    """The request id that a message begins with; empty if there is none."""
    form = FORMS.get(message.address.removeprefix(PREFIX), Ask)
    return _about(message.arguments[0]) if form is not Ask and message.arguments else ""


def _about(value: Any) -> str:
    return str(_identifier(value))[:64]


def _printable(text: str) -> str:
    """Text from a client for a message: shortened, and without characters that OSC cannot carry."""
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_FAULTS_SECONDS])


def _named(form: type[BaseModel], arguments: tuple[Argument, ...]) -> dict[str, Any]:
    """The arguments by name. A number in place of the options is the reply port: options may be left out."""
    given: dict[str, Any] = {}
    names = list(form.model_fields)
    for argument in arguments:
        if names[:1] == ["options"] and not isinstance(argument, str):
            names.pop(0)
        if not names:
            request_id = _about(given.get("request_id", ""))
            raise RefusedError("invalid", f"{len(arguments)} arguments are too many.", request_id)
        name = names.pop(0)
        given[name] = _options(argument, _about(given.get("request_id", ""))) if name == "options" else argument
    return given


def _options(text: Argument, request_id: str) -> Any:
    if not str(text).strip():
        return {}
    try:
        return json.loads(str(text))
    except (ValueError, RecursionError) as error:
        message = 'The options are no JSON: write an object, such as {"seed": 3}, with straight quotation marks.'
        raise RefusedError("invalid", message, request_id) from error

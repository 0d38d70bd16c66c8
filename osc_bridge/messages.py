"""What a client may ask the bridge, as pydantic models, and what it is answered: the messages below /omniaudio/."""

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
"""Of a message, which are named; and their characters."""


class RefusedError(Exception):
    """A request that is not carried out: a code for programs, and a message that says what to do."""

    def __init__(self, code: str, message: str, request_id: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request_id = request_id


def _whole(value: Any) -> Any:
    """Pure Data knows no integers: 9001.0 is 9001."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _identifier(value: Any) -> Any:
    """Where a patch counts its requests, the number is the name."""
    value = _whole(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


RequestId = Annotated[str, BeforeValidator(_identifier), Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Port = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=65535)]


_BY_PATH, _BY_VALUE = "by path", "by value"
_NESTED = "generation"
"""In a model, where the JSON has the options beside the others."""


def _how_given(value: Any) -> str:
    return _BY_PATH if isinstance(value, str) else _BY_VALUE


SourcesOption = Annotated[
    Annotated[str, Field(min_length=1, max_length=4096), Tag(_BY_PATH)] | Annotated[Given, Tag(_BY_VALUE)],
    Discriminator(_how_given),
]
"""What sounds: the path of a `sources.json` on the bridge's machine, or what stands in one."""


_GENERATION = {field.name for field in fields(GenerationOptions)}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Asked(_Model):
    """What the JSON of everything that becomes a job may hold."""

    secret: str | None = Field(default=None, max_length=200, description="the bridge's, beyond loopback")


class _OfClip(_Asked):
    """What the JSON may hold of a clip."""

    start: float = Field(default=0.0, ge=0, allow_inf_nan=False, description="seconds into the clip")
    duration: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="seconds; else to the end")
    force: bool = Field(default=False, description="take the picture for a panorama whatever it looks like")
    allow_truncated: bool = Field(default=False, description="of a file that was cut off take what can be read")


class Wish(_Asked):
    """What the JSON of every generation may hold. The options of the generation stand in it beside the others, by their
    own names, since people write it by hand."""

    generation: GenerationOptions
    rate: OutputRate | None = Field(default=None, description="Hz")
    sources: SourcesOption | None = Field(default=None, description="what sounds; else it is recognised")

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, given: Any) -> Any:
        """The options of the generation in their record. A DAW shows no map, so none is made unless it is asked for."""
        if not isinstance(given, dict) or _NESTED in given:
            return given
        options = {name: value for name, value in given.items() if name in _GENERATION}
        others = {name: value for name, value in given.items() if name not in _GENERATION}
        return {**others, _NESTED: {"map": False, **options}}


class Options(_OfClip, Wish):
    """The JSON of a generation for a clip."""


class InspectOptions(_OfClip):
    """The JSON of a recognition."""


Frame = Annotated[int, Field(ge=-1_048_574, le=1_048_574)]
"""Of a scene: what Blender can count (MINAFRAME and MAXFRAME of its DNA_scene_types.h)."""


class SceneOptions(Wish):
    """The JSON of a generation for Blender's scene. What is left out is the scene's own."""

    frame_start: Frame | None = Field(default=None, description="the first frame")
    frame_end: Frame | None = Field(default=None, description="the last frame, which is shown too")
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
"""What becomes a job."""
Request = Job | About | Ask
JOBS: dict[str, type[Generate] | type[GenerateScene] | type[Inspect]] = {
    "generate": Generate,
    "generate_scene": GenerateScene,
    "inspect": Inspect,
}
"""What becomes a job: the last part of the address, and the form of its arguments."""
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
"""What may be asked: the last part of the address, and the form of its arguments."""


def parse(message: Message) -> tuple[str, Request]:
    """What a message asks: the verb, and its arguments.

    Raises:
        RefusedError: no such address, or arguments that do not fit; each refused one is named.
    """
    verb = message.address.removeprefix(PREFIX)
    form = FORMS.get(verb)
    if form is None or not message.address.startswith(PREFIX):
        known = ", ".join(FORMS)
        address = _printable(message.address[:80])
        raise RefusedError("unknown", f"There is no {address}: after {PREFIX} comes one of {known}.")
    given = _named(form, message.arguments)
    request_id = given.get("request_id", "")
    try:
        return verb, form.model_validate(given)
    except ValidationError as error:
        # Without the input: what came off the wire is not sent back.
        faults = error.errors(include_input=False, include_url=False)
        refused = "; ".join(
            f"{_field(fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}" for fault in faults[:MAX_FAULTS]
        )
        more = f"; and {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
        told = f"{message.address}: {_printable(refused)}{more}."
        raise RefusedError("invalid", told, _about(request_id)) from error


def _field(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place if part not in (_BY_PATH, _BY_VALUE, _NESTED))


def asked_port(message: Message) -> int | None:
    """The reply port of a message, be the rest of it right or not: what is wrong has to be heard too. It is the last
    argument, behind those that have to be there."""
    form = FORMS.get(message.address.removeprefix(PREFIX))
    if form is None:
        return None
    needed = sum(field.is_required() for field in form.model_fields.values())
    port = _whole(message.arguments[-1]) if len(message.arguments) > needed else None
    return port if type(port) is int and 1 <= port <= 65535 else None


def asked_about(message: Message) -> str:
    """The request id that a message begins with, as far as it can be one; else empty."""
    form = FORMS.get(message.address.removeprefix(PREFIX), Ask)
    return _about(message.arguments[0]) if form is not Ask and message.arguments else ""


def _about(value: Any) -> str:
    return str(_identifier(value))[:64]


def _printable(text: str) -> str:
    """A client's own words in a message: not without an end, and nothing that OSC cannot say."""
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_FAULTS_SECONDS])


def _named(form: type[BaseModel], arguments: tuple[Argument, ...]) -> dict[str, Any]:
    """The arguments by their names. A number where a text is meant skips it: that is how a reply port can stand
    without options."""
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

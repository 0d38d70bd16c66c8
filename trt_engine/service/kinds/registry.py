"""The kinds of jobs. What a request may be, and what a job may answer with, follows from this list."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_args

from pydantic import Discriminator, Tag

from trt_engine.service.kinds.binaural import BinauralRequest
from trt_engine.service.kinds.export import ExportRequest
from trt_engine.service.kinds.generate import GenerateRequest
from trt_engine.service.kinds.inspect import InspectRequest
from trt_engine.service.kinds.map import MapRequest
from trt_engine.service.kinds.request import Request
from trt_engine.service.kinds.result import Result
from trt_engine.service.kinds.rotate import RotateRequest

REQUESTS: tuple[type[Request], ...] = (
    GenerateRequest,
    InspectRequest,
    BinauralRequest,
    RotateRequest,
    MapRequest,
    ExportRequest,
)
"""One of each kind; the first one is meant where a request does not say its kind."""


def _name(request: type[Request]) -> str:
    (name,) = get_args(request.model_fields["kind"].annotation)
    return str(name)


KINDS = tuple(map(_name, REQUESTS))


def _kind(value: Any) -> str | None:
    """Of a request, which may be an object of JSON."""
    given = value.get("kind", KINDS[0]) if isinstance(value, dict) else getattr(value, "kind", None)
    return given if isinstance(given, str) else None


if TYPE_CHECKING:
    AnyRequest: TypeAlias = Request
    AnyResult: TypeAlias = Result
else:
    AnyRequest = Annotated[
        reduce(or_, (Annotated[request, Tag(name)] for name, request in zip(KINDS, REQUESTS, strict=True))),
        Discriminator(
            _kind,
            custom_error_type="kind",
            custom_error_message=f"a request is an object, and its kind one of {', '.join(KINDS)}",
        ),
    ]
    """A job that is wanted, of any kind."""
    # Their fields tell them apart: each derived result requires one that the others do not have.
    AnyResult = reduce(or_, dict.fromkeys(request.result for request in REQUESTS))
    """What a job of any kind has made."""

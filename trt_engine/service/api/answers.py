"""How the service refuses: every error is an `ErrorAnswer`, whoever of the layers below it was that refused."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trt_engine.service.api.records import ErrorAnswer
from trt_engine.service.errors import Error, ErrorCode, ServiceError
from trt_engine.service.kinds.registry import KINDS

Responses = dict[int | str, dict[str, Any]]
"""Answers of a route beside its main one, as FastAPI takes them."""

_STATUS = {
    ErrorCode.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorCode.SOURCE: HTTPStatus.NOT_FOUND,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.CONFLICT: HTTPStatus.CONFLICT,
    ErrorCode.NO_BLENDER: HTTPStatus.CONFLICT,
    ErrorCode.QUEUE_FULL: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.NO_ROOM: HTTPStatus.INSUFFICIENT_STORAGE,
}
"""Codes that are not here are of jobs that failed, and as an answer a fault of the service."""

# What FastAPI and Starlette refuse by themselves. The messages say what is wrong in this API.
_OF_STATUS = {
    400: (ErrorCode.INVALID, "The body or the Range header cannot be read: send JSON in UTF-8, and ranges in bytes."),
    404: (ErrorCode.NOT_FOUND, "There is nothing at this address: /v1/openapi.json lists what there is."),
    405: (ErrorCode.INVALID, "This address does not take that method: the Allow header names those that it takes."),
    413: (ErrorCode.TOO_LARGE, "The body is larger than this service takes: send clips with POST /v1/media, in parts."),
    416: (ErrorCode.INVALID, "The range lies outside of the file: ask for one within its size."),
}
_FAULT = (ErrorCode.INTERNAL, "The service met a fault of its own: its log says which. Ask again, or restart it.")
_MAX_FIELDS = 20
"""That many refused fields are named in one answer."""


def answer(
    code: ErrorCode, message: str, status: int | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A refusal as a response; the status is the code's unless another is given."""
    body = ErrorAnswer(error=Error(code=code, message=message))
    chosen = _STATUS.get(code, HTTPStatus.INTERNAL_SERVER_ERROR) if status is None else status
    return JSONResponse(body.model_dump(mode="json"), chosen, headers)


def documented(*statuses: int) -> Responses:
    """The refusals of a route, for the schema. By reference: FastAPI would give a model the media type of the route's
    other answers."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{ErrorAnswer.__name__}"}}}
    return {status: {"content": content, "description": HTTPStatus(status).phrase} for status in statuses}


async def service_error(request: Request, error: Exception) -> JSONResponse:
    """ServiceError, as a response."""
    assert isinstance(error, ServiceError)
    return answer(error.code, error.message)


async def invalid(request: Request, error: Exception) -> JSONResponse:
    """What does not fit the schema, as a response that names each refused field, and repeats no value but short ones of
    sources."""
    assert isinstance(error, RequestValidationError)
    faults = {_field(fault["loc"]): fault["msg"].removeprefix("Value error, ") for fault in error.errors()}
    named = [f"{field} ({message.lower()})" for field, message in faults.items()]
    more = f" and {len(named) - _MAX_FIELDS} more" if len(named) > _MAX_FIELDS else ""
    return answer(ErrorCode.INVALID, f"Correct {', '.join(named[:_MAX_FIELDS])}{more}.")


def _field(place: Sequence[int | str]) -> str:
    """Where in a request something is, without the request's kind, which is no field on the way there."""
    named = [str(part) for number, part in enumerate(place) if not (number == 1 and part in KINDS)]
    return ".".join(named)[:100]


async def http_error(request: Request, error: Exception) -> Response:
    """What the framework refuses by an exception, as a response."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NO_CONTENT:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        error.headers = {"Allow": ", ".join(_methods(request))}
    return answer(*_OF_STATUS.get(error.status_code, _FAULT), error.status_code, error.headers)


async def fault(request: Request, error: Exception) -> JSONResponse:
    """Any other exception, as a response without a word of it; the server logs it."""
    return answer(*_FAULT)


def _methods(request: Request) -> list[str]:
    """Those of an address; the framework names only the first route's."""
    routes = request.app.router.routes
    methods = ("GET", "POST", "DELETE")
    return [m for m in methods if any(r.matches({**request.scope, "method": m})[0] is Match.FULL for r in routes)]


class JsonErrors:
    """Puts an `ErrorAnswer` in place of the plain text with which Starlette refuses bodies that are too large and
    ranges that are wrong."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        replaced = False

        async def send_json(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] >= 400:
                headers = Headers(raw=message["headers"])
                if headers.get("content-type") != JSONResponse.media_type:
                    replaced = True
                    status = message["status"]
                    kept = {name: headers[name] for name in ("content-range",) if name in headers}
                    await answer(*_OF_STATUS.get(status, _FAULT), status, kept)(scope, receive, send)
            if not replaced:
                await send(message)

        await self._app(scope, receive, send_json)

"""Errors that the API answers with, and that failed jobs keep."""

import re
from enum import StrEnum

from omniaudio.errors import ExitCode, UserError
from trt_engine.service.records import Record


class ErrorCode(StrEnum):
    """Codes for programs; people read the message."""

    INVALID = "invalid"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    SOURCE = "source"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    NO_BLENDER = "no_blender"
    REFUSED = "refused"
    QUEUE_FULL = "queue_full"
    TOO_LARGE = "too_large"
    NOT_360 = "not_360"
    TRUNCATED = "truncated"
    NO_MODEL = "no_model"
    NO_BACKEND = "no_backend"
    NO_ROOM = "no_room"
    CRASHED = "crashed"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class Error(Record):
    """An error: a code, and one message that says what to do."""

    code: ErrorCode
    message: str


_CODES = {
    ExitCode.FAILED: ErrorCode.INVALID,
    ExitCode.NO_INPUT: ErrorCode.SOURCE,
    ExitCode.NOT_A_VIDEO: ErrorCode.SOURCE,
    ExitCode.NOT_360: ErrorCode.NOT_360,
    ExitCode.TRUNCATED: ErrorCode.TRUNCATED,
    ExitCode.BAD_RANGE: ErrorCode.INVALID,
    ExitCode.NOT_WRITABLE: ErrorCode.NO_ROOM,
    ExitCode.NO_MODEL: ErrorCode.NO_MODEL,
    ExitCode.NO_BACKEND: ErrorCode.NO_BACKEND,
    ExitCode.CANCELLED: ErrorCode.CANCELLED,
}


_OPTION = re.compile(
    r"`[^`]*`|(?<!\S)--(start|duration|seed|takes|steps|guidance|rate|model|backend|force|allow-truncated)\b"
)
"""An option of the command line that is a field of a request here, or a command in backticks, which stays as it is."""


class ServiceError(Exception):
    """A request that cannot be met. `message` says what is wrong and what to do; `code` is for programs."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def as_error(error: UserError) -> Error:
    """An error of the command line as an error of the service: options become fields."""
    message = _OPTION.sub(lambda found: found[0] if found[1] is None else found[1].replace("-", "_"), error.message)
    return Error(code=_CODES[error.code], message=message)

"""What a client did or met: the API answers with it, a job that failed keeps it."""

from omniaudio.errors import ExitCode, UserError
from trt_engine.service.models import Error, ErrorCode

_CODES = {
    ExitCode.FAILED: ErrorCode.INVALID,
    ExitCode.NO_INPUT: ErrorCode.SOURCE,
    ExitCode.NOT_A_VIDEO: ErrorCode.SOURCE,
    ExitCode.NOT_360: ErrorCode.SOURCE,
    ExitCode.BAD_RANGE: ErrorCode.INVALID,
    ExitCode.NOT_WRITABLE: ErrorCode.NO_ROOM,
    ExitCode.NO_MODEL: ErrorCode.NO_MODEL,
    ExitCode.NO_BACKEND: ErrorCode.NO_BACKEND,
    ExitCode.CANCELLED: ErrorCode.CANCELLED,
}


class ServiceError(Exception):
    """A request that cannot be met. `sentence` says what is wrong and what to do; `code` is for programs."""

    def __init__(self, code: ErrorCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


def as_error(error: UserError) -> Error:
    """An error of the command line as the service's clients are told it."""
    return Error(code=_CODES[error.code], sentence=error.sentence)

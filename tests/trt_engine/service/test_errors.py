"""Errors of the command line, as clients are told them."""

import pytest

from omniaudio.errors import ExitCode, UserError
from trt_engine.service.errors import Error, ErrorCode, as_error


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("a.png is a still image; set a length with --duration.", "set a length with duration."),
        ("Ask for less at a time with --start and --duration.", "with start and duration."),
        (
            "Run `omniaudio build --model a --target cpu`, or choose --backend torch.",
            "a --target cpu`, or choose backend",
        ),
        ("The file a--start.mp4 is truncated.", "a--start.mp4"),
        ("Start the service with --allow-root.", "with --allow-root."),
        ("Use --allow-truncated for it.", "Use allow_truncated for it."),
    ],
)
def test_options_are_told_as_the_fields_that_they_are(said: str, told: str) -> None:
    error = as_error(UserError(said, ExitCode.BAD_RANGE))
    assert error == Error(code=ErrorCode.INVALID, message=error.message)
    assert told in error.message

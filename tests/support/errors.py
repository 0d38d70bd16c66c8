"""A check for errors that a user reads."""

from collections.abc import Callable

import pytest

from omniaudio.errors import ExitCode, UserError


def refusal(code: ExitCode, call: Callable[[], object]) -> str:
    """Check that a call raises a UserError with this exit code, and return its message."""
    with pytest.raises(UserError) as error:
        call()
    assert error.value.code == code
    assert error.value.message.endswith(".")
    return error.value.message

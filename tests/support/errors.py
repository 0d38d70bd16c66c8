"""What all errors that a user reads have in common."""

from collections.abc import Callable

import pytest

from omniaudio.errors import ExitCode, UserError


def refusal(code: ExitCode, call: Callable[[], object]) -> str:
    """The message of the UserError with this exit code that a call raises."""
    with pytest.raises(UserError) as error:
        call()
    assert error.value.code == code
    assert error.value.message.endswith(".")
    return error.value.message

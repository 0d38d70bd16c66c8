"""A check for errors of the client."""

from collections.abc import Callable

import pytest

from omniaudio_client.http import ServiceError


def broken(kind: str, call: Callable[[], object]) -> str:
    """Check that a call raises a ServiceError with a code, and return its message."""
    with pytest.raises(ServiceError) as caught:
        call()
    assert caught.value.code == kind
    assert "\n" not in caught.value.message
    assert caught.value.message.endswith(".")
    return caught.value.message

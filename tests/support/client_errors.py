"""What the client's errors have in common."""

from collections.abc import Callable

import pytest

from omniaudio_client.http import ServiceError


def broken(kind: str, call: Callable[[], object]) -> str:
    """The message of the error of a kind that a call raises."""
    with pytest.raises(ServiceError) as caught:
        call()
    assert caught.value.code == kind
    assert "\n" not in caught.value.message
    assert caught.value.message.endswith(".")
    return caught.value.message

"""Requests of the command line, and how those that only turn one file into another run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from omniaudio.errors import UserError
from trt_engine.commands.bar import Step
from trt_engine.commands.events import interruptible, reporting, told

Request = TypeVar("Request", bound=BaseModel)


def checked(model: type[Request], **given: Any) -> Request:
    """A request of what the options say. Raises UserError, naming the option, where a value is impossible."""
    try:
        return model(**given)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]).replace("_", "-") if fault["loc"] else "request"
        raise UserError(f"--{name} cannot be {fault['input']}: {fault['msg'].lower()}.") from error


@contextmanager
def running(as_json: bool) -> Iterator[Callable[[Step], None]]:
    """What every step is to be told to; Ctrl-C and SIGTERM end the work with nothing written."""
    with told(as_json, "nothing was written"), interruptible(), reporting(as_json) as report:
        yield report

"""Validation of command-line options by the request classes."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from omniaudio.errors import UserError
from omniaudio_client.options import GenerationOptions, OptionError

Request = TypeVar("Request", bound=BaseModel)


def validated(model: type[Request], **given: Any) -> Request:
    """Build a request from options.

    Raises:
        UserError: a value is invalid; the message names its option.
    """
    try:
        return model(**given)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]).replace("_", "-") if fault["loc"] else "request"
        raise UserError(f"--{name} cannot be {fault['input']}: {fault['msg'].lower()}.") from error


def possible_options(**given: Any) -> GenerationOptions:
    """Return the options of a generation. Raises UserError if a value is impossible; the message names the option."""
    try:
        return GenerationOptions(**given)
    except OptionError as error:
        raise UserError(f"--{error.option.replace('_', '-')} {error.message}") from error

"""The base of all records, and the progress of a job."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """A value that is exchanged with another process: immutable, and without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Progress(Record):
    """The progress of a job that has not ended."""

    stage: Annotated[str, Field(max_length=200)]
    fraction: Annotated[float, Field(strict=True, ge=0, le=1)]
    seconds_left: Annotated[float, Field(strict=True)] | None

"""What the records of all rooms are made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """A value that comes from or goes to another process: immutable, and without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Progress(Record):
    """How far a job is; one that has ended has none."""

    stage: Annotated[str, Field(max_length=200)]
    fraction: Annotated[float, Field(strict=True, ge=0, le=1)]
    seconds_left: Annotated[float, Field(strict=True)] | None

"""How a service is set up: where it keeps its files, whom it listens to, and what it takes at most."""

from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, field_validator

from omniaudio_client.discovery import default_roots

PORT = 4360

DATABASE, LOCK, TOKEN, ADDRESS, LOG = "jobs.sqlite3", "lock", "token", "service.json", "service.log"
"""Files of the service's folder: the jobs, the lock of the one service that may use it, the token, where it listens,
and the faults it met."""
RESULTS, ATTEMPTS, MEDIA, WORKERS = "results", "attempts", "media", "workers"
"""Folders of the service's folder: what jobs have made by their ids, what they are making, uploads by theirs, and the
lock and the log of each device."""


Device = Annotated[str, Field(pattern=r"^(cpu|cuda:[0-9]{1,3})$")]


def default_folder() -> Path:
    """Where a user's service keeps its files."""
    return platformdirs.user_data_path("omniaudio", appauthor=False) / "service"


class Settings(BaseModel):
    """What `omniaudio serve` is started with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path = Field(default_factory=default_folder)
    host: str = "127.0.0.1"
    port: int = Field(default=PORT, ge=0, le=65535, description="0 takes a free one")
    allowed_hosts: tuple[str, ...] = Field(default=(), description="names beside its own that a Host header may have")
    roots: tuple[Path, ...] = Field(
        default_factory=default_roots, description="sources lie under one of these, links resolved"
    )
    token_required: bool = True
    devices: tuple[Device, ...] = Field(
        default=("cpu",), min_length=1, description="one worker each: cpu, or cuda:0 and so on"
    )
    idle_seconds: float = Field(
        default=600.0, gt=0, allow_inf_nan=False, description="a worker without a job for so long is ended"
    )
    keep_days: float = Field(
        default=30.0, gt=0, le=36_500, description="ended jobs and uploads older than this are removed"
    )
    most_queued: int = Field(default=200, ge=1)
    most_seconds: float = Field(default=3600.0, gt=0, allow_inf_nan=False, description="of sound a job")
    most_body_bytes: int = Field(
        default=256 * 1024, ge=1024, description="of a request in JSON; eight sources with 300 places each fit in"
    )
    most_media_bytes: int = Field(default=8 * 1024**3, ge=1, description="of one upload")

    linger_seconds: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="without work and clients for so long, the service ends"
    )

    @field_validator("folder")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        return folder.expanduser().absolute()

    @field_validator("devices")
    @classmethod
    def _once(cls, devices: tuple[str, ...]) -> tuple[str, ...]:
        # A worker holds its device's lock: the second one would wait for ever.
        if len(set(devices)) < len(devices):
            raise ValueError("a device is named once")
        return devices

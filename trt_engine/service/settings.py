"""The settings of a service: its files, its address and its limits."""

from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, field_validator

from omniaudio_client.discovery import default_roots

PORT = 4360

DATABASE, LOCK, TOKEN, ADDRESS, LOG = "jobs.sqlite3", "lock", "token", "service.json", "service.log"
"""Files in the service's folder: the jobs, the lock against a second service, the token, the address, and the log."""
RESULTS, ATTEMPTS, MEDIA, WORKERS = "results", "attempts", "media", "workers"
"""Folders in the service's folder: finished files by job id, unfinished files, uploads by id, and the lock and the log
of each device."""


Device = Annotated[str, Field(pattern=r"^(cpu|cuda:[0-9]{1,3})$")]


def default_folder() -> Path:
    """The folder of a user's own service."""
    return platformdirs.user_data_path("omniaudio", appauthor=False) / "service"


class Settings(BaseModel):
    """The settings of `omniaudio serve`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path = Field(default_factory=default_folder)
    host: str = "127.0.0.1"
    port: int = Field(default=PORT, ge=0, le=65535, description="0 picks a free one")
    allowed_hosts: tuple[str, ...] = Field(default=(), description="further names that a Host header may have")
    roots: tuple[Path, ...] = Field(
        default_factory=default_roots, description="clips must lie under one of these, after links are resolved"
    )
    token_required: bool = True
    devices: tuple[Device, ...] = Field(
        default=("cpu",), min_length=1, description="one worker each: cpu, cuda:0 and so on"
    )
    idle_seconds: float = Field(
        default=600.0, gt=0, allow_inf_nan=False, description="an idle worker is ended after this time"
    )
    keep_days: float = Field(
        default=30.0, gt=0, le=36_500, description="ended jobs and uploads older than this are removed"
    )
    max_queued: int = Field(default=200, ge=1)
    max_seconds: float = Field(default=3600.0, gt=0, allow_inf_nan=False, description="of sound per job")
    max_body_bytes: int = Field(
        default=256 * 1024, ge=1024, description="of a request in JSON; enough for eight sources with 300 places each"
    )
    max_media_bytes: int = Field(default=8 * 1024**3, ge=1, description="of one upload")

    linger_seconds: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="the service exits after this time without jobs and clients",
    )

    @field_validator("folder")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        return folder.expanduser().absolute()

    @field_validator("devices")
    @classmethod
    def _once(cls, devices: tuple[str, ...]) -> tuple[str, ...]:
        # A worker holds its device's lock: a second one would wait for ever.
        if len(set(devices)) < len(devices):
            raise ValueError("name each device only once")
        return devices

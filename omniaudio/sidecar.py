"""The sidecar beside a take: everything needed to repeat the take."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from omniaudio.errors import ExitCode, UserError
from omniaudio.files import replacing
from omniaudio.limits import (
    MAX_OUTPUT_RATE,
    MAX_READABLE_RATE,
    MIN_OUTPUT_RATE,
    MIN_READABLE_RATE,
    LimiterGain,
)
from omniaudio.paths import check_readable
from omniaudio.recognition.sources import Sources
from omniaudio.versions import installed_versions
from omniaudio_client.options import GenerationOptions

MAX_SIDECAR_BYTES = 1 << 20
"""Sidecars have a few thousand bytes, mostly their sources."""

_WANTED = "the .json file that lies beside a generated .wav"
_SHOWN = 100
"""Characters of a name that a message quotes."""

Short = Annotated[str, Field(max_length=200)]
RelativePath = Annotated[str, Field(min_length=1, max_length=4096)]
"""Relative to the sidecar's folder."""


class DerivesFrom(BaseModel):
    """A recording that a take derives from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Short
    source: RelativePath
    author: Short
    licence: Short
    url: str = Field(default="", max_length=4096)

    @property
    def credit(self) -> str:
        """The credit as one line."""
        where = f", {self.url}" if self.url else ""
        return f"“{self.source.rpartition(' ')[2]}” by {self.author} ({self.licence}){where}"


class Inpainted(BaseModel):
    """The take that was inpainted, and the part, in seconds of the take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sound: RelativePath
    sound_sha256: Short
    start: float = Field(ge=0, allow_inf_nan=False)
    duration: float = Field(gt=0, allow_inf_nan=False)
    gain_db: LimiterGain = Field(default=0, description="gain reduction of that take")


class Sidecar(BaseModel):
    """Everything needed to repeat a take, and what its sound file cannot hold. Lies beside it as `.json`.

    Its limits are those of a request, so that every sidecar that can be read can be repeated."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    format: Literal["omniaudio-sidecar-1"] = "omniaudio-sidecar-1"
    created: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    convention: Literal["AmbiX ACN/SN3D"] = "AmbiX ACN/SN3D"
    options: GenerationOptions = Field(
        description="the requested options with the model's defaults filled in, so that later defaults change nothing"
    )
    model_sha256: Short
    take: int = Field(default=1, ge=1, description="number of this take, from 1")
    input: RelativePath
    input_sha256: Short
    start: float = Field(ge=0, allow_inf_nan=False, description="seconds into the clip")
    duration: float = Field(gt=0, allow_inf_nan=False, description="seconds")
    rate: int = Field(ge=MIN_READABLE_RATE, le=MAX_READABLE_RATE, description="of the file, in Hz")
    inpainting: Inpainted | None = Field(default=None, description="set if a part of another take was inpainted")
    gain_db: float = Field(
        le=0, allow_inf_nan=False, description="gain reduction in dB: of the whole take, or of the inpainted part"
    )
    true_peak_dbtp: float | None = Field(allow_inf_nan=False, description="of the file; null in silence")
    sources: Sources | None = Field(default=None, description="what sounds, recognised or given")
    derives_from: tuple[DerivesFrom, ...] = Field(default=(), max_length=1000, description="recordings by others")
    credit: str | None = Field(default=None, description="one line to paste where the take is published")
    versions: dict[Short, Short] = Field(default_factory=installed_versions, max_length=100)

    @model_validator(mode="after")
    def _can_be_repeated(self) -> Self:
        if self.take > self.options.takes:
            raise ValueError(f"take must be 1 to options.takes ({self.options.takes}), not {self.take}")
        left = [name for name in ("model", "steps", "guidance") if getattr(self.options, name) is None]
        if left:
            raise ValueError(f"options.{left[0]} must not be null")
        if self.inpainting is not None and (self.options.stems or self.options.order != 1):
            raise ValueError("inpainting supports neither options.stems nor an options.order other than 1")
        rate = self.rate
        if self.inpainting is None and not MIN_OUTPUT_RATE <= rate <= MAX_OUTPUT_RATE:
            limits = f"{MIN_OUTPUT_RATE} to {MAX_OUTPUT_RATE} Hz"
            raise ValueError(f"rate must be {limits} without inpainting, not {rate}")
        return self

    def write(self, path: Path) -> None:
        """Writes the sidecar as JSON, atomically."""
        with replacing(path) as partial:
            partial.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a sidecar.

        Raises UserError (NO_INPUT) if the file is not one; the message names the first wrong field and its limit."""
        check_readable(path, _WANTED)
        try:
            with path.open("rb") as file:
                content = file.read(MAX_SIDECAR_BYTES + 1)
            if len(content) > MAX_SIDECAR_BYTES:
                raise _no_sidecar(path, f"it is larger than {MAX_SIDECAR_BYTES >> 20} MiB")
            return cls.model_validate(json.loads(content.decode("utf-8-sig"), object_pairs_hook=_without_repeats))
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}).", ExitCode.NO_INPUT) from error
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))[:_SHOWN] or "its values"
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise _no_sidecar(path, f"{where}: {message}") from error
        except RecursionError as error:
            raise _no_sidecar(path, "its form: nested too deep") from error
        except ValueError as error:  # no JSON, or not in UTF-8
            raise _no_sidecar(path, f"its form: {error}") from error

    @classmethod
    def beside(cls, sound: Path) -> Self | None:
        """The sidecar of a sound; None if there is none, or if the file is another program's. Takes are .wav."""
        if sound.suffix.lower() != ".wav":
            return None
        try:
            return cls.read(sound.with_suffix(".json"))
        except UserError:
            return None


def _no_sidecar(path: Path, why: str) -> UserError:
    return UserError(f"{path} is not a sidecar of OmniAudio ({why}): name {_WANTED}.", ExitCode.NO_INPUT)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError for a repeated name: readers differ in which one counts."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:_SHOWN]!r} occurs twice")
        found[name] = value
    return found

"""Rotation of head-locked sound to world-locked: sources stay in place while the camera turns.

The field is rotated sample by sample with interpolated orientations, so there are no audible steps. At first order the
rotation is exact: the inverse orientations restore the field (Zotter and Frank, "Ambisonics", 2019, 5.2).
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import pairwise
from math import hypot
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from omniaudio.audio.ambisonics import XYZ, Floats, Sound
from omniaudio.audio.ambix_wav import AmbixWriter
from omniaudio.audio.binaural import EARS, BinauralRenderer
from omniaudio.audio.reader import BLOCK, SoundFile, open_sound
from omniaudio.errors import ExitCode, UserError
from omniaudio.files import file_sha256, relative, replacing, together
from omniaudio.output import check_output
from omniaudio.paths import InputPath, OutputPath, check_readable
from omniaudio.progress import Progress, Report, Task
from omniaudio.versions import installed_versions

LENGTH_TOLERANCE = 1e-3
"""Permitted deviation of a quaternion's length from 1; allows for rounding in text."""
MAX_BYTES = 128 << 20
"""Limit of a file of orientations: two hours at 120 per second, longer than a WAV can be."""


class Orientation(BaseModel):
    """The orientation of a camera at one time: the rotation from camera to world axes as a unit quaternion
    w + x·i + y·j + z·k, in AmbiX axes (X front, Y left, Z up)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: float = Field(allow_inf_nan=False, description="time from the first sample of the sound")
    w: float = Field(allow_inf_nan=False)
    x: float = Field(allow_inf_nan=False)
    y: float = Field(allow_inf_nan=False)
    z: float = Field(allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_unit(self) -> Self:
        length = hypot(self.w, self.x, self.y, self.z)
        if abs(length - 1) > LENGTH_TOLERANCE:
            raise ValueError(f"a rotation is a unit quaternion; this one has length {length:g}")
        return self


def _ascending(orientations: tuple[Orientation, ...]) -> tuple[Orientation, ...]:
    if any(later.seconds <= earlier.seconds for earlier, later in pairwise(orientations)):
        raise ValueError("the times must ascend")
    return orientations


Orientations = Annotated[
    tuple[Orientation, ...],
    Field(
        min_length=1, description="at ascending times; interpolated by slerp, held before the first and after the last"
    ),
    AfterValidator(_ascending),
]
"""The orientation of a camera over time."""


class RotationRequest(BaseModel):
    """A rotation of `sound` (AmbiX in camera axes) to world axes, written to `output` (a WAV)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sound: InputPath
    output: OutputPath
    orientations: Orientations
    preview: bool = Field(default=True, description="also write OUT.preview.wav, binaural")


class RotatedSound(BaseModel):
    """The files of a rotated sound, and its levels."""

    sound: Path
    preview: Path | None
    sidecar: Path
    rate: int
    samples: int
    gain_db: float
    true_peak_dbtp: float | None


class RotationSidecar(BaseModel):
    """All that is needed to repeat a rotation, and what a WAV cannot hold. Written beside the sound as `.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["omniaudio-rotation-1"] = "omniaudio-rotation-1"
    created: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    convention: Literal["AmbiX ACN/SN3D"] = "AmbiX ACN/SN3D"
    input: str = Field(description="the source sound, relative to this file")
    input_sha256: str
    orientations: Orientations
    gain_db: float = Field(le=0, description="gain reduction by the true-peak limiter")
    true_peak_dbtp: float | None = Field(description="of the file; null for silence")
    versions: dict[str, str] = Field(default_factory=installed_versions)

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        with replacing(path) as partial:
            partial.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


class SoundRotator:
    """Rotates sound from camera to world axes, block by block."""

    def __init__(self, orientations: Sequence[Orientation], rate: int) -> None:
        """`orientations` as in `RotationRequest`; `rate` is the sound's in Hz."""
        # Interpolation needs two orientations; the last one is held.
        held = (*orientations, orientations[-1].model_copy(update={"seconds": orientations[-1].seconds + 1}))
        self._times = np.array([one.seconds for one in held])
        quaternions = np.array([(one.w, one.x, one.y, one.z) for one in held])
        quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
        # q and -q are the same rotation: choose the sign that gives the shorter arc.
        flips = np.sum(quaternions[1:] * quaternions[:-1], axis=1) < 0
        quaternions[1:] *= np.where(np.cumsum(flips) % 2, -1, 1)[:, None]
        self._quaternions = quaternions
        steps, sums = np.diff(quaternions, axis=0), quaternions[1:] + quaternions[:-1]
        self._steps = np.diff(self._times)
        self._angles = 2 * np.arctan2(np.linalg.norm(steps, axis=1), np.linalg.norm(sums, axis=1))
        self._rate = rate
        self._samples = 0

    def process(self, foa: Sound) -> Sound:
        """Rotate the next block `(4, samples)` from camera to world axes."""
        times = (self._samples + np.arange(foa.shape[1])) / self._rate
        self._samples += foa.shape[1]
        quaternions = self._at(times)
        scalar, axis, dipoles = quaternions[:, :1], quaternions[:, 1:], foa[XYZ, :].T
        # q·v·q⁻¹ for each sample; six times as fast as SciPy's interpolation and rotation.
        half = np.cross(axis, dipoles)
        rotated = np.array(foa, dtype=np.float32)
        rotated[XYZ, :] = (dipoles + 2 * (scalar * half + np.cross(axis, half))).T
        return rotated

    def _at(self, times: Floats) -> Floats:
        """Return unit quaternions `(times, 4)` by spherical linear interpolation (Shoemake, "Animating rotation with
        quaternion curves", 1985)."""
        before = np.clip(np.searchsorted(self._times, times, "right") - 1, 0, len(self._angles) - 1)
        share = np.clip((times - self._times[before]) / self._steps[before], 0, 1)
        angle = self._angles[before] / np.pi
        # sin(share·angle) / sin(angle), which has a limit where the angle is 0.
        first, second = ((part * np.sinc(part * angle) / np.sinc(angle))[:, None] for part in (1 - share, share))
        return np.asarray(first * self._quaternions[before] + second * self._quaternions[before + 1])


def read_orientations(path: Path) -> tuple[Orientation, ...]:
    """Read orientations from a JSON file: a list of objects with seconds, w, x, y and z, at ascending times.

    Raises:
        UserError: (NO_INPUT) the file cannot be read or is not such a list.
    """
    check_readable(path, "a JSON list of {seconds, w, x, y, z}")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            message = f"{path.name} is larger than {MAX_BYTES >> 20} MiB: rotate the sound in parts."
            raise UserError(message, ExitCode.NO_INPUT)
        return TypeAdapter(Orientations).validate_json(content)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check the path.", ExitCode.NO_INPUT) from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "its form"
        message = f"{path.name} holds no orientations ({where}: {fault['msg']}): give a JSON list of"
        raise UserError(f"{message} {{seconds, w, x, y, z}}.", ExitCode.NO_INPUT) from error


def rotate_to_world(request: RotationRequest, report: Callable[[Report], None]) -> RotatedSound:
    """Rotate sound from camera to world axes. Writes a WAV of the same length, its sidecar and a binaural preview.

    Args:
        request: the sound, the output and the orientations.
        report: called after each step; an exception cancels the job, and no partial file is left.

    Raises:
        UserError: the sound cannot be read, or the output cannot be written.
    """
    sound = open_sound(request.sound)
    target = request.output
    check_output(target, ".wav", request.sound)
    preview, sidecar = target.with_suffix(".preview.wav"), target.with_suffix(".json")
    with together(target.parent) as folder:
        writer = _write(request, sound, folder, report)
        RotationSidecar(
            input=relative(request.sound, target.parent),
            input_sha256=file_sha256(request.sound),
            orientations=request.orientations,
            gain_db=writer.gain_db,
            true_peak_dbtp=writer.true_peak_dbtp,
        ).write(folder / sidecar.name)
    return RotatedSound(
        sound=target,
        preview=preview if request.preview else None,
        sidecar=sidecar,
        rate=sound.rate,
        samples=sound.samples,
        gain_db=writer.gain_db,
        true_peak_dbtp=writer.true_peak_dbtp,
    )


def _write(request: RotationRequest, sound: SoundFile, folder: Path, report: Callable[[Report], None]) -> AmbixWriter:
    """Write master and preview in one pass over the sound."""
    rotator, renderer = SoundRotator(request.orientations, sound.rate), BinauralRenderer(sound.rate)
    progress = Progress(report, [Task("rotate", -(-sound.samples // BLOCK), BLOCK / sound.rate / 20)])
    progress.begin("rotate")
    with ExitStack() as files:
        master = files.enter_context(AmbixWriter(folder / request.output.name, sound.rate))
        preview = AmbixWriter(folder / request.output.with_suffix(".preview.wav").name, sound.rate, EARS)
        if request.preview:
            files.enter_context(preview)
        for block in sound.blocks():
            rotated = rotator.process(block)
            master.write(rotated)
            if request.preview:
                preview.write(renderer.process(rotated))
            progress.advance("rotate")
        if request.preview:
            preview.write(renderer.finish())
    return master

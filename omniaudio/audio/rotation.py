"""A recording camera's field turned into the world's: sound that a turning camera took stays where it was in the world.

The rotation is that of each sample's own time, so that there are no steps to hear. At first order it is exact: turned
back by the inverse orientations, the field is what it was (Zotter and Frank, "Ambisonics", 2019, 5.2).
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
"""How far from 1 the length of a quaternion may be that was rounded on its way here."""
MOST_BYTES = 128 << 20
"""Of a file with orientations: two hours at 120 a second, which a WAV does not pass."""


class Orientation(BaseModel):
    """How a camera is turned at a time of the sound: the rotation from its axes to the world's as a unit quaternion
    w + x·i + y·j + z·k, in AmbiX' axes (X front, Y left, Z up)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: float = Field(allow_inf_nan=False, description="from the sound's first sample")
    w: float = Field(allow_inf_nan=False)
    x: float = Field(allow_inf_nan=False)
    y: float = Field(allow_inf_nan=False)
    z: float = Field(allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_unit(self) -> Self:
        length = hypot(self.w, self.x, self.y, self.z)
        if abs(length - 1) > LENGTH_TOLERANCE:
            raise ValueError(f"a rotation is a quaternion of length 1, not {length:g}")
        return self


def _ascending(orientations: tuple[Orientation, ...]) -> tuple[Orientation, ...]:
    if any(later.seconds <= earlier.seconds for earlier, later in pairwise(orientations)):
        raise ValueError("their times have to ascend")
    return orientations


Orientations = Annotated[
    tuple[Orientation, ...],
    Field(min_length=1, description="at ascending times; slerp between them, held beyond the first and the last"),
    AfterValidator(_ascending),
]
"""The course of a camera."""


class Turn(BaseModel):
    """What is wanted: `sound` (AmbiX, as the camera heard it) turned to the world's axes, as `output` (a WAV)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sound: InputPath
    output: OutputPath
    orientations: Orientations
    preview: bool = Field(default=True, description="OUT.preview.wav, binaural")


class Turned(BaseModel):
    """The files of a sound that was turned, and its measures."""

    sound: Path
    preview: Path | None
    sidecar: Path
    rate: int
    samples: int
    gain_db: float
    true_peak_dbtp: float | None


class TurnSidecar(BaseModel):
    """Everything that it takes to turn a sound again, and what its file cannot say. Lies beside it as `.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["omniaudio-turn-1"] = "omniaudio-turn-1"
    created: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    convention: Literal["AmbiX ACN/SN3D"] = "AmbiX ACN/SN3D"
    input: str = Field(description="the sound that was turned, as seen from here")
    input_sha256: str
    orientations: Orientations
    gain_db: float = Field(le=0, description="what the true-peak guard took")
    true_peak_dbtp: float | None = Field(description="of the file; null in silence")
    versions: dict[str, str] = Field(default_factory=installed_versions)

    def write(self, path: Path) -> None:
        """Writes it as JSON, whole or not at all."""
        with replacing(path) as partial:
            partial.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


class Turning:
    """The rotation of a camera through time, carried out on its sound block by block."""

    def __init__(self, orientations: Sequence[Orientation], rate: int) -> None:
        """`orientations` as in `Turn`; `rate` is the sound's in Hz."""
        # One orientation is held from its time on, and two are what interpolation takes.
        held = (*orientations, orientations[-1].model_copy(update={"seconds": orientations[-1].seconds + 1}))
        self._times = np.array([one.seconds for one in held])
        quaternions = np.array([(one.w, one.x, one.y, one.z) for one in held])
        quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
        # q and -q are the same rotation; of the two ways from one to the next the short one is meant.
        turns_back = np.sum(quaternions[1:] * quaternions[:-1], axis=1) < 0
        quaternions[1:] *= np.where(np.cumsum(turns_back) % 2, -1, 1)[:, None]
        self._quaternions = quaternions
        steps, sums = np.diff(quaternions, axis=0), quaternions[1:] + quaternions[:-1]
        self._steps = np.diff(self._times)
        self._angles = 2 * np.arctan2(np.linalg.norm(steps, axis=1), np.linalg.norm(sums, axis=1))
        self._rate = rate
        self._samples = 0

    def process(self, foa: Sound) -> Sound:
        """The next samples `(4, samples)` from the camera's axes to the world's."""
        times = (self._samples + np.arange(foa.shape[1])) / self._rate
        self._samples += foa.shape[1]
        quaternions = self._at(times)
        scalar, axis, dipoles = quaternions[:, :1], quaternions[:, 1:], foa[XYZ, :].T
        # q·v·q⁻¹ for each sample; SciPy's interpolation and rotation take six times as long.
        half_way = np.cross(axis, dipoles)
        turned = np.array(foa, dtype=np.float32)
        turned[XYZ, :] = (dipoles + 2 * (scalar * half_way + np.cross(axis, half_way))).T
        return turned

    def _at(self, times: Floats) -> Floats:
        """The unit quaternions `(times, 4)`, by spherical linear interpolation (Shoemake, "Animating rotation with
        quaternion curves", 1985)."""
        before = np.clip(np.searchsorted(self._times, times, "right") - 1, 0, len(self._angles) - 1)
        share = np.clip((times - self._times[before]) / self._steps[before], 0, 1)
        angle = self._angles[before] / np.pi
        # sin(share·angle) / sin(angle), which has a limit where the angle is 0.
        first, second = ((part * np.sinc(part * angle) / np.sinc(angle))[:, None] for part in (1 - share, share))
        return np.asarray(first * self._quaternions[before] + second * self._quaternions[before + 1])


def read_orientations(path: Path) -> tuple[Orientation, ...]:
    """The orientations in a JSON file: a list of objects with seconds, w, x, y and z, at ascending times.

    Raises UserError (NO_INPUT) where it is none."""
    check_readable(path, "a JSON list of {seconds, w, x, y, z}")
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            sentence = f"{path.name} is larger than {MOST_BYTES >> 20} MiB: turn the sound in parts."
            raise UserError(sentence, ExitCode.NO_INPUT)
        return TypeAdapter(Orientations).validate_json(content)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check the path.", ExitCode.NO_INPUT) from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "its form"
        sentence = f"{path.name} holds no orientations ({where}: {fault['msg']}): give a JSON list of"
        raise UserError(f"{sentence} {{seconds, w, x, y, z}}.", ExitCode.NO_INPUT) from error


def turn(request: Turn, report: Callable[[Report], None]) -> Turned:
    """Turn a camera's field to the world's axes: a WAV as long as its sound, its sidecar, and a binaural preview.

    Args:
        request: what is wanted.
        report: told of every step; what it raises ends the work, and nothing half-written stays.

    Raises:
        UserError: the sound cannot be read, or the target not be written.
    """
    sound = open_sound(request.sound)
    target = request.output
    check_output(target, ".wav", request.sound)
    preview, sidecar = target.with_suffix(".preview.wav"), target.with_suffix(".json")
    with together(target.parent) as folder:
        writer = _write(request, sound, folder, report)
        TurnSidecar(
            input=relative(request.sound, target.parent),
            input_sha256=file_sha256(request.sound),
            orientations=request.orientations,
            gain_db=writer.gain_db,
            true_peak_dbtp=writer.true_peak_dbtp,
        ).write(folder / sidecar.name)
    return Turned(
        sound=target,
        preview=preview if request.preview else None,
        sidecar=sidecar,
        rate=sound.rate,
        samples=sound.samples,
        gain_db=writer.gain_db,
        true_peak_dbtp=writer.true_peak_dbtp,
    )


def _write(request: Turn, sound: SoundFile, folder: Path, report: Callable[[Report], None]) -> AmbixWriter:
    """Master and preview, in one pass over the sound."""
    turning, renderer = Turning(request.orientations, sound.rate), BinauralRenderer(sound.rate)
    progress = Progress(report, [Task("turn", -(-sound.samples // BLOCK), BLOCK / sound.rate / 20)])
    progress.begin("turn")
    with ExitStack() as files:
        master = files.enter_context(AmbixWriter(folder / request.output.name, sound.rate))
        preview = AmbixWriter(folder / request.output.with_suffix(".preview.wav").name, sound.rate, EARS)
        if request.preview:
            files.enter_context(preview)
        for block in sound.blocks():
            turned = turning.process(block)
            master.write(turned)
            if request.preview:
                preview.write(renderer.process(turned))
            progress.advance("turn")
        if request.preview:
            preview.write(renderer.finish())
    return master

"""The Python API: the functions of the package `omniaudio`, which imports them from here when they are first used.

Paths may be strings. Every function raises `omniaudio.errors.UserError` for what its user can correct, such as a file
that cannot be read, and `ValueError` for an argument that is out of range. A `progress` callback is called after each
step; an exception from it cancels the job, and no partial file is left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from os import PathLike
from pathlib import Path
from typing import Any, Literal, cast

import soundfile

from omniaudio.analysis.inspect import PanoramaReport, SoundReport, describe
from omniaudio.audio.ambisonics import Sound
from omniaudio.audio.binaural import BinauralRequest, write_binaural
from omniaudio.audio.rotation import Orientation, RotatedSound, RotationRequest, read_orientations, rotate_to_world
from omniaudio.errors import ExitCode, UserError, installation
from omniaudio.export360.spatial_video import ExportedVideo, ExportRequest, export_spatial_video
from omniaudio.generation import takes as generation
from omniaudio.generation.pipeline import Stages
from omniaudio.generation.request import Request
from omniaudio.model_zoo import registry
from omniaudio.progress import Report
from omniaudio.recognition.networks import OnnxNetworks
from omniaudio.recognition.recognise import recognise
from omniaudio.recognition.sources import Sources
from omniaudio.sidecar import Sidecar
from omniaudio.video.clip import Clip
from omniaudio_client.options import GenerationOptions

PIPELINES = "omniaudio.pipelines"
"""The entry-point group of functions `(registry.Model, backend: str) -> Stages`, which open a model."""

AnyPath = str | PathLike[str]
ProgressCallback = Callable[[Report], None]


def _ignore(step: Report) -> None:
    """The progress callback of those who give none."""


@dataclass(frozen=True)
class Generation:
    """The result of `generate`.

    Attributes:
        takes: the files and levels of each take: `sound`, `preview`, `map`, `stems` and `sidecar` are paths.
        model: the name of the model.
        backend: the name of the back-end.
    """

    takes: tuple[generation.Take, ...]
    model: str
    backend: str

    def read(self, take: int = 1) -> Sound:
        """Read the sound of a take, counted from 1: AmbiX, float32 `(channels, samples)` at `takes[take - 1].rate` Hz,
        4 channels at first order."""
        samples, _ = soundfile.read(self.takes[take - 1].sound, dtype="float32", always_2d=True)
        return cast("Sound", samples.T)

    def sources(self, take: int = 1) -> Sources | None:
        """Read the sources of a take, counted from 1; None if the model generates all sound at once."""
        return Sidecar.read(self.takes[take - 1].sidecar).sources


def open_model(model: AnyPath | None = None, backend: str = "auto") -> Stages:
    """Open a model, to be given to several calls of `generate`.

    Args:
        model: `draft`, `omniaudio`, or the folder of a model; None: `omniaudio` if it is installed, else `draft`.
        backend: a name that `omniaudio backends` lists, or `auto`.

    Raises:
        UserError: there is no such model or back-end, or the back-end cannot open the model.
    """
    found = registry.find_or_best(None if model is None else str(model))
    for point in entry_points(group=PIPELINES):
        opener = cast("Callable[[registry.Model, str], Stages]", point.load())
        return opener(found, backend)
    raise UserError(f"No package that runs models is installed: run {installation()}.", ExitCode.NO_BACKEND)


def generate(
    path: AnyPath,
    output: AnyPath | None = None,
    *,
    options: GenerationOptions | None = None,
    model: AnyPath | Stages | None = None,
    backend: str | None = None,
    start: float = 0.0,
    duration: float | None = None,
    rate: int | None = None,
    sources: Sources | AnyPath | None = None,
    force: bool = False,
    allow_truncated: bool = False,
    progress: ProgressCallback = _ignore,
    **changes: Any,
) -> Generation:
    """Generate spatial audio for a 360° clip, as `omniaudio generate` does.

    Args:
        path: a 360° video, still image or image sequence.
        output: the WAV of the first take; None: the clip's name with `.ambix.wav`, beside the clip. The other files
            have its name with other endings; the second take is `OUT.take2.wav`.
        options: how to generate; None: the defaults.
        model: as for `open_model`, or what that returned; None: as in `options`.
        backend: as for `open_model`; None: as in `options`. Ignored if `model` is open already.
        start: where to start in the clip, in seconds.
        duration: how much of the clip to use, in seconds; None: to its end. Required for a still image.
        rate: the sampling rate of the output in Hz; None: the model's.
        sources: the sources, or a file that holds them; None: they are recognised.
        force: accept a clip that does not look like 360°.
        allow_truncated: use the readable part of a truncated file.
        progress: called after each step with its stage, the fraction done (0 to 1) and the seconds left.
        changes: single options by name, in place of those in `options`: `seed` (0 or more), `takes` (1 to 16),
            `steps`, `guidance`, `variation` (0 to 1), `order` (1 to 3), `preview`, `map`, `stems` (True or False).

    Raises:
        UserError: the clip cannot be read or is not a panorama, the range is not in it, the output cannot be written,
            or the model cannot do what is asked for.
        ValueError: an option is out of range.
    """
    clip, chosen = Path(path), replace(options or GenerationOptions(), **changes)
    if isinstance(sources, str | PathLike):
        sources = Sources.read(Path(sources))
    request = Request(
        input=clip,
        output=clip.with_suffix(".ambix.wav") if output is None else Path(output),
        start=start,
        duration=duration,
        rate=rate,
        sources=sources,
        force=force,
        allow_truncated=allow_truncated,
        options=chosen,
    )
    if model is None or isinstance(model, str | PathLike):
        stages = open_model(chosen.model if model is None else model, backend or chosen.backend)
    else:
        stages = model
    made = generation.generate(request, stages, progress)
    return Generation(tuple(made), stages.name, str(stages.backend))


def inspect(path: AnyPath) -> SoundReport | PanoramaReport:
    """Describe a 360° video, still image or image sequence, or an ambisonic file: format, convention, level, and
    direction for each second. Angles are degrees, azimuth counter-clockwise from the front.

    Raises:
        UserError: the file is neither.
    """
    return describe(Path(path))


def find_sources(path: AnyPath, start: float = 0.0, duration: float | None = None) -> Sources:
    """Recognise the sound sources in a 360° clip: kind, path, size and confidence of each. They can be edited and given
    to `generate`.

    Args:
        path: a 360° video, still image or image sequence.
        start: where to start in the clip, in seconds.
        duration: how much of the clip to use, in seconds; None: to its end.

    Raises:
        UserError: the clip cannot be read or is not a panorama, or the range is not in it.
    """
    return recognise(Clip(Path(path)), OnnxNetworks(), start=start, duration=duration)


def export(
    clip: AnyPath,
    sound: AnyPath,
    output: AnyPath,
    *,
    codec: Literal["pcm", "opus", "aac"] = "pcm",
    clip_start: float = 0.0,
    stereo: Literal["mono", "top-bottom", "side-by-side"] | None = None,
    force: bool = False,
    allow_truncated: bool = False,
    progress: ProgressCallback = _ignore,
) -> ExportedVideo:
    """Export a 360° video with spatial audio, for YouTube and headsets. It has the length of the sound.

    Args:
        clip: a 360° video, still image or image sequence.
        sound: four channels; AmbiX unless the file declares another convention.
        output: a .mov for PCM; an .mp4 for Opus and AAC.
        codec: the audio codec.
        clip_start: time in the clip at which the sound begins, in seconds.
        stereo: the layout of the eyes; None: detected from the clip.
        force: accept a clip that does not look like 360°.
        allow_truncated: use the readable part of a truncated file.
        progress: called after each step.

    Raises:
        UserError: the clip or the sound cannot be read, the clip is not a panorama or ends before `clip_start`, the
            sound exceeds full scale at 48 kHz, or the output cannot be written.
        ValueError: an argument is out of range.
    """
    given = {
        "clip": clip,
        "sound": sound,
        "output": output,
        "codec": codec,
        "clip_start": clip_start,
        "stereo": stereo,
        "force": force,
        "allow_truncated": allow_truncated,
    }
    return export_spatial_video(ExportRequest.model_validate(given), progress)


def rotate(
    sound: AnyPath,
    orientations: AnyPath | Sequence[Orientation],
    output: AnyPath,
    *,
    preview: bool = True,
    progress: ProgressCallback = _ignore,
) -> RotatedSound:
    """Rotate the sound of a moving camera to world axes, so that its sources stay in place in the world.

    Args:
        sound: four channels in the camera's axes; AmbiX unless the file declares another convention.
        orientations: the rotation from camera to world axes over time, as unit quaternions, or a JSON file that holds
            them.
        output: the WAV to write.
        preview: also write OUT.preview.wav, binaural.
        progress: called after each step.

    Raises:
        UserError: the sound or the orientations cannot be read, or the output cannot be written.
        ValueError: the times do not ascend.
    """
    path = read_orientations(Path(orientations)) if isinstance(orientations, str | PathLike) else tuple(orientations)
    request = RotationRequest(sound=Path(sound), output=Path(output), orientations=path, preview=preview)
    return rotate_to_world(request, progress)


def binaural(
    sound: AnyPath,
    output: AnyPath,
    *,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    progress: ProgressCallback = _ignore,
) -> Path:
    """Render an ambisonic file for headphones. Returns `output`.

    Args:
        sound: four channels; AmbiX unless the file declares another convention.
        output: the stereo WAV to write.
        yaw: orientation of the head in degrees; positive turns it left.
        pitch: positive raises the nose, in degrees.
        roll: positive raises the left ear, in degrees.
        progress: called after each step.

    Raises:
        UserError: the sound cannot be read, or the output cannot be written.
        ValueError: an angle is not finite.
    """
    request = BinauralRequest(sound=Path(sound), output=Path(output), yaw=yaw, pitch=pitch, roll=roll)
    return write_binaural(request, progress)

"""What a worker does for a job, by the kind of its request: files in the attempt's folder, and what they are."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from omniaudio.audio.binaural import BinauralRequest, write_binaural
from omniaudio.audio.convention import converted_from
from omniaudio.audio.rotation import RotatedSound, RotationRequest, read_orientations, rotate_to_world
from omniaudio.errors import ExitCode, UserError
from omniaudio.export360.audio_track import Codec
from omniaudio.export360.direction_map_video import DirectionMapVideoRequest, write_direction_map_video
from omniaudio.export360.spatial_video import ExportRequest, export_spatial_video
from omniaudio.generation import takes
from omniaudio.generation.inpainting import Again
from omniaudio.generation.pipeline import LOOKING, Stages
from omniaudio.model_zoo import registry
from omniaudio.progress import Progress, Report, Task
from omniaudio.recognition.networks import Networks, OnnxNetworks
from omniaudio.recognition.recognise import recognise
from omniaudio.recognition.sources import Sources
from omniaudio.video.clip import Clip
from omniaudio.video.time_range import wanted_range
from trt_engine.runtime.open import open_pipeline
from trt_engine.service.models import (
    DeliverRequest,
    FileRequest,
    InspectRequest,
    JobRequest,
    ListenRequest,
    MapRequest,
    Result,
    ResultFile,
    TakeResult,
    TurnRequest,
)
from trt_engine.service.worker.messages import Run

KEPT = 2
"""Models that stay ready; the one that was not used for longest goes first."""
STEM_BYTES = 200
"""Of a file's name: endings and the names of unfinished files fit into the 255 that file systems take."""
_LOOKING_UNITS, _SECONDS_OF_LOOKING = 100, 5.0
_SUFFIXES = {Codec.PCM: ".mov", Codec.OPUS: ".mp4", Codec.AAC: ".mp4"}

Reporting = Callable[[Report], None]


class Models:
    """The models of the last jobs, ready; the pipeline of each is opened where it is not yet, and so are the networks
    that sources are recognised with."""

    def __init__(self, on_loaded: Callable[[tuple[str, ...]], None]) -> None:
        """`on_loaded` is told the names of those that are ready, when another one is."""
        self._on_loaded = on_loaded
        self._pipelines: OrderedDict[tuple[Path, str], Stages] = OrderedDict()
        self._networks: Networks | None = None

    def get(self, name: str | None, backend: str) -> Stages:
        """A model on a back-end; the best model where the name is None. Raises UserError."""
        if name is not None and name not in (known := [model.name for model in registry.models()]):
            # Clients do not open folders of this machine as models.
            raise UserError(f"There is no model {name!r}: name one of {', '.join(known)}.", ExitCode.NO_MODEL)
        model = registry.find_or_best(name)
        key = (model.folder, backend)
        if key not in self._pipelines:
            while len(self._pipelines) >= KEPT:
                self._pipelines.popitem(last=False)
            self._pipelines[key] = open_pipeline(model, backend)
            self._on_loaded(tuple(dict.fromkeys(pipeline.name for pipeline in self._pipelines.values())))
        self._pipelines.move_to_end(key)
        return self._pipelines[key]

    def networks(self) -> Networks:
        """Those of the recognition. Raises UserError."""
        if self._networks is None:
            self._networks = OnnxNetworks()
        return self._networks


def carry_out(run: Run, models: Models, report: Reporting) -> Result:
    """Do what a request wants, and say of which convention its sound was.

    Args:
        run: the job; its files are made in `run.attempt`.
        models: where models come from.
        report: told of every step; what it raises ends the work.

    Returns:
        What was made, by the paths at which it will lie.

    Raises:
        UserError: it cannot be done.
    """
    result = _made(run, models, report)
    sound = run.files.get("sound", run.files.get("again.sound"))
    return result if sound is None else result.model_copy(update={"converted_from": converted_from(sound)})


def _made(run: Run, models: Models, report: Reporting) -> Result:
    match run.request:
        case JobRequest() as wanted:
            return _generate(run, wanted, models, report)
        case InspectRequest() as wanted:
            return Result(model=None, backend=None, sources=_recognised(run, wanted, models.networks(), report))
        case TurnRequest() as wanted:
            turned = rotate_to_world(_turning(run, wanted), report)
            return Result(model=None, backend=None, takes=(_result(run, turned),))
        case ListenRequest() as wanted:
            output = run.attempt / f"{stem(run, wanted)}.wav"
            angles = {"yaw": wanted.yaw, "pitch": wanted.pitch, "roll": wanted.roll}
            made = write_binaural(BinauralRequest(sound=run.files["sound"], output=output, **angles), report)
        case MapRequest() as wanted:
            output = run.attempt / f"{stem(run, wanted)}.mp4"
            movie = DirectionMapVideoRequest(
                clip=run.files["picture"], sound=run.files["sound"], output=output, clip_start=wanted.picture_start
            )
            made = write_direction_map_video(movie, report)
        case DeliverRequest() as wanted:
            delivery = ExportRequest(
                clip=run.files["picture"],
                sound=run.files["sound"],
                output=run.attempt / f"{stem(run, wanted)}{_SUFFIXES[wanted.codec]}",
                codec=wanted.codec,
                clip_start=wanted.picture_start,
                stereo=wanted.stereo,
                force=wanted.force,
                allow_truncated=wanted.allow_truncated,
            )
            made = export_spatial_video(delivery, report).path
    return Result(model=None, backend=None, files=(_at_the_end(run, made),))


def _generate(run: Run, wanted: JobRequest, models: Models, report: Reporting) -> Result:
    again = None
    if wanted.again is not None:
        part = wanted.again
        sound = run.files["again.sound"]
        again = Again(sound=sound, start=part.start, duration=part.duration, gain_db=part.gain_db)
    _check_length(run, wanted)
    pipeline = models.get(wanted.model, wanted.backend)
    request = takes.Request(
        input=run.files["source"],
        output=run.attempt / f"{stem(run, wanted)}.wav",
        start=wanted.start,
        duration=wanted.duration,
        seed=wanted.seed,
        takes=wanted.takes,
        steps=wanted.steps,
        guidance=wanted.guidance,
        rate=wanted.rate,
        preview=wanted.preview,
        map=wanted.map,
        force=wanted.force,
        allow_truncated=wanted.allow_truncated,
        again=again,
        sources=wanted.sources,
        variation=wanted.variation,
        order=wanted.order,
        stems=wanted.stems,
    )
    made = takes.generate(request, pipeline, report, models.networks)
    return Result(
        model=pipeline.name,
        backend=str(pipeline.backend),
        takes=tuple(_result(run, take) for take in made),
    )


def _recognised(run: Run, wanted: InspectRequest, networks: Networks, report: Reporting) -> Sources:
    clip = Clip(run.files["source"])
    start, duration = wanted.start, wanted.duration
    if clip.info.duration is not None:
        start, duration = wanted_range(clip.info, start, duration, wanted.allow_truncated)
    progress = Progress(report, [Task(LOOKING, _LOOKING_UNITS, _SECONDS_OF_LOOKING / _LOOKING_UNITS)])
    progress.begin(LOOKING)
    looked = partial(progress.reach, LOOKING)
    return recognise(clip, networks, start=start, duration=duration, checked=wanted.force, report=looked)


def _turning(run: Run, wanted: TurnRequest) -> RotationRequest:
    orientations = read_orientations(run.files["orientations"])
    output = run.attempt / f"{stem(run, wanted)}.wav"
    return RotationRequest(sound=run.files["sound"], output=output, orientations=orientations, preview=wanted.preview)


def stem(run: Run, wanted: FileRequest) -> str:
    """The name of a job's files without their endings: as asked for, else after the clip or the sound, and what is made
    of it, like `CLIP.ambix`."""
    name = wanted.name
    if name is None:
        source, ending = _named_after(wanted)
        # What numbers the pictures of a sequence means something else in an address.
        own = run.files[source].stem.translate(dict.fromkeys(map(ord, "#%"))).strip(". _-") or "clip"
        name = f"{_cut(own, STEM_BYTES - len(ending))}{ending}"
    return _cut(name, STEM_BYTES)


def _named_after(request: FileRequest) -> tuple[str, str]:
    """The source that a job's files are named after, and what is added."""
    match request:
        case JobRequest():
            return "source", ".ambix"
        case ListenRequest():
            return "sound", ".headphones"
        case TurnRequest():
            return "sound", ".world"
        case MapRequest():
            return "sound", ".map"
        case DeliverRequest():
            return "picture", ".spatial"


def _cut(text: str, length: int) -> str:
    """As many characters as fit into so many bytes."""
    return text.encode()[:length].decode(errors="ignore")


def _check_length(run: Run, wanted: JobRequest) -> None:
    """Raises UserError where the clip is missing or no clip, or more sound is asked for than the service makes."""
    if wanted.again is not None:
        seconds = wanted.again.duration
    else:
        info = Clip(run.files["source"]).info
        _, seconds = wanted_range(info, wanted.start, wanted.duration, wanted.allow_truncated)
    if seconds * wanted.takes > run.most_seconds:
        count = f"{wanted.takes} takes of " if wanted.takes > 1 else ""
        raise UserError(
            f"This service makes {run.most_seconds:g} s of sound a job at most, not {count}{seconds:g} s: ask for less "
            f"at a time with start and duration.",
            ExitCode.BAD_RANGE,
        )


def _result(run: Run, made: takes.Take | RotatedSound) -> TakeResult:
    generated = made if isinstance(made, takes.Take) else None
    drawn = None if generated is None else generated.map
    stems = () if generated is None else generated.stems
    return TakeResult(
        sound=_at_the_end(run, made.sound),
        sidecar=_at_the_end(run, made.sidecar),
        preview=None if made.preview is None else _at_the_end(run, made.preview),
        map=None if drawn is None else _at_the_end(run, drawn),
        seed=None if generated is None else generated.seed,
        take=1 if generated is None else generated.take,
        rate=made.rate,
        samples=made.samples,
        gain_db=made.gain_db,
        true_peak_dbtp=made.true_peak_dbtp,
        stems=tuple(_at_the_end(run, path) for path in stems),
    )


def _at_the_end(run: Run, path: Path) -> ResultFile:
    """A file that was made, by the path at which it will lie."""
    return ResultFile(name=path.name, path=str(run.results / path.name), size=path.stat().st_size)

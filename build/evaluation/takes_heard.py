"""What is made of a scene, and what is heard in it: one `Result` a scene, kept as JSON."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

import numpy as np
import soundfile
from pydantic import BaseModel, ConfigDict
from scenes import BUILD, SECONDS, SHOWN, Cutout, Group, Scene, Split

from omniaudio.audio.ambisonics import Floats, angle_between, unit_vector
from omniaudio.audio.ambisonics import direction as direction_of
from omniaudio.evaluation import metrics
from omniaudio.evaluation.yamnet import Yamnet
from omniaudio.generation import takes
from omniaudio.generation.pipeline import Stages
from omniaudio.generation.request import Request
from omniaudio.recognition import kinds
from omniaudio.recognition.networks import Networks
from omniaudio.recognition.sources import Bed, Place, Source, Sources
from omniaudio.sidecar import Sidecar
from omniaudio_client.options import GenerationOptions

sys.path.insert(0, str(BUILD / "draft_model"))
import recordings
from judge_stems import strung

NEAR = 25.0
"""Degrees within which a source is where its cutout is."""
KEPT_LABELS = 10
RECORDINGS = 4
"""Of each kind that are judged, at most."""


class Row(StrEnum):
    """How the sound of a scene is made."""

    DEFAULT = "the draft"
    NOISE = "from noise (variation 1)"
    GIVEN = "true kinds and places given"
    EXEMPLARS = "exemplars, true kinds given (variation 0)"
    PREVIOUS = "the previous draft"
    """By the command of another checkout."""


ROWS: Mapping[Group, tuple[Row, ...]] = {
    "photograph": tuple(Row),
    "drawing": (Row.DEFAULT,),
    "render": (Row.DEFAULT, Row.GIVEN),
    "moving": (Row.DEFAULT, Row.GIVEN, Row.PREVIOUS),
    "two": (Row.DEFAULT, Row.GIVEN),
    "empty": (Row.DEFAULT,),
}
WITH_ALL_ROWS = 30
"""So many photographs, one of each folder, are heard in every row, the others as the draft makes them."""


def rows_of(scene: Scene) -> tuple[Row, ...]:
    """The rows in which a scene is heard."""
    more = scene.group == "photograph" and int(scene.name.rsplit("-", 1)[1]) >= WITH_ALL_ROWS
    return (Row.DEFAULT,) if more else ROWS[scene.group]


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class Heard(_Kept):
    """One sound as it was judged."""

    labels: tuple[str, ...]
    """The tagger's first ten of W."""
    error: float | None = None
    """Degrees between where the sound comes from and where the cutout is; None where there is not one cutout."""
    level: float
    """W, dBFS."""
    defects: tuple[str, ...] = ()

    def finds(self, wanted: Sequence[str], k: int) -> bool:
        return not set(wanted).isdisjoint(self.labels[:k])


class Seen(_Kept):
    """A cutout of a scene, and the recognised source that is nearest to it."""

    folder: str
    right: tuple[str, ...]
    size: float
    from_front: float
    """Degrees between the front and it."""
    kind: str = ""
    """Of that source; empty where there is none."""
    confidence: float = 0.0
    error: float = 180.0

    @property
    def near(self) -> bool:
        return self.error < NEAR

    @property
    def named(self) -> bool:
        return self.near and self.kind in self.right

    @property
    def own_voice(self) -> bool:
        """Whether the generator knows its kind, and needs no other kind's sound in its place."""
        return kinds.load()[self.right[0]].voice == self.right[0]

    @property
    def labels(self) -> tuple[str, ...]:
        """The tagger's words for it."""
        return tuple(label for kind in self.right for label in kinds.load()[kind].labels)


class Result(_Kept):
    """A scene as it was measured."""

    name: str
    group: Group
    panorama: str
    beds: tuple[str, ...]
    cutouts: tuple[Seen, ...]
    found: tuple[str, ...]
    """Kinds of all recognised sources."""
    bed: str
    sounds: dict[Row, Heard]

    @property
    def false_alarms(self) -> int:
        """Recognised sources beyond the cutouts and what the panorama itself shows."""
        return sum(kind not in SHOWN.get(self.panorama, ()) for kind in self.found) - len(self.cutouts)


class Recording(_Kept):
    """A real recording of a kind, as it is and through the codec."""

    kind: str
    path: str
    real: Heard
    codec: Heard


@dataclass(frozen=True)
class Judge:
    """Makes and judges the sounds of scenes."""

    stages: Stages
    networks: Networks
    yamnet: Yamnet

    def result(self, scene: Scene, clip: Path, kept: Path, previous: Path | None) -> Result:
        """Measures a scene. W of the draft's own take of a photograph goes to the file `kept`; `previous` is the
        checkout whose command makes the row of that name."""
        with TemporaryDirectory() as name:
            folder = Path(name)
            sounds: dict[Row, Heard] = {}
            sounds[Row.DEFAULT], found = self._take(scene, clip, folder)
            if scene.group == "photograph":
                foa, rate = soundfile.read(folder / "take.wav", dtype="float32")
                soundfile.write(kept, foa[:, 0], rate)
            for row in rows_of(scene):
                if row is Row.PREVIOUS and previous is not None:
                    sounds[row] = self._by_command(previous, scene, clip, folder)
                elif row in (Row.GIVEN, Row.EXEMPLARS):
                    given = true_sources(scene, found.bed)
                    sounds[row], _ = self._take(scene, clip, folder, given, 0.0 if row is Row.EXEMPLARS else None)
                elif row is Row.NOISE:
                    sounds[row], _ = self._take(scene, clip, folder, found, 1.0)
        return Result(
            name=scene.name,
            group=scene.group,
            panorama=scene.panorama,
            beds=scene.beds,
            cutouts=tuple(seen(cutout, found) for cutout in scene.cutouts),
            found=tuple(source.kind for source in found.sources),
            bed=found.bed.kind if found.bed else "",
            sounds=sounds,
        )

    def _take(
        self, scene: Scene, clip: Path, folder: Path, sources: Sources | None = None, variation: float | None = None
    ) -> tuple[Heard, Sources]:
        """A take as `take.wav` in a folder; what is heard in it, and what it was made of."""
        request = Request(
            input=clip,
            output=folder / "take.wav",
            duration=SECONDS,
            sources=sources,
            options=GenerationOptions(variation=variation, seed=crc32(scene.name.encode()), preview=False, map=False),
            force=True,
        )
        (take,) = takes.generate(request, self.stages, lambda _: None, lambda: self.networks)
        foa, rate = soundfile.read(take.sound, dtype="float32", always_2d=True)
        used = Sidecar.read(take.sidecar).sources
        assert used is not None
        return self.hear(foa.T, rate, scene.cutouts), used

    def _by_command(self, checkout: Path, scene: Scene, clip: Path, folder: Path) -> Heard:
        """What the command of another checkout makes of a scene."""
        sound = folder / "previous.wav"
        command = [sys.executable, "-m", "omniaudio.cli", "generate", str(clip.resolve()), "-o", str(sound)]
        command += ["--model", "draft", "--duration", str(SECONDS), "--force", "--no-preview", "--no-map"]
        environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
        subprocess.run(command, check=True, cwd=checkout, env=environment, stdout=subprocess.DEVNULL)
        foa, rate = soundfile.read(sound, dtype="float32", always_2d=True)
        return self.hear(foa.T, rate, scene.cutouts)

    def hear(self, foa: Floats, rate: int, cutouts: Sequence[Cutout] = ()) -> Heard:
        """Judges FOA (4, samples)."""
        error: float | None = None
        if len(cutouts) == 1 and cutouts[0].speed:
            track = metrics.track(foa, rate)
            error = metrics.track_error(track, cutouts[0].directions(track.times))
        elif len(cutouts) == 1:
            came_from = unit_vector(*direction_of(foa))
            error = float(np.degrees(angle_between(came_from, cutouts[0].directions(np.zeros(1))[0])))
        return Heard(
            labels=self._labels(foa[0], rate),
            error=error,
            level=metrics.level_dbfs(foa),
            defects=tuple(metrics.defects(foa)),
        )

    def recordings(self, data: Path, split: Split, wanted: Sequence[str]) -> Iterator[Recording]:
        """The split's own recordings of kinds."""
        rhythms = recordings.read_kinds()
        found = recordings.split_recordings(recordings.list_recordings(data, rhythms))
        for kind in wanted:
            own = sorted(
                (crc32(entry.path.encode()), path, entry)
                for path, entry in found
                if entry.split == split and Path(entry.path).parent.name == kind
            )
            for _, path, entry in own[:RECORDINGS]:
                sound = recordings.trimmed(recordings.read_sound(path))
                if sound is None:
                    continue
                phrase = strung(sound, rhythms[entry.kind].rhythm, round(SECONDS * recordings.RATE))
                yield Recording(
                    kind=kind, path=entry.path, real=self._mono(phrase), codec=self._mono(self._codec(phrase))
                )

    def _codec(self, sound: Floats) -> Floats:
        config = self.stages.config
        samples = config.latent_frames * config.samples_per_latent
        whole = np.pad(sound, (0, -len(sound) % samples)).reshape(-1, samples).astype(np.float32)
        decoded = [self.stages.decode(self.stages.encode(piece[None, None]))[0, 0] for piece in whole]
        return np.concatenate(decoded)[: len(sound)]

    def _mono(self, sound: Floats) -> Heard:
        return Heard(labels=self._labels(sound, recordings.RATE), level=metrics.level_dbfs(sound[None]))

    def _labels(self, sound: Floats, rate: int) -> tuple[str, ...]:
        return tuple(label for label, _ in self.yamnet.top(self.yamnet.scores(sound, rate), KEPT_LABELS))


def seen(cutout: Cutout, found: Sources) -> Seen:
    """The source nearest to a cutout along its path."""
    times = np.linspace(0, SECONDS, 6) if cutout.speed else np.zeros(1)
    truth = cutout.directions(times)
    alone = Seen(
        folder=cutout.folder,
        right=cutout.right,
        size=float(np.degrees(cutout.size)),
        from_front=_apart(np.array([[1.0, 0.0, 0.0]]), truth),
    )
    placed = [(_apart(source.directions(times), truth), source) for source in found.sources]
    if not placed:
        return alone
    error, source = min(placed, key=lambda one: one[0])
    return alone.model_copy(update={"kind": source.kind, "confidence": source.confidence, "error": error})


def _apart(directions: Floats, truth: Floats) -> float:
    """Median angle between them in degrees."""
    return float(np.degrees(np.median(angle_between(directions, truth))))


def true_sources(scene: Scene, bed: Bed | None) -> Sources:
    """What a person would write who knows the scene. The bed is the recognised one where nobody knows better."""
    placed = []
    for cutout in scene.cutouts:
        times = np.linspace(0, SECONDS, 6) if cutout.speed else np.zeros(1)
        path = tuple(
            Place(
                time=float(time),
                azimuth=float(np.degrees(np.arctan2(y, x))),
                elevation=float(np.degrees(np.arcsin(np.clip(z, -1, 1)))),
                size=float(np.degrees(cutout.size)),
            )
            for time, (x, y, z) in zip(times, cutout.directions(times), strict=True)
        )
        placed.append(Source(kind=cutout.right[0], path=path))
    if scene.beds:
        bed = Bed(kind=scene.beds[0])
    return Sources(seconds=max(SECONDS, 10.0), sources=tuple(placed), bed=bed)

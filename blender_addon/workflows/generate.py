"""Generates sound for a clip: renders it if necessary, runs the job, inserts the takes below the clip."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import bpy

from omniaudio_client.records import GenerateRequest, Inpainting, PathSource

from ..core import frames
from ..core.errors import CancelledError, UserError
from ..core.job import Cancelled, Outcome, Steps
from ..core.provenance import Provenance
from ..props.source_list import ListedClip, fill, is_of, list_of
from ..sequencer import strips
from ..sequencer.sound_strips import blend_path
from ..sequencer.sources import ClipStrip, Footage
from ..service.service_job import LocalResult, TakeFiles
from .anchor import SoundFiles, follow_world, rotated_to_world
from .following import blender_is_free, made_by_service, removed_after, rendered, scene_named
from .snapshot import Snapshot, SoundRequest, usable_folder


@dataclass(frozen=True)
class InpaintedRange:
    """The range of a take to inpaint, in seconds of its head-locked `sound`. `gain_db` is the take's gain reduction,
    None if unknown."""

    sound: Path
    start: float
    duration: float
    gain_db: float | None


@dataclass(frozen=True)
class Generation:
    """A generation for an existing file: `part` of `clip` belongs to the frames `place` of the scene named `scene`."""

    scene: str
    clip: Path
    part: frames.FileSpan
    place: frames.Placement
    request: SoundRequest
    title: str
    chosen: str  # as of Snapshot
    folder: Path
    stem: str
    camera: str = ""  # as of Panorama
    under: ClipStrip | None = None
    group: str = ""  # that the takes join; empty for a new one
    active: str = ""  # the active strip at the time of the request
    listed: ListedClip | None = None  # what a new list of sources describes; None for no list
    inpainting: InpaintedRange | None = None

    def service_request(self) -> GenerateRequest:
        """The request to the service."""
        request, inpainting = self.request, None
        options = request.options
        if self.inpainting is not None:
            part = self.inpainting
            inpainting = Inpainting(PathSource(str(part.sound)), part.start, part.duration, part.gain_db)
            options = replace(options, stems=False)  # inpainting makes no stems
        return GenerateRequest(
            source=PathSource(str(self.clip)),
            name=bpy.path.clean_name(self.stem),  # local files are named by the stem itself
            start=self.part.start,
            duration=self.part.duration,
            options=options,
            force=request.force,
            allow_truncated=request.allow_truncated,
            inpainting=inpainting,
            sources=json.loads(request.sources) if request.sources else None,
        )

    def files(self) -> dict[str, Path]:
        """The request's input files, by its fields."""
        inpainting = {} if self.inpainting is None else {"inpainting.sound": self.inpainting.sound}
        return {"source": self.clip, **inpainting}

    def provenance(self, made: LocalResult) -> Provenance:
        """The provenance of the strips, without what differs between takes."""
        request, options = self.request, self.request.options
        kept = Provenance(
            group=self.group,
            camera=self.camera,
            source=self.chosen,
            title=self.title,
            clip=blend_path(self.clip),
            clip_start=self.part.start,
            clip_duration=self.part.duration,
            options=replace(options, model=made.model or options.model, backend=made.backend or options.backend),
            force=request.force,
            allow_truncated=request.allow_truncated,
            sources=request.sources,
        )
        if self.inpainting is None:
            return kept
        part = self.inpainting
        return replace(
            kept,
            gain_db=part.gain_db,
            inpainting_sound=blend_path(part.sound),
            inpainting_start=part.start,
            inpainting_duration=part.duration,
        )


def generate(snapshot: Snapshot, blocking: bool, cancelled: Cancelled) -> Steps:
    """Generates sound as the snapshot says and inserts the strips. Raises UserError and CancelledError."""
    folder = usable_folder(snapshot.folder)
    active = _active(scene_named(snapshot.scene, folder))
    if isinstance(snapshot.source, Footage):
        generation = _generation(snapshot, snapshot.source.file, snapshot.source.part)
        return (yield from carry_out(replace(generation, active=active), cancelled))
    clip = yield from rendered(snapshot, folder, snapshot.stem, blocking=blocking, cancelled=cancelled)
    part = frames.FileSpan(0.0, float(snapshot.place.frames / snapshot.rate))
    try:
        return (yield from carry_out(replace(_generation(snapshot, clip, part), active=active), cancelled))
    except UserError as error:  # the render may have taken hours
        error.message += f" The rendered clip is kept: {clip}"
        raise


def _generation(snapshot: Snapshot, clip: Path, part: frames.FileSpan) -> Generation:
    return Generation(
        scene=snapshot.scene,
        clip=clip,
        part=part,
        place=snapshot.place,
        request=snapshot.request,
        title=snapshot.title,
        chosen=snapshot.chosen,
        folder=snapshot.folder,
        stem=snapshot.stem,
        under=snapshot.under,
        listed=snapshot.listed,
    )


def carry_out(generation: Generation, cancelled: Cancelled) -> Steps:
    """Generates sound for an existing file and inserts the strips. Raises UserError and CancelledError.

    If world-locked sound fails, the head-locked sound is inserted, and the outcome says why.
    """
    usable_folder(generation.folder)
    made = yield from made_by_service(
        generation.service_request(), generation.files(), generation.folder, generation.stem, cancelled
    )
    worlds: list[TakeFiles] = []
    trouble = ""
    with removed_after([made.takes, worlds], CancelledError, GeneratorExit):
        if generation.request.anchor == "WORLD":
            sounds = [SoundFiles(take.ambix, take.preview) for take in made.takes]
            try:
                worlds += yield from rotated_to_world(
                    generation.scene, generation.place, sounds, generation.folder, cancelled, camera=generation.camera
                )
            except CancelledError:
                raise
            except UserError as error:
                trouble = f" It follows the camera: {error.message}"
        yield from blender_is_free(cancelled)
    scene = scene_named(generation.scene, generation.folder)
    inserted = strips.insert_takes(
        scene, made.takes, generation.place, generation.title, generation.provenance(made), under=generation.under
    )
    for take, new, world in zip(made.takes, inserted.takes, worlds, strict=False):
        follow_world(scene, new.master, SoundFiles(take.ambix, take.preview), world)
    if generation.under is None and _active(scene) in ("", generation.active):  # the user has not selected another one
        _make_active(scene, inserted.group)
    _list_sources(scene, generation, made.takes[0])
    count = len(inserted.takes)
    what = inserted.takes[0].master if count == 1 else f"{count} takes in {inserted.group}"
    stems = " The stems lie beside it." if made.takes[0].stems else ""
    return Outcome(f"Placed {what}.{stems}{trouble}", generation.folder)


def _list_sources(scene: bpy.types.Scene, generation: Generation, take: TakeFiles) -> None:
    """Fills the panel's list with the sources that the service detected, unless there is a list already."""
    if generation.listed is None:
        return
    found = list_of(scene, generation.chosen, "" if generation.under is None else generation.under.name)
    detected = take.sources()
    if found is not None and detected is not None and not is_of(found, generation.listed):
        fill(found, detected, generation.listed)


def _active(scene: bpy.types.Scene) -> str:
    """The name of the active strip; empty where none is."""
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    return "" if strip is None else strip.name


def _make_active(scene: bpy.types.Scene, group: str) -> None:
    """Selects the new strip, as Blender does with strips that are added."""
    editor = scene.sequence_editor
    for strip in editor.strips:
        strip.select = strip.name == group
    editor.active_strip = editor.strips[group]

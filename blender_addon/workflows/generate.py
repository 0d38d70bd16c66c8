"""Sound for a picture: rendered first where it has to be, made by the engine, placed under the picture."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import bpy

from omniaudio_client.records import GenerateRequest, Inpainting, PathSource

from ..core import frames
from ..core.errors import CancelledError, UserError
from ..core.job import Cancelled, Outcome, Steps
from ..core.provenance import Provenance
from ..props.source_list import Clip, fill, is_of, list_of
from ..sequencer import strips
from ..sequencer.sound_strips import blend_path
from ..sequencer.sources import Footage, PictureStrip
from ..service.service_job import Made, MadeTake
from .anchor import Heard, follow_world, turned_to_world
from .following import blender_is_free, made_by_service, removed_after, rendered, scene_named
from .snapshot import Snapshot, Wish, usable_folder


@dataclass(frozen=True)
class Part:
    """A take of which a part is made anew: seconds of `sound`, the camera's. The true-peak guard took `gain_db` of it;
    None where that is not known here."""

    sound: Path
    start: float
    duration: float
    gain_db: float | None


@dataclass(frozen=True)
class Order:
    """A generation whose picture is there. `part` of the picture belongs to `place` of the scene named `scene`."""

    scene: str
    picture: Path
    part: frames.FileSpan
    place: frames.Placement
    wish: Wish
    title: str
    chosen: str  # as of Snapshot
    folder: Path
    stem: str
    camera: str = ""  # as of Panorama
    under: PictureStrip | None = None
    group: str = ""  # of the takes that these go to; empty for new ones
    active: str = ""  # the active strip when this was asked for
    clip: Clip | None = None  # what a list of what sounds would be of; None where none is wanted
    inpainting: Part | None = None

    def request(self) -> GenerateRequest:
        """What the engine is asked for."""
        wish, inpainting = self.wish, None
        options = wish.options
        if self.inpainting is not None:
            part = self.inpainting
            inpainting = Inpainting(PathSource(str(part.sound)), part.start, part.duration, part.gain_db)
            options = replace(options, stems=False)  # the engine has none of a part
        return GenerateRequest(
            source=PathSource(str(self.picture)),
            name=bpy.path.clean_name(self.stem),  # what is made here is called by the stem itself
            start=self.part.start,
            duration=self.part.duration,
            options=options,
            force=wish.force,
            allow_truncated=wish.allow_truncated,
            inpainting=inpainting,
            sources=json.loads(wish.sources) if wish.sources else None,
        )

    def files(self) -> dict[str, Path]:
        """The files that the request names, by its fields."""
        inpainting = {} if self.inpainting is None else {"inpainting.sound": self.inpainting.sound}
        return {"source": self.picture, **inpainting}

    def provenance(self, made: Made) -> Provenance:
        """What the strips keep, but for what each take has of its own."""
        wish, options = self.wish, self.wish.options
        kept = Provenance(
            group=self.group,
            camera=self.camera,
            source=self.chosen,
            title=self.title,
            clip=blend_path(self.picture),
            clip_start=self.part.start,
            clip_duration=self.part.duration,
            options=replace(options, model=made.model or options.model, backend=made.backend or options.backend),
            force=wish.force,
            allow_truncated=wish.allow_truncated,
            sources=wish.sources,
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
    """From what the panel says to strips in the sequencer. Raises UserError and CancelledError."""
    folder = usable_folder(snapshot.folder)
    active = _active(scene_named(snapshot.scene, folder))
    if isinstance(snapshot.source, Footage):
        order = _order(snapshot, snapshot.source.file, snapshot.source.part)
        return (yield from carry_out(replace(order, active=active), cancelled))
    picture = yield from rendered(snapshot, folder, snapshot.stem, blocking=blocking, cancelled=cancelled)
    part = frames.FileSpan(0.0, float(snapshot.place.frames / snapshot.rate))
    try:
        return (yield from carry_out(replace(_order(snapshot, picture, part), active=active), cancelled))
    except UserError as error:  # the render may have taken hours
        error.message += f" The rendered picture is kept: {picture}"
        raise


def _order(snapshot: Snapshot, picture: Path, part: frames.FileSpan) -> Order:
    return Order(
        scene=snapshot.scene,
        picture=picture,
        part=part,
        place=snapshot.place,
        wish=snapshot.wish,
        title=snapshot.title,
        chosen=snapshot.chosen,
        folder=snapshot.folder,
        stem=snapshot.stem,
        under=snapshot.under,
        clip=snapshot.clip,
    )


def carry_out(order: Order, cancelled: Cancelled) -> Steps:
    """From a picture that is there to strips in the sequencer. Raises UserError and CancelledError.

    Where the sound cannot be turned to the world it is placed as the camera hears it, and the outcome says why.
    """
    usable_folder(order.folder)
    made = yield from made_by_service(order.request(), order.files(), order.folder, order.stem, cancelled)
    worlds: list[MadeTake] = []
    trouble = ""
    with removed_after([made.takes, worlds], CancelledError, GeneratorExit):
        if order.wish.anchor == "WORLD":
            sounds = [Heard(take.ambix, take.preview) for take in made.takes]
            try:
                worlds += yield from turned_to_world(
                    order.scene, order.place, sounds, order.folder, cancelled, camera=order.camera
                )
            except CancelledError:
                raise
            except UserError as error:
                trouble = f" It follows the camera: {error.message}"
        yield from blender_is_free(cancelled)
    scene = scene_named(order.scene, order.folder)
    inserted = strips.insert_takes(
        scene, made.takes, order.place, order.title, order.provenance(made), under=order.under
    )
    for take, new, world in zip(made.takes, inserted.takes, worlds, strict=False):
        follow_world(scene, new.master, Heard(take.ambix, take.preview), world)
    if order.under is None and _active(scene) in ("", order.active):  # the user has not turned to another one
        _make_active(scene, inserted.group)
    _list_sources(scene, order, made.takes[0])
    count = len(inserted.takes)
    what = inserted.takes[0].master if count == 1 else f"{count} takes in {inserted.group}"
    stems = " The stems lie beside it." if made.takes[0].stems else ""
    return Outcome(f"Placed {what}.{stems}{trouble}", order.folder)


def _list_sources(scene: bpy.types.Scene, order: Order, take: MadeTake) -> None:
    """Has the panel list what the engine has found to sound, for who would correct it; a list that is there stays."""
    if order.clip is None:
        return
    found = list_of(scene, order.chosen, "" if order.under is None else order.under.name)
    told = take.sources()
    if found is not None and told is not None and not is_of(found, order.clip):
        fill(found, told, order.clip)


def _active(scene: bpy.types.Scene) -> str:
    """The name of the active strip; empty where none is."""
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    return "" if strip is None else strip.name


def _make_active(scene: bpy.types.Scene, group: str) -> None:
    """As Blender does with strips that are added; sound that belongs to a strip leaves that one active."""
    editor = scene.sequence_editor
    for strip in editor.strips:
        strip.select = strip.name == group
    editor.active_strip = editor.strips[group]

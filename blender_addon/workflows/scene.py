"""Sound for the scene that somebody has asked the engine for: rendered here, made there, placed here as any other."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import bpy

from omniaudio_client.records import GenerateRequest, Job, SceneSource

from ..core import frames
from ..core.errors import UserError
from ..core.job import Cancelled, Steps
from ..sequencer.sources import Panorama
from ..service.scene_asked import Asked, frames_asked
from .following import rendered
from .generate import Order, carry_out
from .snapshot import Snapshot, take_snapshot, usable_folder


@dataclass(frozen=True)
class SceneOrder(Order):
    """A generation that the engine has as a job of its own: all that it waits for is the picture."""

    job: Job = field(kw_only=True)

    def request(self) -> Job:
        """The engine's job."""
        return self.job

    def files(self) -> Mapping[str, Path]:
        """What is handed over."""
        return {"clip": self.picture}


def snapshot_for(context: bpy.types.Context, scene: bpy.types.Scene, job: Job) -> Snapshot:
    """What the job asks for, of the scene as it is now: how it is rendered, where files go and what the sound follows
    say its settings. Raises UserError where it cannot be rendered."""
    request = job.request
    assert isinstance(request, GenerateRequest)
    assert isinstance(request.source, SceneSource)
    if request.options.order != 1:
        raise UserError("Blender's sequencer takes ambisonics of first order: ask for order 1.")
    own = take_snapshot(context, scene, "SCENE", request.source.camera or "")
    wish = replace(
        own.wish,
        options=request.options,
        sources="" if request.sources is None else json.dumps(request.sources),
    )
    return replace(own, place=frames_asked(request.source, own.place), wish=wish)


def answer(asked: Asked, snapshot: Snapshot, blocking: bool, cancelled: Cancelled) -> Steps:
    """From what was asked for to strips in the sequencer. Raises UserError and CancelledError; whoever asked is told of
    them too."""
    refusal = "Blender ended the work, or another file was opened in it: ask again."
    try:
        folder = usable_folder(snapshot.folder)
        asked.begin()
        picture = yield from rendered(
            snapshot,
            folder,
            snapshot.stem,
            blocking=blocking,
            cancelled=lambda: cancelled() or asked.unwanted,
            tell=asked.tell,
        )
        refusal = ""
    except UserError as error:
        refusal = f"Blender did not render the scene: {error.message}"
        raise
    finally:
        asked.end(refusal)
    order = SceneOrder(
        scene=snapshot.scene,
        picture=picture,
        part=frames.FileSpan(0.0, float(snapshot.place.frames / snapshot.rate)),
        place=snapshot.place,
        wish=snapshot.wish,
        title=snapshot.title,
        chosen=snapshot.chosen,
        folder=snapshot.folder,
        stem=snapshot.stem,
        camera=snapshot.source.camera if isinstance(snapshot.source, Panorama) else "",
        under=snapshot.under,
        clip=replace(snapshot.clip, first=snapshot.place.start, last=snapshot.place.end),
        job=asked.job,
    )
    return (yield from carry_out(order, cancelled))

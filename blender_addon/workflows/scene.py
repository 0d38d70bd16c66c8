"""Answers a request for sound of the scene: renders it, hands it to the service, inserts the takes."""

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
from ..service.scene_request import SceneRequest, requested_frames
from .following import rendered
from .generate import Generation, carry_out
from .snapshot import Snapshot, take_snapshot, usable_folder


@dataclass(frozen=True)
class SceneGeneration(Generation):
    """A generation that is already a job at the service, which waits for the clip."""

    job: Job = field(kw_only=True)

    def service_request(self) -> Job:
        """The job at the service."""
        return self.job

    def files(self) -> Mapping[str, Path]:
        """The clip for the job."""
        return {"clip": self.clip}


def snapshot_for(context: bpy.types.Context, scene: bpy.types.Scene, job: Job) -> Snapshot:
    """A snapshot of the scene as it is now, with the job's options and frames; the render, the folder and the anchor
    are the scene's settings. Raises UserError if the scene cannot be rendered."""
    request = job.request
    assert isinstance(request, GenerateRequest)
    assert isinstance(request.source, SceneSource)
    if request.options.order != 1:
        raise UserError("Blender's sequencer takes first-order ambisonics: request order 1.")
    own = take_snapshot(context, scene, "SCENE", request.source.camera or "")
    sound_request = replace(
        own.request,
        options=request.options,
        sources="" if request.sources is None else json.dumps(request.sources),
    )
    return replace(own, place=requested_frames(request.source, own.place), request=sound_request)


def answer(scene_request: SceneRequest, snapshot: Snapshot, blocking: bool, cancelled: Cancelled) -> Steps:
    """Renders the scene, runs the job and inserts the strips. Raises UserError and CancelledError; the client that made
    the request gets the message too."""
    refusal = "Blender ended the job, or another file was opened in it: send the request again."
    try:
        folder = usable_folder(snapshot.folder)
        scene_request.begin()
        clip = yield from rendered(
            snapshot,
            folder,
            snapshot.stem,
            blocking=blocking,
            cancelled=lambda: cancelled() or scene_request.unwanted,
            on_progress=scene_request.report,
        )
        refusal = ""
    except UserError as error:
        refusal = f"Blender did not render the scene: {error.message}"
        raise
    finally:
        scene_request.end(refusal)
    generation = SceneGeneration(
        scene=snapshot.scene,
        clip=clip,
        part=frames.FileSpan(0.0, float(snapshot.place.frames / snapshot.rate)),
        place=snapshot.place,
        request=snapshot.request,
        title=snapshot.title,
        chosen=snapshot.chosen,
        folder=snapshot.folder,
        stem=snapshot.stem,
        camera=snapshot.source.camera if isinstance(snapshot.source, Panorama) else "",
        under=snapshot.under,
        listed=replace(snapshot.listed, first=snapshot.place.start, last=snapshot.place.end),
        job=scene_request.job,
    )
    return (yield from carry_out(generation, cancelled))

"""The scene as its camera's surroundings: a 360° video, rendered by Cycles.

Everything is set on a copy of the scene, with cameras of its own at the places of the scene's cameras: the user's
settings are never touched, so there is nothing to lose on the way.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import bpy

from .errors import CancelledError, UserError
from .snapshot import Panorama


def render_panorama(
    scene: bpy.types.Scene, settings: Panorama, target: Path, blocking: bool, cancelled: Callable[[], bool]
) -> Iterator[float]:
    """Renders `scene` into the MP4 file `target` (equirectangular, the camera's forward in the middle).

    Yields the fraction that is done. Unless `blocking`, the render is Blender's own job, which the user ends by Esc,
    and needs a window. `cancelled` is asked when it is over. Raises UserError if nothing was rendered, CancelledError.
    """
    unfinished = target.with_name(f"{target.stem}.unfinished.mp4")
    try:
        with panorama_scene(scene, settings, unfinished) as copy:
            try:
                yield from _render_blocking(copy) if blocking else _render_as_job(copy, settings)
            except RuntimeError as error:
                raise UserError(f"Blender could not render the panorama: {str(error).strip()}") from error
            if cancelled():
                raise CancelledError
        if not unfinished.is_file():
            raise UserError("Blender rendered no panorama; see its console for the reason.")
        unfinished.replace(target)
    finally:
        with suppress(OSError):
            unfinished.unlink()


@contextmanager
def panorama_scene(scene: bpy.types.Scene, settings: Panorama, target: Path) -> Iterator[bpy.types.Scene]:
    """A copy of `scene` that renders the panorama into `target`; it and all that belongs to it goes at the end."""
    copy = scene.copy()
    name = copy.name
    twins: dict[bpy.types.Object, bpy.types.Object] = {}
    made: list[str] = []
    try:
        for holder in (copy, *(marker for marker in copy.timeline_markers if marker.camera is not None)):
            if holder.camera not in twins:
                twins[holder.camera] = _panoramic_twin(holder.camera)
                made.append(twins[holder.camera].name)
                copy.collection.objects.link(twins[holder.camera])
            holder.camera = twins[holder.camera]
        _set_up(copy, settings, target)
        yield copy
    finally:
        # By name: the user may have loaded or undone something while the render ran.
        if (left := bpy.data.scenes.get(name)) is not None:
            bpy.data.scenes.remove(left)
        for twin in filter(None, map(bpy.data.objects.get, made)):
            data = twin.data
            bpy.data.objects.remove(twin)
            bpy.data.cameras.remove(data)


def _panoramic_twin(camera: bpy.types.Object) -> bpy.types.Object:
    lens = bpy.data.cameras.new("OmniAudio panorama")
    lens.type = "PANO"
    lens.panorama_type = "EQUIRECTANGULAR"
    lens.clip_start = camera.data.clip_start if camera.type == "CAMERA" else lens.clip_start
    lens.clip_end = camera.data.clip_end if camera.type == "CAMERA" else lens.clip_end
    twin = bpy.data.objects.new("OmniAudio panorama", lens)
    # A constraint, not a copied matrix: the camera may be animated.
    twin.constraints.new("COPY_TRANSFORMS").target = camera
    return twin


def _set_up(scene: bpy.types.Scene, settings: Panorama, target: Path) -> None:
    render = scene.render
    try:
        render.engine = "CYCLES"
    except TypeError as error:
        raise UserError("Cycles renders the panorama; enable the add-on 'Cycles Render Engine'.") from error
    scene.cycles.samples = settings.samples
    scene.frame_start = settings.place.start
    scene.frame_end = settings.place.end - 1
    scene.frame_step = settings.frame_step
    render.fps_base *= settings.frame_step  # the video keeps the scene's time
    render.resolution_x, render.resolution_y = settings.width, settings.width // 2
    render.resolution_percentage = 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    # A sphere has neither borders, nor two eyes, nor post-production made for a flat picture; the sky is seen.
    render.use_border = render.use_multiview = render.use_stamp = False
    render.use_sequencer = render.use_compositing = render.film_transparent = False
    scene.sequence_editor_clear()
    if hasattr(render.image_settings, "media_type"):  # 5.0 and later
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.image_settings.color_mode = "RGB"
    render.ffmpeg.format = "MPEG4"
    render.ffmpeg.codec = "H264"
    render.ffmpeg.constant_rate_factor = "HIGH"
    render.ffmpeg.audio_codec = "NONE"
    render.use_file_extension = True
    render.use_overwrite = True
    render.use_placeholder = False
    render.filepath = str(target)


def _render_blocking(scene: bpy.types.Scene) -> Iterator[float]:
    yield 0.0
    bpy.ops.render.render(animation=True, scene=scene.name)
    yield 1.0


def _render_as_job(scene: bpy.types.Scene, settings: Panorama) -> Iterator[float]:
    """Blender's own render job, watched through its handlers."""
    name = scene.name
    first = settings.place.start
    seen = {"fraction": 0.0, "cancelled": False, "over": False}

    def on_frame(rendered: bpy.types.Scene, *_: object) -> None:
        if rendered.name == name:
            seen["fraction"] = (rendered.frame_current - first) / settings.place.frames

    def on_cancel(*_: object) -> None:
        seen["cancelled"] = seen["over"] = True

    def on_complete(*_: object) -> None:
        seen["over"] = True

    watches = [
        (bpy.app.handlers.render_post, on_frame),
        (bpy.app.handlers.render_cancel, on_cancel),
        (bpy.app.handlers.render_complete, on_complete),
    ]
    for handlers, watch in watches:
        handlers.append(watch)
    try:
        bpy.ops.render.render("INVOKE_DEFAULT", animation=True, scene=name)
        # The handlers are called shortly before the job is over; touching its scene before would crash.
        while not seen["over"] or bpy.app.is_job_running("RENDER"):
            yield min(1.0, seen["fraction"])
    finally:
        for handlers, watch in watches:
            handlers.remove(watch)
    if seen["cancelled"]:
        raise CancelledError

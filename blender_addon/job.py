"""One job from the snapshot to the strips, in small steps: the operator takes one at each tick of its timer, or all at
once without a window; a test can take them too."""

from collections.abc import Generator, Iterator

import bpy

from . import engine, frames, panorama_render, strips
from .errors import CancelledError, UserError
from .snapshot import Movie, Snapshot


class Job:
    """`step` until it says that the job is over. `progress` is what there is to show."""

    def __init__(self, snapshot: Snapshot, blocking: bool) -> None:
        """`blocking`: a step may take as long as a whole render, because nobody looks."""
        self.snapshot = snapshot
        self._blocking = blocking
        self.progress = engine.Progress("starting", 0.0)
        self.inserted: strips.Inserted | None = None
        self._cancelled = False
        self._steps = self._run()

    def step(self) -> bool:
        """One step, which returns soon; True when the strips are placed. Raises UserError, and CancelledError."""
        try:
            self.progress = next(self._steps)
        except StopIteration:
            return True
        return False

    def cancel(self) -> None:
        """Ends the job at one of its next steps."""
        self._cancelled = True

    def close(self) -> None:
        """Ends the job now, with its child process; nothing more is inserted."""
        self._steps.close()

    def _run(self) -> Iterator[engine.Progress]:
        folder = self.snapshot.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"The folder {folder} cannot be made ({error.strerror}); choose another.") from error
        output = frames.free_file(folder, self.snapshot.stem, ".wav")
        source = self.snapshot.source
        if isinstance(source, Movie):
            picture, part = source.file, source.part
        else:
            picture = output.with_suffix(".mp4")
            part = frames.FileSpan(0.0, float(source.place.frames / self.snapshot.rate))
            for fraction in panorama_render.render_panorama(
                self._scene(), source, picture, self._blocking, lambda: self._cancelled
            ):
                yield engine.Progress("rendering in 360° (Esc ends it)", fraction)
        request = engine.Request(
            input=picture,
            output=output,
            start=part.start,
            duration=part.duration,
            seed=self.snapshot.seed,
            model=self.snapshot.model,
            backend=self.snapshot.backend,
            known_panorama=not isinstance(source, Movie),
        )
        try:
            done = yield from self._generate(request)
        except UserError as error:
            if not isinstance(source, Movie):  # it may have taken hours
                error.sentence += f" The rendered panorama is kept: {picture}"
            raise
        # Strips must not be touched while Blender renders, whoever started it.
        while bpy.app.is_job_running("RENDER"):
            yield engine.Progress("waiting for Blender's render", 1.0)
        title = source.strip if isinstance(source, Movie) else self.snapshot.stem
        take = done.takes[0]
        self.inserted = strips.insert_take(self._scene(), take, source.place, title, _made_by(request, done))

    def _generate(self, request: engine.Request) -> Generator[engine.Progress, None, engine.Done]:
        """Runs the engine; returns what it made."""
        with engine.Engine(self.snapshot.command, request.arguments()) as child:
            done = None
            while not child.ended:
                for event in child.events():
                    match event:
                        case engine.Progress():
                            yield event
                        case engine.Failed(sentence):
                            raise UserError(sentence)
                        case engine.Done():
                            done = event
                if self._cancelled:
                    raise CancelledError
                yield self.progress
        assert done is not None  # an engine that ends without a result has failed
        return done

    def _scene(self) -> bpy.types.Scene:
        """Looked up again at each use: the user goes on working, and may undo or load."""
        scene = bpy.data.scenes.get(self.snapshot.scene)
        if scene is None:
            raise UserError(f"The scene {self.snapshot.scene} is gone; the files are in {self.snapshot.folder}.")
        return scene


def _made_by(request: engine.Request, done: engine.Done) -> dict[str, str | int | float]:
    """What a strip keeps of the job. The sidecar beside the sound has the rest; the engine's `--from` repeats it."""
    take = done.takes[0]
    return {
        "source": strips.blend_path(request.input),
        "source_start": request.start,
        "source_duration": request.duration,
        "seed": request.seed,
        "model": done.model,
        "backend": done.backend,
        "sidecar": strips.blend_path(take.sidecar),
        "sound_map": strips.blend_path(take.sound_map) if take.sound_map else "",
    }

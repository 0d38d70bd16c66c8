"""The operators: one runs a job, modal with a window and blocking without; the other cancels it."""

import time

import bpy

from .errors import CancelledError, UserError
from .job import Job
from .snapshot import show_sequence, take_snapshot

TICK = 0.1  # seconds

_running: Job | None = None


def running_job() -> Job | None:
    """The job that runs now; there is one at most."""
    return _running


class OMNIAUDIO_OT_generate(bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Make first-order ambisonic sound for the 360° picture, and place it in the sequencer"""

    bl_idname = "omniaudio.generate"
    bl_label = "Generate Spatial Audio"
    # UNDO: one undo step when it has finished, modal or not.
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 (Blender's own form)

    _timer: bpy.types.Timer | None = None

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if bpy.app.background or context.window is None:
            return self.execute(context)
        if not self._start(context, blocking=False):
            return {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(TICK, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        assert _running is not None
        if event.type == "ESC" and event.value == "PRESS":
            _running.cancel()
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        result = self._step(context)
        _redraw(context)
        if not result:
            return {"PASS_THROUGH"}
        self._end(context)
        return result

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not self._start(context, blocking=True):
            return {"CANCELLED"}
        try:
            while not (result := self._step(context)):
                time.sleep(TICK / 10)
            return result
        finally:
            self._end(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator itself: another file is loaded, or Blender quits."""
        self._end(context)

    def _start(self, context: bpy.types.Context, blocking: bool) -> bool:
        global _running  # noqa: PLW0603 (Blender makes the operator; the panel has to find the job)
        try:
            if _running is not None:
                raise UserError("Sound is being generated already; wait for it, or cancel it.")
            _running = Job(take_snapshot(context), blocking)
        except UserError as error:
            self.report({"ERROR"}, error.sentence)
            return False
        return True

    def _step(self, context: bpy.types.Context) -> set[str]:
        """One step of the job; the operator's result when the job is over, else an empty set."""
        assert _running is not None
        try:
            if not _running.step():
                return set()
        except CancelledError as error:
            self.report({"WARNING"}, error.sentence)
            return {"CANCELLED"}
        except UserError as error:
            self.report({"ERROR"}, error.sentence)
            return {"CANCELLED"}
        assert _running.inserted is not None
        show_sequence(context)
        self.report({"INFO"}, f"Placed {_running.inserted.master} in the sequencer")
        return {"FINISHED"}

    def _end(self, context: bpy.types.Context) -> None:
        global _running  # noqa: PLW0603
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        if _running is not None:
            _running.close()
            _running = None
        _redraw(context)


class OMNIAUDIO_OT_cancel(bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """Stop generating; the sequencer stays as it is"""

    bl_idname = "omniaudio.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return _running is not None

    def execute(self, _context: bpy.types.Context) -> set[str]:
        assert _running is not None
        _running.cancel()
        return {"FINISHED"}


def _redraw(context: bpy.types.Context) -> None:
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "SEQUENCE_EDITOR":
                area.tag_redraw()


CLASSES = (OMNIAUDIO_OT_generate, OMNIAUDIO_OT_cancel)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    if _running is not None:
        _running.close()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)

"""Operators that run a job: modal with a window, so that it stays responsive, and blocking without one."""

import time
from typing import ClassVar

import bpy

from ..core.errors import UserError
from ..core.job import BlenderJob, jobs
from ..session import blender_service

TICK = 0.1
"""Seconds between two steps in a window."""


class JobOperator:
    """Base of operators that run a job. With the option UNDO the whole job is one undo step."""

    _timers: ClassVar[list[bpy.types.Timer]] = []  # of all running operators
    _timer: bpy.types.Timer | None = None
    _job: BlenderJob | None = None

    def new_job(self, context: bpy.types.Context, blocking: bool) -> BlenderJob:
        """A job by the current settings. With `blocking` a step may take as long as a render, since there is no window.
        Raises UserError if there is nothing to do."""
        raise NotImplementedError

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if bpy.app.background or context.window is None:
            return self.execute(context)
        if not self._start(context, blocking=False):
            return {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(TICK, window=context.window)
        self._timers.append(self._timer)
        context.window_manager.modal_handler_add(self)
        blender_service.redraw()
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        assert self._job is not None
        playing = context.screen is not None and context.screen.is_animation_playing  # then Esc stops that
        if event.type == "ESC" and event.value == "PRESS" and not playing and jobs.newest() is self._job:
            self._job.cancel()
            return {"RUNNING_MODAL"}  # the older jobs continue
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        before = self._job.progress
        over = self._job.step()
        if over or not self._job.progress.looks_like(before):
            blender_service.redraw()
        if not over:
            return {"PASS_THROUGH"}
        self._remove_timer(context)
        # A warning: the panel shows the error, and no popup interrupts the artist.
        return self._result(failed="WARNING")

    def execute(self, context: bpy.types.Context) -> set[str]:
        if bpy.app.is_job_running("RENDER"):  # which this would keep from ending
            self.report({"ERROR"}, "Blender is rendering; wait until that has finished, then retry.")
            return {"CANCELLED"}
        if not self._start(context, blocking=True):
            return {"CANCELLED"}
        assert self._job is not None
        try:
            while not self._job.step():
                time.sleep(TICK / 10)
        finally:
            self._job.close()  # if Ctrl C interrupted it
        return self._result(failed="ERROR")

    def cancel(self, context: bpy.types.Context) -> None:
        """Called when Blender ends the operator: another file is opened, or Blender quits."""
        self._remove_timer(context)
        if self._job is not None:
            self._job.close()

    def _start(self, context: bpy.types.Context, blocking: bool) -> bool:
        try:
            self._job = self.new_job(context, blocking)
        except UserError as error:
            self.report({"ERROR"}, error.message)
            return False
        jobs.add(self._job)
        return True

    def _result(self, failed: str) -> set[str]:
        assert self._job is not None
        if self._job.outcome is not None:
            self.report({"INFO"}, self._job.outcome.message)
            return {"FINISHED"}
        assert self._job.error is not None
        cancelled = self._job.state == "cancelled"
        self.report({"WARNING" if cancelled else failed}, self._job.error.message)
        return {"CANCELLED"}

    def _remove_timer(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            self._timers.remove(self._timer)
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None


def remove_timers() -> None:
    """Removes the timers of running operators: Blender drops these silently when their classes are unregistered."""
    while JobOperator._timers:
        bpy.context.window_manager.event_timer_remove(JobOperator._timers.pop())

"""An operator that carries out a work: modal with a window, so that it stays alive, and blocking without one."""

import time
from typing import ClassVar

import bpy

from ..core.errors import UserError
from ..core.job import Work, works
from ..session import blender_service

TICK = 0.1
"""Seconds between two steps in a window."""


class WorkOperator:
    """What such an operator shares. With UNDO among its options all that it does is one undo step."""

    _timers: ClassVar[list[bpy.types.Timer]] = []  # of all operators that run
    _timer: bpy.types.Timer | None = None
    _work: Work | None = None

    def work(self, context: bpy.types.Context, blocking: bool) -> Work:
        """What is to be done, by what is chosen now. `blocking`: a step may take as long as a render, because nobody
        looks. Raises UserError where it cannot be done."""
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
        assert self._work is not None
        playing = context.screen is not None and context.screen.is_animation_playing  # that is what Esc ends, then
        if event.type == "ESC" and event.value == "PRESS" and not playing and works.newest() is self._work:
            self._work.cancel()
            return {"RUNNING_MODAL"}  # the older works go on
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        before = self._work.progress
        over = self._work.step()
        if over or not self._work.progress.looks_like(before):
            blender_service.redraw()
        if not over:
            return {"PASS_THROUGH"}
        self._remove_timer(context)
        # The panel lists it with its reason: no window that opens over what the artist does meanwhile.
        return self._result(failed="WARNING")

    def execute(self, context: bpy.types.Context) -> set[str]:
        if bpy.app.is_job_running("RENDER"):  # whose end this would keep Blender from
            self.report({"ERROR"}, "Blender renders; wait until that is over, then try again.")
            return {"CANCELLED"}
        if not self._start(context, blocking=True):
            return {"CANCELLED"}
        assert self._work is not None
        try:
            while not self._work.step():
                time.sleep(TICK / 10)
        finally:
            self._work.close()  # by Ctrl C
        return self._result(failed="ERROR")

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator itself: another file is loaded, or Blender quits."""
        self._remove_timer(context)
        if self._work is not None:
            self._work.close()

    def _start(self, context: bpy.types.Context, blocking: bool) -> bool:
        try:
            self._work = self.work(context, blocking)
        except UserError as error:
            self.report({"ERROR"}, error.message)
            return False
        works.add(self._work)
        return True

    def _result(self, failed: str) -> set[str]:
        assert self._work is not None
        if self._work.outcome is not None:
            self.report({"INFO"}, self._work.outcome.message)
            return {"FINISHED"}
        assert self._work.error is not None
        cancelled = self._work.state == "cancelled"
        self.report({"WARNING" if cancelled else failed}, self._work.error.message)
        return {"CANCELLED"}

    def _remove_timer(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            self._timers.remove(self._timer)
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None


def remove_timers() -> None:
    """Of operators that still run when their classes go: Blender then forgets them without a word."""
    while WorkOperator._timers:
        bpy.context.window_manager.event_timer_remove(WorkOperator._timers.pop())

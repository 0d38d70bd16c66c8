"""Works: their steps, their ends, and the list of them."""

import pytest

from blender_addon.core.errors import CancelledError, UserError
from blender_addon.core.fixes import fixes
from blender_addon.core.job import MAX_ENDED, Allowed, Cancelled, Outcome, Progress, Steps, Work, Works


def three_steps(cancelled: Cancelled) -> Steps:
    for i in range(3):
        if cancelled():
            raise CancelledError
        yield Progress("counting", i / 3)
    return Outcome("Counted to three.")


def fails(_cancelled: Cancelled) -> Steps:
    yield Progress("trying", 0.5)
    raise UserError("There is no such thing; choose another.", "no_model")


def run(work: Work) -> None:
    while not work.step():
        pass


def test_a_work_goes_on_step_by_step() -> None:
    work = Work("count", three_steps)
    seen = []
    while not work.step():
        seen.append(work.progress.fraction)
    assert seen == [0, 1 / 3, 2 / 3]
    assert (work.state, work.outcome) == ("done", Outcome("Counted to three."))
    assert work.step()


def test_a_cancelled_work_says_so() -> None:
    work = Work("count", three_steps)
    work.step()
    work.cancel()
    run(work)
    assert work.state == "cancelled"
    assert work.outcome is None


def test_a_failed_work_keeps_its_reason() -> None:
    work = Work("fail", fails)
    run(work)
    assert (work.state, work.error and work.error.message) == ("failed", "There is no such thing; choose another.")


def test_a_fault_ends_one_work_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    def faulty(_cancelled: Cancelled) -> Steps:
        yield Progress("trying", 0.5)
        raise ZeroDivisionError("by nought")

    work = Work("fault", faulty)
    run(work)
    assert work.state == "failed"
    assert work.error is not None
    assert "by nought" in work.error.message
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_closing_cleans_up_at_once() -> None:
    cleaned = []

    def careful(_cancelled: Cancelled) -> Steps:
        try:
            yield Progress("holding", 0.0)
        finally:
            cleaned.append(True)
        return Outcome("")

    work = Work("hold", careful)
    work.step()
    work.close()
    assert cleaned == [True]
    assert work.state == "cancelled"
    work.close()
    assert work.step()


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress("sampling", 0.2, 12.4), "Sampling, 12 s left"),
        (Progress("waiting for the engine", 0.0), "Waiting for the engine"),
    ],
)
def test_progress_as_a_person_reads_it(progress: Progress, text: str) -> None:
    assert str(progress) == text


def test_a_bar_is_drawn_anew_where_it_looks_different() -> None:
    shown = Progress("sampling", 0.501, 12.4)
    assert Progress("sampling", 0.504, 12.1).looks_like(shown)
    for other in (Progress("decoding", 0.5, 12.4), Progress("sampling", 0.52, 12.4), Progress("sampling", 0.5, 10.0)):
        assert not other.looks_like(shown)


def test_the_list_keeps_what_runs_and_forgets_what_ended_long_ago() -> None:
    works = Works()
    running = Work("running", three_steps)
    works.add(running)
    for i in range(2 * MAX_ENDED):
        work = Work(str(i), three_steps)
        works.add(work)
        run(work)
    titles = [work.title for work in works]
    assert titles[0] == "running"
    assert len(titles) == MAX_ENDED + 1
    assert titles[-1] == str(2 * MAX_ENDED - 1)


def test_dismissing_leaves_what_runs() -> None:
    works = Works()
    ended, running = Work("ended", fails), Work("running", three_steps)
    for work in (ended, running):
        works.add(work)
    run(ended)
    assert works.newest() is running
    works.dismiss(1)
    assert list(works) == [ended, running]
    works.dismiss()
    assert list(works) == [running]
    works.close()
    assert (list(works), running.state) == ([], "cancelled")


def test_what_mends_an_error() -> None:
    assert fixes("no_program")[0].operator == "omniaudio.show_preferences"
    assert [(fix.operator, fix.force) for fix in fixes("not_360")] == [("omniaudio.try_again", True)]
    assert [(fix.operator, fix.allow_truncated) for fix in fixes("truncated")] == [("omniaudio.try_again", True)]
    assert fixes("invalid") == fixes("") == ()


def test_a_work_can_be_done_again_as_it_was_asked_for_or_with_what_is_allowed_since() -> None:
    def both(allowed: Allowed, cancelled: Cancelled) -> Steps:
        return three_steps(cancelled) if allowed == Allowed(True, True) else fails(cancelled)

    work = Work("fail", fails, both)
    run(work)
    for allowed, state in ((Allowed(), "failed"), (Allowed(force=True), "failed"), (Allowed(False, True), "done")):
        work = work.again(allowed)  # what was allowed before stays so
        run(work)
        assert (work.title, work.state) == ("fail", state)
    again = Work("fail", fails).again(Allowed(True, True))
    run(again)
    assert again.state == "failed"

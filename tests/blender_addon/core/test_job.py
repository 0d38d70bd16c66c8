"""Jobs: their steps, their ends, and the list of them."""

import pytest

from blender_addon.core.errors import CancelledError, UserError
from blender_addon.core.fixes import fixes
from blender_addon.core.job import MAX_ENDED, Allowed, BlenderJob, Cancelled, Jobs, Outcome, Progress, Steps


def three_steps(cancelled: Cancelled) -> Steps:
    for i in range(3):
        if cancelled():
            raise CancelledError
        yield Progress("counting", i / 3)
    return Outcome("Counted to three.")


def fails(_cancelled: Cancelled) -> Steps:
    yield Progress("trying", 0.5)
    raise UserError("There is no such thing; choose another.", "no_model")


def run(job: BlenderJob) -> None:
    while not job.step():
        pass


def test_a_job_goes_on_step_by_step() -> None:
    job = BlenderJob("count", three_steps)
    seen = []
    while not job.step():
        seen.append(job.progress.fraction)
    assert seen == [0, 1 / 3, 2 / 3]
    assert (job.state, job.outcome) == ("done", Outcome("Counted to three."))
    assert job.step()


def test_a_cancelled_job_says_so() -> None:
    job = BlenderJob("count", three_steps)
    job.step()
    job.cancel()
    run(job)
    assert job.state == "cancelled"
    assert job.outcome is None


def test_a_failed_job_keeps_its_reason() -> None:
    job = BlenderJob("fail", fails)
    run(job)
    assert (job.state, job.error and job.error.message) == ("failed", "There is no such thing; choose another.")


def test_a_fault_ends_one_job_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    def faulty(_cancelled: Cancelled) -> Steps:
        yield Progress("trying", 0.5)
        raise ZeroDivisionError("by nought")

    job = BlenderJob("fault", faulty)
    run(job)
    assert job.state == "failed"
    assert job.error is not None
    assert "by nought" in job.error.message
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_closing_cleans_up_at_once() -> None:
    cleaned = []

    def careful(_cancelled: Cancelled) -> Steps:
        try:
            yield Progress("holding", 0.0)
        finally:
            cleaned.append(True)
        return Outcome("")

    job = BlenderJob("hold", careful)
    job.step()
    job.close()
    assert cleaned == [True]
    assert job.state == "cancelled"
    job.close()
    assert job.step()


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress("sampling", 0.2, 12.4), "Sampling, 12 s left"),
        (Progress("waiting for the engine", 0.0), "Waiting for the engine"),
    ],
)
def test_progress_as_a_person_reads_it(progress: Progress, text: str) -> None:
    assert str(progress) == text


def test_a_bar_is_redrawn_where_it_looks_different() -> None:
    shown = Progress("sampling", 0.501, 12.4)
    assert Progress("sampling", 0.504, 12.1).looks_like(shown)
    for other in (Progress("decoding", 0.5, 12.4), Progress("sampling", 0.52, 12.4), Progress("sampling", 0.5, 10.0)):
        assert not other.looks_like(shown)


def test_the_list_keeps_what_runs_and_forgets_what_ended_long_ago() -> None:
    jobs = Jobs()
    running = BlenderJob("running", three_steps)
    jobs.add(running)
    for i in range(2 * MAX_ENDED):
        job = BlenderJob(str(i), three_steps)
        jobs.add(job)
        run(job)
    titles = [job.title for job in jobs]
    assert titles[0] == "running"
    assert len(titles) == MAX_ENDED + 1
    assert titles[-1] == str(2 * MAX_ENDED - 1)


def test_dismissing_leaves_what_runs() -> None:
    jobs = Jobs()
    ended, running = BlenderJob("ended", fails), BlenderJob("running", three_steps)
    for job in (ended, running):
        jobs.add(job)
    run(ended)
    assert jobs.newest() is running
    jobs.dismiss(1)
    assert list(jobs) == [ended, running]
    jobs.dismiss()
    assert list(jobs) == [running]
    jobs.close()
    assert (list(jobs), running.state) == ([], "cancelled")


def test_what_mends_an_error() -> None:
    assert fixes("no_program")[0].operator == "omniaudio.show_preferences"
    assert [(fix.operator, fix.force) for fix in fixes("not_360")] == [("omniaudio.retry", True)]
    assert [(fix.operator, fix.allow_truncated) for fix in fixes("truncated")] == [("omniaudio.retry", True)]
    assert fixes("invalid") == fixes("") == ()


def test_a_job_can_be_repeated_as_it_was_asked_for_or_with_what_is_allowed_since() -> None:
    def both(allowed: Allowed, cancelled: Cancelled) -> Steps:
        return three_steps(cancelled) if allowed == Allowed(True, True) else fails(cancelled)

    job = BlenderJob("fail", fails, both)
    run(job)
    for allowed, state in ((Allowed(), "failed"), (Allowed(force=True), "failed"), (Allowed(False, True), "done")):
        job = job.repeated(allowed)  # what was allowed before stays so
        run(job)
        assert (job.title, job.state) == ("fail", state)
    repeated = BlenderJob("fail", fails).repeated(Allowed(True, True))
    run(repeated)
    assert repeated.state == "failed"

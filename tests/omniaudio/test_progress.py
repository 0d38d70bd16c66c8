from omniaudio.progress import Progress, Report, Task


def test_the_fraction_never_falls_and_ends_at_one():
    reports: list[Report] = []
    # The second stage is a thousand times slower than was guessed.
    progress = Progress(reports.append, [Task("quick", 3, 1e-6), Task("slow", 3, 1e-9)])
    progress.begin("quick")
    for _ in range(3):
        progress.advance("quick")
    progress.begin("slow")
    for _ in range(3):
        sum(range(200_000))
        progress.advance("slow")
    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert reports[-1].seconds_left == 0

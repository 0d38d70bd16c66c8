"""`python -m benchmarks`, which `make bench` runs: measures on this machine's CPU and writes docs/benchmarks.md.

Two cores, whatever the machine has. What was measured is kept as it comes, so that an interrupted run goes on where it
was; the next run after a finished one starts anew. Takes about 40 minutes, the first time some more; needs 12 GB of
disk, 16 GB of memory and a POSIX system.
"""

import os
import subprocess
from datetime import UTC, datetime

from benchmarks import gpu_table, tables
from benchmarks.machine import machine, versions
from benchmarks.measure import Journal
from benchmarks.page import facts, write_blocks
from benchmarks.rows import LENGTHS, REPOSITORY, ROUNDS, measure_draft, measure_released, released_model
from omniaudio.config import load_config

PAGE = REPOSITORY / "docs" / "benchmarks.md"
CACHE = REPOSITORY / ".cache" / "benchmarks"
CORES = 2
MODEL = "draft"


def main() -> None:
    """See the module."""
    use_cores(CORES)
    where, what, source = machine(), versions(), commit()
    identity = {"machine": where, "versions": what, "source": source, "rounds": ROUNDS}
    journal = Journal(CACHE / "journal.jsonl", identity)
    began = datetime.now(UTC)
    folder = released_model(CACHE)
    measure_draft(journal, MODEL, ROUNDS, LENGTHS)
    measure_released(journal, folder, ROUNDS)
    steps = load_config(folder).omniaudio.steps
    gpu = gpu_table.Record.read(gpu_table.RECORD) if gpu_table.RECORD.is_file() else gpu_table.not_run("no GPU here")
    ran = {
        "command": "make bench",
        "date": f"{began:%Y-%m-%d %H:%M} UTC",
        "source": source,
        "cores used": f"{CORES}",
        "peak memory": "resident memory of the process that made the clip (ru_maxrss), files that it maps included",
        "figures": f"median (minimum–maximum) of {ROUNDS} rounds, or of one where no range is given; × is the median "
        "of the ratios within a round, and a round runs every variant once, in turn",
    }
    blocks = {
        "wanted": tables.wanted_table(journal, steps, gpu),
        "machine": facts(where | what | ran),
        "released size": tables.released_table(journal, steps),
        "draft": tables.draft_table(journal),
        "gpu": gpu_table.markdown(gpu),
    }
    write_blocks(PAGE, "Benchmarks", blocks)
    journal.path.rename(journal.path.with_name("finished.jsonl"))
    print(f"{PAGE.relative_to(REPOSITORY)} is written.")


def use_cores(count: int) -> None:
    """Let this process and all that it starts use so many cores, the first ones, and as many threads a back-end."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def commit() -> str:
    """The checkout's commit; says so where its source differs from it."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "no git here"


if __name__ == "__main__":
    main()

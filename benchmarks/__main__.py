"""`python -m benchmarks`, which `make bench` runs: measures on this machine's CPU and writes docs/benchmarks.md.

Two cores, whatever the machine has. Results are kept as they come, so an interrupted run continues where it stopped;
the run after a finished one starts from the beginning. Takes about 40 minutes, the first time some more; needs 12 GB of
disk, 16 GB of memory and a POSIX system.
"""

import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime

from benchmarks import gpu_table, tables
from benchmarks.machine import machine, versions
from benchmarks.measure import Journal
from benchmarks.page import facts, write_blocks
from benchmarks.rows import LENGTHS, REPOSITORY, ROUNDS, measure_draft, measure_osc, measure_released, released_model
from omniaudio.config import load_config

PAGE = REPOSITORY / "docs" / "benchmarks.md"
CACHE = REPOSITORY / ".cache" / "benchmarks"
CORES = 2
MODEL = "draft"

FIGURES = (
    f"Figures are medians with (minimum–maximum) of {ROUNDS} rounds, or of the one run where there is no range. A "
    "round runs every variant once, in turn; “× faster” is the median of the ratios within a round. Every run is a "
    "process of its own, and its peak is the resident memory that the system counted (`ru_maxrss`), the files that it "
    "maps included."
)
RELEASED = (
    "1.22 B weights, random, from one window's conditions to 10 s of sound; a step is one evaluation of the "
    "transformer with guidance (a batch of two). “bf16” is the transformer's precision; the decoder is float32 "
    "everywhere. “Open” has the imports in it. The whole run, a process of its own, shows that the parts add up."
)
DRAFT = (
    "`omniaudio generate` from a video file (1024×512) to the WAV with preview and map, whole processes. Start-up is "
    "the same command for a tenth of a second in one step: everything is opened and every stage runs once."
)
BRIDGE = (
    "`omniaudio osc` and the service on the same two cores, while the draft makes a minute of sound: 60 requests one "
    "after another by UDP, each from its datagram to its `accepted`, their median and the slowest one; then 1,000 "
    "`status` calls sent at once over one TCP connection, to the last answer."
)
GPU = (
    "By `python -m benchmarks.gpu FOLDER` on a machine with an NVIDIA GPU: the released size, 10 s, 24 steps with "
    "guidance. “Limit” is what the arithmetic or the weights' bytes take at the speeds of a large bfloat16 (for "
    "float32, float32) product and of a copy, measured in the same run; “error” is the distance to float32, relative "
    "RMS; device memory is what the way took on top."
)


def main() -> None:
    """See the module."""
    use_cores(CORES)
    where, what, source = machine(), versions(), commit()
    identity = {"machine": where, "versions": what, "source": source, "rounds": ROUNDS}
    journal = Journal(CACHE / "journal.jsonl", identity)
    began = datetime.now(UTC)
    folder = released_model(CACHE)
    measure_osc(journal, ROUNDS)
    measure_draft(journal, MODEL, ROUNDS, LENGTHS)
    measure_released(journal, folder, ROUNDS)
    steps = load_config(folder).omniaudio.steps
    gpu = gpu_table.Record.read(gpu_table.RECORD) if gpu_table.RECORD.is_file() else gpu_table.not_run("no GPU here")
    ran = {
        "command": "make bench",
        "date": f"{began:%Y-%m-%d %H:%M} UTC",
        "source": source,
        "cores used": f"{CORES}",
    }
    write_blocks(PAGE, "Benchmarks", blocks(journal, steps, gpu, where | what | ran))
    journal.path.rename(journal.path.with_name("finished.jsonl"))
    print(f"{PAGE.relative_to(REPOSITORY)} is written.")


def blocks(journal: Journal, steps: int, gpu: gpu_table.Record, ran: Mapping[str, str]) -> dict[str, str]:
    """The generated blocks of the page, by name, in their order."""
    return {
        "wanted": f"## Wanted and measured\n\n{tables.wanted_table(journal, steps, gpu)}",
        "machine": f"## The machine\n\n{facts(ran)}\n\n{FIGURES}",
        "released size": f"## The released size on a CPU\n\n{RELEASED}\n\n{tables.released_table(journal, steps)}",
        "draft": f"## The draft on a CPU\n\n{DRAFT}\n\n{tables.draft_table(journal)}",
        "osc": f"## The OSC bridge\n\n{BRIDGE}\n\n{tables.osc_table(journal)}",
        "gpu": f"## On a GPU\n\n{GPU}\n\n{gpu_table.markdown(gpu)}",
    }


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

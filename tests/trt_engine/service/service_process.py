"""A service without HTTP, as a process to be killed: `service_process.py FOLDER SOURCE COUNT STEPS`.

It submits jobs with the request ids 0 to COUNT − 1 (which are the same jobs after a restart), says `id state` of each
one that has ended in a line, and stops when all have.
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.jobs import ended, request, supervised


async def main(folder: Path, source: Path, count: int, steps: int) -> None:
    async with supervised(folder, devices=("cpu",)) as supervisor:
        wanted = [request(source, request_id=str(number), seed=number, steps=steps) for number in range(count)]
        jobs = [supervisor.submit(one, {"source": source})[0] for one in wanted]
        print("ready", flush=True)
        for job in jobs:
            last = await ended(supervisor, job.id, 600)
            print(last.id, last.state, flush=True)


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))

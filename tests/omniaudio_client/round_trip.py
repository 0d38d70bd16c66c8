"""Run by the interpreters that the client is made for: `python round_trip.py SERVICE_FOLDER CLIP TARGET`.

Beside it lies a copy of the package omniaudio_client, and nothing else that is not in the standard library.
"""

import sys
from pathlib import Path

from omniaudio_client.discovery import find
from omniaudio_client.http import ServiceError
from omniaudio_client.options import GenerationOptions
from omniaudio_client.records import GenerateRequest, MediaSource

folder, clip, target = map(Path, sys.argv[1:])
service = find(folder)
service.health()
media = service.upload(clip)
request = GenerateRequest(
    MediaSource(media.id), duration=0.5, options=GenerationOptions(model="draft", steps=2, map=False)
)
job = service.create(request)
fractions = [state.progress.fraction for state in service.events(job.id) if state.progress is not None]
job = service.wait(job.id)
assert job.state == "done", job
assert job.result is not None
assert job.result.takes[0].map is None
assert all(0 <= fraction <= 1 for fraction in fractions)
service.download(job.id, job.result.takes[0].sound, target)
assert target.stat().st_size == job.result.takes[0].sound.size
assert job in service.jobs("done")
assert [worker.device for worker in service.workers()] == ["cpu", "sound"]
service.remove(job.id)
service.remove_upload(media.id)
try:
    service.job(job.id)
except ServiceError as error:
    print(error.code)

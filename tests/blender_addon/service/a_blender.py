"""Stands for a Blender, as a process that can be killed: it uses the service of a folder until its input ends.

    python a_blender.py FOLDER PYTHON LINGER_SECONDS

It says in a line of JSON which service it has, and whether it has started it."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from blender_addon.service.service import Service
from blender_addon.service.service_watch import ServiceChoice
from omniaudio_client import discovery

folder, program, linger = sys.argv[1:]
discovery.LINGER_SECONDS = int(linger)
service = Service(Path(folder))
service.configure(ServiceChoice(program=program))
url = service.client().url
print(json.dumps({"url": url, "started_here": service.state.started_here}), flush=True)
sys.stdin.read()
service.stop()

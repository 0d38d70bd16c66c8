"""Stands for a Blender, as a process that can be killed: it uses the engine of a folder until its input ends.

    python a_blender.py FOLDER PYTHON LINGER_SECONDS

It says in a line of JSON which engine it has, and whether it has started it."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from blender_addon.service.service import Service
from blender_addon.service.service_watch import ServiceChoice
from omniaudio_client import discovery

folder, program, linger = sys.argv[1:]
discovery.LINGER_SECONDS = int(linger)
engine = Service(Path(folder))
engine.configure(ServiceChoice(program=program))
url = engine.client().url
print(json.dumps({"url": url, "started_here": engine.state.started_here}), flush=True)
sys.stdin.read()
engine.stop()

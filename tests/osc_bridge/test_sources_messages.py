"""Sources over OSC: found, sent one by one, kept in a file, and given to a generation; with a real service, or one that
finds three of them."""

import asyncio
import json
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
import soundfile
import typer
from typer.testing import CliRunner

from omniaudio.recognition.sources import Sources
from osc_bridge import bridge as bridge_module
from osc_bridge import sender as sender_module
from osc_bridge.commands import register
from osc_bridge.ledger import Entry, Ledger
from osc_bridge.messages import InspectOptions, Options, SceneOptions
from osc_bridge.service import Inspected, Sounding
from support.daw import free_port
from support.programs import needs, started, wait_for
from support.scripted_osc import AWAY, ScriptedService, running, scripted_bridge

DOG = {"kind": "dog", "path": [{"time": 0, "azimuth": 90, "elevation": 0}]}
SOURCES = {"seconds": 1, "sources": [DOG], "bed": {"kind": "rain"}}
FOUND = Inspected(
    (Sounding("dog", 0.9, 90.0, -5.5, 0.0, 2.0), Sounding("bird", 0.5, -30.0, 20.0, 1.0, 4.0)), "rain", "/kept/a.json"
)
TOLD = [("a", 1, "dog", 0.9, 90.0, -5.5, 0.0, 2.0), ("a", 2, "bird", 0.5, -30.0, 20.0, 1.0, 4.0)]
app = typer.Typer()
register(app)


def new_id():
    return uuid4().hex[:12]


def test_what_is_found_is_kept_and_may_be_given_to_a_generation(daw, clip):
    name = new_id()
    daw.send("inspect", name, str(clip), '{"duration": 4}')
    assert daw.hear("accepted").arguments[0] == name
    request, count, bed, path = daw.hear("inspected").arguments
    daw.send("ack", name)
    found = Sources.read(Path(path))
    assert (request, count, found.bed.kind) == (name, len(found.sources), bed)
    options = {"sources": path, "duration": 0.5, "stems": True, "order": 2, "variation": 0.2, "preview": False}
    daw.send("generate", new_id(), str(clip), json.dumps(options))
    _, _, sound, channels, _, _, _, preview, *stems = daw.hear("done").arguments
    assert (channels, preview, soundfile.info(sound).channels) == (9, "", 9)
    assert [Path(stem).name for stem in stems] == [f"{Path(sound).stem}.stem-bed-{bed}.wav"]
    assert soundfile.info(stems[0]).channels == 9
    kept = json.loads(Path(sound).with_suffix(".json").read_text())
    assert (kept["options"]["order"], kept["options"]["variation"]) == (2, 0.2)
    assert kept["sources"]["bed"]["kind"] == bed


def test_a_file_of_sources_by_osc_send(bridge, clip):
    file = clip.parent / f"{new_id()}.json"
    file.write_text(json.dumps(SOURCES))
    options = ["--sources", str(file), "--stems", "--order", "3", "--variation", "0"]
    arguments = ["osc-send", str(clip), "--port", str(bridge.port), "--options", '{"duration": 0.5}', *options]
    sent = CliRunner().invoke(app, arguments)
    assert sent.exit_code == 0, sent.output
    (take,) = json.loads(sent.output)["takes"]
    assert take["channels"] == 16
    assert [Path(stem).name.rpartition("stem-")[2] for stem in take["stems"]] == ["1-dog.wav", "bed-rain.wav"]


@pytest.mark.parametrize(
    ("sources", "code", "words"),
    [
        ({**SOURCES, "sources": [{**DOG, "kind": "dgo"}]}, "invalid", "options.sources: source 1, kind: there is no"),
        ({**SOURCES, "bed": {"kind": "dog"}}, "invalid", "options.sources: bed: “dog” comes from one direction"),
        ({**SOURCES, "sources": [{**DOG, "kind": "\ud800"}]}, "invalid", "options.sources: source 1, kind: "),
        (3, "invalid", "options.sources: "),
        ("", "invalid", "options.sources: "),
        ("sources.json", "source", "absolute path"),
        ("//host/share/sources.json", "source", "absolute path"),
        ("/etc/passwd", "source", "does not lie in a folder"),
        ("{clips}/missing.json", "source", "is no .json file"),
        ("{clips}", "source", "is no .json file"),
        ("{clips}/text.txt", "source", "is no .json file"),
        ("{clips}/text.json", "invalid", "text.json: "),
        ("{clips}/bad.json", "invalid", "bad.json: source 1, place 1, azimuth: "),
    ],
)
def test_bad_sources_are_a_message(daw, clip, sources, code, words):
    folder = clip.parent
    (folder / "text.txt").write_text("{}")
    (folder / "text.json").write_text("no JSON")
    place = {**DOG["path"][0], "azimuth": 400}
    (folder / "bad.json").write_text(json.dumps({**SOURCES, "sources": [{**DOG, "path": [place]}]}))
    if isinstance(sources, str):
        sources = sources.replace("{clips}", str(folder))
    name = new_id()
    daw.send("generate", name, str(clip), json.dumps({"sources": sources, "duration": 0.5}))
    request, said, message = daw.hear("fail", "done").arguments
    daw.send("ack", name)
    assert (request, said) == (name, code)
    assert words in message


@pytest.mark.parametrize(
    ("verb", "options", "named"),
    [
        ("generate", {"order": 4}, "options.order"),
        ("generate", {"variation": 1.5}, "options.variation"),
        ("inspect", {"seed": 1}, "options.seed"),
        ("inspect", {"duration": -1}, "options.duration"),
    ],
)
def test_other_bad_options_are_named(daw, clip, verb, options, named):
    daw.send(verb, new_id(), str(clip), json.dumps(options))
    _, code, message = daw.hear("fail").arguments
    assert code == "invalid"
    assert named in message


def test_a_clip_that_cannot_be_inspected_fails_with_the_services_message(daw, clip):
    name = new_id()
    daw.send("inspect", name, str(clip.with_name("none.mp4")))
    assert daw.hear("fail").arguments[:2] == (name, "source")
    daw.send("ack", name)


class Finder(ScriptedService):
    """Every request is done at once, and of every clip the same is found."""

    def submit(self, entry):
        job = super().submit(entry)
        self.states[job] = "done"
        return job

    def inspected(self, entry):
        self._called("inspected")
        return FOUND


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(bridge_module, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(bridge_module, "REPEATS", (0.1, 0.1))
    monkeypatch.setattr(sender_module, "ASK_SECONDS", 0.1)


def approximately(values):
    return tuple(pytest.approx(value) if isinstance(value, float) else value for value in values)


def test_each_source_is_told_until_the_end_is_acknowledged(quick, tmp_path):
    async def hear_all(client):
        told = [await client.hear("source", "inspected") for _ in range(3)]
        assert told[:2] == [approximately(values) for values in TOLD]
        assert told[2] == ("a", 2, "rain", "/kept/a.json")

    async def scene():
        service = Finder()
        service.failing["inspected"] = AWAY  # the service ends before it has answered, and comes back
        async with running(service, tmp_path / "osc.sqlite3") as (client, _, _):
            client.send("inspect", "a", "/v")
            await client.hear("accepted")
            await asyncio.sleep(0.1)
            del service.failing["inspected"]
            await hear_all(client)
            await hear_all(client)
            client.send("ack", "a")
            client.send("list")
            assert await client.hear("job") == ("a", "done", 1.0)
            client.send("generate", "a", "/v")
            assert (await client.hear("fail"))[1] == "conflict"
        async with running(service, tmp_path / "osc.sqlite3") as (client, _, _):
            client.send("status", "a")
            await hear_all(client)

    asyncio.run(scene())


def test_osc_send_repeats_the_request_for_a_source_that_was_lost(quick):
    end = ("inspected", "a", 2, "rain", "/kept/a.json")
    every = [("source", *values) for values in TOLD]
    with scripted_bridge([every[1], end], [every[0], end]) as (port, asked):
        sent = CliRunner().invoke(app, ["osc-send", "/v.mp4", "--inspect", "--id", "a", "--port", str(port)])
    assert sent.exit_code == 0, sent.output
    said = json.loads(sent.output)
    assert asked == ["inspect", "inspect"]
    assert [source["kind"] for source in said["sources"]] == ["dog", "bird"]
    assert (said["bed"], said["path"]) == ("rain", "/kept/a.json")


def test_the_ledger_keeps_what_each_kind_of_request_asks_for(tmp_path):
    options = {
        "generate": Options.model_validate({"seed": 3}),
        "generate_scene": SceneOptions.model_validate({"seed": 3}),
        "inspect": InspectOptions(start=1.0),
    }
    entries = [Entry(verb, "", "/v", given, "127.0.0.1", None, verb=verb) for verb, given in options.items()]
    with closing(Ledger(tmp_path / "osc.sqlite3")) as ledger:
        for entry in entries:
            ledger.put(entry)
    with closing(Ledger(tmp_path / "osc.sqlite3")) as ledger:
        assert ledger.open() == entries


@needs("oscsend")
@pytest.mark.slow
def test_liblo(bridge, clip, tmp_path):
    port, name, log = str(free_port()), new_id(), tmp_path / "oscdump"
    with started([shutil.which("oscdump"), "-L", port], log):
        asked = ["oscsend", "127.0.0.1", str(bridge.port), "/omniaudio/inspect", "ssi", name, str(clip), port]
        for _ in range(2):  # again, should oscdump not listen yet
            subprocess.run(asked, check=True, timeout=20)
        told = wait_for(log, f'/omniaudio/inspected siss "{name}" ')
    assert Sources.read(Path(told.split('"')[-2])).bed is not None

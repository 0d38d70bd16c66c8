"""Rare events: a service that goes away at the wrong moment, a full disk, a cancel that comes too early. The service is
scripted to fail; the bridge, its ledger and the sockets are real."""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest

from osc_bridge import bridge as module
from osc_bridge.ledger import Ledger
from osc_bridge.messages import RefusedError, SceneOptions
from osc_bridge.packets import Message, read, write
from osc_bridge.service import JobView
from osc_bridge.transport import serve_tcp
from support.scripted_osc import AWAY, Client, ScriptedService, running

MANY_FAULTS = json.dumps({f"unknown{number}": 1 for number in range(3000)})


def full_disk(ledger):
    """From now on every write fails as on a full disk."""
    ledger._database.execute("PRAGMA query_only=ON")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "POLL_SECONDS", 0.02)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "osc.sqlite3"


def test_a_service_that_goes_away_before_the_files_are_fetched_is_waited_for(path):
    async def scene():
        service = ScriptedService()
        async with running(service, path) as (client, _, _):
            service.failing["deliver"] = AWAY
            service.states["a"] = "done"
            client.send("generate", "a", "/v")
            await client.hear("accepted")
            while service.calls.count("deliver") < 3:
                await asyncio.sleep(0.01)
            del service.failing["deliver"]
            assert (await client.hear("done", "fail"))[0:3] == ("a", 1, "/a.ambix.wav")

    asyncio.run(scene())


@pytest.mark.parametrize("call", ["submit", "deliver"])
def test_an_unexpected_error_is_a_fail_and_the_others_go_on(path, call):
    async def scene():
        service = ScriptedService()
        async with running(service, path) as (client, _, _):
            service.failing[call] = OSError(28, "No space left on device")
            service.states["a"] = "done"
            client.send("generate", "a", "/v")
            assert (await client.hear("fail"))[:2] == ("a", "internal")
            del service.failing[call]
            service.states["b"] = "done"
            client.send("generate", "b", "/v")
            assert (await client.hear("done"))[0] == "b"

    asyncio.run(scene())


def test_a_job_that_cannot_be_cancelled_now_is_cancelled_when_the_service_is_back(path):
    async def scene():
        service = ScriptedService()
        async with running(service, path) as (client, _, _):
            client.send("generate", "a", "/v")
            await client.hear("progress")
            service.failing["cancel"] = AWAY
            client.send("cancel", "a")
            while service.calls.count("cancel") < 3:
                await asyncio.sleep(0.01)
            del service.failing["cancel"]
            assert (await client.hear("done", "fail"))[:2] == ("a", "cancelled")

    asyncio.run(scene())


def test_a_repeated_request_that_never_became_a_job_is_retried(path):
    async def scene():
        service = ScriptedService()
        async with running(service, path) as (client, bridge, _):
            service.failing["submit"] = AWAY
            client.send("generate", "a", "/v")
            client.send("cancel", "a")  # of the attempt that fails, not of the next one
            assert (await client.hear("fail"))[:2] == ("a", "unreachable")
            del service.failing["submit"]
            client.send("generate", "a", "/v")
            assert (await client.hear("accepted", "fail")) == ("a", "a")
            assert (await client.hear("progress", "fail"))[0] == "a"
            assert not bridge._repeats, "the first attempt's end is not repeated any more"

    asyncio.run(scene())


def test_a_full_disk_refuses_new_requests_with_a_message_and_ends_those_that_run(path):
    async def scene():
        service = ScriptedService()
        async with running(service, path) as (client, _, ledger):
            client.send("generate", "a", "/v")
            await client.hear("progress")
            full_disk(ledger)
            client.send("generate", "b", "/v")
            assert (await client.hear("fail"))[:2] == ("b", "ledger")
            service.states["a"] = "done"
            assert (await client.hear("done"))[0] == "a"
            client.send("ping")
            await client.hear("pong")

    asyncio.run(scene())


def test_what_the_bridge_itself_cannot_do_names_the_request(path):
    async def scene():
        service = ScriptedService()
        async with running(service, path) as (client, _, ledger):
            ledger.close()
            client.send("status", "a")
            assert (await client.hear("fail"))[:2] == ("a", "internal")

    asyncio.run(scene())


def test_a_fail_about_the_message_itself_goes_to_the_reply_port(path):
    async def scene():
        async with running(ScriptedService(), path) as (client, _, _):
            listener = Client(client.bridge[1])
            for options in ('{"colour": 1}', "{'seed': 1}", r'{"\ud800": 1}', r'{"\u0000": 1}', MANY_FAULTS):
                client.send("generate", "a", "/v", options, float(listener.port))
                assert (await listener.hear("fail"))[:2] == ("a", "invalid")
            client.send("status", "a b", listener.port)
            assert (await listener.hear("fail"))[1] == "invalid"
            listener.socket.close()

    asyncio.run(scene())


def test_subscribers_over_tcp_from_one_machine_all_hear(path):
    async def scene():
        async with running(ScriptedService(), path) as (client, bridge, _):
            server = await serve_tcp("127.0.0.1", 0, bridge.handle)
            streams = []
            for _ in range(2):
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                packet = write(Message("/omniaudio/subscribe"))
                writer.write(len(packet).to_bytes(4, "big") + packet)
                streams.append((reader, writer))
                assert await heard(reader) == "/omniaudio/subscribed"
            client.send("generate", "a", "/v")
            for reader, writer in streams:
                assert await heard(reader) == "/omniaudio/accepted"
                writer.close()
            server.close()

    async def heard(reader):
        async with asyncio.timeout(5):
            (message,) = read(await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big")))
            return message.address

    asyncio.run(scene())


def test_ends_that_are_repeated_have_a_bound(path, monkeypatch):
    monkeypatch.setattr(module, "MAX_REPEATED", 3)

    async def scene():
        service = ScriptedService()
        async with running(service, path) as (client, bridge, _):
            service.failing["submit"] = RefusedError("source", "There is no such clip: name another.")
            for number in range(10):
                client.send("generate", f"a{number}", "/v")
                await client.hear("fail")
            assert len(bridge._repeats) == 3

    asyncio.run(scene())


def test_a_scene_is_a_request_like_others_and_none_of_a_clip(path):
    async def scene():
        service = ScriptedService()
        async with running(service, path) as (client, _, _):
            client.send("generate_scene", "a", '{"frame_end": 48}')
            await client.hear("progress")
            client.send("generate_scene", "a", '{"frame_end": 48}', client.port)
            assert (await client.hear("accepted", "fail")) == ("a", "a")
            for verb, *other in (("generate_scene", '{"frame_end": 49}'), ("generate", "/v"), ("generate_scene",)):
                client.send(verb, "a", *other)
                assert (await client.hear("fail"))[:2] == ("a", "conflict")
            assert service.calls.count("submit") == 1
        # As after a bridge that was killed: the ledger knows that it was a scene, and which.
        service.states["a"] = "done"
        async with running(service, path) as (client, bridge, _):
            assert bridge._open["a"].video == ""
            assert bridge._open["a"].options == SceneOptions.model_validate({"frame_end": 48})
            client.send("generate_scene", "a", '{"frame_end": 48}')
            assert (await client.hear("done", "fail"))[:2] == ("a", 1)

    asyncio.run(scene())


def test_progress_before_a_job_runs_is_reported_too(path):
    """As of a scene that Blender renders."""

    class Rendering(ScriptedService):
        def look(self, jobs):
            return [JobView(job, "queued", "waiting for Blender", 0.0, -1.0) for job in jobs]

    async def scene():
        async with running(Rendering(), path) as (client, _, _):
            client.send("generate_scene", "a")
            assert (await client.hear("progress")) == ("a", 0.0, "waiting for Blender", -1.0)

    asyncio.run(scene())


def test_a_second_bridge_does_not_take_the_first_ones_ledger(path):
    with closing(Ledger(path)), pytest.raises(sqlite3.OperationalError, match="locked"):
        Ledger(path)

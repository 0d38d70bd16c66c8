"""The bridge as a DAW meets it: real datagrams and connections, a real service, the draft model."""

import json
import os
import socket
import time
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import soundfile
from pythonosc import slip

from osc_bridge.packets import Message, read, write

QUICK = '{"duration": 0.5, "steps": 2}'
LONG = '{"duration": 20, "steps": 50}'


def new_id():
    return uuid4().hex[:12]


def test_a_request_is_accepted_and_ends_with_four_channels_beside_the_clip(daw, clip):
    name = new_id()
    daw.send("generate", name, str(clip), '{"duration": 0.5, "steps": 2, "seed": 3, "takes": 2}')
    assert daw.hear("accepted").arguments[0] == name
    progress = daw.hear("progress")
    assert progress.arguments[0] == name
    assert 0 <= progress.arguments[1] <= 1
    takes = [daw.hear("done").arguments for _ in range(2)]
    daw.send("ack", name)
    for number, (request, take, path, channels, rate, order, duration, preview) in enumerate(takes, start=1):
        assert (request, take, channels, rate, order, duration) == (name, number, 4, 44100, "ambix", 0.5)
        assert Path(path).parent == clip.parent
        assert soundfile.info(path).channels == 4
        assert soundfile.info(path).frames == 22050
        assert soundfile.info(preview).channels == 2
        sidecar = json.loads(Path(path).with_suffix(".json").read_text())
        assert sidecar["input"] == clip.name
        assert (sidecar["options"]["seed"], sidecar["take"]) == (3, number)


@pytest.mark.slow
def test_done_is_repeated_until_it_is_acknowledged(daw, clip):
    name = new_id()
    daw.send("generate", name, str(clip), QUICK)
    first = daw.hear("done")
    assert daw.hear("done", seconds=3) == first
    daw.send("ack", name)
    while not daw.silent(0.3):
        pass
    assert daw.silent(4)


def test_a_repeated_request_is_the_same_job_and_another_with_its_id_is_refused(daw, clip):
    name = new_id()
    daw.send("generate", name, str(clip), QUICK)
    job = daw.hear("accepted").arguments[1]
    daw.send("generate", name, str(clip), QUICK)
    assert daw.hear("accepted").arguments[1] == job
    done = daw.hear("done")
    daw.send("generate", name, str(clip), QUICK)
    assert daw.hear("done", seconds=2) == done
    daw.send("generate", name, str(clip), '{"duration": 0.75}')
    assert daw.hear("fail").arguments[:2] == (name, "conflict")


def test_a_late_client_asks_by_id_from_another_port(daw, bridge, clip):
    name = new_id()
    daw.send("generate", name, str(clip), QUICK)
    done = daw.hear("done")
    late = type(daw)(bridge.port)
    late.send("status", name)
    assert late.hear("done") == done
    daw.send("status", "never-asked", late.port)
    assert late.hear("fail").arguments[:2] == ("never-asked", "not_found")


def test_a_cancelled_request_fails_soon(daw, clip):
    name = new_id()
    daw.send("generate", name, str(clip), LONG)
    daw.hear("progress")
    began = time.monotonic()
    daw.send("cancel", name)
    assert daw.hear("fail").arguments[:2] == (name, "cancelled")
    assert time.monotonic() - began < 5


def test_subscribers_hear_of_all_jobs(daw, bridge, clip):
    listener = type(daw)(bridge.port)
    listener.send("subscribe")
    listener.hear("subscribed")
    name = new_id()
    daw.send("generate", name, str(clip), QUICK)
    assert listener.hear("done").arguments[0] == name
    listener.send("unsubscribe")
    listener.hear("unsubscribed")


def test_the_list_names_requests_with_their_states(daw, clip):
    name = new_id()
    daw.send("generate", name, str(clip), QUICK)
    daw.hear("done")
    daw.send("list")
    assert daw.hear("job").arguments == (name, "done", 1.0)
    assert daw.hear("listed").arguments[0] >= 1


def test_version(daw):
    daw.send("version")
    assert daw.hear("version").arguments[1] == 1


@pytest.mark.parametrize(
    ("video", "code"),
    [
        ("/etc/passwd", "source"),
        ("{folder}/../outside.png", "source"),
        ("{folder}/link.png", "source"),
        ("{folder}/pipe", "source"),
        ("{folder}", "source"),
        ("/dev/zero", "source"),
        ("//host/share/a.mp4", "source"),
        (r"\\host\share\a.mp4", "source"),
        (r"/\host\share\a.mp4", "source"),
        ("file:///etc/passwd", "source"),
        ("http://example.org/a.mp4", "source"),
        ("relative.png", "source"),
        ("{folder}/missing.png", "source"),
    ],
)
def test_paths_that_are_not_allowed_fail_and_nothing_is_read(daw, clip, video, code):
    link, pipe = clip.parent / "link.png", clip.parent / "pipe"
    if not link.is_symlink():
        (clip.parent.parent / "outside.png").write_bytes(clip.read_bytes())
        link.symlink_to(clip.parent.parent / "outside.png")
        os.mkfifo(pipe)
    name = new_id()
    daw.send("generate", name, video.format(folder=clip.parent), QUICK)
    answer = daw.hear("accepted", "fail")
    assert answer.arguments[:2] == (name, code)


def test_a_file_that_is_no_clip_fails_with_the_services_message(daw, clip):
    (clip.parent / "text.mp4").write_text("no video")
    name = new_id()
    daw.send("generate", name, str(clip.parent / "text.mp4"), QUICK)
    answer = daw.hear("fail").arguments
    assert answer[0] == name
    assert "text.mp4" in answer[2]


@pytest.mark.parametrize("framing", ["slip", "length"])
def test_tcp_in_both_framings(bridge, clip, framing):
    def framed(packet):
        return slip.encode(packet) if framing == "slip" else len(packet).to_bytes(4, "big") + packet

    name = new_id()
    with socket.create_connection(("127.0.0.1", bridge.port)) as connection:
        connection.settimeout(60)
        stream = connection.makefile("rwb")
        stream.write(framed(write(Message("/omniaudio/ping"))))
        stream.write(framed(write(Message("/omniaudio/generate", (name, str(clip), QUICK)))))
        stream.flush()
        heard = []
        while not heard or heard[-1].address != "/omniaudio/done":
            if framing == "length":
                packet = stream.read(int.from_bytes(stream.read(4), "big"))
            else:
                packet = b""
                while len(packet) < 2 or packet[-1:] != slip.END:
                    packet += stream.read(1)
                packet = slip.decode(packet)
            heard += read(packet)
    assert heard[0].address == "/omniaudio/pong"
    assert heard[1].address == "/omniaudio/accepted"
    assert heard[-1].arguments[0] == name


def test_a_tcp_client_that_announces_4_gb_is_cut_off_and_the_bridge_lives(bridge, daw):
    with socket.create_connection(("127.0.0.1", bridge.port)) as connection:
        connection.settimeout(10)
        connection.sendall(b"\0\xff\xff\xff" + bytes(100))
        assert connection.recv(1) == b""
    daw.send("ping")
    daw.hear("pong")


@pytest.mark.slow
def test_a_tcp_client_that_never_reads_is_cut_off_and_the_bridge_lives(bridge, daw):
    question = slip.encode(write(Message("/omniaudio/status", ("unknown",)))) * 100
    with socket.create_connection(("127.0.0.1", bridge.port)) as connection:
        connection.settimeout(20)
        with pytest.raises((ConnectionError, TimeoutError)):
            connection.sendall(question * 10_000)
    daw.send("ping")
    daw.hear("pong")


def test_malformed_datagrams_leave_no_trace(bridge, daw):
    for packet in (b"", b"/", b"#bundle\0", b"/foa/" + b"*" * 40 + b"X\0\0\0", b"\xff" * 60_000, b"/\xff\xfe\0,\0\0\0"):
        daw.socket.sendto(packet, daw.bridge)
    daw.send("generate", "a", "b", "{", 1)
    daw.send("nothing")
    daw.send("ping")
    daw.hear("pong")


@pytest.mark.slow
def test_after_a_flood_it_answers_within_two_seconds(bridge, daw):
    """In its own processor time: other processes may have the processor meanwhile."""
    process = psutil.Process(bridge.process.pid)

    def spent():
        return sum(process.cpu_times()[:2])

    deadline = time.monotonic() + 3
    packets = [write(Message("/omniaudio/status", (f"flood-{number}",))) for number in range(100)]
    packets += [write(Message("/omniaudio/generate", (f"flood-{number}", "/none"))) for number in range(100)]
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sent = 0
    while time.monotonic() < deadline or sent <= 10_000:
        sender.sendto(packets[sent % len(packets)], daw.bridge)
        sent += 1
    began, patience = spent(), time.monotonic() + 60
    while True:
        daw.send("ping")
        try:
            daw.hear("pong", seconds=0.5)
            break
        except TimeoutError:
            assert time.monotonic() < patience
    assert spent() - began < 2


@pytest.mark.slow
def test_a_bridge_that_was_killed_in_the_middle_says_done_when_it_is_back(new_bridge, clip):
    bridge = new_bridge()
    daw = bridge.start()
    name = new_id()
    daw.send("generate", name, str(clip), '{"duration": 3, "steps": 20}')
    daw.hear("accepted")
    bridge.kill()
    time.sleep(1)
    bridge.start()
    assert daw.hear("done").arguments[0] == name


@pytest.mark.slow
def test_a_service_that_was_killed_in_the_middle_finishes_when_it_is_back(new_bridge, service, clip):
    daw = new_bridge().start()
    name = new_id()
    daw.send("generate", name, str(clip), '{"duration": 3, "steps": 20}')
    daw.hear("progress")
    service.kill()
    time.sleep(1)
    service.start()
    assert daw.hear("done").arguments[0] == name


def test_without_a_service_a_request_fails_with_a_message(new_bridge, service, clip):
    daw = new_bridge().start()
    service.stop()
    try:
        daw.send("generate", new_id(), str(clip), QUICK)
        answer = daw.hear("fail").arguments
        assert answer[1] == "unreachable"
        assert "omniaudio serve" in answer[2]
    finally:
        service.start()


@pytest.mark.slow
def test_a_secret_is_asked_for(new_bridge, clip):
    daw = new_bridge("--secret", "open sesame").start()
    name = new_id()
    daw.send("generate", name, str(clip), QUICK)
    assert daw.hear("fail").arguments[:2] == (name, "unauthorized")
    daw.send("generate", name, str(clip), '{"secret": "open sesame", "duration": 0.5, "steps": 2}')
    assert daw.hear("done").arguments[0] == name

"""osc-send against a bridge with scripted answers: lost datagrams, wrong senders, and files that Windows locks."""

import json
import os
import socket

import pytest
import typer
from typer.testing import CliRunner

from osc_bridge import sender as module
from osc_bridge.commands import register
from osc_bridge.messages import RefusedError
from osc_bridge.packets import Message, write
from osc_bridge.sender import Outcome, Sender
from support.scripted_osc import scripted_bridge

app = typer.Typer()
register(app)
DONE = ("/a.wav", 4, 48000, "ambix", 1.0, "")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "ASK_SECONDS", 0.1)


def test_messages_about_other_requests_do_not_keep_it_waiting():
    answer = ("fail", "", "internal", "Its log says why.")
    with (
        scripted_bridge([answer]) as (port, _),
        Sender("127.0.0.1", port) as sender,
        pytest.raises(RefusedError, match="No br"),
    ):
        sender.ask("generate", "a", "/v", "{}", 1.0, lambda _: None)


def test_a_scene_is_requested_without_a_clip():
    with scripted_bridge([("done", "a", 1, *DONE)]) as (port, asked):
        ran = CliRunner().invoke(app, ["osc-send", "--scene", "--id", "a", "--port", str(port)])
        assert json.loads(ran.stdout)["takes"][0]["path"] == "/a.wav"
        assert asked == ["generate_scene"]


def test_localhost_finds_the_bridge():
    with scripted_bridge([("done", "a", 1, *DONE)]) as (port, _), Sender("localhost", port) as sender:
        assert sender.ask("generate", "a", "/v", "{}", 5.0, lambda _: None).state == "done"


def test_datagrams_from_others_are_dropped():
    with (
        scripted_bridge([]) as (port, _),
        Sender("127.0.0.1", port) as sender,
        socket.socket(type=socket.SOCK_DGRAM) as other,
    ):
        sender.send("ping")
        own = sender._socket.getsockname()
        other.sendto(write(Message("/omniaudio/done", ("a", 1, *DONE))), own)
        assert list(sender.receive(0.3)) == []


def test_cancel_waits_for_the_end_and_is_repeated_if_it_was_lost():
    cancelled = ("fail", "a", "cancelled", "It was cancelled.")
    with scripted_bridge([], [], [cancelled]) as (port, asked):
        ran = CliRunner().invoke(app, ["osc-send", "--cancel", "--id", "a", "--port", str(port)])
        assert (ran.exit_code, ran.stdout) == (0, "a is cancelled.\n")
        assert asked == ["cancel"] * 3


def test_the_result_file_is_written_from_the_beginning_to_the_end(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(Outcome, "write", lambda self, path: written.append(self.state))
    with scripted_bridge([("accepted", "a", "job"), ("done", "a", 1, *DONE)]) as (port, _):
        CliRunner().invoke(app, ["osc-send", "/v", "--id", "a", "--port", str(port), "--result", str(tmp_path / "r")])
    assert written == ["sent", "accepted", "done"]


def test_a_result_file_that_cannot_be_written_is_named(tmp_path):
    result = tmp_path / "missing" / "r.json"
    with scripted_bridge([("accepted", "a", "job")]) as (port, _):
        ran = CliRunner().invoke(app, ["osc-send", "/v", "--port", str(port), "--result", str(result)])
    assert "--result" in str(ran.exception)


def test_a_reader_that_has_the_file_open_is_waited_for(tmp_path, monkeypatch):
    """As on Windows, where an open file cannot be replaced."""
    refusals = [PermissionError(13, "in use")] * 3
    replace = os.replace

    def busy(source, target):
        if refusals:
            raise refusals.pop()
        replace(source, target)

    monkeypatch.setattr(module.os, "replace", busy)
    Outcome("a", "done").write(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["state"] == "done"
    assert os.listdir(tmp_path) == ["r.json"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name a clip"),
        (["/clip.mp4", "--scene"], "send two requests"),
        (["--cancel"], "--id"),
        (["/clip\udcff.mp4"], "rename the clip"),
    ],
)
def test_an_impossible_request_is_a_message(arguments, said):
    with scripted_bridge([]) as (port, _):
        ran = CliRunner().invoke(app, ["osc-send", *arguments, "--port", str(port)])
    assert said in str(ran.exception)

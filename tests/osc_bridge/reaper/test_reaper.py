"""The ReaScript with Lua 5.4, a stand-in for REAPER's own functions, the real bridge and the real service."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from osc_bridge.packets import Message, read, write
from support.paths import REPOSITORY

FOLDER = Path(__file__).parent
SCRIPT = REPOSITORY / "osc_bridge" / "reaper" / "OmniAudio" / "omniaudio_Generate spatial audio.lua"

pytestmark = pytest.mark.skipif(shutil.which("lua5.4") is None, reason="lua5.4 is missing")


def has_socket():
    return subprocess.run(["lua5.4", "-e", 'require "socket"'], check=False, capture_output=True).returncode == 0


def run(video, bridge, tmp_path, takes="1", port=None, **environment):
    """The script's calls, a list of words each. The dialog's fields: takes, seed, steps, guidance, port, program."""
    program = tmp_path / "omni audio"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m omniaudio.cli "$@"\n')
    program.chmod(0o755)
    answers = "\n".join([takes, "3", "2", "", str(port or bridge.port), str(program)])
    ran = subprocess.run(
        ["lua5.4", str(FOLDER / "stub.lua"), str(SCRIPT), str(video), answers],
        env={**os.environ, "RESOURCES": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [line.split("\t") for line in ran.stdout.splitlines()]


@pytest.fixture(params=["LuaSocket", "osc-send"])
def way(request):
    """With LuaSocket, and without it by the command-line client."""
    if request.param == "osc-send":
        return {"NO_SOCKET": "1"}
    if not has_socket():
        pytest.skip("LuaSocket for Lua 5.4 is missing")
    return {}


@pytest.mark.slow
def test_the_result_is_on_tracks_below_at_the_items_position_as_one_undo_step(bridge, clip, tmp_path, way):
    calls = run(clip, bridge, tmp_path, **way)
    names = [call[0] for call in calls]
    assert (names[0], names[-1]) == ("Undo_BeginBlock", "Undo_EndBlock")
    assert names.count("Undo_BeginBlock") == 1
    assert [call[1] for call in calls if call[0] == "InsertTrackAtIndex"] == ["1", "2"]
    assert ["SetMediaTrackInfo_Value", "track2", "I_NCHAN", "4"] in calls
    assert ["SetMediaTrackInfo_Value", "track2", "B_MAINSEND", "0"] in calls
    assert ["SetMediaTrackInfo_Value", "track3", "I_NCHAN", "2"] in calls
    sources = [call[2] for call in calls if call[0] == "SetMediaItemTake_Source"]
    assert [Path(source).parent for source in sources] == [clip.parent] * 2
    assert sources[0].endswith(".ambix.wav")
    assert sources[1].endswith(".ambix.preview.wav")
    places = [call[2:] for call in calls if call[0] == "SetMediaItemInfo_Value" and call[2] != "B_LOOPSRC"]
    assert [[key, round(float(value), 4)] for key, value in places] == [["D_POSITION", 10.0], ["D_LENGTH", 0.6]] * 2


@pytest.mark.slow
def test_nothing_is_left_in_reapers_folder(bridge, clip, tmp_path):
    run(clip, bridge, tmp_path, NO_SOCKET="1")
    assert [path.name for path in tmp_path.glob("omniaudio-*")] == []


def test_luasocket_is_found_where_reapack_puts_it(bridge, tmp_path):
    folder = tmp_path / "Scripts" / "Mavriq ReaScript Repository" / "Various" / "Mavriq-Lua-Sockets"
    folder.mkdir(parents=True)
    (folder / "socket.lua").write_text('print("from ReaPack")\nerror("only looked for")\n')
    calls = run("/etc/passwd", bridge, tmp_path, LUA_PATH="./?.lua", LUA_CPATH="./?.so")
    assert calls[0] == ["from ReaPack"]


@pytest.mark.slow
def test_a_take_that_was_lost_is_waited_for_though_a_later_one_is_there(clip, tmp_path, way):
    """The third of four `done` is lost at first; the bridge is one that loses it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lossy:
        lossy.bind(("127.0.0.1", 0))
        lossy.settimeout(20)
        asked = []

        def serve():
            while True:
                packet, address = lossy.recvfrom(65_535)
                (message,) = read(packet)
                if message.address == "/omniaudio/ack":
                    return
                asked.append(message)
                for take in (1, 2, 4) if len(asked) == 1 else (3,):
                    done = (message.arguments[0], take, str(clip), 4, 48000, "ambix", 0.6, "")
                    lossy.sendto(write(Message("/omniaudio/done", done)), address)

        thread = threading.Thread(target=serve)
        thread.start()
        calls = run(clip, None, tmp_path, takes="4", port=lossy.getsockname()[1], **way)
        thread.join()
    assert [call[1] for call in calls if call[0] == "InsertTrackAtIndex"] == ["1", "2", "3", "4"]


@pytest.mark.slow
def test_takes_are_on_tracks_of_their_own_and_the_first_is_not_muted(bridge, clip, tmp_path, way):
    calls = run(clip, bridge, tmp_path, takes="2", **way)
    assert [call[1] for call in calls if call[0] == "InsertTrackAtIndex"] == ["1", "2", "3", "4"]
    assert [call[1:] for call in calls if "B_MUTE" in call] == [["track3", "B_MUTE", "0"], ["track5", "B_MUTE", "1"]]


def test_a_clip_that_is_not_allowed_is_a_message_box(bridge, tmp_path, way):
    (call,) = run("/etc/passwd", bridge, tmp_path, **way)
    assert call[0] == "ShowMessageBox"
    assert "folder" in call[1]


@pytest.mark.slow
def test_escape_cancels_and_changes_nothing(bridge, clip, tmp_path, way, daw):
    # 16 takes of many steps last longer than it takes to press Esc.
    assert run(clip, bridge, tmp_path, takes="16", ESCAPE="1", **way) == []


def test_an_empty_selection_is_a_message(bridge, clip, tmp_path):
    assert run(clip, bridge, tmp_path, NO_ITEM="1")[0][:2] == [
        "ShowMessageBox",
        "Select the item of a 360° video first.",
    ]


def test_another_speed_is_refused(bridge, clip, tmp_path):
    assert "play rate" in run(clip, bridge, tmp_path, PLAYRATE="0.5")[0][1]


def test_a_field_that_is_no_number_is_named(bridge, clip, tmp_path):
    assert "takes is no number" in run(clip, bridge, tmp_path, takes="two")[0][1]


def test_reapacks_index_names_the_script_and_where_it_is_fetched(tmp_path):
    written = tmp_path / "index.xml"
    build = REPOSITORY / "build" / "build_reapack.py"
    subprocess.run([sys.executable, build, "https://example.org/reaper/", "-o", written], check=True)
    root = ElementTree.parse(written).getroot()
    (package,) = root.iterfind("category/reapack")
    assert (root.tag, root.get("version"), package.get("type")) == ("index", "1", "script")
    assert package.get("name") == SCRIPT.name
    assert package.get("desc") == "Generate spatial audio for a 360° video"
    version = package.find("version")
    assert version.get("name") == "0.1.0"
    assert version.get("author")
    address = version.findtext("source")
    assert unquote(address) == f"https://example.org/reaper/OmniAudio/{SCRIPT.name}"
    assert " " not in address

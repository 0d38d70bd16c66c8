"""Other people's programs against the real bridge; each is skipped by its name where it is missing."""

import os
import subprocess
import sys
import time
from uuid import uuid4
from xml.etree import ElementTree

import pytest
import soundfile

from support.daw import free_port
from support.paths import REPOSITORY
from support.programs import needs, started, wait_for

pytestmark = pytest.mark.slow

EXAMPLES = REPOSITORY / "osc_bridge" / "examples"
QUICK = '{"duration": 0.5, "steps": 2}'


@needs("oscsend")
@pytest.mark.parametrize("protocol", ["osc.udp", "osc.tcp"])
def test_liblo(bridge, clip, tmp_path, protocol):
    """oscsend does not listen where it sends from: over UDP a reply port is named."""
    port, name, log = str(free_port()), uuid4().hex[:12], tmp_path / "oscdump"
    with started(["oscdump", "-L", port], log):
        time.sleep(0.5)
        address = f"{protocol}://127.0.0.1:{bridge.port}/"
        subprocess.run(
            ["oscsend", address, "/omniaudio/generate", "sssi", name, str(clip), QUICK, port], check=True, timeout=20
        )
        if protocol == "osc.tcp":
            # Its connection is gone: who asks is told how it goes on.
            subprocess.run(
                ["oscsend", "127.0.0.1", str(bridge.port), "/omniaudio/status", "si", name, port],
                check=True,
                timeout=20,
            )
        done = wait_for(log, f'/omniaudio/done sisiisfs "{name}" 1')
        assert 'ambix.wav" 4 44100 "ambix" 0.5' in done


@needs("pd")
def test_pure_data(bridge, video, tmp_path):
    """The example itself, at this test's ports, with a path sent to its receiver."""
    patch, log, port = tmp_path / "example.pd", tmp_path / "pd", str(free_port())
    source = (EXAMPLES / "puredata.pd").read_text()
    patch.write_text(source.replace("9000", str(bridge.port)).replace("9001", port).replace("pd-1", uuid4().hex[:12]))
    command = ["pd", "-nogui", "-noaudio", "-nomidi", "-stderr", "-open", str(patch)]
    with started([*command, "-send", f";video symbol {video}"], log):
        done = wait_for(log, "omniaudio done")
    words = done.split()
    path = next(word for word in words if word.endswith(".ambix.wav"))
    assert soundfile.info(path).channels == 4


@needs("sclang")
def test_supercollider(bridge, video, tmp_path):
    """The example itself, told where the clip is and which port the bridge has."""
    script, log = tmp_path / "run.scd", tmp_path / "sclang"
    example = EXAMPLES / "supercollider.scd"
    script.write_text(f'~path = "{video}";\n~port = {bridge.port};\n"{example}".load;\n')
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "QTWEBENGINE_DISABLE_SANDBOX": "1",
        **{f"XDG_{kind}_HOME": str(tmp_path) for kind in ("CONFIG", "DATA", "CACHE")},
    }
    with started(["sclang", "-D", str(script)], log, env=environment):
        done = wait_for(log, "done: ")
    path = done.partition("done: ")[2].partition(" (4 channels)")[0]
    assert soundfile.info(path).channels == 4


@needs("ardour7-lua")
def test_ardour(bridge, video, tmp_path):
    """The example itself, twice: in a session that it creates, and in the one that is there then. Ardour's own word
    says that it has the regions; the sessions' file says of what they are made."""
    program, folder = tmp_path / "omniaudio", tmp_path / "forest & sea"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m omniaudio.cli "$@"\n')
    program.chmod(0o755)
    command = ["ardour7-lua", EXAMPLES / "ardour.lua", folder, video, str(bridge.port), program]
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    for count in (1, 2):
        log = tmp_path / f"ardour-{count}"
        with started(command, log, env=environment, cwd=tmp_path):
            done = wait_for(log, "done: ", seconds=120)
        path = done.partition("done: ")[2].partition(" (4 channels, ")[0]
        assert f"(4 channels, {soundfile.info(path).frames} samples)" in done
        session = ElementTree.parse(folder / f"{folder.name}.ardour").getroot()
        sources = {source.get("id"): source for source in session.iterfind("Sources/Source")}
        regions = session.findall("Playlists/Playlist/Region")
        assert len(regions) == count
        (region,) = [region for region in regions if sources[region.get("source-0")].get("origin") == path]
        used = [sources[region.get(f"source-{channel}")] for channel in range(4)]
        assert [(source.get("origin"), source.get("channel")) for source in used] == [(path, str(n)) for n in range(4)]
        assert session.get("sample-rate") == "48000"
        assert soundfile.info(path).samplerate == 48000

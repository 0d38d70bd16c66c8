"""The OSC bridge while a job runs: from a datagram to its `accepted`, and 1,000 questions that stand in a queue.

`python -m benchmarks.osc` starts the service and the bridge on a free port, with a folder of their own; it prints the
seconds as JSON, the last line.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.generate import write_clip
from benchmarks.measure import Process
from omniaudio_client.discovery import ADDRESS, TOKEN, find
from osc_bridge.packets import MAX_PACKET_BYTES, Argument, Message, read, write

REQUESTS = 60
QUESTIONS = 1000
SECONDS_TO_START = 120.0
ACCEPTED, MAX_ACCEPTED, ANSWERED = "to accepted", "to accepted, slowest", "1000 status"
HOST = "127.0.0.1"


def process() -> Process:
    """One measurement, as a process."""
    return Process([sys.executable, "-m", "benchmarks.osc"])


def measure(folder: Path) -> dict[str, float]:
    """Seconds: the median and the slowest of `REQUESTS` requests one after another, by UDP, and of `QUESTIONS` `status`
    calls that are sent at once over one TCP connection, where none is lost, to the last answer."""
    clip = folder / "clip.mp4"
    write_clip(clip, 60)
    with _service(folder) as url, _bridge(folder, url) as port, socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.connect((HOST, port))
        udp.settimeout(SECONDS_TO_START)
        _generate(udp, "running", clip, 60, 1000)
        while _next(udp).address != "/omniaudio/progress":
            pass
        took = []
        for number in range(REQUESTS):
            began = time.perf_counter()
            _generate(udp, f"r{number}", clip, 0.1, 1)
            while (answer := _next(udp)).arguments[0] != f"r{number}":
                pass
            took.append(time.perf_counter() - began)
            if answer.address != "/omniaudio/accepted":
                raise RuntimeError(f"{answer.address}: {answer.arguments}")
        return {ACCEPTED: statistics.median(took), MAX_ACCEPTED: max(took), ANSWERED: _questions(port)}


def _questions(port: int) -> float:
    packet = write(Message("/omniaudio/status", ("running",)))
    with socket.create_connection((HOST, port), timeout=SECONDS_TO_START) as connection:
        stream = connection.makefile("rb")
        began = time.perf_counter()
        connection.sendall((len(packet).to_bytes(4, "big") + packet) * QUESTIONS)
        answered = 0
        while answered < QUESTIONS:
            (message,) = read(stream.read(int.from_bytes(stream.read(4), "big")))
            answered += message.address == "/omniaudio/accepted"
        return time.perf_counter() - began


def _generate(udp: socket.socket, name: str, clip: Path, seconds: float, steps: int) -> None:
    options = json.dumps({"duration": seconds, "steps": steps})
    arguments: tuple[Argument, ...] = (name, str(clip), options)
    udp.send(write(Message("/omniaudio/generate", arguments)))


def _next(udp: socket.socket) -> Message:
    return read(udp.recv(MAX_PACKET_BYTES))[0]


@contextmanager
def _service(folder: Path) -> Iterator[str]:
    """The service's URL, when it listens."""
    words = ["serve", "--port", "0", "--folder", str(folder / "service"), "--allow-root", str(folder)]
    with _started(words, folder / "service.log"):
        address = folder / "service" / ADDRESS
        deadline = time.monotonic() + SECONDS_TO_START
        while not address.is_file():
            if time.monotonic() > deadline:
                raise TimeoutError((folder / "service.log").read_text())
            time.sleep(0.1)
        yield find(folder / "service").url


@contextmanager
def _bridge(folder: Path, url: str) -> Iterator[int]:
    """The bridge's port, when it listens."""
    with socket.socket(type=socket.SOCK_DGRAM) as free:
        free.bind((HOST, 0))
        port = int(free.getsockname()[1])
    words = ["osc", "--port", str(port), "--service", url, "--token-file", str(folder / "service" / TOKEN)]
    with _started([*words, "--ledger", str(folder / "osc.sqlite3")], folder / "bridge.log"):
        deadline = time.monotonic() + SECONDS_TO_START
        with socket.socket() as waiting:
            while waiting.connect_ex((HOST, port)):
                if time.monotonic() > deadline:
                    raise TimeoutError((folder / "bridge.log").read_text())
                time.sleep(0.1)
        yield port


@contextmanager
def _started(words: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        started = subprocess.Popen([sys.executable, "-m", "omniaudio.cli", *words], stdout=output, stderr=output)
    try:
        yield
    finally:
        started.terminate()
        started.wait()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    with TemporaryDirectory() as name:
        print(json.dumps(measure(Path(name))))

"""A small client of the bridge: asks for a generation by UDP and waits for its end, whatever gets lost on the way."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from osc_bridge.messages import PREFIX, RefusedError
from osc_bridge.packets import MAX_PACKET_BYTES, Argument, Message, PacketError, read, write

READ_SECONDS = 2.0
"""For so long a program that has the result file open may keep it from being replaced, as Windows lets it."""
ASK_SECONDS = 1.0
"""After so long without a word the question is sent again: datagrams get lost, and a request id makes that safe."""


@dataclass
class Outcome:
    """How far a request is. `state`: sent, accepted, running, done or failed; `wanted` takes are awaited, `takes` are
    there, described as the bridge does. Of a recognition `wanted` sources are, which is known when `path`, the file
    with all of them, and `bed` are."""

    request_id: str
    state: str = "sent"
    stage: str = ""
    fraction: float = 0.0
    seconds_left: float = -1.0
    code: str = ""
    message: str = ""
    wanted: int = 1
    takes: list[dict[str, Any]] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    bed: str = ""
    path: str = ""

    @property
    def made(self) -> dict[str, Any]:
        """What a request that is done has come to."""
        return {"sources": self.sources, "bed": self.bed, "path": self.path} if self.path else {"takes": self.takes}

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("done", "failed")

    def write(self, path: Path) -> None:
        """Write it as JSON: whoever reads the file sees the old state or the new one, never a half."""
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps(asdict(self)), encoding="utf-8")
        deadline = time.monotonic() + READ_SECONDS
        while True:
            try:
                os.replace(partial, path)
                return
            except PermissionError:
                if time.monotonic() > deadline:
                    partial.unlink(missing_ok=True)
                    raise
                time.sleep(0.01)


class Sender:
    """One socket to one bridge. Use as a context manager."""

    def __init__(self, host: str, port: int) -> None:
        """Raises OSError for a host that has no address."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        # “localhost” is ::1 first on many systems, and the bridge listens at 127.0.0.1.
        family, *_, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.connect(address)  # nobody else is listened to

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, verb: str, *arguments: Argument) -> None:
        """Send one message. Raises PacketError for what OSC cannot say."""
        packet = write(Message(PREFIX + verb, arguments))
        if len(packet) > MAX_PACKET_BYTES:
            raise PacketError(f"{len(packet)} bytes are too many")
        with suppress(ConnectionError):  # the one before was refused: nobody listens there yet
            self._socket.send(packet)

    def receive(self, seconds: float) -> Iterator[Message]:
        """The messages that come within so many seconds; ends with the first packet."""
        self._socket.settimeout(seconds)
        try:
            yield from read(self._socket.recv(MAX_PACKET_BYTES))
        except (TimeoutError, PacketError, ConnectionError):
            return  # a refused datagram: nobody listens there yet

    def ask(  # noqa: PLR0917 - the first four are the message
        self,
        verb: str,
        request_id: str,
        video: str | None,
        options: str,
        patience: float,
        report: Callable[[Outcome], None],
    ) -> Outcome:
        """Ask for what becomes a job, and wait for its end.

        Args:
            verb: one of `osc_bridge.messages.JOBS`.
            request_id: the caller's own; asking again with it is the same request.
            video: the clip's path on the bridge's machine; None for the scene that is open in Blender.
            options: JSON, as the form of the verb has them.
            patience: seconds without a word after which the bridge is given up.
            report: told of every change, and at the beginning.

        Raises:
            RefusedError: the bridge is silent.
            PacketError: OSC cannot say this.
        """
        outcome = Outcome(request_id, wanted=_takes(options))
        report(outcome)
        about = (request_id,) if video is None else (request_id, video)
        self._ask(outcome, (verb, *about, options), patience, report)
        self.send("ack", request_id)
        return outcome

    def cancel(self, request_id: str, patience: float) -> Outcome:
        """End a request, and wait for its end: failed, with the code `cancelled`, or done where it was too late."""
        outcome = Outcome(request_id)
        self._ask(outcome, ("cancel", request_id), patience, lambda _: None)
        return outcome

    def _ask(
        self,
        outcome: Outcome,
        question: tuple[str, *tuple[str, ...]],
        patience: float,
        report: Callable[[Outcome], None],
    ) -> None:
        """Ask until the request has ended: what was told meanwhile may be lost, or have gone elsewhere."""
        request_id = outcome.request_id
        heard = asked = time.monotonic()
        self.send(*question)
        while not outcome.ended:
            for message in self.receive(ASK_SECONDS):
                if message.arguments[:1] != (request_id,):
                    continue
                heard = time.monotonic()
                if _take_in(outcome, message.address.removeprefix(PREFIX), message.arguments[1:]):
                    report(outcome)
            now = time.monotonic()
            if now - heard > patience:
                raise RefusedError(
                    "no_bridge",
                    f"No bridge has answered for {patience:.0f} s: start it by `omniaudio osc`.",
                    request_id,
                )
            if now - max(heard, asked) >= ASK_SECONDS:
                self.send(*question)
                asked = now


def _take_in(outcome: Outcome, verb: str, values: tuple[Argument, ...]) -> bool:
    """Take a message about a request into account; whether it says something new."""
    match verb, values:
        case "accepted", (str(),) if outcome.state == "sent":
            outcome.state = "accepted"
        case "progress", (float(fraction), str(stage), float(left)):
            outcome.state, outcome.stage, outcome.fraction, outcome.seconds_left = "running", stage, fraction, left
        case "done", (
            int(take),
            str(path),
            int(channels),
            int(rate),
            str(order),
            float(duration),
            str(preview),
            *stems,
        ):
            taken = {"take": take, "path": path, "channels": channels, "rate": rate, "order": order}
            if all(known["take"] != take for known in outcome.takes):
                outcome.takes.append(taken | {"duration": duration, "preview": preview, "stems": stems})
            if len(outcome.takes) == outcome.wanted:
                outcome.state, outcome.fraction, outcome.seconds_left = "done", 1.0, 0.0
        case "source", (int(index), str(kind), float(sure), float(azimuth), float(elevation), float(start), float(end)):
            found = {"index": index, "kind": kind, "confidence": sure, "azimuth": azimuth, "elevation": elevation}
            if all(known["index"] != index for known in outcome.sources):
                outcome.sources.append(found | {"start": start, "end": end})
                outcome.sources.sort(key=lambda source: int(source["index"]))
        case "inspected", (int(count), str(bed), str(path)):
            # Where one of them was lost on the way, all are asked for again.
            outcome.bed, outcome.path, outcome.wanted = bed, path, count
            if len(outcome.sources) == count:
                outcome.state, outcome.fraction, outcome.seconds_left = "done", 1.0, 0.0
        case "fail", (str(code), str(message)):
            outcome.state, outcome.code, outcome.message = "failed", code, message
        case _:
            return False
    return True


def _takes(options: str) -> int:
    """How many takes options ask for; whether they are right is the bridge's to say."""
    try:
        takes = json.loads(options).get("takes", 1)
    except (ValueError, AttributeError, RecursionError):
        return 1
    return takes if isinstance(takes, int) and takes > 0 else 1

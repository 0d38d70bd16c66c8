"""A small client of the bridge: sends a request by UDP and waits for its end, even if datagrams get lost."""

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
"""For so long a reader may block the replacement of the result file, which Windows allows."""
ASK_SECONDS = 1.0
"""The request is repeated after so long without an answer: datagrams get lost, and the request id makes that safe."""


@dataclass
class Outcome:
    """The state of a request. `state` is sent, accepted, running, done or failed. `wanted` is the number of expected
    takes; `takes` holds those that have arrived, as the bridge describes them. For an inspection, `wanted` counts
    sources; it is known once `bed` and `path`, the file with all of them, are."""

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
        """The result of a finished request."""
        return {"sources": self.sources, "bed": self.bed, "path": self.path} if self.path else {"takes": self.takes}

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("done", "failed")

    def write(self, path: Path) -> None:
        """Write it as JSON. Readers of the file see the old state or the new one, never a part."""
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
    """A socket to one bridge. Use it as a context manager."""

    def __init__(self, host: str, port: int) -> None:
        """Raises OSError if the host has no address."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        # “localhost” resolves to ::1 first on many systems, but the bridge listens on 127.0.0.1.
        family, *_, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.connect(address)  # drops datagrams from other senders

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, verb: str, *arguments: Argument) -> None:
        """Send one message. Raises PacketError if OSC cannot carry it."""
        packet = write(Message(PREFIX + verb, arguments))
        if len(packet) > MAX_PACKET_BYTES:
            raise PacketError(f"{len(packet)} bytes are too many")
        with suppress(ConnectionError):  # the previous datagram was refused: no bridge listens there yet
            self._socket.send(packet)

    def receive(self, seconds: float) -> Iterator[Message]:
        """The messages of the next packet, if one arrives within so many seconds."""
        self._socket.settimeout(seconds)
        try:
            yield from read(self._socket.recv(MAX_PACKET_BYTES))
        except (TimeoutError, PacketError, ConnectionError):
            return  # a refused datagram: no bridge listens there yet

    def ask(  # noqa: PLR0917 - the first four are the message
        self,
        verb: str,
        request_id: str,
        video: str | None,
        options: str,
        patience: float,
        report: Callable[[Outcome], None],
    ) -> Outcome:
        """Send a request that becomes a job, and wait for its end.

        Args:
            verb: one of `osc_bridge.messages.JOBS`.
            request_id: chosen by the caller; repeating it repeats the same request.
            video: the clip's path on the bridge's machine; None for the scene that is open in Blender.
            options: JSON, as the form of the verb defines it.
            patience: seconds without an answer after which this gives up.
            report: called at the beginning and after every change.

        Raises:
            RefusedError: the bridge does not answer.
            PacketError: OSC cannot carry the request.
        """
        outcome = Outcome(request_id, wanted=_takes(options))
        report(outcome)
        about = (request_id,) if video is None else (request_id, video)
        self._ask(outcome, (verb, *about, options), patience, report)
        self.send("ack", request_id)
        return outcome

    def cancel(self, request_id: str, patience: float) -> Outcome:
        """Cancel a request, and wait for its end: failed with the code `cancelled`, or done if it was too late."""
        outcome = Outcome(request_id)
        self._ask(outcome, ("cancel", request_id), patience, lambda _: None)
        return outcome

    def _ask(
        self,
        outcome: Outcome,
        message: tuple[str, *tuple[str, ...]],
        patience: float,
        report: Callable[[Outcome], None],
    ) -> None:
        """Repeat a message until the request has ended: answers may get lost, or go to another port."""
        request_id = outcome.request_id
        heard = asked = time.monotonic()
        self.send(*message)
        while not outcome.ended:
            for answer in self.receive(ASK_SECONDS):
                if answer.arguments[:1] != (request_id,):
                    continue
                heard = time.monotonic()
                if _take_in(outcome, answer.address.removeprefix(PREFIX), answer.arguments[1:]):
                    report(outcome)
            now = time.monotonic()
            if now - heard > patience:
                raise RefusedError(
                    "no_bridge",
                    f"No bridge has answered for {patience:.0f} s: start it with `omniaudio osc`.",
                    request_id,
                )
            if now - max(heard, asked) >= ASK_SECONDS:
                self.send(*message)
                asked = now


def _take_in(outcome: Outcome, verb: str, values: tuple[Argument, ...]) -> bool:
    """Update the state of a request from a message; False if the message was not understood."""
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
            # If a source got lost, the request is repeated, and the bridge sends all of them again.
            outcome.bed, outcome.path, outcome.wanted = bed, path, count
            if len(outcome.sources) == count:
                outcome.state, outcome.fraction, outcome.seconds_left = "done", 1.0, 0.0
        case "fail", (str(code), str(message)):
            outcome.state, outcome.code, outcome.message = "failed", code, message
        case _:
            return False
    return True


def _takes(options: str) -> int:
    """The number of takes in the options; the bridge validates them."""
    try:
        takes = json.loads(options).get("takes", 1)
    except (ValueError, AttributeError, RecursionError):
        return 1
    return takes if isinstance(takes, int) and takes > 0 else 1

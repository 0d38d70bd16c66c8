"""The bridge: turns requests of OSC clients into jobs of the service, and reports progress and results to the clients.

It only translates. One asyncio loop handles every message at once; what takes time (files, the service) runs in a few
threads. A request is in the ledger before the service gets it, so the client receives its `done` or `fail` even if the
bridge or the service dies in between.
"""

import asyncio
import hmac
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any, TypeVar

from osc_bridge.ledger import Entry, Ledger, fingerprint
from osc_bridge.messages import (
    JOBS,
    PREFIX,
    PROTOCOL,
    About,
    Ask,
    GenerateScene,
    Job,
    RefusedError,
    asked_about,
    asked_port,
    parse,
)
from osc_bridge.packets import Argument, Message, PacketError
from osc_bridge.service import POLL_SECONDS, JobView, Service, Sounding, Take
from osc_bridge.transport import Peer, UdpPeer

MAX_OPEN = 200
"""Requests that have not ended."""
MAX_SUBSCRIBERS = 32
SUBSCRIPTION_SECONDS = 600.0
MAX_LISTED = 50
PATIENCE_SECONDS = 600.0
"""How long the service may be unreachable before its requests fail."""
REPEATS = (1.0, 2.0, 4.0, 8.0)
"""Seconds between the repetitions of a `done` or `fail` until it is acknowledged: datagrams get lost."""
MAX_REPEATED = 500
"""Ends that are repeated at a time; in a flood, further ones are sent once."""
AWAY = ("unreachable", "timeout")
"""Codes of a service that may come back."""

_INTERNAL = ("internal", "The bridge failed at this request: see its log.")

_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")


class Bridge:
    """Answers clients. Call `start` in a running loop, `handle` for every message, and `stop` at the end."""

    def __init__(
        self,
        service: Service,
        ledger: Ledger,
        secret: str | None = None,
        on_sent: Callable[[Message], None] | None = None,
    ) -> None:
        """The options of a request must contain `secret`; `on_sent` is called with every message to a client."""
        self._service = service
        self._ledger = ledger
        self._secret = secret
        self._on_sent = on_sent
        self._open = {entry.request_id: entry for entry in ledger.open()}
        self._views: dict[str, JobView] = {}
        self._peers: dict[str, Peer] = {}
        self._subscribers: dict[Peer, float] = {}
        self._repeats: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._cancelled: set[str] = set()  # open requests that the service has still to cancel
        self._udp: asyncio.DatagramTransport | None = None
        self._heard = time.monotonic()
        self._threads = ThreadPoolExecutor(4, "osc-bridge")
        self._verbs: dict[str, Callable[[Any, Peer], None]] = {
            **dict.fromkeys(JOBS, self._job),
            "status": self._status,
            "cancel": self._cancel,
            "ack": self._ack,
            "list": self._list,
            "version": self._version,
            "ping": self._ping,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
        }

    def start(self, udp: asyncio.DatagramTransport) -> None:
        """Resume the requests of an earlier bridge, whose clients get their answers by `udp`, and watch all jobs."""
        self._udp = udp
        for entry in self._open.values():
            if not entry.job:
                self._spawn(self._submit(entry))
        self._spawn(self._watch())

    async def stop(self) -> None:
        """Stop; open requests stay in the ledger for the next start."""
        tasks = [*self._tasks, *self._repeats.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=True, cancel_futures=True)

    def handle(self, message: Message, peer: Peer) -> None:
        """Carry out one message. Never raises, whatever the message holds."""
        try:
            if isinstance(peer, UdpPeer) and (port := asked_port(message)):
                peer = peer.at(port)  # at the sender's own address: the bridge answers nobody else
            verb, request = parse(message)
            self._verbs[verb](request, peer)
        except RefusedError as refused:
            self._send(peer, "fail", refused.request_id, refused.code, refused.message)
        except Exception:
            _log.exception("%s could not be handled.", message.address)
            self._send(peer, "fail", asked_about(message), *_INTERNAL)

    def _job(self, request: Job, peer: Peer) -> None:
        given = request.options.secret or ""
        if self._secret is not None and not hmac.compare_digest(given.encode(), self._secret.encode()):
            message = "The bridge requires its secret: put it into the options as “secret”."
            raise RefusedError("unauthorized", message, request.request_id)
        mark = fingerprint(request)
        known = self._find(request.request_id)
        if known is not None and known.fingerprint != mark:
            message = f"{request.request_id} is the id of another request: use a new one."
            raise RefusedError("conflict", message, request.request_id)
        if known is not None and not _never_begun(known):
            self._tell(self._answered_at(known, peer), peer)
            return
        if len(self._open) >= MAX_OPEN:
            message = f"{MAX_OPEN} requests are waiting: try again when some are done."
            raise RefusedError("queue_full", message, request.request_id)
        video = "" if isinstance(request, GenerateScene) else request.video
        verb = next(verb for verb, form in JOBS.items() if form is type(request))
        entry = Entry(request.request_id, mark, video, request.options, peer.host, peer.port, verb=verb)
        try:
            self._ledger.put(entry)
        except sqlite3.Error as error:
            message = f"The bridge cannot write its ledger ({error}): make room on its disk, then try again."
            raise RefusedError("ledger", message, request.request_id) from error
        self._hush(entry.request_id)  # the end of the previous attempt
        self._open[entry.request_id], self._peers[entry.request_id] = entry, peer
        self._spawn(self._submit(entry))

    def _status(self, request: About, peer: Peer) -> None:
        # The last to ask gets all further answers: a program that was restarted has another port.
        self._tell(self._answered_at(self._known(request), peer), peer)

    def _cancel(self, request: About, peer: Peer) -> None:
        entry = self._known(request)
        if entry.outcome:
            self._tell(entry, peer)
        else:
            self._cancelled.add(entry.request_id)

    def _ack(self, request: About, peer: Peer) -> None:
        self._hush(request.request_id)

    def _list(self, request: Ask, peer: Peer) -> None:
        entries = self._ledger.newest(MAX_LISTED)
        for entry in entries:
            view = self._views.get(entry.job)
            fraction = 1.0 if entry.outcome else view.fraction if view else 0.0
            self._send(peer, "job", entry.request_id, self._state(entry), fraction)
        self._send(peer, "listed", len(entries))

    def _version(self, request: Ask, peer: Peer) -> None:
        self._send(peer, "version", version("omniaudio-blender"), PROTOCOL)

    def _ping(self, request: Ask, peer: Peer) -> None:
        self._send(peer, "pong")

    def _subscribe(self, request: Ask, peer: Peer) -> None:
        now = time.monotonic()
        self._subscribers = {one: until for one, until in self._subscribers.items() if until > now}
        if len(self._subscribers) >= MAX_SUBSCRIBERS and peer not in self._subscribers:
            raise RefusedError("queue_full", f"{MAX_SUBSCRIBERS} programs have subscribed: try again in ten minutes.")
        self._subscribers[peer] = now + SUBSCRIPTION_SECONDS
        self._send(peer, "subscribed", SUBSCRIPTION_SECONDS)

    def _unsubscribe(self, request: Ask, peer: Peer) -> None:
        self._subscribers.pop(peer, None)
        self._send(peer, "unsubscribed")

    async def _submit(self, entry: Entry) -> None:
        try:
            job = await self._in_thread(self._service.submit, entry)
        except RefusedError as refused:
            self._fail(entry, refused.code, refused.message)
            return
        entry = replace(self._open.get(entry.request_id, entry), job=job)
        self._keep(entry)
        self._views.setdefault(job, JobView(job, "queued"))
        self._announce(entry, "accepted", entry.request_id, job)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            waiting = {entry.job: entry for entry in self._open.values() if entry.job}
            try:
                await self._look(waiting)
                self._heard = time.monotonic()
            except RefusedError as refused:
                if time.monotonic() - self._heard > PATIENCE_SECONDS:
                    for entry in waiting.values():
                        self._fail(entry, refused.code, refused.message)

    async def _look(self, waiting: dict[str, Entry]) -> None:
        """Update the jobs; an error of one does not affect the others. Raises RefusedError while the service is
        away."""
        if not waiting:
            return
        for entry in [entry for entry in waiting.values() if entry.request_id in self._cancelled]:
            try:
                await self._seen(entry, await self._in_thread(self._service.cancel, entry.job))
            except RefusedError as refused:
                if refused.code in AWAY:
                    raise  # to be retried: it stays in `_cancelled`
                _log.warning("The job %s could not be cancelled: %s", entry.job, refused.message)
            self._cancelled.discard(entry.request_id)
        for view in await self._in_thread(self._service.look, list(waiting)):
            await self._seen(waiting[view.job], view)

    async def _seen(self, entry: Entry, view: JobView) -> None:
        if entry.request_id not in self._open:
            return
        before = self._views.get(view.job)
        self._views[view.job] = view
        entry = self._open[entry.request_id]
        if view.state == "done":
            try:
                made = await self._in_thread(self._made, entry)
            except RefusedError as refused:
                if refused.code in AWAY:
                    raise  # to be retried when it is back
                self._fail(entry, refused.code, refused.message)
                return
            self._end(entry, made)
        elif view.state in ("failed", "cancelled"):
            self._fail(entry, view.code or view.state, view.message)
        elif view.stage and view != before:
            progress = (view.fraction, view.stage, view.seconds_left)
            self._announce(entry, "progress", entry.request_id, *progress)

    def _made(self, entry: Entry) -> dict[str, Any]:
        """The outcome of a request whose job is done, for the ledger."""
        if entry.verb == "inspect":
            return {"inspected": asdict(self._service.inspected(entry))}
        return {"takes": [asdict(take) for take in self._service.deliver(entry)]}

    def _fail(self, entry: Entry, code: str, message: str) -> None:
        self._end(entry, {"code": code, "message": message})

    def _end(self, entry: Entry, outcome: dict[str, Any]) -> None:
        """End a request: record its outcome, send it, and repeat it until a client acknowledges it."""
        entry = replace(self._open.pop(entry.request_id, entry), outcome=json.dumps(outcome))
        self._keep(entry)
        self._views.pop(entry.job, None)
        self._cancelled.discard(entry.request_id)
        peers = self._listeners(entry)
        self._peers.pop(entry.request_id, None)
        for peer in peers:
            self._tell(entry, peer)
        datagrams = [peer for peer in peers if isinstance(peer, UdpPeer)]
        if datagrams and len(self._repeats) < MAX_REPEATED:
            self._repeats[entry.request_id] = asyncio.create_task(self._repeat(entry, datagrams[0]))

    async def _repeat(self, entry: Entry, peer: Peer) -> None:
        for seconds in REPEATS:
            await asyncio.sleep(seconds)
            self._tell(entry, peer)
        self._repeats.pop(entry.request_id, None)

    def _hush(self, request_id: str) -> None:
        """Stop repeating an end."""
        if repeat := self._repeats.pop(request_id, None):
            repeat.cancel()

    def _tell(self, entry: Entry, peer: Peer) -> None:
        """Send the state of a request to a client."""
        if entry.outcome:
            outcome = json.loads(entry.outcome)
            for take in (Take(**values) for values in outcome.get("takes", [])):
                form: tuple[Argument, ...] = (take.channels, take.rate, "ambix", take.duration)
                self._send(peer, "done", entry.request_id, take.number, take.path, *form, take.preview, *take.stems)
            if "inspected" in outcome:
                self._tell_sources(entry.request_id, outcome["inspected"], peer)
            if "message" in outcome:
                self._send(peer, "fail", entry.request_id, outcome["code"], outcome["message"])
            return
        if not entry.job:
            return  # `accepted` or `fail` comes as soon as the service has answered
        self._send(peer, "accepted", entry.request_id, entry.job)
        view = self._views.get(entry.job)
        if view is not None and view.stage:
            self._send(peer, "progress", entry.request_id, view.fraction, view.stage, view.seconds_left)

    def _tell_sources(self, request_id: str, inspected: dict[str, Any], peer: Peer) -> None:
        """Send an `Inspected` from the ledger."""
        sources = [Sounding(**values) for values in inspected["sources"]]
        for number, source in enumerate(sources, 1):
            measures = (source.confidence, source.azimuth, source.elevation, source.start, source.end)
            self._send(peer, "source", request_id, number, source.kind, *measures)
        self._send(peer, "inspected", request_id, len(sources), inspected["bed"], inspected["path"])

    def _announce(self, entry: Entry, verb: str, *arguments: Argument) -> None:
        for peer in self._listeners(entry):
            self._send(peer, verb, *arguments)

    def _listeners(self, entry: Entry) -> list[Peer]:
        """The client of a request, and the subscribers."""
        now = time.monotonic()
        asked = self._peers.get(entry.request_id)
        if asked is None and entry.port is not None and self._udp is not None:
            asked = UdpPeer(entry.host, entry.port, self._udp)
        others = [peer for peer, until in self._subscribers.items() if until > now and peer != asked]
        return others if asked is None else [asked, *others]

    def _answered_at(self, entry: Entry, peer: Peer) -> Entry:
        """Direct further answers of a request to a peer; one that has ended gets no more."""
        if entry.outcome:
            return entry
        self._peers[entry.request_id] = peer
        if (entry.host, entry.port) != (peer.host, peer.port):
            entry = replace(entry, host=peer.host, port=peer.port)
            self._keep(entry)
        return entry

    def _keep(self, entry: Entry) -> None:
        """Record the state of a request. If the ledger cannot be written, the request goes on: after a restart the
        service is asked for it."""
        if not entry.outcome:
            self._open[entry.request_id] = entry
        try:
            self._ledger.put(entry)
        except sqlite3.Error:
            _log.exception("The ledger cannot be written.")

    def _find(self, request_id: str) -> Entry | None:
        return self._open.get(request_id) or self._ledger.get(request_id)

    def _known(self, request: About) -> Entry:
        entry = self._find(request.request_id)
        if entry is None:
            message = f"There is no request {request.request_id} here: send {PREFIX}generate with this id."
            raise RefusedError("not_found", message, request.request_id)
        return entry

    def _state(self, entry: Entry) -> str:
        if entry.outcome:
            return "failed" if "message" in json.loads(entry.outcome) else "done"
        view = self._views.get(entry.job)
        return view.state if view else "queued"

    def _send(self, peer: Peer, verb: str, *arguments: Argument) -> None:
        message = Message(PREFIX + verb, arguments)
        try:
            peer.send(message)
        except PacketError as error:
            _log.warning("A message could not be sent: %s.", error)  # such as a path that is not Unicode
        else:
            if self._on_sent is not None:
                self._on_sent(message)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _in_thread(self, call: Callable[..., _Value], *arguments: Any) -> _Value:
        """Call the service in a thread. Raises RefusedError for every failure, so that the client gets a `fail`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)
        except RefusedError:
            raise
        except Exception as error:
            _log.exception("The service's answer cannot be used.")
            raise RefusedError(*_INTERNAL) from error


def _never_begun(entry: Entry) -> bool:
    """Whether a request failed before the service accepted it; if repeated, it is tried again."""
    return bool(entry.outcome) and not entry.job

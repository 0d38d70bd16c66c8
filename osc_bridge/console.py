"""Output of the bridge for the program that started it: lines of JSON on standard output, the newest ones only.

In a flood the bridge sends thousands of messages a second, and the program may not read for a while. So a thread of its
own writes the newest line of each event, a few times a second. Older lines are left out, and nothing waits for the
reader.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from osc_bridge.packets import Message

PAUSE_SECONDS = 0.1
"""Between two lines."""
_STANDARD_INPUT, _STANDARD_OUTPUT = 0, 1


class Console:
    """Writes lines to the program that started the bridge."""

    def __init__(self) -> None:
        self._newest: dict[str, bytes] = {}
        self._news = threading.Condition()
        threading.Thread(target=self._write, name="osc-console", daemon=True).start()

    def listening(self, host: str, port: int) -> None:
        """`{"event": "listening", "host": …, "port": …}`: the bridge accepts messages now."""
        self._tell("listening", host=host, port=port)

    def sent(self, message: Message) -> None:
        """`{"event": "said", "address": …, "arguments": […]}`: the newest message to a client."""
        self._tell("said", address=message.address, arguments=message.arguments)

    def _tell(self, event: str, **values: Any) -> None:
        with self._news:
            self._newest[event] = _line(event, values)
            self._news.notify()

    def _write(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._newest)
                lines = b"".join(self._newest.values())
                self._newest.clear()
            _put(lines)
            time.sleep(PAUSE_SECONDS)


def last_word(message: str) -> None:
    """Write `{"event": "error", "message": …}` at once: why the bridge ends."""
    _put(_line("error", {"message": message}))


def when_the_reader_goes(end: Callable[[], object]) -> None:
    """Call `end`, in a thread of its own, when standard input ends: the program that started this one is gone, or has
    closed it."""

    def wait() -> None:
        # Not sys.stdin: its lock, held by a thread that waits, would keep Python from ending.
        while os.read(_STANDARD_INPUT, 1024):
            pass
        end()

    threading.Thread(target=wait, name="osc-parent", daemon=True).start()


def _line(event: str, values: dict[str, Any]) -> bytes:
    return json.dumps({"event": event, **values}).encode() + b"\n"


def _put(lines: bytes) -> None:
    """Write without Python's own buffers, whose locks a waiting thread would hold when Python ends."""
    try:
        while lines:
            lines = lines[os.write(_STANDARD_OUTPUT, lines) :]
    except OSError:
        return  # the reader is gone; standard input ends as well

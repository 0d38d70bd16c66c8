"""Overlaps I/O with computing: a thread makes the next item, or uses the last one, while the caller computes.

Decoding video and writing sound release the interpreter's lock for most of their time, and a back-end's graphs leave
cores idle. Only one item is in flight, so memory stays constant and the order is kept.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_END = object()


def read_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, each made while the caller uses the one before. An exception is raised in place of its item."""
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        coming: Future[object] = thread.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, items, _END)
            yield item  # type: ignore[misc]  # no `_END`, so one of the items


def use_beside(items: Iterable[T], use: Callable[[T], None]) -> None:
    """Calls `use` with each item in a thread while the next one is made here. Returns when all are used.

    An exception in `use` is raised here, before the item after next is made."""
    with ThreadPoolExecutor(1, "use-beside") as thread:
        used: Future[None] | None = None
        for item in items:
            if used is not None:
                used.result()
            used = thread.submit(use, item)
        if used is not None:
            used.result()

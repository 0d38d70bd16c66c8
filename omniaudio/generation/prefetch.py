"""Work beside other work: the next item is made, or the last one used up, in a thread while the caller computes.

Decoding pictures and writing sound leave the interpreter's lock for most of their time, and a back-end's graphs leave
cores idle. One item is on its way at a time, so that memory stays constant and the order is the items' own.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_END = object()


def read_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, each made while the caller is busy with the one before. What making one raises comes in its place."""
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        coming: Future[object] = thread.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, items, _END)
            yield item  # type: ignore[misc]  # no `_END`, so one of the items


def use_beside(items: Iterable[T], use: Callable[[T], None]) -> None:
    """Calls `use` with each item in a thread, while the next one is made here; has used them all when it returns.

    What `use` raises is raised here, before the item after next is made."""
    with ThreadPoolExecutor(1, "use-beside") as thread:
        used: Future[None] | None = None
        for item in items:
            if used is not None:
                used.result()
            used = thread.submit(use, item)
        if used is not None:
            used.result()

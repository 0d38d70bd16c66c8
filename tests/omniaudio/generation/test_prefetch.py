"""Work in a thread beside the caller's: order, errors of either side, and that it is no further ahead than one item."""

import threading
from collections.abc import Iterator

import pytest

from omniaudio.generation.prefetch import read_ahead, use_beside


def counting(made: list[int], count: int, fails_at: int | None = None) -> Iterator[int]:
    for number in range(count):
        if number == fails_at:
            raise OSError("no more")
        made.append(number)
        yield number


def test_all_items_in_order() -> None:
    assert list(read_ahead(iter(range(50)))) == list(range(50))
    assert list(read_ahead(iter([]))) == []


def test_the_next_item_is_made_while_the_caller_has_the_one_before() -> None:
    second = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        second.set()
        yield 1

    ahead = read_ahead(items())
    assert next(ahead) == 0
    assert second.wait(10)
    assert list(ahead) == [1]


def test_one_item_ahead_and_none_after_the_caller_has_enough() -> None:
    made: list[int] = []
    ahead = read_ahead(counting(made, 100))
    assert [next(ahead), next(ahead)] == [0, 1]
    ahead.close()  # type: ignore[attr-defined]
    assert made in ([0, 1], [0, 1, 2])


def test_what_making_raises_comes_in_the_items_place() -> None:
    ahead = read_ahead(counting([], 5, fails_at=2))
    assert [next(ahead), next(ahead)] == [0, 1]
    with pytest.raises(OSError, match="no more"):
        next(ahead)


def test_all_are_used_in_order_when_it_returns_and_in_another_thread() -> None:
    used: list[tuple[int, bool]] = []
    use_beside(range(50), lambda item: used.append((item, threading.current_thread() is threading.main_thread())))
    assert used == [(number, False) for number in range(50)]


@pytest.mark.parametrize("fails_at", [0, 2, 4])
def test_what_using_raises_ends_the_making(fails_at: int) -> None:
    made: list[int] = []

    def use(item: int) -> None:
        if item == fails_at:
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        use_beside(counting(made, 5), use)
    assert len(made) <= fails_at + 2


def test_what_making_raises_ends_the_using() -> None:
    used: list[int] = []
    with pytest.raises(OSError, match="no more"):
        use_beside(counting([], 5, fails_at=3), used.append)
    assert used == [0, 1, 2]

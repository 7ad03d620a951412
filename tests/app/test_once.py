import threading
import time

import pytest

from app.cache import LRU
from app.once import Once


class Walks:
    """Counts walks of three steps, each of which may be held up."""

    def __init__(self):
        self.begun = 0
        self.ended = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self):
        self.begun += 1
        try:
            for step in range(3):
                self.go_on.wait(10)
                yield step
        finally:
            self.ended += 1
        return f"walk {self.begun}"


def finish(steps):
    """All steps, and what is returned."""
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return seen, end.value


def once(most=100):
    return Once(LRU(most), lambda value: 1)


def until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come")


def test_what_is_known_is_not_computed_again():
    share, walks = once(), Walks()
    assert finish(share("a", walks)) == ([0, 1, 2], "walk 1")
    assert finish(share("a", walks)) == ([], "walk 1")
    assert finish(share("b", walks)) == ([0, 1, 2], "walk 2")


@pytest.mark.parametrize("most", [100, 0])
def test_who_asks_meanwhile_looks_on_and_gets_the_same(most):
    share, walks = once(most), Walks()
    first = share("a", walks)
    assert next(first) == 0
    found = []
    other = threading.Thread(target=lambda: found.append(finish(share("a", walks))))
    other.start()
    until(lambda: share._under_way["a"].people == 2)
    time.sleep(0.15)  # it looks on meanwhile
    assert finish(first) == ([1, 2], "walk 1")
    other.join(10)
    ((seen, value),) = found
    assert value == "walk 1"
    assert set(seen) <= {0, 1, 2}
    assert seen
    assert walks.begun == 1
    assert share._under_way == {}


def test_if_the_first_leaves_another_begins_anew():
    share, walks = once(), Walks()
    first = share("a", walks)
    next(first)
    found = []
    other = threading.Thread(target=lambda: found.append(finish(share("a", walks))))
    other.start()
    until(lambda: share._under_way["a"].people == 2)
    first.close()
    other.join(10)
    assert found[0][1] == "walk 2"
    assert (walks.begun, walks.ended) == (2, 2)
    assert share._under_way == {}


def test_who_looks_on_may_leave():
    share, walks = once(), Walks()
    first = share("a", walks)
    next(first)
    other = share("a", walks)
    assert next(other) == 0  # the step that the first stands at
    other.close()
    assert share._under_way["a"].people == 1
    assert finish(first) == ([1, 2], "walk 1")


def test_an_error_reaches_the_one_who_computes_and_the_next_tries_again():
    share = once()

    def broken():
        yield 0
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        finish(share("a", broken))
    assert share._under_way == {}
    assert finish(share("a", Walks()))[1] == "walk 1"

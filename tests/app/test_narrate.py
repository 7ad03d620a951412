"""What a walk tells while it goes, and how often."""

from types import SimpleNamespace

import pytest

from app import narrate
from app.narrate import Told, narrated

STEPS, SECONDS = 40, 0.05  # a step takes so long


@pytest.fixture
def walk(monkeypatch):
    """Begins to tell of a walk; the clock goes by its steps alone."""
    now = [100.0]

    def steps():
        for index in range(STEPS):
            now[0] += SECONDS
            yield SimpleNamespace(index=index)
        return "the end"

    monkeypatch.setattr(narrate, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(narrate, "progress_payload", lambda title, step, count, left: step.index)
    return lambda: narrated(steps(), "a walk", STEPS)


def test_it_tells_at_once_and_then_as_often_as_one_can_see(walk):
    told = list(alone := Told(walk()))
    assert alone.result == "the end"
    assert told == list(range(0, STEPS, 2))  # two steps take longer than TELL_SECONDS


def test_several_at_once_tell_together_as_much_as_one(walk):
    others = [walk(), walk()]
    for other in others:
        next(other)
    assert list(walk()) == list(range(0, STEPS, 5))  # five steps: three times TELL_SECONDS
    for other in others:
        other.close()
    assert list(walk()) == list(range(0, STEPS, 2))

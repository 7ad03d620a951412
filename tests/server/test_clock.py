"""The wall clock jumps, as it does when a computer wakes or a server of time is heard."""

import time

import pytest

from app import plans
from app.jobs import DONE, Registry
from tests.app.train_inputs import plan_of
from tests.server.client import Client

DAY = 86_400.0


@pytest.fixture
def jump(monkeypatch):
    """Moves the wall clock, for all of this process; the time that passes goes on as it did."""
    real, moved = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + moved[0])

    def jump(seconds):
        moved[0] += seconds

    return jump


@pytest.mark.parametrize("seconds", [DAY, -DAY], ids=["forwards", "back"])
def test_a_training_lasts_as_long_as_it_should(jump, seconds):
    registry = Registry(places=1, waiting=1, grace=60)
    job = registry.start(plan_of(budget=plans.SECONDS, amount=2), "a")
    while not job.records:
        time.sleep(0.01)
    began = time.monotonic()
    jump(seconds)
    while not job.over:
        registry.find(job.key)
        time.sleep(0.05)
    assert (job.state, job.message) == (DONE, "The budget is used up.")
    assert len(job.records) > 1
    assert job.records[-1].seconds_left < 2
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("seconds", [DAY, -DAY], ids=["forwards", "back"])
def test_events_are_answered_and_their_waits_are_no_nonsense(running, address, jump, seconds):
    client = Client(address)
    shown = next(f for f in running.fns.values() if f.api_name == "sample")
    data = ["digits", None, 3, "ddim", 5, 1.0, 0.0, "posterior", "trailing", "as trained"]
    assert client.ask(shown._id, [*data, True, True])["success"]
    jump(seconds)
    answer = client.ask(shown._id, [*data[:2], 4, *data[3:], True, True])
    assert answer["success"]
    client.close()

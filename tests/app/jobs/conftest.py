"""What the tests of trainings in the background begin with."""

import threading
from dataclasses import replace

import pytest

from app import plans
from app.jobs import Registry
from tests.app.jobs.waiting import ends


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    """Samples are drawn as always, only fewer."""
    monkeypatch.setattr(plans, "SAMPLES", (2, 2))
    monkeypatch.setattr(plans, "SAMPLE_STEPS", 2)


@pytest.fixture
def registry():
    """Makes registries, and ends all their jobs afterwards."""
    made = []

    def registry(places=1, waiting=8, grace=600.0):
        made.append(Registry(places, waiting, grace))
        return made[-1]

    yield registry
    for one in made:
        one.close()
        assert ends(*one._jobs.values())


@pytest.fixture
def gate():
    """Pictures that take their time: a plan's own, once the gate is opened."""
    opened = threading.Event()

    def gate(plan):
        def load():
            opened.wait()
            return plan.data()

        return replace(plan, load=load)

    gate.open = opened.set
    yield gate
    opened.set()

"""What all tests of the app's parts begin with."""

import pytest

from app import apart, runs
from app.cache import LRU


@pytest.fixture(autouse=True)
def nobody_asked_before(monkeypatch):
    """No test finds what another one computed: it would see nothing of the way there."""
    monkeypatch.setattr(runs.ENDINGS, "cache", LRU(64 << 20))
    monkeypatch.setattr(apart, "SHOWN", LRU(64 << 20))

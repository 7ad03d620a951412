"""Token buckets: how often one may ask."""

import pytest

from app.server.limits import Buckets, Rate


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_bucket_empties_and_fills_again():
    clock = Clock()
    buckets = Buckets(Rate(burst=3, per_second=0.5), clock=clock)
    assert [buckets.wait("a") for _ in range(3)] == [0, 0, 0]
    assert buckets.wait("a") == 2
    assert buckets.wait("b") == 0  # another one's is its own
    clock.now = 1.9
    assert buckets.wait("a") == pytest.approx(0.1)
    clock.now = 2.0
    assert buckets.wait("a") == 0
    assert buckets.wait("a") > 0
    clock.now = 1000
    assert [buckets.wait("a") for _ in range(3)] == [0, 0, 0]  # no more than the burst
    assert buckets.wait("a") > 0


def test_a_clock_that_jumps_back_gives_nothing_and_takes_nothing():
    clock = Clock()
    clock.now = 100
    buckets = Buckets(Rate(burst=2, per_second=1), clock=clock)
    buckets.wait("a")
    clock.now = -1000
    assert buckets.wait("a") == 0
    assert buckets.wait("a") == 1
    clock.now = -999
    assert buckets.wait("a") == 0


def test_only_the_latest_buckets_are_remembered():
    buckets = Buckets(Rate(1, 1), most=10, clock=Clock())
    for key in range(1000):
        buckets.wait(key)
    assert len(buckets) == 10

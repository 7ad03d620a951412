import numpy as np
import pytest

from app.evenly import evenly


@pytest.mark.parametrize("count", [1, 2, 99, 100, 101, 300, 1000])
def test_of_many_a_hundred_with_both_ends(count):
    chosen = evenly(count, 100)
    assert len(chosen) == min(count, 100)
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    gaps = set(np.diff(chosen))
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_of_none_none():
    assert evenly(0, 100) == []

"""The numbers of the Forward tab's lessons."""

import pytest
import torch

from app import lessons
from app.cache import LRU
from app.lessons import spread, walk
from model.forward import q_sample
from model.schedule import NoiseSchedule


@pytest.fixture
def x0():
    return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("t", [1, 7, 50])
def test_a_walk_ends_where_the_merged_jump_lands(x0, t):
    schedule = NoiseSchedule.cosine(50)
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(2))
    w = walk(schedule, x0, t, eps, seed=3)
    torch.testing.assert_close(w.x_t, w.same, rtol=0, atol=1e-12)
    assert (w.x_t - w.jump).abs().max() > 0.01  # another sample …
    assert w.x_t.std().item() == pytest.approx(w.jump.std().item(), rel=0.1)  # … as spread out
    again = walk(schedule, x0, t, eps, seed=3)
    assert torch.equal(again.x_t, w.x_t)
    assert not torch.equal(walk(schedule, x0, t, eps, seed=4).x_t, w.x_t)


def test_the_first_step_starts_at_the_picture(x0):
    w = walk(NoiseSchedule.linear(10, rescale=True), x0, 1, torch.zeros_like(x0), seed=0)
    assert torch.equal(w.x_prev, x0.double())


def test_spread_settles_with_the_scaling_and_climbs_without(x0):
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(2))
    lines = spread(NoiseSchedule.linear(1000), x0, eps)
    ts, scaled = lines["scaled"]
    _, left_out = lines["left out"]
    assert ts[0] == 0
    assert ts[-1] == 1000
    assert scaled[0] == left_out[0] == pytest.approx(x0.std().item())
    assert scaled[-1] == pytest.approx(1, abs=0.05)
    assert left_out[-1] > 3


@pytest.mark.parametrize("T", [10, 1000])
def test_spread_is_what_the_pixels_themselves_have(x0, T):
    schedule = NoiseSchedule.cosine(T)
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(2))
    lines = spread(schedule, x0, eps)
    for t, scaled in zip(*lines["scaled"], strict=True):
        assert scaled == pytest.approx(q_sample(schedule, x0.double(), t, eps).std().item())
    for t, left_out in zip(*lines["left out"], strict=True):
        made = x0.double() + schedule.unscaled_noise[t] * eps
        assert left_out == pytest.approx(made.std().item())


def test_a_chain_is_the_same_however_it_is_come_by(x0, monkeypatch):
    schedule, eps = NoiseSchedule.linear(400, rescale=True), torch.zeros(3, 16, 16)
    order = [400, 1, 50, 51, 399, 100, 120, 101, 400]
    remembered = [walk(schedule, x0, t, eps, seed=5) for t in order]
    assert set(lessons.CHAINS.get(next(reversed(lessons.CHAINS._values)))) == set(range(0, 401, 50))
    for t, found in zip(order, remembered, strict=True):
        monkeypatch.setattr(lessons, "CHAINS", LRU(0))  # nothing is remembered
        alone = walk(schedule, x0, t, eps, seed=5)
        for name in ("x_prev", "eps_t", "x_t", "merged", "same"):
            assert torch.equal(getattr(found, name), getattr(alone, name)), (t, name)

"""The forward process: steps against jumps, and the posterior against Bayes' rule."""

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from model.forward import merge_noise, q_posterior, q_sample, q_step
from model.schedule import FAMILIES, NoiseSchedule


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_q_sample_equals_diffusers_add_noise(generator):
    x0, eps = torch.randn(2, 4, 3, 8, 8, generator=generator)
    t = torch.tensor([1, 10, 500, 1000])
    theirs = DDPMScheduler(1000).add_noise(x0, eps, t - 1)
    ours = q_sample(NoiseSchedule.linear(1000), x0, t, eps)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_q_sample_at_zero_is_the_image(generator):
    x0, eps = torch.randn(2, 4, 3, 8, 8, generator=generator)
    assert torch.equal(q_sample(NoiseSchedule.cosine(), x0, 0, eps), x0)


@pytest.mark.parametrize("family", FAMILIES.values())
def test_steps_have_the_mean_and_variance_of_the_jump(family, generator):
    schedule, n = (
        family(20, **({} if family == NoiseSchedule.cosine else {"rescale": True})),
        200_000,
    )
    x0 = torch.full((n,), 0.7, dtype=torch.float64)
    x = x0
    for t in range(1, schedule.T + 1):
        x = q_step(schedule, x, t, torch.randn(n, generator=generator, dtype=torch.float64))
        # Five standard errors of a mean and of a variance estimated from n samples.
        noise = schedule.noise[t].item()
        assert abs(x.mean().item() - 0.7 * schedule.signal[t].item()) < 5 * noise / n**0.5
        assert abs(x.var().item() / noise**2 - 1) < 5 * (2 / n) ** 0.5


@given(
    st.lists(st.floats(1e-5, 0.99), min_size=1, max_size=30),
    st.integers(0, 2**32 - 1),
)
def test_steps_equal_the_jump_exactly_when_their_noises_are_merged(betas, seed):
    schedule = NoiseSchedule.from_betas(betas)
    generator = torch.Generator().manual_seed(seed)
    x0 = torch.randn(1, 2, 3, 3, generator=generator, dtype=torch.float64)
    x, merged = x0, torch.zeros_like(x0)
    for t in range(1, schedule.T + 1):
        eps = torch.randn(x0.shape, generator=generator, dtype=torch.float64)
        x = q_step(schedule, x, t, eps)
        merged = merge_noise(schedule, merged, t, eps)
        torch.testing.assert_close(x, q_sample(schedule, x0, t, merged), rtol=1e-9, atol=1e-9)


def test_merged_noise_is_standard_normal(generator):
    schedule, merged = NoiseSchedule.linear(10, rescale=True), torch.zeros(1000)
    for t in range(1, 11):
        merged = merge_noise(schedule, merged, t, torch.randn(1000, generator=generator))
    assert stats.kstest(merged.numpy(), "norm").pvalue > 0.01


def test_variance_is_preserved_for_unit_variance_data(generator):
    schedule, x = NoiseSchedule.linear(50, rescale=True), torch.randn(100_000, generator=generator)
    for t in range(1, 51):
        x = q_step(schedule, x, t, torch.randn(100_000, generator=generator))
        assert x.std().item() == pytest.approx(1, abs=0.015)


def test_without_the_scaling_the_variance_is_the_sum_of_the_betas(generator):
    schedule, n = NoiseSchedule.linear(50, rescale=True), 200_000
    walk = torch.zeros(n, dtype=torch.float64)
    for beta in schedule.betas[1:]:
        walk += beta.sqrt() * torch.randn(n, generator=generator, dtype=torch.float64)
    assert walk.std().item() == pytest.approx(schedule.unscaled_noise[-1].item(), rel=0.01)
    assert schedule.unscaled_noise[-1] > 2


@pytest.mark.parametrize("t", [1, 2, 5, 10])
def test_posterior_equals_bayes_rule_evaluated_numerically(t):
    """q(x_{t-1} | x_t, x_0) ∝ q(x_t | x_{t-1}) q(x_{t-1} | x_0), normalised on a grid."""
    schedule, x0, x_t = NoiseSchedule.linear(10, rescale=True), 0.6, -0.3
    mean, variance = q_posterior(
        schedule,
        torch.tensor([x0], dtype=torch.float64),
        torch.tensor([x_t], dtype=torch.float64),
        t,
    )
    if t == 1:  # x_0 itself: there is nothing left to be uncertain about
        assert mean.item() == pytest.approx(x0)
        assert variance == 0
        return
    grid = np.linspace(-8, 8, 400_001)
    alpha, beta = schedule.alphas[t].item(), schedule.betas[t].item()
    likelihood = stats.norm.pdf(x_t, np.sqrt(alpha) * grid, np.sqrt(beta))
    prior = stats.norm.pdf(grid, schedule.signal[t - 1].item() * x0, schedule.noise[t - 1].item())
    density = likelihood * prior
    density /= density.sum()
    expected = (grid * density).sum()
    assert mean.item() == pytest.approx(expected, abs=1e-6)
    assert variance.item() == pytest.approx(((grid - expected) ** 2 * density).sum(), rel=1e-5)


def test_a_batch_takes_one_timestep_for_each_image(generator):
    schedule = NoiseSchedule.cosine(100)
    x0, other, eps = torch.randn(3, 4, 1, 5, 5, generator=generator)
    t = torch.tensor([1, 30, 60, 100])
    for call in (
        lambda i, t: q_step(schedule, x0[i], t, eps[i]),
        lambda i, t: q_sample(schedule, x0[i], t, eps[i]),
        lambda i, t: merge_noise(schedule, other[i], t, eps[i]),
        lambda i, t: q_posterior(schedule, x0[i], other[i], t)[0],
    ):
        together = call(slice(None), t)
        for i in range(4):
            torch.testing.assert_close(together[i : i + 1], call(slice(i, i + 1), int(t[i])))
    assert q_posterior(schedule, x0, other, t)[1].shape == (4, 1, 1, 1)


@pytest.mark.parametrize("t", [0, -1, 11, torch.tensor([1, 0])])
def test_there_is_no_step_outside_1_to_T(t):
    schedule, x = NoiseSchedule.linear(10), torch.zeros(2, 1, 2, 2)
    for call in (
        lambda: q_step(schedule, x, t, x),
        lambda: q_posterior(schedule, x, x, t),
        lambda: merge_noise(schedule, x, t, x),
    ):
        with pytest.raises(ValueError, match=r"at least 1|0 … 10"):
            call()

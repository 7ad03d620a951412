"""Every sampler against distributions whose reverse process is known in closed form."""

import math
from itertools import pairwise

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal

from model.denoiser import predict
from model.sampler import ddim, ddpm, dpm_solver, heun, standard_noise
from model.schedule import NoiseSchedule

# λ = log √(ᾱ/(1−ᾱ)) falls from 3 to −3 in equal steps, so that a stride is a step size.
T = 641
FINE = NoiseSchedule.from_alpha_bars(
    torch.cat([torch.ones(1), torch.linspace(6, -6, T, dtype=torch.float64).sigmoid()])
)
FROM, TO = T, 1  # every step is an inner one


class Mixture:
    """Data of independent pixels, each from a mixture of Gaussians, and its best denoiser."""

    def __init__(self, means, deviations):
        self.means = torch.tensor(means, dtype=torch.float64)
        self.deviations = torch.tensor(deviations, dtype=torch.float64)

    def denoiser(self, schedule):
        def denoise(x, t):
            signal, noise = schedule.signal[t], schedule.noise[t]
            variance = (signal * self.deviations) ** 2 + noise**2
            weight = Categorical(logits=torch.zeros(len(self.means))).logits
            gap = x[..., None] - signal * self.means
            each = self.means + signal * self.deviations**2 / variance * gap  # E of x_0 in each
            logits = weight - gap**2 / (2 * variance) - variance.log() / 2
            x0 = (logits.softmax(dim=-1) * each).sum(dim=-1)
            return predict("x0", x0, schedule, x, t)

        return denoise


GAUSSIAN = Mixture([0.4], [0.5])
TWO = Mixture([-0.7, 0.5], [0.2, 0.3])


def last(steps):
    for step in steps:  # noqa: B007
        pass
    return step.x_next


def grid(n):
    """n steps of the same size in λ."""
    return torch.arange(FROM, TO - 1, -(FROM - TO) // n)


def order(sampler, data):
    """The slope of log(error) over log(step), from grids against one that is far finer."""
    denoiser = data.denoiser(FINE)
    x = torch.linspace(-2, 2, 41, dtype=torch.float64).view(1, 1, 1, -1)
    exact = last(heun(denoiser, FINE, x, grid(640)))
    errors = [(last(sampler(denoiser, FINE, x, grid(n))) - exact).abs().max() for n in (20, 40, 80)]
    return [math.log2(a / b) for a, b in pairwise(errors)]


@pytest.mark.parametrize("data", [GAUSSIAN, TWO], ids=["Gaussian", "mixture"])
@pytest.mark.parametrize(("sampler", "expected"), [(ddim, 1), (heun, 2), (dpm_solver, 2)])
def test_order_of_convergence(sampler, expected, data):
    assert order(sampler, data) == pytest.approx([expected] * 2, abs=0.2)


def test_the_flow_of_a_gaussian_is_the_known_one():
    # x̄ − μ grows with √(s² + σ̄²) along the flow, whatever the schedule.
    mean, deviation = 0.4, 0.5
    x = torch.linspace(-2, 2, 9, dtype=torch.float64).view(1, 1, 1, -1)
    sigma = FINE.noise / FINE.signal
    spread = ((deviation**2 + sigma[TO] ** 2) / (deviation**2 + sigma[FROM] ** 2)).sqrt()
    expected = FINE.signal[TO] * (mean + (x / FINE.signal[FROM] - mean) * spread)
    reached = last(heun(GAUSSIAN.denoiser(FINE), FINE, x, grid(640)))
    assert torch.allclose(reached, expected, atol=2e-5)


@pytest.mark.parametrize("variance", ["posterior", "beta"])
def test_the_full_ddpm_chain_gives_the_mean_and_variance_of_the_data(variance):
    schedule = NoiseSchedule.linear()
    x = standard_noise((1, 20, 20), range(20)).double()
    generators = [torch.Generator().manual_seed(100 + i) for i in range(20)]
    drawn = last(
        ddpm(
            TWO.denoiser(schedule),
            schedule,
            x,
            schedule.timesteps(1000),
            variance=variance,
            generators=generators,
        )
    )
    data = MixtureSameFamily(Categorical(torch.ones(2)), Normal(TWO.means, TWO.deviations))
    error = data.stddev.item() / math.sqrt(drawn.numel())
    assert drawn.mean().item() == pytest.approx(data.mean.item(), abs=5 * error)
    assert drawn.std().item() == pytest.approx(data.stddev.item(), rel=0.02)

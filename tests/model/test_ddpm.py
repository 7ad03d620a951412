"""Ancestral sampling against diffusers and against `ddim`, and what all samplers refuse."""

import pytest
import torch
from diffusers import DDPMScheduler

from model.denoiser import Denoiser
from model.sampler import ddim, ddpm, dpm_solver, heun, standard_noise
from model.schedule import NoiseSchedule
from tests.model.tiny import Gaussian

SCHEDULES = {"linear": NoiseSchedule.linear(), "cosine": NoiseSchedule.cosine()}
THEIR_VARIANCE = {"posterior": "fixed_small", "beta": "fixed_large"}


def setting(schedule, clip=False):
    best = Gaussian(schedule, mean=0.4, std=0.9)("eps")
    return best, Denoiser(best, schedule, clip=clip)


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("variance", THEIR_VARIANCE)
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("n", [1000, 20])
def test_each_step_equals_that_of_diffusers(n, name, variance, clip):
    schedule = SCHEDULES[name]
    theirs = DDPMScheduler(
        schedule.T,
        trained_betas=schedule.betas[1:].numpy(),
        variance_type=THEIR_VARIANCE[variance],
        clip_sample=clip,
        timestep_spacing="trailing",
    )
    theirs.set_timesteps(n)
    best, denoiser = setting(schedule, clip)
    x = 1.5 * standard_noise((1, 4, 4), [0, 1])
    noises = [torch.randn(x.shape, generator=torch.Generator().manual_seed(i)) for i in range(n)]
    steps = list(
        ddpm(denoiser, schedule, x, schedule.timesteps(n), variance=variance, noises=noises)
    )
    assert len(steps) == n
    compared = [*steps[:5], steps[n // 2], *steps[-5:]]
    if variance == "beta" and steps[-1].t > 1:
        compared.pop()  # on a coarse grid they add noise in the last step, too: to the image itself
    for step in compared:
        after = theirs.step(
            best(step.x, torch.tensor([step.t] * 2), None),
            step.t - 1,  # they count from 0
            step.x,
            generator=torch.Generator().manual_seed(step.index),
        )
        torch.testing.assert_close(step.x_next, after.prev_sample, rtol=1e-4, atol=1e-4)
    assert steps[-1].z is None


def test_with_every_timestep_it_is_algorithm_2():
    schedule = SCHEDULES["linear"]
    _, denoiser = setting(schedule)
    x = standard_noise((1, 4, 4), [0]).double()
    z = standard_noise((1, 4, 4), range(1000)).double().split(1)
    for step in ddpm(denoiser, schedule, x, schedule.timesteps(1000), variance="beta", noises=z):
        t, eps = step.t, step.prediction.eps
        beta, alpha, alpha_bar = schedule.betas[t], schedule.alphas[t], schedule.alpha_bars[t]
        expected = (step.x - beta / (1 - alpha_bar).sqrt() * eps) / alpha.sqrt()
        if t > 1:
            expected = expected + beta.sqrt() * z[step.index]
        torch.testing.assert_close(step.x_next, expected, rtol=1e-9, atol=1e-9)


def test_ddim_with_eta_1_is_ddpm():
    schedule = SCHEDULES["linear"]
    _, denoiser = setting(schedule)
    x, grid = standard_noise((1, 4, 4), [0]), schedule.timesteps(10)
    noises = standard_noise((1, 4, 4), range(1, 11)).split(1)
    ones = ddim(denoiser, schedule, x, grid, eta=1.0, noises=noises)
    for a, b in zip(ddpm(denoiser, schedule, x, grid, noises=noises), ones, strict=True):
        torch.testing.assert_close(a.x_next, b.x_next, rtol=1e-4, atol=1e-5)
        assert a.sigma == pytest.approx(b.sigma)


def test_it_starts_wherever_the_grid_does():
    schedule = SCHEDULES["linear"]
    _, denoiser = setting(schedule)
    x = standard_noise((1, 4, 4), [0])
    grid = torch.tensor([400, 100, 7, 0])
    for sampler in (ddim, heun, dpm_solver):
        steps = list(sampler(denoiser, schedule, x, grid))
        assert [(s.t, s.t_next) for s in steps] == [(400, 100), (100, 7), (7, 0)]
        assert steps[0].x is x
        assert all(s.sigma == 0 and s.z is None and s.mean is s.x_next for s in steps)
        torch.testing.assert_close(steps[-1].x_next, steps[-1].prediction.x0)


@pytest.mark.parametrize("sampler", [ddpm, ddim, heun, dpm_solver])
@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ([1000, 1000, 0], "must decrease"),
        ([0, 500], "must decrease"),
        ([1001, 0], "must lie in 0 … 1000, got 1001 … 0"),
        ([5, -1], "must lie in 0 … 1000"),
        ([5], "at least two integers"),
        ([5.5, 0.0], "at least two integers"),
        ([[5, 0]], "at least two integers"),
    ],
)
def test_a_bad_grid_is_one_sentence_at_once(sampler, grid, says):
    _, denoiser = setting(SCHEDULES["linear"])
    with pytest.raises(ValueError, match=says):
        sampler(denoiser, SCHEDULES["linear"], torch.zeros(1, 1, 2, 2), torch.tensor(grid))


def test_noise_that_is_needed_must_be_given():
    schedule = SCHEDULES["linear"]
    _, denoiser = setting(schedule)
    x = torch.zeros(1, 1, 2, 2)
    with pytest.raises(ValueError, match="pass a generator for each image, or noises"):
        ddpm(denoiser, schedule, x, schedule.timesteps(3))
    with pytest.raises(ValueError, match="2 steps draw noise, and only 1 are given"):
        ddpm(denoiser, schedule, x, schedule.timesteps(3), noises=[x])
    with pytest.raises(ValueError, match="variance must be one of posterior, beta, got 'learned'"):
        ddpm(denoiser, schedule, x, schedule.timesteps(3), variance="learned")

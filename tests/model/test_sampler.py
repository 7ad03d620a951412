"""DDIM against diffusers, against a chain whose end is known, and the noise it is given."""

import math
from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler

from model.denoiser import Denoiser, Prediction, predict
from model.sampler import ddim, noise_like, standard_noise
from model.schedule import NoiseSchedule
from tests.model.tiny import Gaussian, network

SCHEDULES = {"linear": NoiseSchedule.linear(), "cosine": NoiseSchedule.cosine()}
DIFFUSERS_NAMES = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}


def seeded(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def last(steps):
    for step in steps:
        x = step.x_next
    return x


# -- against an independent implementation -------------------------------------------------------


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("target", ["eps", "x0", "v"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_each_step_equals_that_of_diffusers(name, target, eta, clip):
    schedule = SCHEDULES[name]
    theirs = DDIMScheduler(
        schedule.T,
        trained_betas=schedule.betas[1:].numpy(),
        clip_sample=clip,
        prediction_type=DIFFUSERS_NAMES[target],
        timestep_spacing="trailing",
    )
    theirs.set_timesteps(10)
    best = Gaussian(schedule, mean=0.4, std=0.9)(target)
    denoiser = Denoiser(best, schedule, target, clip=clip)
    x = 1.5 * standard_noise((1, 8, 8), [0, 1])
    grid = schedule.timesteps(10)
    steps = list(ddim(denoiser, schedule, x, grid, eta=eta, generators=seeded(2, 3)))
    assert len(steps) == 10
    for step in steps:
        told = torch.tensor([step.t] * 2)
        after = theirs.step(
            best(step.x, told, None),
            step.t - 1,  # they count from 0
            step.x,
            eta=eta,
            use_clipped_model_output=clip,
            variance_noise=torch.zeros_like(x) if step.z is None else step.z,
        )
        # Theirs is float32, in which the cosine schedule's last √ᾱ is a rough number.
        atol = 2e-3 if name == "cosine" and step.t == 1000 else 1e-4
        torch.testing.assert_close(
            step.prediction.x0, after.pred_original_sample, rtol=atol, atol=atol
        )
        torch.testing.assert_close(step.x_next, after.prev_sample, rtol=atol, atol=atol)


# -- against a chain whose end is known ----------------------------------------------------------


@pytest.mark.parametrize("target", ["eps", "x0", "v"])
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_best_network_samples_the_distribution_of_the_data(name, eta, target):
    schedule = SCHEDULES[name]
    denoiser = Denoiser(Gaussian(schedule, mean=0.3, std=0.5)(target), schedule, target)
    x = standard_noise((1, 64, 64), range(4))
    grid = schedule.timesteps(250)
    images = last(ddim(denoiser, schedule, x, grid, eta=eta, generators=seeded(*range(4, 8))))
    assert images.mean().item() == pytest.approx(0.3, abs=0.02)
    # σ² = β̃ leaves out how unsure x̂_0 is, a little less than in the data in finitely many steps.
    assert images.std().item() == pytest.approx(0.5, rel=0.04 if eta else 0.02)


def test_without_noise_a_known_x0_is_reached_in_any_number_of_steps():
    schedule, x0 = SCHEDULES["linear"], torch.linspace(-1, 1, 16).view(1, 1, 4, 4)

    def denoiser(x_t, t):
        return predict("x0", x0.expand_as(x_t), schedule, x_t, t)

    x = standard_noise((1, 4, 4), [0])
    for n in (1, 3, 50):
        for eta in (0.0, 1.0):
            images = last(
                ddim(denoiser, schedule, x, schedule.timesteps(n), eta=eta, generators=seeded(1))
            )
            torch.testing.assert_close(images, x0)


def test_with_eta_1_sigma_is_that_of_the_posterior():
    schedule = NoiseSchedule.linear(50)
    denoiser = Denoiser(Gaussian(schedule)("eps"), schedule)
    x = standard_noise((1, 2, 2), [0])
    for step in ddim(denoiser, schedule, x, schedule.timesteps(50), eta=1.0, generators=seeded(0)):
        expected = schedule.posterior_variance[step.t].sqrt().item()
        assert step.sigma == pytest.approx(expected, rel=1e-9, abs=1e-12)


# -- the record of a step ------------------------------------------------------------------------


def test_the_steps_walk_the_grid_and_hand_on_x():
    schedule, net = SCHEDULES["cosine"], network().requires_grad_(False)
    x = standard_noise((1, 8, 8), [0, 1])
    grid = torch.tensor([1000, 700, 699, 10, 0])
    steps = list(
        ddim(
            Denoiser(net, schedule, clip=True), schedule, x, grid, eta=0.7, generators=seeded(0, 1)
        )
    )
    assert [step.index for step in steps] == [0, 1, 2, 3]
    assert [(s.t, s.t_next) for s in steps] == [(1000, 700), (700, 699), (699, 10), (10, 0)]
    assert steps[0].x is x
    for before, after in pairwise(steps):
        assert after.x is before.x_next
    for step in steps[:-1]:
        assert step.sigma > 0
        assert torch.equal(step.x_next, step.mean + step.sigma * step.z)
        assert not torch.equal(step.x_next, step.mean)
    end = steps[-1]
    assert (end.sigma, end.z) == (0.0, None)
    assert end.x_next is end.mean
    torch.testing.assert_close(end.x_next, end.prediction.x0)


def test_without_eta_no_noise_is_drawn():
    schedule, generators = SCHEDULES["linear"], seeded(5)
    state = generators[0].get_state()
    x = standard_noise((1, 8, 8), [0])
    denoiser = Denoiser(network(), schedule, clip=True)
    steps = list(ddim(denoiser, schedule, x, schedule.timesteps(4), generators=generators))
    assert all(step.z is None and step.sigma == 0 for step in steps)
    assert torch.equal(generators[0].get_state(), state)
    again = list(ddim(denoiser, schedule, x, schedule.timesteps(4)))
    assert torch.equal(steps[-1].x_next, again[-1].x_next)


def test_no_gradients_within_and_the_callers_mode_without():
    schedule, net = SCHEDULES["linear"], network()
    x = standard_noise((1, 8, 8), [0])
    assert Denoiser(net, schedule)(x, 5).eps.requires_grad
    for step in ddim(Denoiser(net, schedule), schedule, x, schedule.timesteps(3)):
        assert torch.is_grad_enabled()
        assert not step.x_next.requires_grad
        assert not step.prediction.eps.requires_grad
    with torch.no_grad():
        for _ in ddim(Denoiser(net, schedule), schedule, x, schedule.timesteps(2)):
            assert not torch.is_grad_enabled()


def test_x_keeps_its_precision():
    schedule = SCHEDULES["linear"]
    x = standard_noise((1, 4, 4), [0]).double()
    denoiser = Denoiser(Gaussian(schedule)("eps"), schedule)
    steps = ddim(denoiser, schedule, x, schedule.timesteps(5), eta=1.0, generators=seeded(0))
    assert last(steps).dtype == torch.float64


# -- noise ---------------------------------------------------------------------------------------


def test_noise_depends_on_the_seed_alone():
    three = standard_noise((2, 4, 4), [3, 1, 2])
    assert three.shape == (3, 2, 4, 4)
    assert torch.equal(three[1:2], standard_noise((2, 4, 4), [1]))
    assert len({tuple(image.flatten().tolist()) for image in three}) == 3
    assert torch.equal(three[0], torch.randn(2, 4, 4, generator=seeded(3)[0]))
    many = standard_noise((1, 64, 64), range(8))
    assert many.mean().item() == pytest.approx(0, abs=0.02)
    assert many.std().item() == pytest.approx(1, abs=0.02)


def test_an_image_depends_on_its_seed_and_not_on_its_batch():
    schedule, net = SCHEDULES["cosine"], network().requires_grad_(False)

    def sampled(*seeds):
        steps = ddim(
            Denoiser(net, schedule, clip=True),
            schedule,
            standard_noise((1, 8, 8), seeds),
            schedule.timesteps(6),
            eta=1.0,
            generators=seeded(*(seed + 100 for seed in seeds)),
        )
        return last(steps)

    together = sampled(0, 1, 2)
    torch.testing.assert_close(together[1:2], sampled(1), rtol=0, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=0.1)


def test_noise_like_draws_from_each_generator_in_turn():
    x = torch.zeros(2, 1, 3, 3, dtype=torch.float64)
    generators = seeded(0, 1)
    first, second = noise_like(x, generators), noise_like(x, generators)
    assert (first.shape, first.dtype) == (x.shape, x.dtype)
    assert not torch.equal(first, second)
    alone = seeded(1)
    assert torch.equal(noise_like(x[:1], alone), first[1:])
    assert torch.equal(noise_like(x[:1], alone), second[1:])


# -- what it refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize("eta", [-0.1, 1.1, math.nan, math.inf])
def test_an_eta_out_of_range_is_one_sentence(eta):
    schedule = SCHEDULES["linear"]
    with pytest.raises(ValueError, match=r"eta must lie in \[0, 1\], got"):
        ddim(None, schedule, torch.zeros(1, 1, 2, 2), schedule.timesteps(2), eta=eta)


def test_noise_without_a_generator_for_each_image_is_one_sentence():
    schedule, x = SCHEDULES["linear"], torch.zeros(2, 1, 2, 2)

    def denoiser(x, t):
        return Prediction(x, x, x)

    grid = schedule.timesteps(2)
    with pytest.raises(ValueError, match="pass a generator for each image"):
        next(ddim(denoiser, schedule, x, grid, eta=0.5))
    with pytest.raises(ValueError, match="one generator an image: got 1 for 2 images"):
        next(ddim(denoiser, schedule, x, grid, eta=0.5, generators=seeded(0)))

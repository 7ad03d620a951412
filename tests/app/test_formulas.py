"""The image equations: read as they stand on the page, they give the sampler's own next image."""

import pytest
import torch

from app import runs
from app.formulas import formula
from app.run_plots import COLOURS, NAMES, TERMS

SAMPLERS = {
    "ddpm": {"sampler": "ddpm"},
    "ddpm, wide": {"sampler": "ddpm", "variance": "beta"},
    "ddim": {"sampler": "ddim"},
    "ddim, η = 0.7": {"sampler": "ddim", "eta": 0.7},
    "heun": {"sampler": "heun"},
    "dpm_solver": {"sampler": "dpm_solver"},
}
GRIDS = {
    "every timestep": {"family": "linear", "T": 6, "steps": 6},
    "a coarse grid": {"steps": 4, "label": 3, "guidance": 2.0},
    "another schedule": {"family": "cosine", "steps": 3},
    "one step": {"steps": 1},
}


def settings_of(**changes):
    return runs.run_settings(model="digits", seed=5, **changes)


def rule_of(settings):
    grid = runs.timesteps_of(settings)
    return formula(
        settings.sampler, runs.schedule_of(settings), grid, settings.variance, settings.eta
    )


def pictures_of(step, rule):
    """What the page draws of a step, by the names that the equation calls them."""
    z = torch.zeros_like(step.x) if step.z is None else step.z
    pictures = {"x": step.x, "eps": step.prediction.eps, "x0": step.prediction.x0, "z": z}
    if rule.derived:
        pictures["term"] = rule.derived(step)
    return {lane: picture.double() for lane, picture in pictures.items()}


def right_hand_side(rule, index, pictures):
    """The equation, read from left to right as a person does."""
    factors = {name: values[index].item() for name, values in rule.factors.items()}
    words = []
    (left, equals), *groups = rule.groups
    assert (left["picture"], equals["text"]) == ("next", "=")
    for token in (token for group in groups for token in group):
        if "text" in token:
            words.append({"·": "*", "−": "-"}.get(token["text"], token["text"]))
        elif "factor" in token:
            words.append(f"factors[{token['factor']!r}]")
        else:
            words.append(f"pictures[{token['picture']!r}]")
    scale = max(map(abs, factors.values())) * max(p.abs().max().item() for p in pictures.values())
    return eval(" ".join(words), {"factors": factors, "pictures": pictures}), scale


@pytest.mark.parametrize("clip", [True, False], ids=["clipped", "not clipped"])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_pictures_and_numbers_of_each_step_add_up_to_the_next_image(sampler, grid, clip):
    settings = settings_of(**SAMPLERS[sampler], **GRIDS[grid], clip=clip)
    rule = rule_of(settings)
    steps = list(runs.walk(settings, [settings.seed]))
    assert [len(values) for values in rule.factors.values()] == [len(steps)] * len(rule.factors)
    for step in steps:
        found, scale = right_hand_side(rule, step.index, pictures_of(step, rule))
        torch.testing.assert_close(found, step.x_next.double(), rtol=0, atol=1e-6 * scale)
        sigma = rule.sigma[step.index].item() if settings.adds_noise else 0
        assert step.sigma == pytest.approx(sigma, abs=1e-12)
    assert steps[-1].sigma == 0


def test_heuns_term_is_the_mean_of_two_predictions():
    settings = settings_of(sampler="heun", steps=4)
    schedule, rule = runs.schedule_of(settings), rule_of(settings)
    denoiser = runs.denoiser_of(settings)
    for step in runs.walk(settings, [1]):
        s, mean = step.t_next, step.prediction.eps
        if s > 0:  # a step of ddim, and a second look from where it leads
            there = schedule.signal[s] * step.prediction.x0 + schedule.noise[s] * mean
            mean = (mean + denoiser(there.float(), s).eps) / 2
        torch.testing.assert_close(rule.derived(step), mean, rtol=0, atol=1e-4)


def test_the_solvers_term_carries_the_foreseen_image_on_along_its_last_two_values():
    settings = settings_of(sampler="dpm_solver", steps=4)
    schedule, rule = runs.schedule_of(settings), rule_of(settings)
    logs = (schedule.signal / schedule.noise).log()
    steps = list(runs.walk(settings, [1]))
    for before, step in zip([None, *steps], steps, strict=False):
        expected = step.prediction.x0
        if before is not None and step.t_next > 0:
            past, now = (logs[s.t_next] - logs[s.t] for s in (before, step))
            change = step.prediction.x0 - before.prediction.x0
            expected = expected + (now / (2 * past)).float() * change
        torch.testing.assert_close(rule.derived(step), expected, rtol=0, atol=1e-4)


def test_with_every_timestep_the_numbers_of_ddpm_are_the_schedules_own():
    settings = settings_of(sampler="ddpm", family="linear", T=6, steps=6)
    schedule, rule = runs.schedule_of(settings), rule_of(settings)
    at = torch.arange(6, 0, -1)
    factors = rule.factors
    torch.testing.assert_close(factors["outer"], schedule.alphas[at].rsqrt())
    torch.testing.assert_close(factors["inner"], schedule.betas[at] / schedule.noise[at])
    torch.testing.assert_close(factors["sigma"], schedule.posterior_variance[at].sqrt())
    assert rule.text.startswith("x_{t−1} = 1/√α_t")
    assert rule_of(settings_of(sampler="ddpm", steps=6)).text.startswith("x_{s} = ")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_each_symbol_says_what_it_is_and_each_factor_has_a_curve(sampler):
    settings = settings_of(**SAMPLERS[sampler], steps=2)
    rule = rule_of(settings)
    tokens = [token for group in rule.groups for token in group]
    for token in tokens:
        assert set(token) == {"text"} or (token["symbol"] and len(token["hint"]) > 10)
    assert rule.factors.keys() == {token["factor"] for token in tokens if "factor" in token}
    for name in rule.factors:
        assert name in COLOURS
        assert name in NAMES or settings.sampler in TERMS

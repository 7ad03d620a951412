"""Runs: they depend on their settings only, are kept within bounds, and refuse nonsense."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from app import runs
from app.cache import LRU
from app.pairs import DEFAULTS, PAIRS
from app.pictures import built_in, to_pixels
from app.run_plots import factors_figure, spread_figure
from app.run_scene import runs_payload
from model.forward import q_sample
from model.sampler import standard_noise
from model.schedule import SPACINGS
from tests.app.test_formulas import SAMPLERS

LINEAR, SOLVER = SAMPLERS["ddpm"], SAMPLERS["dpm_solver"]


def settings_of(**changes):
    return runs.run_settings(**({"model": "digits", "steps": 4} | changes))


@pytest.fixture
def cache(monkeypatch):
    """The shared cache, empty and of any size."""

    def cache(most_bytes=10_000_000):
        monkeypatch.setattr(runs.RUNS, "cache", LRU(most_bytes))
        return runs.RUNS.cache

    return cache


# -- what a run depends on -----------------------------------------------------------------------


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_image_of_a_seed_is_the_same_alone_and_beside_others(sampler):
    settings = settings_of(**SAMPLERS[sampler], label=3, guidance=2.0)
    *_, together = runs.walk(settings, [7, 0, 123])
    for seed, image in zip([7, 0, 123], together.x_next, strict=True):
        alone = runs.compute(replace(settings, seed=seed)).final
        torch.testing.assert_close(alone, image, rtol=0, atol=2e-4)
    assert (together.x_next[0] - together.x_next[1]).abs().max() > 0.5


def test_with_labels_each_image_is_the_one_of_its_label():
    settings = settings_of(label=3, guidance=2.0)
    *_, together = runs.walk(settings, [5, 5], labels=[1, 8])
    for label, image in zip([1, 8], together.x_next, strict=True):
        alone = runs.compute(replace(settings, seed=5, label=label)).final
        torch.testing.assert_close(alone, image, rtol=0, atol=2e-4)


def test_the_same_settings_give_the_same_run_and_a_seed_another(cache):
    cache(0)  # computed twice, not remembered
    settings = settings_of(**LINEAR)
    first, again = runs.compute(settings), runs.compute(settings)
    assert first is not again
    assert first.final.equal(again.final)
    assert not runs.compute(replace(settings, seed=1)).final.equal(first.final)


def test_the_start_and_each_step_have_noise_of_their_own():
    steps = list(runs.walk(settings_of(**LINEAR), [0]))
    noises = [steps[0].x, *(step.z for step in steps[:-1])]
    assert noises[0].equal(standard_noise((1, 16, 16), [0]))
    for i, noise in enumerate(noises):
        for other in noises[:i]:
            assert abs((noise * other).mean()) < 0.25  # 4 σ of 256 independent pixels
    assert steps[-1].z is None


@pytest.mark.parametrize(
    "ignored",
    [
        ("ddpm", {"eta": 0.5}),
        ("heun", {"eta": 0.5, "variance": "beta"}),
        ("ddim", {"variance": "beta"}),
        ("dpm_solver", {"variance": "beta", "matched": False, "T": 50, "points": ((0, 1),)}),
        ("ddim", {"from_step": 300}),
        ("ddim", {"label": None, "guidance": 5.0}),
        ("ddim", {"seed": 0.0, "steps": 4.0, "guidance": 1}),
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_difference_makes_no_other_run(cache, ignored):
    sampler, changes = ignored
    plain = settings_of(sampler=sampler)
    assert settings_of(sampler=sampler, **changes) == plain
    kept = cache()
    assert runs.compute(plain) is runs.compute(settings_of(sampler=sampler, **changes))
    assert len(kept) == 1


# -- what a run holds ----------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_run_holds_every_picture_of_its_equation(sampler, steps):
    settings = settings_of(**SAMPLERS[sampler], steps=steps)
    run = runs.compute(settings)
    found = list(runs.walk(settings, [settings.seed]))
    assert run.t == [step.t for step in found]
    assert run.t_next == [*run.t[1:], 0]
    assert run.kept == list(range(steps))
    named = {
        token["picture"] for group in run.formula.groups for token in group if "picture" in token
    }
    assert named <= run.lanes.keys()
    assert ({"z", "mean"} <= run.lanes.keys()) == settings.adds_noise
    for lane, frames in run.lanes.items():
        assert (frames.dtype, frames.shape) == (np.uint8, (steps, 16, 16, 1)), lane
    for i, step in enumerate(found):
        for lane, tensor in {
            "x": step.x,
            "eps": step.prediction.eps,
            "x0": step.prediction.x0,
            "next": step.x_next,
        }.items():
            np.testing.assert_array_equal(run.lanes[lane][i], to_pixels(tensor[0]))
        assert run.x[i].equal(step.x[0])
        assert run.std_x[i].item() == pytest.approx(step.x.std().item())
        assert run.std_eps[i].item() == pytest.approx(step.prediction.eps.std().item())
        away = (step.prediction.x0[0] - run.final).square().mean().sqrt().item()
        assert run.distance[i].item() == pytest.approx(away, abs=1e-6)
    assert run.final.equal(found[-1].x_next[0])


def test_recording_yields_every_step_and_nothing_where_the_run_is_known(cache):
    cache()
    settings = settings_of()
    assert [step.index for step in runs.record(settings)] == [0, 1, 2, 3]
    assert list(runs.record(settings)) == []


def test_of_a_long_run_some_pictures_are_kept_and_all_numbers(monkeypatch):
    monkeypatch.setattr(runs, "MOST_BYTES", 12_000)
    for sampler in (LINEAR, SAMPLERS["ddim"], SAMPLERS["heun"]):
        run = runs.compute(settings_of(**sampler, steps=20, seed=99))
        assert (run.kept[0], run.kept[-1]) == (0, 19)
        assert len(run.kept) < 20
        assert sum(lane.nbytes for lane in run.lanes.values()) <= 12_000
        assert len(run.x) == len(run.kept)
        assert len(run.t) == len(run.std_x) == len(run.std_eps) == len(run.distance) == 20
        *_, last = runs.walk(run.settings, [99])
        np.testing.assert_array_equal(run.lanes["x"][-1], to_pixels(last.x[0]))
        assert run.x[-1].equal(last.x[0])


def test_the_cache_forgets_old_runs(cache):
    size = runs.compute(settings_of()).nbytes
    kept = cache(2 * size)
    found = [runs.compute(settings_of(seed=seed)) for seed in range(4)]
    assert kept.nbytes <= 2 * size
    assert kept.get(found[0].settings) is None
    assert runs.compute(settings_of(seed=3)) is found[3]


def test_a_walk_that_is_given_up_leaves_no_half_run(cache):
    kept = cache()
    steps = runs.record(settings_of())
    next(steps)
    next(steps)
    steps.close()
    assert len(kept) == 0
    assert len(runs.compute(settings_of()).t) == 4


# -- from a picture ------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_run_from_a_picture_begins_with_the_noised_picture(spacing):
    picture = built_in("digit-5")
    settings = settings_of(picture=picture, from_step=300, steps=10, spacing=spacing, seed=3)
    schedule = runs.schedule_of(settings)
    grid = runs.timesteps_of(settings).tolist()
    assert (grid[0], grid[-1]) == (300, 0)
    assert grid[1:] == [t for t in schedule.timesteps(10, spacing).tolist() if t < 300]
    run = runs.compute(settings)
    x0, eps = picture.as_input((1, 16, 16)), standard_noise((1, 16, 16), [3])[0]
    torch.testing.assert_close(run.x[0], q_sample(schedule, x0, 300, eps))
    assert run.t == grid[:-1]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_little_noise_on_a_picture_is_taken_off_again(sampler):
    picture = built_in("digit-5")
    settings = settings_of(**SAMPLERS[sampler], picture=picture, from_step=100, steps=50, label=5)
    x0 = picture.as_input((1, 16, 16))
    run = runs.compute(settings)
    start, end = ((x - x0).square().mean().sqrt().item() for x in (run.x[0], run.final))
    assert end < start / 2


def test_from_the_first_timestep_there_is_one_step():
    run = runs.compute(settings_of(picture=built_in("digit-5"), from_step=1, steps=10))
    assert (run.t, run.t_next) == ([1], [0])


def test_a_picture_becomes_one_that_the_network_knows():
    settings = runs.run_settings(model="cats", steps=2, picture=built_in("china"), from_step=9)
    assert next(runs.walk(settings, [0])).x.shape == (1, 3, 32, 32)


# -- another schedule ----------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["cosine", "linear", "scaled linear", "sigmoid", "custom"])
@pytest.mark.parametrize("matched", [True, False])
def test_on_another_schedule_the_network_is_told_the_matching_t_or_the_same(family, matched):
    points = ((0.0, 1.0), (0.5, 0.3), (1.0, 0.001))
    settings = settings_of(family=family, points=points, matched=matched, steps=2)
    schedule, denoiser = runs.schedule_of(settings), runs.denoiser_of(settings)
    told = denoiser._told(torch.zeros(1, 1, 16, 16), 500).item()
    if matched:
        own = denoiser.trained_on
        expected = own.at_alpha_bar(schedule.alpha_bars[500]).item()
        assert told == pytest.approx(expected, rel=1e-6)
    else:
        assert told == 500
    assert schedule.T == 1000


def test_a_schedule_of_another_length_does_the_work_of_a_thousand_steps():
    schedule = runs.schedule_of(settings_of(family="linear", T=50))
    assert schedule.T == 50
    assert schedule.alpha_bars[-1] < 1e-3


# -- pairs by name -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRS)
def test_the_two_of_a_pair_start_from_the_same_noise_and_come_to_an_end(name):
    pair = PAIRS[name]
    a, b = (
        runs.compute(settings_of(label=3, guidance=2.0, seed=4, **(DEFAULTS | side)))
        for side in (pair.a, pair.b)
    )
    assert a.settings != b.settings
    assert a.settings.title != b.settings.title
    assert a.x[0].equal(b.x[0])
    assert not a.final.equal(b.final)
    for run in (a, b):
        assert run.t[0] == 1000
        assert bool(run.final.isfinite().all())
    assert len(runs_payload([a, b])["runs"]) == 2
    for figure in (spread_figure([a, b]), factors_figure([a, b])):
        names = [trace["name"] for trace in figure["data"]]
        assert len(names) == len(set(names))
        assert all(math.isfinite(y) for trace in figure["data"] for y in trace["y"])


def test_twenty_steps_with_the_wide_variance_leave_noise_behind():
    pair = PAIRS["σ² = β̃ beside σ² = β, 20 steps"]
    roughness = []
    for side in (pair.a, pair.b):
        settings = settings_of(label=3, guidance=2.0, **(DEFAULTS | side))
        *_, last = runs.walk(settings, range(4))
        roughness.append(last.x_next.diff(dim=-1).abs().mean().item())
    assert roughness[1] > roughness[0]


def test_without_clipping_a_network_that_finds_the_noise_is_thrown_off_and_one_of_v_is_not():
    pair = PAIRS["clipped beside not"]
    spread = {}
    for model in ("digits", "fashion", "fashion-v"):
        a, b = (
            runs.compute(settings_of(model=model, label=0, **(DEFAULTS | side | {"steps": 10})))
            for side in (pair.a, pair.b)
        )
        spread[model] = (b.final.std() / a.final.std()).item()
    assert spread["digits"] > 5  # as the pair's text says
    assert spread["fashion"] > 5
    assert spread["fashion-v"] < 2


# -- nonsense ------------------------------------------------------------------------------------

WHOLE = "must be a whole number from"
BAD = [
    ({"steps": 0}, f"The number of steps {WHOLE} 1 to 1,000, got 0"),
    ({"steps": -1}, "The number of steps .* got -1"),
    ({"steps": 10**6}, "The number of steps .* got 1,000,000"),
    ({"steps": 1001}, "The number of steps .* got 1,001"),
    ({"steps": 1.5}, "The number of steps .* got 1.5"),
    ({"steps": math.nan}, "The number of steps .* got nan"),
    ({"steps": math.inf}, "The number of steps .* got inf"),
    ({"steps": None}, "The number of steps .* got None"),
    ({"steps": "x"}, "The number of steps .* got 'x'"),
    ({"steps": [5]}, "The number of steps .* got "),
    ({"steps": True}, "The number of steps .* got True"),
    ({"steps": 60, "family": "linear", "T": 50}, "must not exceed the schedule's T = 50, got 60"),
    ({"label": 10}, f"The label {WHOLE} 0 to 9, got 10"),
    ({"label": -1}, "The label .* got -1"),
    ({"label": "ten"}, "The label .* got 'ten'"),
    ({"label": [3]}, "The label .* got "),
    ({"seed": -1}, f"The seed {WHOLE} 0 to 4,294,967,295, got -1"),
    ({"seed": 2**32}, "The seed .* got 4,294,967,296"),
    ({"seed": math.nan}, "The seed .* got nan"),
    ({"seed": 0.5}, "The seed .* got 0.5"),
    ({"seed": None}, "The seed .* got None"),
    ({"seed": "x"}, "The seed .* got 'x'"),
    ({"model": "nobody"}, "The model must be one of fashion, .*, digits, got 'nobody'"),
    ({"model": None}, "The model must be one of"),
    ({"model": ["digits"]}, "The model must be one of"),
    ({"sampler": "euler"}, "The sampler must be one of ddpm, ddim, heun, dpm_solver, got 'euler'"),
    ({"sampler": None}, "The sampler must be one of"),
    ({"spacing": "random"}, "The spacing must be one of trailing, .* got 'random'"),
    ({"variance": 1}, "The variance σ² must be one of posterior, beta, got 1"),
    ({"family": "karras"}, "The schedule must be one of as trained, linear, .* got 'karras'"),
    ({"family": "cosine", "T": 0}, f"T {WHOLE} 1 to 4,000, got 0"),
    ({"family": "cosine", "T": 10**9}, "T must be"),
    ({"eta": 2}, "η must be from 0 to 1, got 2"),
    ({"eta": math.nan}, "η must be from 0 to 1, got nan"),
    ({"eta": "x"}, "η must be a number from 0 to 1, got 'x'"),
    ({"guidance": math.inf}, "The guidance must be from 0 to 20, got inf"),
    ({"guidance": math.nan}, "The guidance must be from 0 to 20, got nan"),
    ({"guidance": -1}, "The guidance must be from 0 to 20, got -1"),
    ({"guidance": None}, "The guidance must be a number"),
    ({"family": "custom"}, "at least two pairs"),
    ({"family": "custom", "points": ((0, 1), (1, 2))}, "must fall strictly"),
    ({"family": "custom", "points": None}, "at least two pairs"),
    ({"family": "custom", "points": [1, 2]}, "at least two pairs"),
    ({"family": "custom", "points": [[0, [1]], [1, 0]]}, "at least two pairs"),
    ({"picture": built_in("digit-5"), "from_step": 0}, f"The timestep to start from {WHOLE} 1 to"),
    ({"picture": built_in("digit-5"), "from_step": 1001}, "The timestep to start from"),
    ({"picture": built_in("digit-5"), "from_step": None}, "The timestep to start from"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "sentence"), BAD, ids=lambda value: str(value)[:40])
def test_nonsense_gets_one_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        settings_of(**changes)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "DDIM · 4 steps"),
        ({"steps": 1, **LINEAR}, "DDPM · 1 step"),
        ({"eta": 0.7}, "DDIM η = 0.7 · 4 steps"),
        ({"sampler": "ddpm", "variance": "beta"}, "DDPM σ² = β · 4 steps"),
        ({**SOLVER, "spacing": "leading"}, "DPM-Solver++ 2M · 4 steps · leading"),
        ({"family": "cosine", "matched": False}, "DDIM · 4 steps · cosine, naive"),
        ({"family": "linear", "T": 50}, "DDIM · 4 steps · linear T = 50, matched"),
        ({"clip": False}, "DDIM · 4 steps · not clipped"),
        ({"picture": built_in("china"), "from_step": 9}, "DDIM · 4 steps · from t = 9"),
    ],
)
def test_a_run_is_called_by_its_sampler_and_what_is_not_usual(changes, title):
    assert settings_of(**changes).title == title

"""Branches of a run: how far they lie apart, and from where they begin."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from app import fans, runs
from app.cache import LRU
from app.once import outcome
from app.pictures import to_pixels
from tests.app.test_formulas import SAMPLERS


def settings_of(**changes):
    return runs.run_settings(**({"model": "digits", "label": 3, "steps": 10, "seed": 4} | changes))


def endings(settings, place):
    walk, t, count = fans.start(settings, place)
    steps = list(walk)
    assert (steps[0].t, len(steps)) == (t, count)
    assert steps[-1].t_next == 0
    return steps[-1].x_next


@pytest.fixture(autouse=True)
def every_walk_is_made(monkeypatch):
    monkeypatch.setattr(runs.ENDINGS, "cache", LRU(0))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_branches_from_late_steps_lie_closer_together(sampler):
    settings = settings_of(**SAMPLERS[sampler])
    early, middle, late = (fans.spread(endings(settings, place)) for place in (0, 6, 8))
    assert early > middle > late > 0  # all of them differ: a sampler without noise gets some
    assert fans.spread(endings(settings, 9)) == 0  # the last step adds none
    assert early > 0.2


def test_branches_that_are_known_are_not_computed_again(monkeypatch):
    monkeypatch.setattr(runs.ENDINGS, "cache", LRU(10**6))
    settings = settings_of(sampler="ddpm")
    first, again = (outcome(fans.start(settings, 2)[0]) for _ in range(2))
    assert again is first


def test_branches_begin_at_the_very_image_of_the_run():
    settings = settings_of(sampler="ddpm")
    run = runs.compute(settings)
    walk, t, _ = fans.start(settings, 3)
    first = next(walk)
    assert t == run.t[3]
    assert first.x.shape == (fans.BRANCHES, 1, 16, 16)
    for x in first.x:
        assert x.equal(run.x[3])
    assert len({noise.numpy().tobytes() for noise in first.z}) == fans.BRANCHES
    again = next(fans.start(settings, 3)[0])
    assert again.z.equal(first.z)  # whoever comes back finds the same fan


def test_no_branch_repeats_the_run_itself():
    settings = settings_of(sampler="ddpm")
    final = runs.compute(settings).final
    assert all((x - final).abs().max() > 0.1 for x in endings(settings, 0))


def test_the_spread_is_the_root_mean_square_deviation():
    lying = torch.tensor([[0.0, 4.0], [0.0, 0.0]]).view(2, 1, 1, 2)
    assert fans.spread(lying) == pytest.approx(2**0.5)  # deviations 0, 0, 2, 2
    assert fans.spread(torch.ones(3, 1, 4, 4)) == 0


def test_the_step_at_a_timestep_is_the_one_under_way():
    settings = settings_of()
    run = runs.compute(settings)
    assert run.t[:3] == [1000, 900, 800]
    assert [fans.step_at(settings, t) for t in (1000, 999, 900, 850, 100, 99, 0)] == [
        0, 0, 1, 1, 9, 9, 9,
    ]  # fmt: skip
    assert fans.step_at(settings, 5000) == 0


def test_a_fan_in_a_long_run_begins_at_a_step_that_was_kept(monkeypatch):
    monkeypatch.setattr(runs, "MOST_BYTES", 8_000)
    settings = settings_of(steps=40, seed=77)
    run = runs.compute(settings)
    place = fans.step_at(settings, 400)
    _, t, count = fans.start(settings, place)
    assert t == run.t[run.kept[place]] >= 400
    assert count == 40 - run.kept[place]
    assert next(fans.start(settings, place)[0]).x[0].equal(run.x[place])


@pytest.mark.parametrize("steps", [1, 2, 10, 40])
def test_places_along_the_whole_run(steps):
    settings = settings_of(steps=steps)
    places = fans.steps_along(settings)
    assert places == sorted(set(places))
    assert places[0] == 0
    assert len(places) == min(steps, fans.PLACES)
    assert all(place < steps for place in places)


def test_the_sheet_shows_the_run_and_its_branches_with_their_spread():
    settings = settings_of()
    found = endings(settings, 2)
    sheet = fans.sheet(settings, [(800, found), (500, found[:3])])
    first, second = sheet["rows"]
    assert first["title"] == "from t = 800"
    assert first["note"].endswith(f"{fans.spread(found):.3f}")
    assert (len(first["pictures"]), len(second["pictures"])) == (fans.BRANCHES + 1, 4)
    images = [runs.compute(settings).final, *found]
    for picture, image in zip(first["pictures"], images, strict=True):
        png = Image.open(io.BytesIO(base64.b64decode(picture["image"].split(",")[1])))
        np.testing.assert_array_equal(np.asarray(png), to_pixels(image)[..., 0])

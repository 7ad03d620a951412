"""All noise at once: what the tab shows equals its formulas, and nothing of it is fed back."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from app import models, runs, subtract
from app.formulas import plain_difference, scaled_difference
from app.narrate import Told
from app.pictures import built_in, to_pixels
from app.run_plots import error_figure, removed_figure
from app.runs import denoiser_of, schedule_of
from model.forward import q_sample
from model.sampler import ddim, standard_noise

SETTINGS = {"model": "digits", "label": 3, "guidance": 2.0, "seed": 5}


def settings_of(**changes):
    given = {"sampler": "ddpm", "family": "linear", "T": 10, "steps": 10}
    return runs.run_settings(**SETTINGS | given | changes)


@pytest.fixture(scope="module")
def run():
    return runs.compute(settings_of())


@pytest.fixture(scope="module")
def look(run):
    return subtract.along(run)


@pytest.fixture(scope="module")
def scope():
    settings = settings_of()
    x0 = built_in("digit-5").as_input((1, 16, 16))
    return settings, x0, *subtract.microscope(settings, x0)


def numbers(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


def frames(text, look):
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(len(look.t), 16, 16, 1)


def rms(x):
    return x.double().square().mean().sqrt().item()


# -- along a run ---------------------------------------------------------------------------------


def test_nothing_is_fed_back(run, look):
    assert look.t == run.t == list(range(10, 0, -1))
    assert look.x.equal(run.x)
    assert look.final.equal(run.final)


def test_each_prediction_is_the_networks_own_at_that_t(run, look):
    denoiser = denoiser_of(replace(run.settings, clip=False))
    for i in (0, 4, 9):
        alone = denoiser(run.x[i : i + 1], look.t[i])
        torch.testing.assert_close(look.prediction.eps[i], alone.eps[0], atol=1e-4, rtol=1e-4)
    assert look.prediction.x0.abs().max() > 1.01  # not clipped


def test_both_ways_are_their_formulas(run, look):
    assert look.plain.equal(look.x - look.prediction.eps)
    schedule = schedule_of(run.settings)
    assert schedule.T == 10
    for i, t in enumerate(look.t):
        signal, noise = schedule.signal[t].item(), schedule.noise[t].item()
        scaled = (look.x[i] - noise * look.prediction.eps[i]) / signal
        torch.testing.assert_close(look.prediction.x0[i], scaled, atol=2e-4, rtol=2e-3)


def right_hand_side(rule, index, pictures):
    """The equation as a person reads it, from left to right."""
    factors = {name: values[index].item() for name, values in rule.factors.items()}
    words = []
    for token in (token for group in rule.groups for token in group):
        if "text" in token:
            words.append({"·": "*", "−": "-", "=": "=="}.get(token["text"], token["text"]))
        elif "factor" in token:
            words.append(f"factors[{token['factor']!r}]")
        else:
            words.append(f"pictures[{token['picture']!r}]")
    left, equals, *right = words
    assert equals == "=="
    names = {"factors": factors, "pictures": pictures}
    return eval(left, names), eval(" ".join(right), names)


@pytest.mark.parametrize("index", [0, 5, 9])
def test_the_equations_recombine(run, look, index):
    pictures = {"x": look.x, "eps": look.prediction.eps, "plain": look.plain,
                "x0": look.prediction.x0}  # fmt: skip
    pictures = {name: images[index].double() for name, images in pictures.items()}
    scaled = scaled_difference(schedule_of(run.settings), torch.tensor(look.t))
    for rule in (plain_difference(), scaled):
        left, right = right_hand_side(rule, index, pictures)
        torch.testing.assert_close(left, right, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("way", subtract.WAYS)
def test_the_scene_holds_these_very_pictures_and_numbers(run, look, way):
    scene = subtract.subtract_payload(run, look, way)
    json.dumps(scene)
    assert scene["shown"] == list(subtract.WAYS[way])
    assert not scene["rising"]
    (panel,) = scene["runs"]
    assert (panel["t"], panel["kept"], panel["title"]) == (
        look.t,
        list(range(10)),
        "linear, T = 10",
    )
    lanes = {"x": look.x, "eps": look.prediction.eps, "plain": look.plain,
             "x0": look.prediction.x0}  # fmt: skip
    for lane, images in lanes.items():
        assert (frames(panel["lanes"][lane], look) == to_pixels(images)).all()
        std = [image.double().std().item() for image in images]
        np.testing.assert_allclose(numbers(panel["measures"][lane]["values"]), std, rtol=1e-5)
    plain, scaled = panel["equations"]
    assert (plain["lane"], scaled["lane"]) == ("plain", "x0")
    schedule = schedule_of(run.settings)
    np.testing.assert_allclose(
        numbers(scaled["factors"]["outer"]), 1 / schedule.signal[look.t], rtol=1e-6
    )
    np.testing.assert_allclose(
        numbers(scaled["factors"]["inner"]), schedule.noise[look.t], rtol=1e-6
    )


def test_the_chart_of_sizes_is_that_of_the_pictures(look):
    spread = removed_figure(look)["data"]
    for trace, images in zip(spread, (look.x, look.plain, look.prediction.x0), strict=True):
        assert trace["x"] == look.t
        np.testing.assert_allclose(trace["y"], [image.std().item() for image in images], rtol=1e-5)


def test_a_thousand_steps_stay_small_in_the_page():
    settings = settings_of(T=1000, steps=1000)
    look, _ = subtract.microscope(settings, built_in("digit-5").as_input((1, 16, 16)))
    assert len(look.t) == 100
    assert (look.t[0], look.t[-1]) == (1000, 1)
    assert len(json.dumps(subtract.scope_payload(settings, look, look.x[0]))) < 500_000


# -- the microscope ------------------------------------------------------------------------------


def test_the_microscope_noises_the_picture_to_every_t_with_the_seeds_noise(scope):
    settings, x0, look, eps = scope
    assert look.t == list(range(10, 0, -1))
    assert look.final.equal(x0)
    assert eps.equal(standard_noise((1, 16, 16), [5])[0])
    other = subtract.microscope(replace(settings, seed=6), x0)[1]
    assert not other.equal(eps)
    for x, t in zip(look.x, look.t, strict=True):
        torch.testing.assert_close(x, q_sample(schedule_of(settings), x0, t, eps))


def test_the_microscope_asks_without_guidance_and_clipping(scope):
    settings, _, look, _ = scope
    plain = denoiser_of(replace(settings, guidance=1.0, clip=False))(look.x, torch.tensor(look.t))
    torch.testing.assert_close(look.prediction.eps, plain.eps)
    guided = denoiser_of(replace(settings, clip=False))(look.x, torch.tensor(look.t))
    assert (guided.eps - look.prediction.eps).abs().max() > 0.01


def test_errors_are_root_mean_squares_of_differences(scope):
    settings, x0, look, eps = scope
    scene = subtract.scope_payload(settings, look, eps)
    json.dumps(scene)
    assert scene["shown"] == ["x", "true", "eps", "error", "x0"]
    (panel,) = scene["runs"]
    assert panel["end"] == "the picture itself"
    of_eps = [rms(found - eps) for found in look.prediction.eps]
    of_x0 = [rms(found - x0) for found in look.prediction.x0]
    np.testing.assert_allclose(numbers(panel["measures"]["error"]["values"]), of_eps, rtol=1e-5)
    np.testing.assert_allclose(numbers(panel["measures"]["x0"]["values"]), of_x0, rtol=1e-5)
    eps_curve, x0_curve = error_figure(look, eps)["data"]
    np.testing.assert_allclose(eps_curve["y"], of_eps, rtol=1e-5)
    np.testing.assert_allclose(x0_curve["y"], of_x0, rtol=1e-5)
    assert (frames(panel["lanes"]["true"], look) == to_pixels(eps)).all()
    assert (frames(panel["lanes"]["error"], look) == to_pixels(look.prediction.eps - eps)).all()
    # What the texts say: noise is easy to name at large t, the picture at small t.
    assert of_eps[0] < of_eps[-1]
    assert of_x0[-1] < of_x0[0]


# -- one step against many -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def comparison():
    settings = runs.run_settings(**SETTINGS)
    told = Told(subtract.compare(settings))
    values = list(told)
    return settings, values, told.result


def test_each_ending_is_a_ddim_run_of_so_many_steps(comparison):
    settings, values, found = comparison
    assert values
    assert list(found.endings) == [1, 2, 5, 10, 50]
    checkpoint = models.load("digits")
    denoiser = checkpoint.denoiser(3, guidance=2.0, clip=True)
    noise = standard_noise(checkpoint.shape, range(5, 9))
    for count in (1, 2, 10):
        grid = checkpoint.schedule.timesteps(count)
        *_, last = ddim(denoiser, checkpoint.schedule, noise, grid)
        torch.testing.assert_close(found.endings[count], last.x_next, atol=1e-3, rtol=0)
    alone = runs.compute(replace(settings, steps=5, seed=7)).final
    torch.testing.assert_close(found.endings[5][2], alone, atol=1e-3, rtol=0)


def test_the_average_of_guesses_comes_near_the_training_mean(comparison):
    settings, _, found = comparison
    checkpoint = models.load("digits")
    denoiser = checkpoint.denoiser(3)
    T = checkpoint.schedule.T
    noise = standard_noise(checkpoint.shape, range(subtract.AVERAGED))
    guesses = torch.cat([denoiser(part, T).x0 for part in noise.split(64)])
    torch.testing.assert_close(found.average, guesses.mean(0), atol=2e-3, rtol=0)
    assert found.expected.equal(checkpoint.expected(3))
    assert rms(found.average - found.expected) < 0.2 < rms(found.average - checkpoint.expected(8))
    unlabelled = Told(subtract.compare(replace(settings, label=None, guidance=1.0)))
    for _ in unlabelled:
        pass
    assert unlabelled.result.expected.equal(checkpoint.mean)


def picture_of(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))


def test_the_sheet_shows_them_all(comparison):
    settings, _, found = comparison
    sheet = subtract.comparison_payload(found, settings)
    *rows, averages = sheet["rows"]
    assert [row["title"] for row in rows] == [f"seed {seed}" for seed in range(5, 9)]
    assert [p["caption"] for p in rows[0]["pictures"]] == [
        "1 step", "2 steps", "5 steps", "10 steps", "50 steps",
    ]  # fmt: skip
    for i, row in enumerate(rows):
        for picture, images in zip(row["pictures"], found.endings.values(), strict=True):
            assert (picture_of(picture["image"]) == to_pixels(images[i]).squeeze()).all()
    average, expected = averages["pictures"]
    assert (picture_of(average["image"]) == to_pixels(found.average).squeeze()).all()
    assert (picture_of(expected["image"]) == to_pixels(found.expected).squeeze()).all()
    assert f"{rms(found.average - found.expected):.3f}" in averages["note"]
    unknown = subtract.comparison_payload(replace(found, expected=None), settings)["rows"][-1]
    assert (len(unknown["pictures"]), unknown["note"]) == (1, "")


def test_a_model_of_few_timesteps_is_compared_as_far_as_it_goes():
    own = models.load("digits")
    short = replace(own, schedule=type(own.schedule).linear(T=10, beta_start=0.01, beta_end=0.6))
    models.keep("a model of ten timesteps", "short", short)
    settings = runs.run_settings(model="a model of ten timesteps", steps=1)
    for _ in (found := Told(subtract.compare(settings))):
        pass
    assert list(found.result.endings) == [1, 2, 5, 10]
    assert subtract.comparison_payload(found.result, settings)["columns"] == 4

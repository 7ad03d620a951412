"""The Forward tab's handlers, called as the page and as a stranger would call them."""

import base64
import io
import math

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from app.catalogue import DEFAULT_POINTS, FORWARD
from app.pictures import built_in, to_pixels
from app.tabs import forward
from model.forward import q_sample
from model.sampler import standard_noise

PAIR = ["linear", "cosine"]
GOOD = {
    "picture": None,
    "size": 32,
    "colour": "colour",
    "T": 1000,
    "rescale": True,
    "points": DEFAULT_POINTS,
    "seed": 0,
}


def settings(**changes):
    return list({**GOOD, **changes}.values())


def float32(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_the_scene_holds_the_picture_the_noise_and_every_schedule():
    scene, chart = forward.show(PAIR, "linear", *settings())
    x0 = built_in("hopper").at(32, False)
    assert (scene["height"], scene["width"], scene["channels"], scene["T"]) == (32, 32, 3, 1000)
    assert base64.b64decode(scene["x0"]) == to_pixels(x0).tobytes()
    eps = np.frombuffer(base64.b64decode(scene["eps"]), "<i2") / scene["epsScale"]
    expected = standard_noise(x0.shape, [0])[0].permute(1, 2, 0).numpy().ravel()
    np.testing.assert_allclose(eps, expected, atol=0.5 / scene["epsScale"] + 1e-6)
    setup = forward.set_up(*settings())
    for sent, curve in zip(scene["schedules"], setup.curves(PAIR), strict=True):
        np.testing.assert_array_equal(float32(sent["signal"]), curve.schedule.signal.float())
        np.testing.assert_array_equal(float32(sent["noise"]), curve.schedule.noise.float())
        np.testing.assert_allclose(
            float32(sent["snrDecibels"])[1:], 10 * curve.schedule.snr[1:].log10(), rtol=1e-6
        )
    assert len(chart["data"]) == 2


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize(("colour", "channels"), [("colour", 3), ("grey", 1)])
def test_every_working_size_and_colour(size, colour, channels):
    scene, _ = forward.show(PAIR, "linear", *settings(size=size, colour=colour))
    assert (scene["height"], scene["channels"]) == (size, channels)
    assert len(base64.b64decode(scene["x0"])) == size * size * channels


@pytest.mark.parametrize("T", forward.LENGTHS)
def test_every_schedule_at_every_length(T):
    setup = forward.set_up(*settings(T=T))
    curves = setup.curves(list(FORWARD))
    assert [curve.schedule.T for curve in curves] == [T] * len(FORWARD)
    assert setup.curve("linear").schedule.alpha_bars[-1] < 1e-4
    unscaled = forward.set_up(*settings(T=T, rescale=False)).curve("linear").schedule
    assert (unscaled.alpha_bars[-1] > 0.5) == (T <= 50)


def test_the_same_seed_gives_the_same_noise():
    first, again, other = (
        forward.show(PAIR, "linear", *settings(seed=s))[0]["eps"] for s in (7, 7, 8)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"size": 48}, "The working size must be one of 32, 64, 128, got 48"),
        ({"size": [64]}, "The working size must be one of"),
        ({"colour": "sepia"}, "The colours must be one of colour, grey"),
        ({"T": 0}, "T must be one of 10, 50, 100, 300, 1000, got 0"),
        ({"T": 10**9}, "T must be one of"),
        ({"T": math.nan}, "T must be one of"),
        ({"T": "many"}, "T must be one of"),
        ({"seed": -1}, "The seed must be a whole number from 0 to 4,294,967,295, got -1"),
        ({"seed": math.nan}, "The seed must be a whole number"),
        ({"seed": "seven"}, "The seed must be a whole number .* got 'seven'"),
        ({"seed": None}, "The seed must be a whole number"),
        ({"points": [[0, 1], [1, 2]]}, "must fall strictly"),
        ({"points": "drawn"}, "at least two pairs"),
    ],
)
def test_settings_that_make_no_sense_get_one_sentence(changes, sentence):
    for call in (
        lambda: forward.show(["custom"], "linear", *settings(**changes)),
        lambda: forward.single_steps(5, "custom", *settings(**changes)),
        lambda: forward.export("PNG", ["custom"], *settings(**changes)),
    ):
        with pytest.raises(gr.Error, match=sentence) as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        ([], "Choose at least one schedule"),
        (["karras"], "The schedules must be one of linear"),
        ("linear", "must be a list"),
        (None, "must be a list"),
    ],
)
def test_a_choice_of_schedules_that_makes_no_sense_gets_one_sentence(shown, sentence):
    for call in (
        lambda: forward.show(shown, "linear", *settings()),
        lambda: forward.export("GIF", shown, *settings()),
    ):
        with pytest.raises(gr.Error, match=sentence):
            call()


@pytest.mark.parametrize("focus", [None, "karras", ["linear"], 3])
def test_a_panel_of_no_schedule_gets_one_sentence(focus):
    for call in (
        lambda: forward.show(PAIR, focus, *settings()),
        lambda: forward.single_steps(5, focus, *settings()),
    ):
        with pytest.raises(gr.Error, match="The schedule must be one of linear"):
            call()


@pytest.mark.parametrize("t", [-1, 1001, math.nan, "3", None, 2.5])
def test_a_timestep_that_does_not_exist_gets_one_sentence(t):
    with pytest.raises(gr.Error, match="t must be a whole number from 0 to 1,000"):
        forward.single_steps(t, "linear", *settings())


@pytest.mark.parametrize("t", [0, 1, 2, 500, 1000])
def test_single_steps_show_three_equations(t):
    rows = forward.single_steps(t, "cosine", *settings())["rows"]
    assert len(rows) == 3
    shown = max(t, 1)
    assert f"from t = {shown - 1} to t = {shown}" in rows[0]["title"]
    for row in rows:
        assert [("image" in term) for term in row["terms"]].count(True) == 3
    chain, merged = (picture_of(rows[i]["terms"][0]["image"]) for i in (0, 2))
    assert np.abs(chain.astype(int) - merged).max() <= 1  # the same sample, to rounding


def test_a_timestep_beyond_a_shorter_schedule_shows_its_last_step():
    rows = forward.single_steps(900, "linear", *settings(T=50))["rows"]
    assert "from t = 49 to t = 50" in rows[0]["title"]


def picture_of(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))


def test_exports_hold_the_very_process_of_the_page():
    picture = built_in("china")
    arguments = settings(picture=picture, T=10, seed=3)
    name, png = forward.export("PNG", PAIR, *arguments)
    assert name == "forward-process.png"
    sheet = np.asarray(Image.open(io.BytesIO(png)))
    setup = forward.set_up(*arguments)
    x_5 = to_pixels(q_sample(setup.curve("linear").schedule, setup.x0, 5, setup.eps))
    cell = sheet[0:96:3, 150 + 5 * 100 : 150 + 5 * 100 + 96 : 3]  # 32 pixels as 96
    np.testing.assert_array_equal(cell, x_5)
    for form in ("GIF", "WEBP"):
        name, content = forward.export(form, PAIR, *arguments)
        film = Image.open(io.BytesIO(content))
        assert film.format == form
        assert name.endswith(form.lower())
        assert film.n_frames == 11

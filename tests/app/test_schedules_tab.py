"""The Schedules tab's handlers: curves, read-outs, schedules of one's own, exports, bad input."""

import csv
import io
import math
from xml.etree import ElementTree

import gradio as gr
import pytest
from PIL import Image

from app import api, plots
from app.catalogue import CUSTOM, DEFAULT_POINTS, PRESETS, Recipe
from app.tabs import schedules
from app.theme import CURVES, dash_of
from model.schedule import NoiseSchedule

POINTS = [list(point) for point in DEFAULT_POINTS]


def show(shown, own=(), points=POINTS, quantity="mean and variance", axis="t / T", log=False):
    return schedules.show(shown, list(own), points, quantity, axis, log, None)


def event(**data):
    return gr.EventData(None, data)


@pytest.mark.parametrize("quantity", plots.QUANTITIES)
@pytest.mark.parametrize("axis", schedules.AXES)
@pytest.mark.parametrize("log", [False, True])
def test_all_presets_at_once_in_every_view(quantity, axis, log):
    scene, chart = show(list(PRESETS), quantity=quantity, axis=axis, log=log)
    lines = plots.QUANTITIES[quantity].lines
    assert len(scene["schedules"]) == len(PRESETS)
    assert len(chart["data"]) == len(PRESETS) * len(lines)
    assert scene["T"] == 1000
    for trace in chart["data"]:
        assert len(trace["x"]) == len(trace["y"])
        assert all(math.isfinite(y) for y in trace["y"])
        assert trace["x"][-1] == (1 if axis == "t / T" else len(trace["x"]) - 1 + trace["x"][0])


def test_curves_are_the_schedules_own_numbers():
    _, chart = show(["cosine"])
    cosine = NoiseSchedule.cosine()
    assert chart["data"][0]["y"] == cosine.signal.tolist()
    assert chart["data"][1]["y"] == (1 - cosine.alpha_bars).tolist()
    _, chart = show(["cosine"], quantity="log-SNR", axis="t")
    assert chart["data"][0]["x"][0] == 1  # infinite at t = 0
    assert chart["data"][0]["y"] == cosine.snr.log()[1:].tolist()


def test_every_curve_looks_different():
    looks = {(slot % len(CURVES), dash_of(slot)) for slot in range(36)}
    assert len(looks) == 36


def test_read_outs_teach_where_a_schedule_ends():
    scene, _ = show(["ddpm", "ddpm-50", "ddpm-50-rescaled", "latent", "cosine"])
    rows = scene["facts"]["rows"]
    assert rows["ddpm"]["cells"] == ["1000", "4.04e-05", "259.1", "26%", "74%"]
    assert rows["ddpm-50"]["cells"] == ["50", "0.6030", "never", "100%", "0%"]
    assert "still mostly picture" in rows["ddpm-50"]["warning"]
    assert "0.78" in rows["ddpm-50"]["warning"]
    assert "trace" in rows["latent"]["warning"]
    for fine in ("ddpm", "ddpm-50-rescaled", "cosine"):
        assert rows[fine]["warning"] == ""


@pytest.mark.parametrize(
    "shown", [[], None, "ddpm", ["nothing"], ["own-0"], [["ddpm"]], ["ddpm"] * 99]
)
def test_a_choice_that_does_not_exist_gets_one_sentence(shown):
    with pytest.raises(gr.Error, match=r"Choose 1 to 12 schedules|must be one of"):
        show(shown)


def test_one_can_make_a_schedule_and_keep_it():
    own, dropdown = schedules.add("linear", 100, 0.001, 0.1, 0.008, False, [], ["ddpm"])
    assert own == [Recipe("linear", 100, 0.001, 0.1)]
    assert dropdown["value"] == ["ddpm", "own-0"]
    assert ("yours: linear 0.001 → 0.1, T = 100", "own-0") in dropdown["choices"]
    scene, _ = show(["own-0"], own)
    assert scene["T"] == 100
    again, dropdown = schedules.add("linear", 100.0, 0.001, 0.1, 0.008, False, own, ["own-0"])
    assert again == own  # the same once more is not kept twice
    assert dropdown["value"] == ["own-0"]


GOOD = {
    "family": "linear",
    "T": 100,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "s": 0.008,
    "rescale": False,
}
BAD_PARAMETERS = [
    ({"beta_start": 0.5, "beta_end": 0.02}, "beta_start must not exceed beta_end, got 0.5 > 0.02"),
    ({"T": 0}, "T must be a whole number from 1 to 4,000, got 0"),
    ({"T": 10**9}, "T must be a whole number from 1 to 4,000, got 1,000,000,000"),
    ({"T": math.nan}, "T must be a whole number .* got nan"),
    ({"T": "ten"}, "T must be a whole number .* got 'ten'"),
    ({"T": 10.5}, "T must be a whole number .* got 10.5"),
    ({"T": None}, "T must be a whole number"),
    ({"beta_start": math.nan}, "β_start must be .* got nan"),
    ({"beta_start": "0.1"}, "β_start must be a number .* got '0.1'"),
    ({"beta_end": math.inf}, "β_end must be from 0 to 1, got inf"),
    ({"beta_end": 1}, r"beta_end must lie in \(0, 1\), got 1"),
    ({"beta_start": 0}, r"beta_start must lie in \(0, 1\), got 0"),
    ({"beta_end": [0.1]}, "β_end must be a number"),
    ({"family": "karras"}, "The family must be one of linear, scaled linear, cosine, sigmoid"),
    ({"family": "cosine", "s": -1}, "s must be from 0 to 1, got -1"),
    ({"family": "cosine", "s": "wide"}, "s must be a number"),
    ({"T": 4000, "beta_start": 0.9, "beta_end": 0.99}, "underflows to zero"),
]


@pytest.mark.parametrize(("changes", "sentence"), BAD_PARAMETERS)
def test_bad_parameters_get_one_sentence_in_the_page_and_from_the_api(changes, sentence):
    parameters = {**GOOD, **changes}
    for call in (
        lambda: schedules.add(*parameters.values(), [], ["ddpm"]),
        lambda: api.schedule(**parameters),
    ):
        with pytest.raises(gr.Error, match=sentence):
            call()


def test_dragged_points_become_the_custom_schedule():
    dragged = [[0, 1], [0.5, 0.2], [1, 0.001]]
    points, value, shown = schedules.edit_points(event(points=dragged), ["ddpm"])
    assert points == dragged
    assert shown == ["ddpm", CUSTOM]
    assert value["curve"][60] == (0.5, pytest.approx(0.2))
    scene, chart = show([CUSTOM], points=points)
    assert chart["data"][1]["y"][500] == pytest.approx(0.8)
    assert scene["facts"]["rows"][CUSTOM]["cells"][1] == "0.0010"


@pytest.mark.parametrize(
    "points",
    [
        None,
        "x",
        [],
        [[0, 1]],
        [[0, 1], [1, math.nan]],
        [[0, 1], [0.5, 0.1], [1, 0.5]],
        [[0, 1, 2], [1, 0, 3]],
        [[0, 1], ["a", "b"]],
        [[0, 1]] * 99,
    ],
)
def test_points_that_are_no_schedule_get_one_sentence(points):
    with pytest.raises(gr.Error, match=r"points|alpha_bar"):
        schedules.edit_points(event(points=points), ["ddpm"])


def test_the_csv_has_every_digit():
    _, content = schedules.export("csv", ["ddpm", "ddpm-10"], [], POINTS, "β", "t", False)
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
    assert len(rows) == 1001 + 11
    linear = NoiseSchedule.linear()
    for t in (0, 1, 500, 1000):
        assert float(rows[t]["alpha_bar"]) == linear.alpha_bars[t].item()
        assert float(rows[t]["posterior_variance"]) == linear.posterior_variance[t].item()


@pytest.mark.parametrize("quantity", plots.QUANTITIES)
def test_figures_for_slides(quantity):
    arguments = (["ddpm", "cosine", "ddpm-10"], [], POINTS, quantity, "t / T", True)
    _, png = schedules.export("png", *arguments)
    assert Image.open(io.BytesIO(png)).size >= (1200, 800)
    _, svg = schedules.export("svg", *arguments)
    assert ElementTree.fromstring(svg).tag.endswith("svg")

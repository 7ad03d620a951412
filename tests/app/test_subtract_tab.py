"""The Subtract-all tab's handlers: what they give, what they refuse, and when they do nothing."""

import json
import math

import gradio as gr
import pytest

from app import runs, subtract
from app.apart import keeping
from app.pictures import built_in
from app.tabs import subtract as tab

SETTINGS = {"model": "digits", "label": "3", "guidance": 2.0, "seed": 0, "family": "linear",
            "T": 10}  # fmt: skip
PLAIN, SCALED = subtract.WAYS
SKIP = gr.skip()


def inputs(**changes):
    assert changes.keys() <= SETTINGS.keys()
    return [*(SETTINGS | changes).values()]


def last(generator):
    *_, result = generator
    return result


@pytest.fixture
def every_step(monkeypatch):
    """Progress is told at each step, however quick the machine is."""
    monkeypatch.setattr("app.narrate.TELL_SECONDS", 0)


def test_showing_tells_of_each_step_and_then_gives_everything(every_step):
    *told, result = tab.show(1, PLAIN, None, *inputs(seed=77))
    assert [value[0]["done"] for value in told] == list(range(1, 11))
    assert all(value[1:] == (SKIP, SKIP, SKIP, SKIP) for value in told)
    progress, scene, chart, shown, answered = result
    assert (progress, answered) == (None, 1)
    assert shown == tab.read(*inputs(seed=77))
    assert (shown.sampler, shown.steps, shown.T, shown.family) == ("ddpm", 10, 10, "linear")
    look = subtract.along(runs.compute(shown))
    assert scene == subtract.subtract_payload(runs.compute(shown), look, PLAIN)
    assert len(chart["data"]) == 3
    json.dumps([scene, chart])


def test_unchanged_settings_do_nothing(monkeypatch):
    shown = last(tab.show(1, PLAIN, None, *inputs()))[-2]
    monkeypatch.setattr(runs, "walk", None)  # would be an error
    monkeypatch.setattr(subtract, "ask", None)
    assert list(tab.show(1, PLAIN, shown, *inputs())) == [(None, SKIP, SKIP, SKIP, 1)]
    assert list(tab.show(1, SCALED, shown, *inputs())) == [(None, SKIP, SKIP, SKIP, 1)]


def test_what_is_known_is_shown_without_a_wait():
    *values, answered = last(keeping(tab.show)(4, SCALED, None, *inputs(seed=78)))
    *looked, asked = tab.look(answered, answered, SCALED, None, *inputs(seed=78))
    assert (looked, asked) == (values, SKIP)
    shown = values[-1]
    assert tab.look(0, 0, SCALED, shown, *inputs(seed=78)) == (None, SKIP, SKIP, SKIP, SKIP)


@pytest.mark.parametrize(
    ("unknown", "seed"), [(9, 78), (0, 79)], ids=["another one is under way", "not known"]
)
def test_else_it_is_asked_for(unknown, seed):
    last(keeping(tab.show)(4, PLAIN, None, *inputs(seed=78)))
    *values, asked = tab.look(unknown, 0, PLAIN, None, *inputs(seed=seed))
    assert values == [SKIP] * 4
    assert asked not in (unknown, 0)


def test_a_picture_is_asked_for_only_where_it_is_examined():
    shown = tab.read(*inputs())
    assert tab.picture_matters(tab.OF_GALLERY, None) == SKIP
    assert tab.picture_matters(tab.OF_RUN, shown) == SKIP
    assert isinstance(tab.picture_matters(tab.OF_GALLERY, shown), int)


def test_the_way_that_is_chosen_is_the_one_that_is_shown():
    for way, lanes in subtract.WAYS.items():
        assert last(tab.show(1, way, None, *inputs()))[1]["shown"] == list(lanes)


def test_examining_before_any_run_is_silent(monkeypatch):
    monkeypatch.setattr(subtract, "ask", None)
    for source in (tab.OF_RUN, tab.OF_GALLERY):
        assert tab.examine(source, None, None) == (SKIP, SKIP)


def test_the_known_picture_is_the_runs_own_or_one_of_the_gallery():
    shown = tab.read(*inputs())
    for source, picture, x0 in (
        (tab.OF_RUN, built_in("digit-8"), runs.compute(shown).final),
        (tab.OF_GALLERY, built_in("digit-8"), built_in("digit-8").as_input((1, 16, 16))),
        (tab.OF_GALLERY, None, built_in("hopper").as_input((1, 16, 16))),
    ):
        scene, chart = tab.examine(source, picture, shown)
        look, eps = subtract.microscope(shown, x0)
        assert scene == subtract.scope_payload(shown, look, eps)
        assert [trace["x"] for trace in chart["data"]] == [look.t, look.t]


def test_comparing_tells_of_itself_and_gives_a_sheet(every_step):
    *told, (progress, sheet) = tab.compare(*inputs())
    assert {value[0]["title"] for value in told} == {
        "DDIM · 1 step", "DDIM · 2 steps", "DDIM · 5 steps", "DDIM · 10 steps", "DDIM · 50 steps",
    }  # fmt: skip
    assert all(value[1] == SKIP for value in told)
    assert progress is None
    assert [len(row["pictures"]) for row in sheet["rows"]] == [5, 5, 5, 5, 2]
    json.dumps(sheet)


def test_another_model_has_its_own_labels():
    labels, asked = tab.choose_model("cats")
    assert labels["choices"][0] == ("any", "any")
    assert labels["value"] in [value for _, value in labels["choices"]]
    assert asked != tab.choose_model("cats")[1]


BAD = {
    "model": ([None, 3, "nobody", ["digits"], "../digits"], "The model must be one of"),
    "label": ([10, -1, "x", [3], 1.5, True], "The label must be a whole number from 0 to 9"),
    "guidance": ([-1, 21, math.nan, None, "2", [1]], "The guidance must be"),
    "seed": ([-1, 2**32, 0.5, None, math.inf, "1"], "The seed must be a whole number"),
    "family": ([None, "as trained", "custom", ["linear"], 3], "The schedule must be one of"),
    "T": ([None, 0, 49, -1, "50", [50], 10**6, math.nan], "T must be one of 10, 50, 100"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_is_one_sentence(name):
    values, sentence = BAD[name]
    handlers = [lambda *given: tab.show(1, PLAIN, None, *given)]
    if name not in ("family", "T"):  # a comparison is on the model's own schedule
        handlers.append(tab.compare)
    for value in values:
        for handler in handlers:
            with pytest.raises(gr.Error, match=sentence) as refused:
                list(handler(*inputs(**{name: value})))
            assert "\n" not in str(refused.value)


def test_a_bad_way_or_source_is_one_sentence():
    for bad in (None, "x", ["plain difference"], 3):
        with pytest.raises(gr.Error, match="The way must be one of plain difference, to scale"):
            list(tab.show(1, bad, None, *inputs()))
        with pytest.raises(gr.Error, match="The way must be one of plain difference, to scale"):
            tab.look(0, 0, bad, None, *inputs())
        with pytest.raises(gr.Error, match="The known picture must be one of"):
            tab.examine(bad, None, None)
        with pytest.raises(gr.Error, match="The model must be one of"):
            tab.choose_model(bad)

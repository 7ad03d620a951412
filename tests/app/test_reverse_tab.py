"""The Reverse tab's handlers: what they yield while they work, and what they refuse."""

import base64
import io
import json
import math

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from app import runs
from app.cache import LRU
from app.pairs import OWN, PAIRS
from app.pictures import to_pixels
from app.run_controls import Controls, read
from app.session import Session
from app.tabs import reverse
from app.wish import Wish
from tests.app.reverse_inputs import inputs
from tests.app.test_runs import BAD


@pytest.fixture(autouse=True)
def cache(monkeypatch):
    """The shared cache, empty."""
    monkeypatch.setattr(runs.RUNS, "cache", LRU(50_000_000))
    return runs.RUNS.cache


@pytest.fixture
def every_step(monkeypatch):
    """Progress is told at each step, however quick the machine is."""
    monkeypatch.setattr("app.narrate.TELL_SECONDS", 0)


def show(shown, *given, wish=None):
    return reverse.show(wish or Wish(), shown, *given)


def last(generator):
    *_, result = generator
    return result


def picture_of(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))


def pixels_of(image):
    return to_pixels(image).squeeze()


# -- show ----------------------------------------------------------------------------------------


def test_showing_a_run_tells_of_each_step_and_then_gives_everything(every_step):
    *told, result = show((), *inputs())
    assert len(told) == 4
    for number, (progress, *others) in enumerate(told, 1):
        assert (progress["done"], progress["of"]) == (number, 4)
        assert progress["title"] == "DDIM · 4 steps"
        assert progress["seconds"] >= 0
        assert [picture_of(p["image"]).shape for p in progress["pictures"]] == [(16, 16)] * 2
        assert others == [gr.skip()] * 5
    assert told[-1][0]["pictures"][0]["symbol"] == "x_{0}"
    progress, scene, spread, factors, lesson, shown = result
    assert progress is None
    assert shown == read(*inputs())
    run = runs.compute(shown[0])
    (sent,) = scene["runs"]
    assert base64.b64decode(sent["lanes"]["x"]) == run.lanes["x"].tobytes()
    assert base64.b64decode(sent["final"]) == pixels_of(run.final).tobytes()
    assert (sent["t"], sent["tNext"], sent["steps"]) == (run.t, run.t_next, 4)
    for name, values in run.formula.factors.items():
        numbers = np.frombuffer(base64.b64decode(sent["equations"][0]["factors"][name]), "<f4")
        np.testing.assert_array_equal(numbers, values.float())
    assert len(spread["data"]) == 3
    assert spread["data"][0]["x"] == run.t
    assert [trace["y"] for trace in factors["data"]] == [
        values.tolist() for values in run.formula.factors.values()
    ]
    assert lesson["visible"] is False
    json.dumps([scene, spread, factors])  # plain enough to be sent


def test_unchanged_settings_do_nothing(monkeypatch):
    shown = last(show((), *inputs()))[-1]
    monkeypatch.setattr(runs, "walk", None)  # would be an error
    assert list(show(shown, *inputs())) == [(None, *[gr.skip()] * 5)]


def test_a_known_run_is_there_at_once_and_shared():
    first = last(show((), *inputs()))[1]
    assert [value[1] for value in show((), *inputs())] == [first]


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_by_name_shows_two_runs_and_its_lesson(name):
    few = {"steps": 2}  # of any length: what differs otherwise is the pair's own
    _, scene, spread, _, lesson, shown = last(
        show((), *inputs(PAIRS[name].a | few, PAIRS[name].b | few, compare=name))
    )
    a, b = scene["runs"]
    assert a["title"].startswith("A · ")
    assert b["title"].startswith("B · ")
    assert a["colour"] != b["colour"]
    starts = [base64.b64decode(run["lanes"]["x"])[:256] for run in (a, b)]
    assert starts[0] == starts[1]
    assert len(spread["data"]) == 6
    assert lesson["visible"]
    assert len(lesson["value"]) > 50
    assert len(shown) == 2


def test_two_runs_tell_which_of_them_is_under_way(every_step):
    told = [value[0] for value in show((), *inputs({}, {"steps": 2}, compare=OWN))][:-1]
    assert [value["title"][:4] for value in told] == ["A · "] * 4 + ["B · "] * 2


def test_a_run_that_is_given_up_stops_and_leaves_nothing_behind(monkeypatch, every_step, cache):
    walked = []
    walk = runs.walk

    def watched(*arguments):
        for step in walk(*arguments):
            walked.append(step.index)
            yield step

    monkeypatch.setattr(runs, "walk", watched)
    showing = show((), *inputs({"steps": 900}))
    for _ in range(3):
        next(showing)
    showing.close()
    assert walked == [0, 1, 2]
    assert list(showing) == []
    assert walked == [0, 1, 2]
    assert len(cache) == 0


def test_another_wish_ends_the_run_that_is_under_way(every_step, cache):
    wish, long = Wish(), inputs({"steps": 900})
    reverse.ask(wish, *long)
    showing = show((), *long, wish=wish)
    next(showing)
    reverse.ask(wish, *long)  # the same once more changes nothing
    reverse.ask(wish, *inputs({"steps": "nonsense"}))  # nor does what makes no sense
    assert next(showing)[0]["done"] == 2
    reverse.ask(wish, *inputs())
    assert list(showing) == []
    assert len(cache) == 0
    assert last(show((), *inputs(), wish=wish))[-1] == read(*inputs())


def test_a_wish_that_comes_while_a_run_is_drawn_has_the_last_word(monkeypatch, cache):
    wish, given, draw = Wish(), inputs({"steps": 2}), reverse.runs_payload

    def drawn(found):
        wish.runs = ("another",)
        return draw(found)

    monkeypatch.setattr(reverse, "runs_payload", drawn)
    assert not [value for value in show((), *given, wish=wish) if value[-1] == read(*given)]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [bad for bad in BAD if not {"T", "picture", "points"} & bad[0].keys()][::3],
    ids=lambda value: str(value)[:40],
)
def test_nonsense_gets_one_sentence_in_the_page(changes, sentence):
    if changes == {"family": "custom"}:
        changes = {"steps": 0}
        sentence = "The number of steps"
    own = {
        key: value
        for key, value in changes.items()
        if key not in ("model", "label", "seed", "guidance")
    }
    shared = {key: value for key, value in changes.items() if key not in own}
    with pytest.raises(gr.Error, match=sentence):
        next(show((), *inputs(own, **shared)))


# -- branches, many, export ----------------------------------------------------------------------


@pytest.fixture
def shown():
    return last(show((), *inputs()))[-1]


def test_branching_tells_of_its_steps_and_shows_a_fan(shown, every_step):
    *told, (progress, sheet) = reverse.branch(750, shown)
    assert [value["of"] for value, _ in told] == [3] * 3
    assert "t = 750" in told[0][0]["title"]
    assert progress is None
    (row,) = sheet["rows"]
    assert row["title"] == "from t = 750"
    own, *branches = [picture_of(picture["image"]) for picture in row["pictures"]]
    np.testing.assert_array_equal(own, pixels_of(runs.compute(shown[0]).final))
    assert len({branch.tobytes() for branch in branches}) == 8


def test_branching_along_the_run_narrows():
    shown = last(show((), *inputs({"steps": 10}, label="any")))[-1]
    _, sheet = last(reverse.branch_along(shown))
    spreads = [float(row["note"].rsplit(" ", 1)[1]) for row in sheet["rows"]]
    assert [row["title"] for row in sheet["rows"]] == [
        f"from t = {t}" for t in (1000, 800, 600, 500, 300)
    ]
    assert spreads[0] > spreads[4] > 0


@pytest.mark.parametrize("t", [-1, 1.5, math.nan, None, "x", [5], 10**9])
def test_branching_at_no_timestep_gets_one_sentence(shown, t):
    with pytest.raises(gr.Error, match="t must be a whole number"):
        next(reverse.branch(t, shown))


def test_many_samples_are_the_runs_of_the_seeds_that_follow(shown, every_step):
    *told, (progress, sheet) = reverse.many(8, reverse.ONE_LABEL, 2.0, shown)
    assert len(told) == 4
    assert progress is None
    (row,) = sheet["rows"]
    assert [p["caption"] for p in row["pictures"]] == [f"seed {seed}" for seed in range(8)]
    for picture in (row["pictures"][0], row["pictures"][7]):
        seed, label, _ = choose(picture["key"])
        assert label == gr.skip()
        assert_same(picture, runs.compute(read(*inputs(seed=seed))[0]))


@pytest.mark.parametrize("label", ["3", "any"])
def test_one_sample_of_each_class_is_what_a_click_on_it_leads_to(label):
    shown = last(show((), *inputs(label=label, guidance=4.0)))[-1]
    _, sheet = last(reverse.many(8, reverse.EACH_LABEL, 4.0, shown))
    (row,) = sheet["rows"]
    assert [p["caption"] for p in row["pictures"]] == list("0123456789")
    for picture in (row["pictures"][0], row["pictures"][7]):
        seed, label, asked = choose(picture["key"])
        assert seed == 0  # as before: so it is `asked` that tells of the click
        assert asked
        assert_same(picture, runs.compute(read(*inputs(seed=seed, label=label, guidance=4.0))[0]))


def choose(key):
    return reverse.choose_sample(gr.EventData(None, {"key": key}))


def assert_same(picture, run):
    """Computed alone and in a batch: the same but for rounding."""
    difference = picture_of(picture["image"]).astype(int) - pixels_of(run.final)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("count", [0, 7, 10**6, None, "8", [8], math.nan])
def test_no_other_number_of_samples_is_drawn(shown, count):
    with pytest.raises(gr.Error, match="The number of samples must be one of 8, 16, 32, 64"):
        next(reverse.many(count, reverse.ONE_LABEL, 2.0, shown))


def test_a_sheet_that_takes_minutes_is_refused_with_what_would_fit():
    wanted = read(*inputs({"steps": 1000}))
    with pytest.raises(gr.Error, match="at most 234 steps"):
        next(reverse.many(64, reverse.ONE_LABEL, 2.0, wanted))


def test_samples_of_an_unknown_kind_or_guidance_get_one_sentence(shown):
    with pytest.raises(gr.Error, match="The kind of samples must be one of"):
        next(reverse.many(8, "whatever", 2.0, shown))
    with pytest.raises(gr.Error, match="The guidance must be from 0 to 20"):
        next(reverse.many(8, reverse.ONE_LABEL, math.inf, shown))


@pytest.mark.parametrize(
    "key", [None, "x", [], {}, {"seed": -1}, {"seed": "1"}, {"seed": math.nan, "label": "3"}]
)
def test_a_click_on_what_is_no_sample_gets_one_sentence(key):
    with pytest.raises(gr.Error, match=r"Choose one of the samples|The seed must be"):
        choose(key)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "CSV"])
def test_what_is_on_show_can_be_saved(shown, form):
    name, content = reverse.export(form, shown)
    assert name == f"reverse-process.{form.lower()}"
    assert len(content) > 300


@pytest.mark.parametrize(
    "handler",
    [
        lambda: next(reverse.branch(500, ())),
        lambda: next(reverse.branch_along(())),
        lambda: next(reverse.many(8, reverse.ONE_LABEL, 2.0, ())),
        lambda: reverse.export("GIF", ()),
    ],
)
def test_before_the_first_run_one_is_told_to_make_one(handler):
    with pytest.raises(gr.Error, match="There is no run yet: press Run first"):
        handler()


def test_without_a_cache_everything_still_works(monkeypatch):
    monkeypatch.setattr(runs.RUNS, "cache", LRU(0))
    shown = last(show((), *inputs()))[-1]
    assert last(reverse.branch(750, shown))[1]["rows"]
    assert reverse.export("PNG", shown)


def test_the_page_opens_with_a_run_that_is_known_already(cache):
    reverse.warm_up()
    with gr.Blocks() as page:
        controls = Controls.build(Session.create(), [page.load])
    assert len(list(show((), *(c.value for c in controls.inputs)))) == 1
    assert len(cache) == 1

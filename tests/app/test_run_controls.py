"""What the controls of a run ask for, in the order in which the page sends it."""

import math

import gradio as gr
import pytest

from app import models
from app.catalogue import DEFAULT_POINTS
from app.pairs import ALONE, DEFAULTS, OWN, PAIRS
from app.pictures import Picture, built_in
from app.run_controls import PICTURE, Controls, choose_model, choose_pair, read
from app.session import Session
from tests.app.reverse_inputs import SHARED, inputs
from tests.app.test_runs import BAD


@pytest.fixture(scope="module")
def controls():
    with gr.Blocks() as page:
        return Controls.build(Session.create(), [page.load])


def test_the_controls_come_in_the_order_in_which_they_are_read(controls):
    values = [component.value for component in controls.inputs]
    (settings,) = read(*values)
    assert settings.model == models.names()[0]
    assert settings.label == int(models.first_label(settings.model))
    assert (settings.guidance, settings.seed, settings.picture) == (2.0, 0, None)
    for name, value in DEFAULTS.items():
        assert getattr(settings, name) == value
    names = [component.elem_id for component in controls.inputs]
    assert names[9:] == [f"{name}-{side}" for side in "AB" for name in DEFAULTS]


def test_each_control_says_what_it_does(controls):
    for component in controls.inputs:
        if not isinstance(component, gr.State):
            assert component.label
            assert component.info


def test_two_sides_share_all_but_their_own():
    a, b = read(*inputs(a={"steps": 3}, b={"sampler": "heun", "spacing": "leading"}, compare=OWN))
    assert (a.steps, a.sampler, a.spacing) == (3, "ddim", "trailing")
    assert (b.steps, b.sampler, b.spacing) == (4, "heun", "leading")
    assert (a.model, a.label, a.seed, a.guidance) == (b.model, b.label, b.seed, b.guidance)


def test_alone_the_other_side_does_not_matter():
    assert read(*inputs(b={"steps": "nonsense"})) == read(*inputs())


def test_a_picture_and_its_timestep_matter_only_where_one_starts_from_it():
    picture = built_in("china")
    assert read(*inputs(picture=picture, from_step=None)) == read(*inputs())
    (settings,) = read(*inputs(start=PICTURE, picture=picture, from_step=300))
    assert (settings.picture, settings.from_step) == (picture, 300)
    (settings,) = read(*inputs(start=PICTURE))
    assert isinstance(settings.picture, Picture)  # the one that every session has at first


def test_the_custom_schedule_is_the_one_of_the_session():
    points = [[0, 1], [0.5, 0.4], [1, 0.001]]
    (settings,) = read(*inputs({"family": "custom"}, points=points))
    assert settings.points == ((0, 1), (0.5, 0.4), (1, 0.001))
    assert read(*inputs(points=points)) == read(*inputs(points=DEFAULT_POINTS))


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_by_name_sets_both_sides(name):
    *values, _ = choose_pair(name)
    shared = list((SHARED | {"compare": name}).values())
    a, b = read(*shared, *values)
    for settings, side in ((a, PAIRS[name].a), (b, PAIRS[name].b)):
        for key, value in (DEFAULTS | side).items():
            assert getattr(settings, key) == value


def test_the_same_pair_again_asks_again():
    assert choose_pair("linear beside cosine")[-1] != choose_pair("linear beside cosine")[-1]


@pytest.mark.parametrize("name", [ALONE, OWN])
def test_settings_of_ones_own_stay_as_they_are(name):
    *values, asked = choose_pair(name)
    assert all(value == gr.skip() for value in values)
    assert len(values) == 2 * len(DEFAULTS)
    assert asked


@pytest.mark.parametrize("name", [None, 3, "tea beside coffee", ["linear beside cosine"], {}])
def test_what_is_no_comparison_gets_one_sentence(name):
    with pytest.raises(gr.Error, match="The comparison must be one of one run alone"):
        choose_pair(name)
    with pytest.raises(ValueError, match="The comparison must be one of one run alone"):
        read(*inputs(compare=name))


@pytest.mark.parametrize("name", ["fashion", "cats", "digits"])
def test_another_model_brings_its_labels(name):
    label, from_step, _ = choose_model(name)
    assert label["choices"] == models.labels(name)
    assert label["value"] in {value for _, value in label["choices"]}
    assert (from_step["maximum"], from_step["value"]) == (1000, 500)


@pytest.mark.parametrize("name", [None, "nobody", ["digits"], math.nan])
def test_what_is_no_model_gets_one_sentence(name):
    with pytest.raises(gr.Error, match="The model must be one of fashion, fashion-v, cats, digits"):
        choose_model(name)


@pytest.mark.parametrize("start", [None, "a dream", ["pure noise"]])
def test_what_is_no_start_gets_one_sentence(start):
    with pytest.raises(ValueError, match="The start must be one of pure noise, a picture"):
        read(*inputs(start=start))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [bad for bad in BAD if not {"T", "picture"} & bad[0].keys()],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("side", ["A", "B"])
def test_nonsense_on_either_side_gets_one_sentence(side, changes, sentence):
    own = {key: value for key, value in changes.items() if key in DEFAULTS}
    shared = {key: value for key, value in changes.items() if key not in DEFAULTS}
    if changes == {"family": "custom"}:
        shared = {"points": ()}
    given = (
        inputs(own, compare=OWN, **shared)
        if side == "A"
        else inputs({}, own, compare=OWN, **shared)
    )
    with pytest.raises(ValueError, match=sentence):
        read(*given)


@pytest.mark.parametrize("at", [0, -1, 1001, 10**6, 1.5, math.nan, None, "x", [5]])
def test_a_start_at_no_timestep_gets_one_sentence(at):
    with pytest.raises(ValueError, match="The timestep to start from must be a whole number"):
        read(*inputs(start=PICTURE, from_step=at))

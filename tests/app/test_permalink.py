"""Addresses: what a person set in a tab goes into one, and comes out of it as it was."""

import gradio as gr
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app import gallery, links, permalink
from app.catalogue import DEFAULT_POINTS, Recipe
from app.permalink import CannotTravelError, Setting, parts_of, query_of, values_of
from app.pictures import Picture, built_in
from app.session import Session
from app.tabs.schedules import recipes_setting
from app.ui import lay_out
from model.schedule import FAMILIES

TABS = ("forward", "schedules", "reverse", "subtract", "unet", "train")
FREE = [
    permalink.choice("sampler", "ddpm", ["ddpm", "ddim"]),
    permalink.several("lanes", ["x", "eps"], ["x", "eps", "z"]),
    permalink.number("seed", 0, permalink.within("seed", 0, 100)),
    permalink.switch("clip", True),
    permalink.words("dataset", ""),
]


@pytest.fixture(scope="module")
def places():
    with gr.Blocks() as page:
        return {place.name: place for place in lay_out(page, Session.create())}


def defaults(every):
    values = {}
    for setting in every:
        values[setting.name] = setting.default_with(values)
    return values


# -- the whole page ----------------------------------------------------------------------------

recipes = st.builds(
    lambda family, T, numbers, rescale: (
        Recipe("cosine", T, 1e-4, 0.02, numbers[0], False)
        if family == "cosine"
        else Recipe(family, T, *sorted(numbers), 0.008, rescale)
    ),
    st.sampled_from(sorted(FAMILIES)),
    st.integers(50, 1000),
    st.tuples(st.floats(1e-4, 0.01), st.floats(0.011, 0.02)),
    st.booleans(),
)


def points_of(heights):
    inner = sorted(set(heights), reverse=True)
    n = len(inner) + 1
    return [[0.0, 1.0], *([(i + 1) / n, a] for i, a in enumerate(inner[:-1])), [1.0, inner[-1]]]


points = st.lists(st.integers(2, 9900), min_size=1, max_size=10).map(
    lambda heights: points_of([height / 10_000 for height in heights])
)


def a_value(draw, kept, values):
    """Any value that the control or the view can hold, with those before it."""
    setting, component = kept.setting, kept.component
    if setting.name == "picture":
        return draw(st.sampled_from(list(gallery.GALLERY)))
    if setting.name == "points":
        return draw(points)
    if setting.name == "made":
        return draw(st.lists(recipes, max_size=4))
    if component is None:
        guesses = [None, 3, 250, "0.5", "2", "all", "1", "input", "bottleneck"]
        return draw(st.sampled_from([guess for guess in guesses if holds(kept, guess, values)]))
    if isinstance(component, gr.Checkbox):
        return draw(st.booleans())
    if isinstance(component, gr.Slider):
        most = kept.tell(0, values)["maximum"] if kept.tell else component.maximum
        steps = round((most - component.minimum) / component.step)
        return component.minimum + component.step * draw(st.integers(0, steps))
    if isinstance(component, gr.Number):
        guess = draw(st.sampled_from([1, 2, 8, 77, 1000, 0.5, 0.0123, 1e-5]))
        return guess if holds(kept, guess, values) else setting.default_with(values)
    if isinstance(component, gr.Textbox):
        return draw(st.text(st.characters(categories=("L", "N", "P", "S")), max_size=30))
    allowed = component.choices
    if kept.tell:  # the choices follow the settings before
        allowed = kept.tell(setting.default_with(values), values)["choices"]
    keys = [key for _, key in allowed]
    if isinstance(component, gr.CheckboxGroup) or getattr(component, "multiselect", None):
        return draw(st.lists(st.sampled_from(keys), unique=True, max_size=4))
    can = [key for key in keys if holds(kept, key, values)]
    return draw(st.sampled_from(can))


def holds(kept, value, values):
    """Whether a value can travel, for the few that cannot."""
    try:
        return value is None or kept.setting.read(kept.setting.write(value), values) == value
    except ValueError:
        return False


@pytest.mark.parametrize("tab", TABS)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink so much takes minutes
)
@given(data=st.data())
def test_every_setting_of_a_tab_survives_its_address(places, tab, data):
    place = places[tab]
    values = {}
    for kept in place.kept:
        values[kept.setting.name] = a_value(data.draw, kept, values)
    query, left_out = query_of(tab, place.settings, values)
    assert left_out == []
    assert len(query) < permalink.LONGEST
    assert values_of(place.settings, parts_of(f"?{query}")) == (values, [])


@pytest.mark.parametrize("tab", TABS)
def test_untouched_settings_are_not_named(places, tab):
    place = places[tab]
    held = [component.value for component in place.components]
    assert place.query(held, {}) == (f"tab={tab}", [])


@pytest.mark.parametrize("tab", TABS)
def test_every_control_can_be_named(places, tab):
    """What a person can set in a tab is in its address, save what cannot travel."""
    place = places[tab]
    kinds = (gr.Radio, gr.Dropdown, gr.CheckboxGroup, gr.Checkbox, gr.Slider, gr.Number, gr.Textbox)
    top = next(parent for parent in parents(place.view) if isinstance(parent, gr.Tab))
    forgotten = [control.label for control in inside(top, kinds) if control not in place.components]
    assert forgotten == []


def parents(block):
    while block is not None:
        yield block
        block = block.parent


def inside(block, kinds):
    for child in getattr(block, "children", []):
        # A number that is never seen only carries the slider's place along with an event.
        if isinstance(child, kinds) and not (isinstance(child, gr.Number) and not child.visible):
            yield child
        yield from inside(child, kinds)


@pytest.mark.parametrize("tab", TABS)
def test_a_bad_value_gives_the_default_and_one_sentence(places, tab, monkeypatch):
    told = []
    monkeypatch.setattr(gr, "Warning", told.append)
    place = places[tab]
    view, *updates = place.restored(f"?tab={tab}&seed=<b>x&T=1e999&points=1&picture=..", TABS)
    assert view == {"scenes": {}}
    (sentences,) = told
    assert 2 <= sentences.count("In the address, ") <= links.MOST_WARNINGS
    assert sentences.startswith("In the address, ")
    assert sentences.endswith(".")
    assert "<b>" not in sentences
    asked_for_nothing = place.restored("", TABS)[1:]
    assert updates == asked_for_nothing


def test_an_unknown_tab_is_named_with_the_known_ones(places, monkeypatch):
    told = []
    monkeypatch.setattr(gr, "Warning", told.append)
    assert places["forward"].restored("?tab=nowhere&T=10", TABS) == places["forward"].restored(
        "", TABS
    )
    assert told == [
        "In the address, “tab” must be one of forward, schedules, reverse, subtract, unet, train."
    ]


def test_what_cannot_travel_is_said(places):
    place = places["reverse"]
    held = [component.value for component in place.components]
    at = [kept.setting.name for kept in place.kept if kept.component is not None]
    held[at.index("picture")] = Picture(built_in("china").square, "mine")
    held[at.index("model")] = "a key of somebody's own model"
    query, left_out = place.query(held, {"reverse": {"t": {"x": 1}, "speed": "2"}})
    assert query == "tab=reverse&speed=2"
    assert left_out == ["your own picture", "“t”, which is not valid", "your own model"]


def test_the_views_get_their_part_of_the_address(places):
    told = places["subtract"].restored("?tab=subtract&t=40&microscope.t=7&speed=0.5", TABS)
    assert told[0] == {"scenes": {"subtract": {"t": 40, "speed": "0.5"}, "microscope": {"t": 7}}}


def test_what_depends_on_the_model_follows_it(places):
    place = places["reverse"]
    told = place.restored("?tab=reverse&model=digits", TABS)[1:]
    by_name = {
        kept.setting.name: update
        for kept, update in zip(
            [kept for kept in place.kept if kept.component is not None], told, strict=False
        )
    }
    assert by_name["model"]["value"] == "digits"
    assert by_name["label"]["value"] == "3"
    assert len(by_name["label"]["choices"]) == 11


# -- the pure part -----------------------------------------------------------------------------


@given(st.text(max_size=300))
def test_no_address_is_too_strange_to_read(query):
    values, wrong = values_of(FREE, parts_of(query))
    assert set(values) == {setting.name for setting in FREE}
    assert all(sentence.count("\n") == 0 for sentence in wrong)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("sampler=euler", "In the address, “sampler” must be one of ddpm, ddim."),
        ("lanes=x,y", "In the address, “lanes” must be one of x, eps, z."),
        ("seed=ten", "In the address, “seed” must be a number."),
        ("seed=101", "In the address, “seed” must be from 0 to 100."),
        ("seed=nan", "In the address, “seed” must be a number."),
        ("clip=maybe", "In the address, “clip” must be one of yes, no."),
    ],
)
def test_what_is_wrong_is_one_sentence_that_says_what_is_right(query, sentence):
    values, wrong = values_of(FREE, parts_of(query))
    assert wrong == [sentence]
    assert values == defaults(FREE)


def test_an_address_reads_as_people_write():
    values = defaults(FREE) | {"lanes": ["z", "x"], "clip": False, "seed": 7}
    assert query_of("reverse", FREE, values)[0] == "tab=reverse&lanes=z,x&seed=7&clip=no"


def test_only_the_first_of_a_name_counts_and_nothing_is_endless():
    assert parts_of("?seed=1&seed=2") == {"seed": "1"}
    assert parts_of("&".join(f"n{i}=1" for i in range(300))) == {}
    assert len(parts_of("x=" + "1" * 100_000)["x"]) < permalink.LONGEST


def test_custom_schedules_are_written_in_full():
    made = [Recipe("linear", 300, 1e-4, 0.04, 0.008, True), Recipe("cosine", 50, s=0.01)]
    setting = recipes_setting()
    assert setting.write(made) == "linear:300:0.0001:0.04:rescaled,cosine:50:0.01"
    assert setting.read(setting.write(made), {}) == made
    for wrong in ("linear", "linear:300:0.1", "cosine:0:0.008", "nothing:1:2:3", "linear:a:b:c"):
        with pytest.raises(ValueError, match=r"must|valid"):
            setting.read(wrong, {})


def test_points_are_checked_as_a_schedule():
    setting = links.points_setting()
    assert setting.read(setting.write([list(p) for p in DEFAULT_POINTS]), {}) == setting.default
    for wrong in ("0:1", "0:1,1", "0:1,0.5:0.5,0.4:0.2,1:0.1", "0:1,1:nan", ",".join(["0:1"] * 13)):
        with pytest.raises(ValueError, match="must"):
            setting.read(wrong, {})


def test_a_picture_of_ones_own_has_no_name():
    with pytest.raises(CannotTravelError, match="your own picture"):
        links.picture_setting().write(links.key_of(Picture(built_in("china").square, "mine")))


def test_a_setting_may_begin_with_what_those_before_it_say():
    every = [
        permalink.choice("model", "digits", ["digits", "fashion"]),
        Setting("label", lambda values: values["model"][0], lambda text, _: text),
    ]
    assert values_of(every, {"model": "fashion"})[0] == {"model": "fashion", "label": "f"}
    assert query_of("x", every, {"model": "fashion", "label": "f"})[0] == "tab=x&model=fashion"

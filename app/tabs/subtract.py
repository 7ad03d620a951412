"""The Subtract-all tab: take all the predicted noise away at once, and see why many steps win."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import gradio as gr

from app import chooser, models, runs, subtract
from app.apart import keeps, kept
from app.components import Chart, Lanes, Progress, RunData, Sheet, Steps, Walk
from app.components.fields import ChoiceField, NumberField, RangeField
from app.events import NETWORK, QUICK, asked_now
from app.forms import check_choice, check_seed, new_seed, says_what_is_wrong
from app.links import Place
from app.narrate import Told, recorded
from app.pictures import Picture
from app.prose import prose
from app.run_controls import GUIDANCE, keep_model, labels_of, offer_own
from app.run_plots import error_figure, removed_figure
from app.runs import RunSettings, run_settings
from app.session import Session, picture_or_default
from app.ways import Ways
from model.schedule import FAMILIES

SCENE, SCOPE = "subtract", "microscope"
LENGTHS = (10, 50, 100, 300, 1000)
OF_RUN, OF_GALLERY = "where the run above comes to", "a picture"


# -- handlers ----------------------------------------------------------------------------------


def read(model: Any, label: Any, guidance: Any, seed: Any, family: Any, T: Any) -> RunSettings:
    """The run that is asked for: every timestep of a schedule, with DDPM."""
    check_choice(family, "The schedule", FAMILIES)
    T = check_choice(T, "T", LENGTHS)
    return run_settings(
        model=model, label=label, guidance=guidance, seed=seed, sampler="ddpm", steps=T,
        family=family, T=T,
    )  # fmt: skip


@says_what_is_wrong
def look(unknown: int, answered: int, way: Any, shown: Any, *settings: Any) -> tuple:
    """What `show` ends with if that is known, else a number that asks for `show`.

    So too while that is under way, which would else have the last word.
    """
    way = check_choice(way, "The way", subtract.WAYS)
    wanted = read(*settings)
    if unknown == answered:
        if wanted == shown:
            return None, *[gr.skip()] * 4
        if found := kept(show, unknown, way, shown, *settings):
            *values, _ = found
            return *values, gr.skip()
    return *[gr.skip()] * 4, asked_now()


@keeps(lambda asked, way, shown, *settings: (way, read(*settings)))
@says_what_is_wrong
def show(asked: int, way: Any, shown: Any, *settings: Any) -> Generator[tuple, None, None]:
    """What a `Progress` shows, the scene, its chart, what is now on show, and what is answered."""
    way = check_choice(way, "The way", subtract.WAYS)
    wanted = read(*settings)
    if wanted == shown:
        yield None, *[gr.skip()] * 3, asked
        return
    for value in (run := Told(recorded(wanted, wanted.title))):
        yield value, *[gr.skip()] * 4
    found = subtract.along(run.result)
    scene = subtract.subtract_payload(run.result, found, way)
    yield None, scene, removed_figure(found), wanted, asked


def picture_matters(source: Any, shown: RunSettings | None) -> Any:
    """A number that asks for `examine` if another picture changes what it shows."""
    return asked_now() if source == OF_GALLERY and shown is not None else gr.skip()


@says_what_is_wrong
def examine(source: Any, picture: Picture | None, shown: RunSettings | None) -> tuple[dict, dict]:
    """The microscope's scene and its curves of errors."""
    check_choice(source, "The known picture", (OF_RUN, OF_GALLERY))
    if shown is None:  # another tab changed the picture before this one was opened
        return gr.skip(), gr.skip()
    if source == OF_RUN:
        x0 = runs.compute(shown).final
    else:
        x0 = picture_or_default(picture).as_input(models.load(shown.model).shape)
    look, eps = subtract.microscope(shown, x0)
    return subtract.scope_payload(shown, look, eps), error_figure(look, eps)


@says_what_is_wrong
def compare(*settings: Any) -> Generator[tuple, None, None]:
    """Few steps beside many, from the same noise."""
    model, label, guidance, seed = settings[:4]
    wanted = run_settings(model=model, label=label, guidance=guidance, seed=seed, steps=1)
    for value in (found := Told(subtract.compare(wanted))):
        yield value, gr.skip()
    yield None, subtract.comparison_payload(found.result, wanted)


@says_what_is_wrong
def choose_model(name: Any) -> tuple[dict, int]:
    """The labels of another model, and a number that tells of it."""
    return labels_of(name), asked_now()


# -- layout and wiring -------------------------------------------------------------------------


def build(session: Session, place: Place, ways: Ways | None) -> None:
    """Lay the tab out inside the current context, and connect it.

    `ways` lead to the Reverse tab, which is there where a model is.
    """
    scene, scope = RunData(scene=SCENE), RunData(scene=SCOPE)
    shown, asked = gr.State(None), gr.State(0)
    names = models.names()
    first = models.predicts_v(names) or names[0]  # its one-step answers are what theory says
    prose("subtract_lead", elem_classes="lead")
    with gr.Row(elem_classes="stage"):
        with gr.Column(scale=3, min_width=320):
            progress = Progress(elem_id="subtract-progress", elem_classes="slot")
            Walk(scene=SCENE, elem_id="subtract-walk")
            Lanes(scene=SCENE, elem_id="subtract-lanes")
        with gr.Column(scale=1, min_width=280, elem_classes="settings"):
            way = gr.Radio(
                list(subtract.WAYS), value="plain difference", label="Remove the noise by",
                info="As it is, like the classic figure, or weighted as it was added.",
                elem_id="subtract-way",
            )  # fmt: skip
            model = gr.Radio(
                names, value=first, label="Model", info="Trained by this project, or by you.",
                elem_id="subtract-model",
            )  # fmt: skip
            label = ChoiceField(
                models.labels(first), value=models.first_label(first), label="Label",
                info="What the network is asked for.", elem_id="subtract-label",
            )  # fmt: skip
            family = gr.Radio(
                list(FAMILIES), value="linear", label="Schedule", info="Its β rescaled to T.",
                elem_id="subtract-family",
            )  # fmt: skip
            T = gr.Radio(
                LENGTHS, value=50, label="Number of steps T", info="The run takes all of them.",
                elem_id="subtract-T",
            )  # fmt: skip
            with gr.Accordion("Guidance and seed", open=False):
                guidance = RangeField(
                    0, 8, GUIDANCE, step=0.25, label="Guidance",
                    info="1: as trained. More exaggerates what the label asks for.",
                )  # fmt: skip
                seed = NumberField(
                    0,
                    label="Seed",
                    precision=0,
                    info="The same seed gives the same noise.",
                    elem_id="subtract-seed",
                )
            again = gr.Button("New noise (another seed)", size="sm", elem_id="subtract-again")
    Steps(scene=SCENE, elem_id="subtract-time", elem_classes=["stuck", "wide"])
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            prose("subtract_notice")
        with gr.Column(scale=3, min_width=320):
            chart = Chart(scene=SCENE, elem_id="subtract-chart")

    with gr.Column(elem_classes="section"):
        prose("subtract_many")
        with gr.Row():
            drawing = gr.Button("Compare one step with many", variant="primary", elem_id="compare")
            fewer = gr.Button("In Reverse: fewer steps work", elem_id="lesson-fewer")
            another = gr.Button("In Reverse: another schedule works", elem_id="lesson-schedule")
        comparing = Progress(elem_id="compare-progress", elem_classes="slot")
        comparison = Sheet(elem_id="comparison")

    with gr.Column(elem_classes="section"):
        prose("subtract_microscope")
        with gr.Row(elem_classes="stage"):
            with gr.Column(scale=3, min_width=320):
                Walk(scene=SCOPE, elem_id="microscope-walk")
                Steps(scene=SCOPE, elem_id="microscope-time", elem_classes="wide")
            with gr.Column(scale=1, min_width=280, elem_classes="settings"):
                source = gr.Radio(
                    [OF_RUN, OF_GALLERY], value=OF_RUN, label="The known picture",
                    info="What the model itself drew, or one it has not.",
                    elem_id="microscope-source",
                )  # fmt: skip
                with gr.Column(visible=False) as gallery:
                    chooser.build(session, place.opened, SCOPE)
        with gr.Row():
            errors = Chart(scene=SCOPE, elem_id="microscope-chart")

    settings = [model, label, guidance, seed, family, T]
    offer_own(session, model)
    model.input(choose_model, model, [label, asked], **QUICK)
    again.click(new_seed, outputs=seed, **QUICK)
    work = {"trigger_mode": "always_last", "show_progress": "minimal", **NETWORK}
    unknown, answered, looked = gr.State(0), gr.State(0), gr.State(0)
    showing = [progress, scene, chart, shown]
    gr.on(
        [
            *place.opened, asked.change,
            label.input, guidance.release, seed.change, family.input, T.input,
        ],
        look, [unknown, answered, way, shown, *settings], [*showing, unknown],
        trigger_mode="always_last", **QUICK,
    )  # fmt: skip
    running = unknown.change(
        show, [unknown, way, shown, *settings], [*showing, answered],
        show_progress_on=progress, **work,
    )  # fmt: skip
    running.failure(lambda: None, outputs=progress, **QUICK)
    session.picture.change(picture_matters, [source, shown], looked, **QUICK)
    gr.on(
        [shown.change, source.input, looked.change],
        examine, [source, session.picture, shown], [scope, errors],
        show_progress_on=errors, **work,
    )  # fmt: skip
    source.change(lambda name: gr.update(visible=name == OF_GALLERY), source, gallery, **QUICK)
    lanes = {name: list(keys) for name, keys in subtract.WAYS.items()}
    way.change(
        None, way, js=f"way => {{ window.unnoise.scene('{SCENE}').showLanes(({lanes})[way]); }}"
    )
    keep_model(place, model, label)
    for name, component in {
        "way": way, "schedule": family, "T": T, "guidance": guidance, "known": source,
    }.items():  # fmt: skip
        place.keep(name, component)
    place.keep("seed", seed, check=check_seed)
    drawing.click(
        compare, settings, [comparing, comparison], show_progress_on=comparing, **work
    ).failure(lambda: None, outputs=comparing, **QUICK)
    ways.to_pair(fewer.click, "10 steps beside 100")
    ways.to_pair(another.click, "linear beside cosine")

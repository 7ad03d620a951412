"""The U-Net tab: the network as a place to walk through, with a real forward pass in it."""

from __future__ import annotations

from collections.abc import Generator, Hashable
from functools import lru_cache
from typing import Any

import gradio as gr

from app import anatomy, chooser, diagram, models, runs
from app.apart import keeps, kept
from app.components import Attention, Chart, Sheet, Steps, UNetData, UNetDiagram
from app.components.fields import ChoiceField, NumberField, RangeField
from app.embedding_plots import embedding_figures
from app.events import NETWORK, QUICK, asked_now
from app.forms import (
    check_choice,
    check_integer,
    check_seed,
    new_seed,
    says_what_is_wrong,
    sent,
)
from app.links import Place
from app.pairs import DEFAULTS
from app.permalink import CannotTravelError, Setting, Values, choice, number
from app.prose import prose
from app.run_controls import GUIDANCE, offer_own, shipped_only
from app.session import Session, picture_or_default
from app.settings import current

SCENE = "unet"
OWN, PICTURE, RUN = "a sample of its own, noised", "a picture, noised", "the run of Reverse"
SOURCES = (OWN, PICTURE, RUN)
WRONG_T = 900
TO_DIAGRAM_JS = """(...given) => {
  document.querySelector('#unet-diagram').scrollIntoView({block: 'start'});
  return given;
}"""
T_JS = f"(t, ...rest) => [window.unnoise.scene('{SCENE}').timeNow(), ...rest]"


# -- handlers ----------------------------------------------------------------------------------


def subject_of(
    model: Any, label: Any, seed: Any, source: Any, picture: Any, shown: Any
) -> anatomy.Subject:
    """Whose inside is asked for; ValueError says what is wrong."""
    if model == diagram.CLASSIC:
        raise ValueError("The textbook's network has no weights: choose a trained model for this.")
    if check_choice(source, "What goes through", SOURCES) == OWN:
        settings = runs.run_settings(
            model=model, label=label, seed=seed, guidance=GUIDANCE, **DEFAULTS
        )
        return anatomy.of_picture(model, label, runs.compute(settings).final, seed)
    if source == PICTURE:
        x0 = picture_or_default(picture).as_input(models.load(model).shape)
        return anatomy.of_picture(model, label, x0, seed)
    if not shown:
        raise ValueError("There is no run yet: open the Reverse tab first.")
    return anatomy.of_run(runs.compute(shown[0]))


def decisive(
    model: Any, label: Any, seed: Any, source: Any, picture: Any, shown: Any
) -> tuple[Any, ...]:
    """Those of the inputs on which the scene depends."""
    return model, label, seed, source, source == PICTURE and picture, source == RUN and shown


@keeps(lambda asked, seen, *inputs: decisive(*inputs))
@says_what_is_wrong
def show(asked: int, seen: Any, *inputs: Any) -> Generator[tuple, None, None]:
    """The scene, the embeddings' heat maps, what is now on show, and what is answered."""
    wanted = decisive(*inputs)
    if seen == wanted:
        yield *[gr.skip()] * 5, seen, asked
    elif inputs[0] == diagram.CLASSIC:
        yield diagram.classic_diagram(), *[gr.skip()] * 4, wanted, asked
    else:
        this = subject_of(*inputs)
        charts = embedding_figures(anatomy.embedding_tables(this))
        yield anatomy.alive(this), *charts, wanted, asked


def look(unknown: int, answered: int, seen: Any, *inputs: Any) -> tuple:
    """What `show` gives if that is known, else a number that asks for `show`.

    So too while that is under way, which would else have the last word.
    """
    wanted = decisive(*inputs)
    if unknown == answered and all(isinstance(value, Hashable) for value in wanted):
        if seen == wanted:
            return (gr.skip(),) * 7
        if found := kept(show, unknown, seen, *inputs):
            *values, _ = found
            return *values, gr.skip()
    return *[gr.skip()] * 6, asked_now()


def picture_matters(seen: Any, source: Any) -> Any:
    """A number that asks for `show` if another picture changes what is on show."""
    return asked_now() if seen is not None and source == PICTURE else gr.skip()


@says_what_is_wrong
def open_block(event: gr.EventData, t: Any, *inputs: Any) -> Any:
    """All channels of the block that was clicked on."""
    if inputs[0] == diagram.CLASSIC:
        return {"rows": []}
    return anatomy.all_channels(subject_of(*inputs), sent(event, "block"), t)


@says_what_is_wrong
def show_channel(event: gr.EventData, *inputs: Any) -> dict:
    """The scene again, with the channel that was clicked on."""
    this = subject_of(*inputs)
    return anatomy.alive(this, anatomy.channel_of(this, sent(event, "key")))


@says_what_is_wrong
def tell(t: Any, lie: Any, *inputs: Any) -> dict:
    """The same picture with the network told the right t, and another."""
    if inputs[0] == diagram.CLASSIC:
        return {"rows": []}
    return anatomy.told(subject_of(*inputs), t, lie)


@says_what_is_wrong
def measure_fields(t: Any, *inputs: Any) -> dict:
    """The receptive field of each block at t."""
    return anatomy.receptive_fields(subject_of(*inputs), t)


@says_what_is_wrong
def choose_model(name: Any) -> tuple:
    """The labels and the T of another network."""
    if name == diagram.CLASSIC:
        place = gr.skip()
    else:
        T = models.load(name).schedule.T
        place = gr.update(maximum=T, value=round(0.9 * T))
    return gr.update(choices=labels(name), value=first_label(name)), place, asked_now()


def labels(model: str) -> list[tuple[str, str]]:
    """What a network can be told, as a list's (title, value)."""
    return [("any", models.ANY)] if model == diagram.CLASSIC else models.labels(model)


def first_label(model: str) -> str:
    return models.ANY if model == diagram.CLASSIC else models.first_label(model)


def length_of(model: str) -> int:
    """The network's T; the textbook's has none of its own, and gets that of the paper."""
    return 1000 if model == diagram.CLASSIC else models.load(model).schedule.T


@lru_cache(maxsize=16)
def blocks_of(model: str) -> list[tuple[str, str]]:
    """The network's blocks, each with its kind."""
    if model == diagram.CLASSIC:
        return [(block["name"], block["kind"]) for block in diagram.classic_diagram()["blocks"]]
    return [(info.name, info.kind) for info in models.load(model).net.describe()]


def inside_settings() -> list[Setting]:
    """What is looked at in the drawing and the attention, by the views' own names."""

    def blocks(values: Values, kind: str = "") -> list[str]:
        return [name for name, its in blocks_of(values["model"]) if kind in its]

    return [
        number("shows", None, lambda value: check_integer(value, "“shows”", 0, 64)),
        choice("cut", None, ["all", *map(str, range(10))]),
        choice("open", None, blocks),
        choice("attention", None, lambda values: blocks(values, "attention")),
        number("pixel", None, lambda value: check_integer(value, "“pixel”", 0, 64 * 64 - 1)),
    ]


def shipped(model: str) -> str:
    return model if model == diagram.CLASSIC else shipped_only(model)


def not_of_reverse(source: str) -> str:
    if source == RUN:
        raise CannotTravelError(RUN)
    return source


# -- layout and wiring -------------------------------------------------------------------------


def build(session: Session, place: Place) -> None:
    """Lay the tab out inside the current context, and connect it."""
    names = models.names()
    scene = UNetData(scene=SCENE)
    seen, asked = gr.State(None), gr.State(0)
    here_t = gr.Number(visible=False)  # the slider's t, sent along with an event
    prose("unet_lead", elem_classes="lead")
    with gr.Row():
        model = gr.Dropdown(
            [*names, diagram.CLASSIC], value=names[0], label="Network", elem_id="unet-model",
            info="Trained ones are alive; the textbook’s has shapes alone.",
        )  # fmt: skip
        label = ChoiceField(
            models.labels(names[0]), value=models.first_label(names[0]), label="Label",
            info="What the network is told beside t.", elem_id="unet-label",
        )  # fmt: skip
        source = gr.Radio(
            SOURCES, value=OWN, label="What goes through", elem_id="unet-source",
            info="One picture, noised to each t with one noise, or the steps of a run.",
        )  # fmt: skip
    drawing = UNetDiagram(scene=SCENE, elem_id="unet-diagram")
    Steps(scene=SCENE, elem_id="unet-time", elem_classes=["stuck", "wide"])
    channels = Sheet(elem_id="unet-channels")
    with gr.Accordion("The picture and its noise", open=False):
        chooser.build(session, place.opened, SCENE)
        seed = NumberField(
            0, label="Seed", precision=0, info="The same seed gives the same noise.",
            elem_id="unet-seed",
        )  # fmt: skip
        again = gr.Button("New noise (another seed)", size="sm")
    prose("unet_notice")

    with gr.Row(elem_classes="section"):
        with gr.Column(scale=2, min_width=300):
            prose("unet_attention")
        with gr.Column(scale=3, min_width=320):
            Attention(scene=SCENE, elem_id="unet-attention")

    with gr.Row(elem_classes="section"):
        with gr.Column(scale=2, min_width=300):
            prose("unet_told")
            lie = RangeField(
                1, models.load(names[0]).schedule.T, WRONG_T, step=1, label="Tell it t =",
                info="The picture stays that of the slider above.", elem_id="unet-lie",
            )  # fmt: skip
        with gr.Column(scale=3, min_width=320):
            truth = Sheet(elem_id="unet-told")

    with gr.Column(elem_classes="section"):
        prose("unet_embedding")
        heat = []
        for row in (("encoding", "sum"), ("alike", "labels")):
            with gr.Row():
                for name in row:
                    with gr.Column(min_width=320):
                        heat.append(Chart(scene=SCENE, elem_id=f"unet-{name}"))

    with gr.Row(elem_classes="section"):
        with gr.Column(scale=2, min_width=300):
            prose("unet_field")
            measure = gr.Button("Measure it at this t", variant="primary", elem_id="unet-measure")
        with gr.Column(scale=3, min_width=320):
            fields = Sheet(elem_id="unet-fields")

    inputs = [model, label, seed, source, session.picture, session.runs]
    work = {"show_progress": "minimal", **NETWORK}
    model.input(choose_model, model, [label, lie, asked], **QUICK)
    again.click(new_seed, outputs=seed, **QUICK)
    unknown, answered = gr.State(0), gr.State(0)
    session.picture.change(picture_matters, [seen, source], asked, **QUICK)
    gr.on(
        [*place.opened, asked.change, label.input, source.input, seed.change],
        look, [unknown, answered, seen, *inputs], [scene, *heat, seen, unknown],
        trigger_mode="always_last", **QUICK,
    )  # fmt: skip
    unknown.change(
        show, [unknown, seen, *inputs], [scene, *heat, seen, answered],
        trigger_mode="always_last", show_progress_on=scene, **work,
    )  # fmt: skip
    drawing.opened(
        open_block, [here_t, *inputs], channels, js=T_JS, show_progress_on=channels, **work
    )
    channels.picked(show_channel, inputs, scene, js=TO_DIAGRAM_JS, **work)
    gr.on(
        [lie.release, seen.change],
        tell, [here_t, lie, *inputs], truth, js=T_JS,
        trigger_mode="always_last", show_progress_on=truth, **work,
    )  # fmt: skip
    measure.click(
        measure_fields, [here_t, *inputs], fields, js=T_JS, show_progress_on=fields, **work
    )
    place.keep("model", model, write=shipped)
    place.keep(
        "label", label,
        default=lambda values: first_label(values["model"]),
        choices=lambda values: [key for _, key in labels(values["model"])],
        tell=lambda value, values: gr.update(choices=labels(values["model"]), value=value),
    )  # fmt: skip
    place.keep("source", source, write=not_of_reverse)
    place.keep("seed", seed, check=check_seed)
    place.keep(
        "lie", lie,
        check=lambda value: check_integer(value, "“lie”", 1, current().max_T),
        default=lambda values: round(0.9 * length_of(values["model"])),
        tell=lambda value, values: gr.update(maximum=length_of(values["model"]), value=value),
    )  # fmt: skip
    for setting in inside_settings():
        place.keep_view(setting, setting.name)
    offer_own(session, model, diagram.CLASSIC)

"""The U-Net tab: the network as a place to walk through, with a real forward pass in it."""

from __future__ import annotations

import time
from typing import Any

import gradio as gr

from app import anatomy, chooser, diagram, models, runs
from app.components import Attention, Chart, Sheet, Steps, UNetData, UNetDiagram
from app.components.fields import NumberField
from app.embedding_plots import embedding_figures
from app.events import NETWORK, QUICK
from app.forms import check_choice, new_seed, says_what_is_wrong, sent
from app.pairs import DEFAULTS
from app.prose import prose
from app.run_controls import GUIDANCE
from app.session import Session, picture_or_default

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


@says_what_is_wrong
def show(seen: Any, *inputs: Any) -> tuple:
    """The scene, the heat maps of the embeddings, and what is now on show."""
    if seen == inputs:
        return *[gr.skip()] * 5, seen
    if inputs[0] == diagram.CLASSIC:
        return diagram.classic_diagram(), *[gr.skip()] * 4, inputs
    this = subject_of(*inputs)
    return anatomy.alive(this), *embedding_figures(anatomy.embedding_tables(this)), inputs


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
        return gr.update(choices=[("any", models.ANY)], value=models.ANY), gr.skip(), _now()
    T = models.load(name).schedule.T
    labels = gr.update(choices=models.labels(name), value=models.first_label(name))
    return labels, gr.update(maximum=T, value=round(0.9 * T)), _now()


def _now() -> int:
    return time.monotonic_ns()


# -- layout and wiring -------------------------------------------------------------------------


def build(session: Session, tab: gr.Tab) -> None:
    """Lay the tab out inside the current context, and connect it."""
    names = models.names()
    scene = UNetData(scene=SCENE)
    seen, asked = gr.State(None), gr.State(0)
    place = gr.Number(visible=False)  # the slider's t, sent along with an event
    prose("unet_lead", elem_classes="lead")
    with gr.Row():
        model = gr.Dropdown(
            [*names, diagram.CLASSIC], value=names[0], label="Network", elem_id="unet-model",
            info="Trained ones are alive; the textbook’s has shapes alone.",
        )  # fmt: skip
        label = gr.Dropdown(
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
        chooser.build(session, tab.select, SCENE)
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
            lie = gr.Slider(
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
    gr.on(
        [tab.select, asked.change, label.input, source.input, seed.change, session.picture.change],
        show, [seen, *inputs], [scene, *heat, seen],
        trigger_mode="always_last", show_progress_on=scene, **work,
    )  # fmt: skip
    drawing.opened(
        open_block, [place, *inputs], channels, js=T_JS, show_progress_on=channels, **work
    )
    channels.picked(show_channel, inputs, scene, js=TO_DIAGRAM_JS, **work)
    gr.on(
        [lie.release, seen.change],
        tell, [place, lie, *inputs], truth, js=T_JS, show_progress_on=truth, **work,
    )  # fmt: skip
    measure.click(
        measure_fields, [place, *inputs], fields, js=T_JS, show_progress_on=fields, **work
    )
    session.own.change(
        lambda own: gr.update(choices=[*models.choices(own), diagram.CLASSIC]), session.own, model,
        **QUICK,
    )  # fmt: skip

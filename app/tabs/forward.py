"""The Forward tab: a picture drowns in noise, under several schedules at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr
from torch import Tensor

from app import chooser, exports, lessons, plots
from app.catalogue import FORWARD, Curve
from app.components import Cards, Chart, Download, Equations, SceneData, Strip, Timestep
from app.components.fields import NumberField
from app.events import EXPORT, QUICK
from app.forms import (
    LARGEST_SEED,
    check_choice,
    check_choices,
    check_integer,
    check_seed,
    new_seed,
    says_what_is_wrong,
    sent,
)
from app.links import Place
from app.pictures import SIZES, Picture
from app.prose import prose
from app.scenes import scene_payload
from app.session import Session, picture_or_default
from model.sampler import standard_noise

SCENE = "forward"
LENGTHS = (10, 50, 100, 300, 1000)
COLOURS = ("colour", "grey")
STEPS_SIZE = 64


# -- handlers ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setup:
    """The tab's settings, checked, with the picture and the noise that they mean."""

    x0: Tensor  # (C, H, W) in [−1, 1]
    eps: Tensor  # (C, H, W), N(0, 1)
    T: int
    rescale: bool
    points: Any
    seed: int

    def curve(self, key: Any) -> Curve:
        """Any schedule on offer, at this T; ValueError if there is no such thing."""
        title, slot, recipe = FORWARD[check_choice(key, "The schedule", FORWARD)]
        recipe = replace(recipe, T=self.T, rescale=self.rescale, points=self.points)
        return Curve(key, title, slot, recipe.build())

    def curves(self, shown: Any) -> list[Curve]:
        """The schedules on show; ValueError if there are none."""
        keys = check_choices(shown, "The schedules", FORWARD)
        if not keys:
            raise ValueError("Choose at least one schedule to show.")
        return [self.curve(key) for key in keys]


def set_up(
    picture: Picture | None, size: Any, colour: Any, T: Any, rescale: Any, points: Any, seed: Any
) -> Setup:
    """Check the settings as they come from the page or the API; ValueError says what is wrong."""
    size = check_choice(size, "The working size", SIZES)
    grey = check_choice(colour, "The colours", COLOURS) == "grey"
    T = check_choice(T, "T", LENGTHS)
    seed = check_seed(seed)
    x0 = picture_or_default(picture).at(size, grey)
    return Setup(x0, standard_noise(x0.shape, [seed])[0], T, bool(rescale), points, seed)


@says_what_is_wrong
def show(shown: Any, focus: Any, *settings: Any) -> tuple[dict, dict]:
    """The scene, and the curve of what the scaling is for."""
    setup = set_up(*settings)
    curves, schedule = setup.curves(shown), setup.curve(focus).schedule
    spread = lessons.spread(schedule, setup.x0, setup.eps)
    return scene_payload(setup.x0, setup.eps, curves), plots.spread_figure(spread, setup.T)


@says_what_is_wrong
def single_steps(t: Any, focus: Any, picture: Picture | None, size: Any, *settings: Any) -> dict:
    """The Markov chain up to t beside the jump; t = 0 shows the first step.

    At 64 pixels at most: a thousand real steps then take a fifth of a second.
    """
    size = min(check_choice(size, "The working size", SIZES), STEPS_SIZE)
    setup = set_up(picture, size, *settings)
    t = max(1, check_integer(t, "t", 0, LENGTHS[-1]))
    schedule = setup.curve(focus).schedule
    # The chain's noises are their own: they must not begin with the jump's ε.
    chain_seed = (setup.seed + 1) % (LARGEST_SEED + 1)
    walk = lessons.walk(schedule, setup.x0, min(t, setup.T), setup.eps, chain_seed)
    return {"rows": lessons.walk_rows(schedule, walk)}


def on_settled(event: gr.EventData, focus: Any, *settings: Any) -> dict:
    return single_steps(sent(event, "t"), focus, *settings)


@says_what_is_wrong
def export(form: str, shown: Any, *settings: Any) -> tuple[str, bytes]:
    setup = set_up(*settings)
    process = (setup.x0, setup.eps, setup.curves(shown))
    if form == "PNG":
        return "forward-process.png", exports.strip_png(*process)
    return f"forward-process.{form.lower()}", exports.animation(*process, form)


# -- layout and wiring -------------------------------------------------------------------------


def build(session: Session, place: Place) -> None:
    """Lay the tab out inside the current context, and connect it."""
    scene = SceneData(scene=SCENE)
    download = Download()
    prose("forward_lead", elem_classes="lead")
    with gr.Row(elem_classes="stage"):
        with gr.Column(scale=3, min_width=320):
            Cards(scene=SCENE, elem_id="forward-cards")
        with gr.Column(scale=1, min_width=280, elem_classes="settings"):
            chooser.build(session, place.opened, SCENE)
            shown = gr.CheckboxGroup(
                [(FORWARD[key][0], key) for key in FORWARD],
                value=["linear", "cosine"],
                label="Schedules",
                info="One picture each, all with the same noise. Draw “custom” in the next tab.",
            )
            T = gr.Radio(
                LENGTHS, value=1000, label="Number of steps T", info="How finely the way is cut."
            )
            rescale = gr.Checkbox(
                True,
                label="Rescale β for a short T",
                info="Off: β stays as for T = 1000, and a short process never reaches noise.",
            )
            with gr.Accordion("Size, colour and seed", open=False):
                size = gr.Radio(
                    SIZES, value=64, label="Pixels a side", info="The centre, resampled to this."
                )
                colour = gr.Radio(
                    COLOURS, value="colour", label="Colours", info="Grey: one channel, one noise."
                )
                seed = NumberField(
                    0, label="Seed", precision=0, info="The same seed gives the same noise."
                )
            again = gr.Button("New noise (another seed)", size="sm")
    time = Timestep(
        scene=SCENE,
        sweep=True,
        follower="single-steps",
        elem_id="forward-time",
        elem_classes="stuck",
    )
    prose("forward_notice")

    with gr.Column(elem_classes="section"):
        prose("forward_strip")
        Strip(scene=SCENE, elem_id="forward-strip")
        with gr.Row():
            as_png = gr.Button("Save the strip (PNG)", size="sm")
            as_gif = gr.Button("Save the process (GIF)", size="sm")
            as_webp = gr.Button("Save the process (WebP)", size="sm")

    with gr.Row(elem_classes="section"):
        with gr.Column(scale=2, min_width=300):
            prose("forward_steps")
            focus = gr.Radio(
                [(FORWARD[key][0], key) for key in FORWARD],
                value="linear",
                label="Schedule of this panel and the next",
                info="Its β_t are the ones in the equations.",
            )
        with gr.Column(scale=3, min_width=320):
            steps = Equations(elem_id="single-steps")

    with gr.Row(elem_classes="section"):
        with gr.Column(scale=2, min_width=300):
            prose("forward_scaling")
            unscaled = gr.Checkbox(
                False,
                label="Leave the scaling out",
                info="All pictures and histograms of this tab then show the process without it.",
                elem_id="unscaled",
            )
        with gr.Column(scale=3, min_width=320):
            spread = Chart(scene=SCENE, elem_id="spread-chart")

    settings = [session.picture, size, colour, T, rescale, session.points, seed]
    shows = {"fn": show, "inputs": [shown, focus, *settings], "outputs": [scene, spread], **QUICK}

    gr.on(place.opened, **shows)
    gr.on(
        [
            size.input, colour.input, shown.input, T.input, rescale.input, focus.input, seed.change,
            session.picture.change, session.points.change,
        ],
        trigger_mode="always_last", **shows,
    )  # fmt: skip
    time.settled(on_settled, [focus, *settings], steps, trigger_mode="always_last", **QUICK)
    again.click(new_seed, outputs=seed, **QUICK)

    unscaled.change(
        None, unscaled, js=f"on => {{ window.unnoise.scene('{SCENE}').leaveOutScaling(on); }}"
    )
    for name, component in {
        "schedules": shown, "T": T, "rescale": rescale, "size": size, "colour": colour,
        "panel": focus, "unscaled": unscaled,
    }.items():  # fmt: skip
        place.keep(name, component)
    place.keep("seed", seed, check=check_seed)
    for button, form in ((as_png, "PNG"), (as_gif, "GIF"), (as_webp, "WEBP")):
        button.click(
            partial(export, form),
            [shown, *settings],
            download,
            **EXPORT,
        )

"""The Schedules tab: any number of schedules as curves, numbers and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import gradio as gr

from app import exports, plots
from app.catalogue import CUSTOM, MOST_POINTS, PRESETS, Curve, Recipe
from app.components import AlignedStrip, Chart, Download, Points, Readout, SceneData, Timestep
from app.components.fields import NumberField
from app.events import EXPORT, QUICK
from app.forms import check_choice, check_integer, says_what_is_wrong, sent
from app.links import Place
from app.permalink import Setting, number_in, shown_number, within
from app.pictures import Picture
from app.prose import prose
from app.scenes import scene_payload
from app.session import Session, picture_or_default
from app.settings import current
from model.sampler import standard_noise
from model.schedule import FAMILIES, NoiseSchedule

SCENE = "schedules"
AXES = ("t / T", "t")
FIRST_SHOWN = ["ddpm", "cosine"]
STRIP_SIZE = 64
MOST_SHOWN = 12
# √ᾱ_T: how much of the picture's contrast is left at the end.
A_TRACE, MUCH = 0.05, 0.5
FACTS = ["T", "ᾱ_T", "SNR = 1 at t", "steps SNR > 1", "steps SNR < 1"]


# -- handlers ----------------------------------------------------------------------------------


def own_key(index: int) -> str:
    return f"own-{index}"


def choices(own: Sequence[Recipe]) -> list[tuple[str, str]]:
    """Everything that can be shown: the presets, then what the person made."""
    presets = [(title, key) for key, (title, _, _) in PRESETS.items()]
    return presets + [(f"yours: {recipe.title}", own_key(i)) for i, recipe in enumerate(own)]


def make_curves(shown: Any, own: Sequence[Recipe], points: Any) -> list[Curve]:
    """The chosen schedules; ValueError with one clear sentence if there is something wrong."""
    if not isinstance(shown, list) or not 1 <= len(shown) <= MOST_SHOWN:
        raise ValueError(f"Choose 1 to {MOST_SHOWN} schedules to show.")
    titles = {key: title for title, key in choices(own)}
    curves = []
    for key in dict.fromkeys(check_choice(key, "The schedule", titles) for key in shown):
        if key in PRESETS:
            _, slot, recipe = PRESETS[key]
        else:
            index = int(key.removeprefix("own-"))
            slot, recipe = len(PRESETS) + 1 + index, own[index]
        if recipe.family == CUSTOM:
            recipe = Recipe(CUSTOM, recipe.T, points=points)
        curves.append(Curve(key, titles[key], slot, recipe.build()))
    return curves


def facts(curves: Sequence[Curve]) -> dict[str, Any]:
    """What a `Readout` says of each schedule, whatever t is."""
    rows = {}
    for curve in curves:
        s = curve.schedule
        last = s.alpha_bars[-1].item()
        crosses = last < 0.5
        above = int((s.alpha_bars[1:] > 0.5).sum()) / s.T
        rows[curve.key] = {
            "cells": [
                f"{s.T}",
                f"{last:.2e}" if last < 0.001 else f"{last:.4f}",
                f"{s.at_alpha_bar(0.5).item():.1f}" if crosses else "never",
                f"{above:.0%}",
                f"{1 - above:.0%}",
            ],
            "warning": ending(s),
        }
    return {"columns": FACTS, "rows": rows}


def ending(schedule: NoiseSchedule) -> str:
    """A warning if x_T is not yet noise; empty if it is."""
    left = schedule.signal[-1].item()
    if left > MUCH:
        return (
            f"x_T is still mostly picture: √ᾱ_T = {left:.2f}. Sampling from pure noise would "
            "start where this process never ends."
        )
    if left > A_TRACE:
        return (
            f"A trace of the picture survives in x_T: √ᾱ_T = {left:.3f}, enough to give away "
            "its average brightness."
        )
    return ""


@says_what_is_wrong
def show(
    shown: Any, own: list[Recipe], points: Any, quantity: Any, axis: Any, log: Any,
    picture: Picture | None,
) -> tuple[dict, dict]:  # fmt: skip
    """The scene of the strip and the read-outs, and the chart."""
    curves = make_curves(shown, own, points)
    check_choice(quantity, "The quantity", plots.QUANTITIES)
    normalised = check_choice(axis, "The axis", AXES) == AXES[0]
    x0 = picture_or_default(picture).at(STRIP_SIZE, False)
    scene = scene_payload(
        x0, standard_noise(x0.shape, [0])[0], curves, normalised=normalised, facts=facts(curves)
    )
    return scene, plots.curves_figure(curves, quantity, normalised=normalised, log=bool(log))


@says_what_is_wrong
def add(
    family: Any, T: Any, beta_start: Any, beta_end: Any, s: Any, rescale: Any,
    own: list[Recipe], shown: list[str],
) -> tuple[list[Recipe], dict]:  # fmt: skip
    """Keep a schedule made from these parameters, and show it."""
    recipe = make_recipe(family, T, beta_start, beta_end, s, rescale)
    if recipe not in own:
        own = [*own, recipe]
    key = own_key(own.index(recipe))
    shown = shown if key in shown else [*shown, key]
    if len(shown) > MOST_SHOWN:
        raise ValueError(f"At most {MOST_SHOWN} schedules at once: take one away first.")
    return own, gr.update(choices=choices(own), value=shown)


def make_recipe(
    family: Any, T: Any, beta_start: Any, beta_end: Any, s: Any, rescale: Any
) -> Recipe:
    """A recipe that builds, with whole numbers as such; ValueError otherwise."""
    check_choice(family, "The family", FAMILIES)
    recipe = Recipe(family, T, beta_start, beta_end, s, bool(rescale))
    return Recipe(family, recipe.build().T, beta_start, beta_end, s, bool(rescale))


def recipes_setting() -> Setting:
    """The schedules that a person made, as family:T:β_start:β_end, or cosine:T:s."""

    def write(recipes: Sequence[Recipe]) -> str:
        return ",".join(map(_written, recipes))

    def read(text: str, _: Any) -> list[Recipe]:
        parts = text.split(",")
        if len(parts) > MOST_SHOWN:
            raise ValueError(f"“made” must be at most {MOST_SHOWN} schedules")
        return [_recipe_in(part) for part in parts]

    return Setting("made", [], read, write)


def _written(recipe: Recipe) -> str:
    cosine = recipe.family == "cosine"
    numbers = [recipe.s] if cosine else [recipe.beta_start, recipe.beta_end]
    rescaled = ["rescaled"] if recipe.rescale and not cosine else []
    return ":".join([recipe.family, *map(shown_number, [recipe.T, *numbers]), *rescaled])


def _recipe_in(text: str) -> Recipe:
    family, *rest = text.split(":")
    rescale = rest[-1:] == ["rescaled"]
    numbers = [number_in(part, "“made”") for part in rest[: len(rest) - rescale]]
    if len(numbers) != (2 if family == "cosine" else 3):
        raise ValueError("“made” must be like linear:1000:0.0001:0.02 or cosine:1000:0.008")
    if family == "cosine":
        return make_recipe(family, numbers[0], 1e-4, 0.02, numbers[1], False)
    return make_recipe(family, *numbers, 0.008, rescale)


@says_what_is_wrong
def edit_points(event: gr.EventData, shown: list[str]) -> tuple[list, dict, list[str]]:
    """Take over control points that were dragged, and show the custom schedule."""
    points = sent(event, "points")
    if not isinstance(points, list) or len(points) > MOST_POINTS:
        raise ValueError(f"A custom schedule has 2 to {MOST_POINTS} control points.")
    return points, points_value(points), shown if CUSTOM in shown else [*shown, CUSTOM]


def points_value(points: Any) -> dict:
    """What a `Points` draws: the control points and the curve through them."""
    curve = NoiseSchedule.from_points(points, 120).alpha_bars.tolist()
    return {"points": points, "curve": [(i / 120, value) for i, value in enumerate(curve)]}


@says_what_is_wrong
def export(
    form: str, shown: Any, own: list[Recipe], points: Any, quantity: Any, axis: Any, log: Any
) -> tuple[str, bytes]:
    curves = make_curves(shown, own, points)
    if form == "csv":
        return "schedules.csv", exports.schedules_csv(curves)
    check_choice(quantity, "The quantity", plots.QUANTITIES)
    normalised = check_choice(axis, "The axis", AXES) == AXES[0]
    figure = exports.schedules_figure(curves, quantity, form, normalised=normalised, log=bool(log))
    return f"schedules.{form}", figure


# -- layout and wiring -------------------------------------------------------------------------


def build(session: Session, place: Place) -> None:
    """Lay the tab out inside the current context, and connect it."""
    scene = SceneData(scene=SCENE)
    download = Download()
    own = gr.State([])
    prose("schedules_lead", elem_classes="lead")
    with gr.Row(elem_classes="stage"):
        with gr.Column(scale=3, min_width=320):
            chart = Chart(scene=SCENE, elem_id="schedules-chart")
            AlignedStrip(scene=SCENE, elem_id="schedules-strip")
        with gr.Column(scale=1, min_width=280, elem_classes="settings"):
            shown = gr.Dropdown(
                choices([]),
                value=FIRST_SHOWN,
                multiselect=True,
                max_choices=MOST_SHOWN,
                label="Schedules on show",
                info="Those of the literature by name, and what you make below.",
                elem_id="schedules-shown",
            )
            quantity = gr.Radio(
                list(plots.QUANTITIES),
                value="mean and variance",
                label="Curves",
                info="What is drawn over time.",
            )
            axis = gr.Radio(
                AXES,
                value=AXES[0],
                label="Time axis",
                info="t / T lays a schedule of 10 steps over one of 1000.",
            )
            log = gr.Checkbox(
                False, label="Log axis", info="Shows how close to zero a curve comes."
            )
    Timestep(scene=SCENE, elem_id="schedules-time", elem_classes="stuck")
    Readout(scene=SCENE, elem_id="schedules-readout")
    prose("schedules_notice")
    with gr.Row():
        as_csv = gr.Button("All numbers (CSV)", size="sm")
        as_png = gr.Button("This figure (PNG)", size="sm")
        as_svg = gr.Button("This figure (SVG)", size="sm")

    with gr.Row(elem_classes="section"):
        with gr.Column(scale=2, min_width=300):
            prose("schedules_make")
        with gr.Column(scale=3, min_width=320):
            with gr.Row():
                family = gr.Dropdown(
                    list(FAMILIES), value="linear", label="Family", info="The formula of β or ᾱ."
                )
                T = NumberField(
                    1000, label="T", info=f"Number of steps, 1 to {current().max_T}.", precision=0
                )
            with gr.Row():
                beta_start = NumberField(1e-4, label="β_start", info="Noise of the first step.")
                beta_end = NumberField(0.02, label="β_end", info="Noise of the last step.")
            with gr.Row():
                s = NumberField(0.008, label="s", info="Cosine only: keeps β_1 from being tiny.")
                rescale = gr.Checkbox(
                    False, label="Rescale β", info="Each step does the work of 1000/T steps."
                )
            adding = gr.Button("Add this schedule to the plot", variant="primary")

    with gr.Row(elem_classes="section"):
        with gr.Column(scale=2, min_width=300):
            prose("schedules_custom")
        with gr.Column(scale=3, min_width=320):
            editor = Points(elem_id="points")

    with gr.Column(elem_classes="section"):
        prose("schedules_presets")

    plot = [shown, own, session.points, quantity, axis, log]
    gr.on(
        [*place.opened, shown.change, session.points.change, quantity.input, axis.input, log.input],
        show,
        [*plot, session.picture],
        [scene, chart],
        trigger_mode="always_last",
        **QUICK,
    )
    gr.on(place.opened, points_value, session.points, editor, **QUICK)
    editor.edited(edit_points, shown, [session.points, editor, shown], **QUICK)
    adding.click(
        add, [family, T, beta_start, beta_end, s, rescale, own, shown], [own, shown], **QUICK
    )
    place.keep_state(recipes_setting(), own, tell=lambda value, _: value)
    place.keep(
        "shown", shown,
        choices=lambda values: [key for _, key in choices(values["made"])],
        tell=lambda value, values: gr.update(choices=choices(values["made"]), value=value),
    )  # fmt: skip
    for name, component in {
        "curves": quantity, "axis": axis, "log": log, "family": family, "rescale": rescale,
    }.items():  # fmt: skip
        place.keep(name, component)
    place.keep("T", T, check=lambda value: check_integer(value, "“T”", 1, current().max_T))
    for name, component in {"beta_start": beta_start, "beta_end": beta_end, "s": s}.items():
        place.keep(name, component, check=within(name, 0, 1))
    for button, form in ((as_csv, "csv"), (as_png, "png"), (as_svg, "svg")):
        button.click(
            partial(export, form),
            plot,
            download,
            **EXPORT,
        )

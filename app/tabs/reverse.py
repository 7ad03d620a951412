"""The Reverse tab: out of noise, one step at a time, with every term of the step as a picture."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from app import fans, models, run_exports, runs
from app.components import Chart, Download, Lanes, Progress, RunData, Sheet, Steps, Walk
from app.events import EXPORT_RUN, NETWORK, QUICK, asked_now
from app.forms import (
    LARGEST_SEED,
    check_choice,
    check_integer,
    check_number,
    new_seed,
    says_what_is_wrong,
    sent,
)
from app.links import Place
from app.narrate import Told, narrated, recorded
from app.pairs import DEFAULTS, PAIRS
from app.pictures import data_url, to_image
from app.prose import DELIMITERS, prose, text
from app.run_controls import GUIDANCE, Controls, choose_model, choose_pair, offer_own, read
from app.run_plots import factors_figure, spread_figure
from app.run_scene import PLAIN, SHOWN, runs_payload
from app.runs import RunSettings
from app.session import Session
from app.ways import TOP_JS, Ways
from app.wish import Wish

SCENE = "reverse"
PLACE_JS = f"(...given) => [window.unnoise.scene('{SCENE}').timeNow(), ...given.slice(1)]"
COUNTS = (8, 16, 32, 64)
MOST_WORK = 15_000  # samples times steps of one sheet: others wait for it
ONE_LABEL, EACH_LABEL = "all of this label", "one of each class, from the same noise"


# -- handlers ----------------------------------------------------------------------------------


def ask(wish: Wish, *inputs: Any) -> None:
    """Note what is asked for: a run under way that no longer is it then ends."""
    with suppress(ValueError):  # `show` says what is wrong
        wish.runs = read(*inputs)


@says_what_is_wrong
def show(wish: Wish, shown: tuple, compare: Any, *inputs: Any) -> Generator[tuple, None, None]:
    """What a `Progress` shows, the scene, both charts, the lesson, and what is now on show."""
    wanted = read(compare, *inputs)
    if wanted == shown:
        yield (None, *[gr.skip()] * 5)
        return
    found = []
    for letter, settings in zip("AB", wanted, strict=False):
        title = f"{letter} · {settings.title}" if len(wanted) > 1 else settings.title
        for value in (told := Told(recorded(settings, title))):
            if wish.runs not in (None, wanted):
                return  # the page asks for the other one as soon as this one has ended
            yield (value, *[gr.skip()] * 5)
        found.append(told.result)
    lesson = text(PAIRS[compare].lesson) if compare in PAIRS else ""
    values = (
        None,
        runs_payload(found),
        spread_figure(found),
        factors_figure(found),
        gr.update(value=lesson, visible=bool(lesson)),
        wanted,
    )
    if wish.runs in (None, wanted):
        yield values


def shown_runs(shown: tuple[RunSettings, ...]) -> Sequence[RunSettings]:
    if not shown:
        raise ValueError("There is no run yet: press Run first.")
    return shown


@says_what_is_wrong
def branch(t: Any, shown: tuple) -> Generator[tuple, None, None]:
    """Several endings from the step that the slider stands at."""
    settings = shown_runs(shown)[0]
    yield from _fan(settings, [fans.step_at(settings, check_integer(t, "t", 0, 1_000_000))])


@says_what_is_wrong
def branch_along(shown: tuple) -> Generator[tuple, None, None]:
    """Several endings from each of a few steps along the run."""
    settings = shown_runs(shown)[0]
    yield from _fan(settings, fans.steps_along(settings))


def _fan(settings: RunSettings, steps: Sequence[int]) -> Generator[tuple, None, None]:
    found = []
    for index in steps:
        walk, t, count = fans.start(settings, index)
        for value in (told := Told(narrated(walk, f"branches from t = {t}", count))):
            yield value, gr.skip()
        found.append((t, told.result))
    yield None, fans.sheet(settings, found)


@says_what_is_wrong
def many(count: Any, which: Any, guidance: Any, shown: tuple) -> Generator[tuple, None, None]:
    """The same settings with the seeds that follow, or with each label."""
    settings = shown_runs(shown)[0]
    guidance = check_number(guidance, "The guidance", 0, runs.MOST_GUIDANCE)
    count = check_choice(count, "The number of samples", COUNTS)
    classes = models.load(settings.model).config.classes
    labels = None
    if check_choice(which, "The kind of samples", (ONE_LABEL, EACH_LABEL)) == EACH_LABEL:
        if not classes:
            raise ValueError("This model was trained without labels: draw all of one kind.")
        settings = replace(settings, guidance=guidance)  # a run without a label had none
        labels = range(len(classes))
        seeds = [settings.seed] * len(labels)
    else:
        seeds = [(settings.seed + i) % (LARGEST_SEED + 1) for i in range(count)]
    steps = len(runs.timesteps_of(settings)) - 1
    if len(seeds) * steps > MOST_WORK:
        raise ValueError(
            f"{len(seeds)} samples of {steps:,} steps are too much for everybody's turn: choose "
            f"at most {MOST_WORK // len(seeds):,} steps, or fewer samples."
        )
    title = f"{len(seeds)} samples · {settings.title}"
    walk = runs.endings(settings, seeds, labels)
    for value in (told := Told(narrated(walk, title, steps))):
        yield value, gr.skip()
    pictures = [
        {
            "image": data_url(to_image(image)),
            "caption": f"seed {seeds[i]}" if labels is None else classes[i],
            "hint": "walk to this one",
            "key": {"seed": seeds[i], "label": None if labels is None else str(i)},
        }
        for i, image in enumerate(told.result)
    ]
    yield None, {"rows": [{"title": title, "note": "", "pictures": pictures}], "columns": 8}


@says_what_is_wrong
def choose_sample(event: gr.EventData) -> tuple:
    """The seed and the label of a sample that was clicked on, and a number that tells of it."""
    key = sent(event, "key")
    if not isinstance(key, dict):
        raise ValueError("Choose one of the samples.")
    seed = check_integer(key.get("seed"), "The seed", 0, LARGEST_SEED)
    label = key.get("label")
    return seed, gr.skip() if label is None else str(label), asked_now()


@says_what_is_wrong
def export(form: str, shown: tuple) -> tuple[str, bytes]:
    found = [runs.compute(settings) for settings in shown_runs(shown)]
    return f"reverse-process.{form.lower()}", run_exports.export(found, form)


def warm_up() -> None:
    """Compute the run that the tab shows first. Raises ValueError where there is no model."""
    model = models.names()[0]
    label = models.first_label(model)
    settings = runs.run_settings(model=model, label=label, guidance=GUIDANCE, **DEFAULTS)
    runs.compute(settings)


# -- layout and wiring -------------------------------------------------------------------------


def build(session: Session, place: Place, tabs: gr.Tabs) -> Ways:
    """Lay the tab out inside the current context, and connect it; returns the ways to it."""
    models.names()  # where there is none, nothing is laid out
    scene, download = RunData(scene=SCENE), Download()
    here_t = gr.Number(visible=False)  # the slider's t, sent along with an event
    prose("reverse_lead", elem_classes="lead")
    with gr.Row(elem_classes="stage"):
        with gr.Column(scale=3, min_width=320):
            progress = Progress(elem_id="reverse-progress", elem_classes="slot")
            lesson = gr.Markdown(
                visible=False,
                elem_id="reverse-lesson",
                elem_classes="lesson",
                latex_delimiters=DELIMITERS,
            )
            Walk(scene=SCENE, elem_id="reverse-walk")
            lanes = gr.CheckboxGroup(
                [(title, key) for key, title in PLAIN.items()],
                value=list(SHOWN),
                label="Lanes",
                info="What is drawn large above and as a strip below; z and the mean without it, "
                "where noise is added.",
                elem_id="reverse-lanes-shown",
            )
            Lanes(scene=SCENE, elem_id="reverse-lanes")
        with gr.Column(scale=1, min_width=280, elem_classes="settings"):
            with gr.Row():
                run = gr.Button("Run", variant="primary", elem_id="reverse-run", min_width=60)
                stop = gr.Button("Stop", elem_id="reverse-stop", min_width=60)
            again = gr.Button("New noise (another seed)", elem_id="reverse-again", size="sm")
            controls = Controls.build(session, place.opened)
    Steps(scene=SCENE, elem_id="reverse-time", elem_classes=["stuck", "wide"])
    prose("reverse_notice")
    with gr.Row():
        saves = {
            form: gr.Button(title, size="sm")
            for form, title in {
                "GIF": "This run (GIF)", "WEBP": "This run (WebP)", "PNG": "Strip (PNG)",
                "CSV": "All numbers (CSV)",
            }.items()
        }  # fmt: skip

    with gr.Column(elem_classes="section"):
        prose("reverse_curves")
        with gr.Row():
            with gr.Column(min_width=320):
                spread = Chart(scene=SCENE, elem_id="reverse-spread")
            with gr.Column(min_width=320):
                factors = Chart(scene=SCENE, elem_id="reverse-factors")

    with gr.Row(elem_classes="section"):
        with gr.Column(scale=2, min_width=300):
            prose("reverse_branch")
            here = gr.Button("Branch at this step", variant="primary", elem_id="branch-here")
            with gr.Row():
                along = gr.Button("Branch along the whole run", elem_id="branch-along", scale=3)
                stop_branching = gr.Button("Stop", elem_id="branch-stop", min_width=60)
        with gr.Column(scale=3, min_width=320):
            branching = Progress(elem_id="branch-progress", elem_classes="slot")
            fan = Sheet(elem_id="fan")

    with gr.Row(elem_classes="section"):
        with gr.Column(scale=2, min_width=300):
            prose("reverse_many")
            count = gr.Radio(
                COUNTS, value=COUNTS[1], label="Samples",
                info="With the settings above, and the seeds that follow.",
            )  # fmt: skip
            which = gr.Radio([ONE_LABEL, EACH_LABEL], value=ONE_LABEL, label="Of what")
            with gr.Row():
                draw = gr.Button("Draw samples", variant="primary", elem_id="draw-many", scale=3)
                stop_drawing = gr.Button("Stop", elem_id="many-stop", min_width=60)
        with gr.Column(scale=3, min_width=320):
            drawing = Progress(elem_id="many-progress", elem_classes="slot")
            samples = Sheet(elem_id="many")

    with gr.Column(elem_classes="section"):
        prose("reverse_samplers")

    controls.compare.input(
        choose_pair, controls.compare, [*controls.sides, controls.asked], **QUICK
    )
    controls.model.input(
        choose_model,
        controls.model,
        [controls.label, controls.from_step, controls.asked],
        **QUICK,
    )
    again.click(new_seed, outputs=controls.seed, **QUICK)
    wish = gr.State(Wish())
    running = gr.on(
        [*place.opened, run.click, *controls.touched],
        ask,
        [wish, *controls.inputs],
        trigger_mode="always_last",
        **QUICK,
    ).then(
        show,
        [wish, session.runs, *controls.inputs],
        [progress, scene, spread, factors, lesson, session.runs],
        trigger_mode="always_last",
        show_progress="minimal",
        show_progress_on=progress,
        **NETWORK,
    )
    lanes.change(None, lanes, js=f"keys => {{ window.unnoise.scene('{SCENE}').showLanes(keys); }}")

    work = {"show_progress": "minimal", **NETWORK}
    fanning, fanning_along, sampling = (
        event(handler, inputs, outputs, js=js, show_progress_on=outputs[0], **work)
        for event, handler, inputs, outputs, js in (
            (here.click, branch, [here_t, session.runs], [branching, fan], PLACE_JS),
            (along.click, branch_along, [session.runs], [branching, fan], None),
            (
                draw.click, many, [count, which, controls.guidance, session.runs],
                [drawing, samples], None,
            ),
        )
    )  # fmt: skip
    for button, where, events in (
        (stop, progress, [running]),
        (stop_branching, branching, [fanning, fanning_along]),
        (stop_drawing, drawing, [sampling]),
    ):
        button.click(lambda: None, outputs=where, cancels=events, **QUICK)
        for event in events:
            event.failure(lambda: None, outputs=where, **QUICK)
    picked = [controls.seed, controls.label, controls.asked]
    samples.picked(choose_sample, outputs=picked, js=TOP_JS, **QUICK)
    for form, button in saves.items():
        button.click(partial(export, form), session.runs, download, **EXPORT_RUN)

    offer_own(session, controls.model)
    controls.keep(place)
    for name, component in {"lanes": lanes, "samples": count, "of": which}.items():
        place.keep(name, component)
    return Ways(tabs, SCENE, session, controls)

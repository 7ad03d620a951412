"""The Train tab: watch a network learn, on digits or on pictures of one's own."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

import gradio as gr

from app import archives, models, plans, train_scene
from app.components import Chart, Download, Equations, Progress, RunData, Sheet, Steps, Walk
from app.components.fields import FileUpload
from app.events import EXPORT_JOB, JOB, QUICK, asked_now
from app.forms import says_what_is_wrong
from app.jobs import PAUSED, REGISTRY, RUNNING, WAITING, Job
from app.links import Place
from app.prose import prose
from app.session import Session, picture_or_default
from app.settings import current
from app.train_controls import FIELDS, NEEDED, SUGGESTS, TrainControls, suggested
from app.ways import Ways

SCENE = "train"
POLL_SECONDS = 1.0
NOTHING_YET = (
    "**Nothing is trained yet.** Press Train: samples, losses and an example appear here, as the "
    "network learns."
)
MOST_MODELS = 8  # of one browser


# -- handlers ----------------------------------------------------------------------------------


def plan_of(picture: Any, *values: Any) -> plans.Plan:
    """The plan of these values; ValueError says what is wrong with them."""
    return plans.make_plan(
        picture=picture_or_default(picture), **dict(zip(FIELDS, values, strict=True))
    )


@says_what_is_wrong
def start(mine: Any, picture: Any, *values: Any) -> tuple:
    """Begin a training: what the browser remembers, and the clock that asks how it goes."""
    mine = remembered(mine)
    job = REGISTRY.start(plan_of(picture, *values), mine["owner"])
    keys = [job.key, *mine["models"]][:MOST_MODELS]
    return mine | {"job": job.key, "models": keys}, gr.update(active=True), 0


def remembered(mine: Any) -> dict[str, Any]:
    """What a browser remembers, as far as it can be believed."""
    known = mine if isinstance(mine, dict) else {}
    owner, job, keys = (known.get(name) for name in ("owner", "job", "models"))
    return {
        "owner": owner if isinstance(owner, str) and owner else secrets.token_urlsafe(24),
        "job": job if isinstance(job, str) else "",
        "models": [k for k in keys if isinstance(k, str)] if isinstance(keys, list) else [],
    }


def find_again(mine: Any) -> tuple:
    """After a reload: the job that still runs, or has ended meanwhile."""
    mine = remembered(mine)
    job = REGISTRY.find(mine["job"])
    note = gone(mine) if job is None else gr.skip()
    kept = mine if job else mine | {"job": ""}  # that it is gone is told once
    return kept, gr.update(active=job is not None), models.own_choices(mine["models"]), note


def gone(mine: dict[str, Any]) -> Any:
    """What is said of a training that is not known any more."""
    if not mine["job"]:
        return gr.skip()
    if models.find(mine["job"]):
        rest = "What it had learned is in the lists of Reverse and Subtract all."
    else:
        rest = "It had learned too little to be kept: press Train to begin again."
    return gr.update(
        value=f"**Your training is over:** the server began anew, or many trained since. {rest}",
        visible=True,
    )


def watch(mine: Any, frames: Any) -> tuple:
    """How the job goes: values for all that shows it."""
    mine = remembered(mine)
    job = REGISTRY.find(mine["job"])
    if job is None:
        own = models.own_choices(mine["models"])
        return None, *[gr.skip()] * 5, gone(mine), own, *buttons(None), gr.update(active=False)
    moments = job.film[:]
    scene, count = gr.skip(), gr.skip()
    if moments and frames != (job.key, moments[-1].step):
        scene, count = train_scene.film_payload(moments), (job.key, moments[-1].step)
    curves = gr.skip(), gr.skip()
    if job.records:
        curves = train_scene.loss_figure(job), train_scene.bands_figure(job)
    return (
        status(job), scene, *curves, train_scene.algorithm_rows(job), count,
        gr.update(value=words(job), visible=bool(words(job))), models.own_choices(mine["models"]),
        *buttons(job), gr.update(active=not job.over),
    )  # fmt: skip


def status(job: Job) -> dict[str, Any] | None:
    """The value of a `Progress`."""
    if job.over or job.state == WAITING or not job.records:
        return None
    now = job.records[-1]
    title = f"{'Paused' if job.state == PAUSED else 'Training'} · {job.plan.title}"
    return {
        "title": title, "done": round(1000 * now.fraction), "of": 1000,
        "text": f"step {now.step:,} · {now.images_per_second:.0f} pictures/s · "
        f"{now.seconds_left:.0f} s left",
    }  # fmt: skip


def words(job: Job) -> str:
    """Where the job stands, in a sentence."""
    if job.state == WAITING:
        wait = max(1, round(REGISTRY.seconds_to_wait(job) / 60))
        s = "s" if wait > 1 else ""
        return f"**Waiting**, number {REGISTRY.place(job)} in line: about {wait} minute{s}."
    if job.state == PAUSED:
        return "**Paused.** Resume goes on where it stands."
    if not job.over:
        return "" if job.records else "**Loading** the pictures …"
    s = "" if job.steps == 1 else "s"
    steps = f" after {job.steps:,} step{s}" if job.steps else ""
    tail = " The model is in the lists of Reverse and Subtract all." if models.find(job.key) else ""
    return f"**Ended{steps}.** {job.message}{tail}"


def buttons(job: Job | None) -> tuple:
    """Start, pause, stop, and what can be done with what was learned."""
    active = job is not None and not job.over
    done = job is not None and job.checkpoint is not None
    film = job is not None and bool(job.film)
    return (
        gr.update(interactive=not active),
        gr.update(
            value="Resume" if active and job.state == PAUSED else "Pause",
            interactive=active and job.state in (RUNNING, PAUSED),
        ),
        gr.update(interactive=active),
        gr.update(visible=done),
        gr.update(visible=done),
        gr.update(visible=film),
    )


def own_job(mine: Any) -> Job:
    job = REGISTRY.find(remembered(mine)["job"])
    if job is None:
        raise ValueError("There is no training: start one first.")
    return job


@says_what_is_wrong
def pause(mine: Any) -> None:
    job = own_job(mine)
    REGISTRY.pause(job, job.state != PAUSED)


@says_what_is_wrong
def stop(mine: Any) -> None:
    REGISTRY.stop(own_job(mine))


@says_what_is_wrong
def suggest(source: Any) -> list:
    """The settings that suit what is trained on, and the fields that it needs."""
    values = suggested(source)
    return [
        *(values[name] for name in SUGGESTS),
        plans.SECONDS,
        *(gr.update(visible=needed(source)) for needed in NEEDED),
        plans.SCRATCH,
    ]


def describe(picture: Any, *values: Any) -> tuple[str, str, str]:
    """The size of the network, and the same settings as a command and as Python."""
    given = dict(zip(FIELDS, values, strict=True))
    # What is not chosen yet is no mistake yet: the settings are what is shown.
    if given["source"] in (plans.FEW, plans.ZIP):
        given["source"] = plans.ONE
    elif given["source"] == plans.HUB:
        given["dataset"] = given["dataset"] or "owner/name"
    try:
        plan = plans.make_plan(picture=picture_or_default(picture), **given)
    except ValueError as error:
        return str(error), gr.skip(), gr.skip()
    count = plans.count_parameters(plan.network)
    return f"{count:,} parameters.", plan.command, plan.python


def picture_matters(source: Any) -> Any:
    """A number that asks for `preview` if another picture changes what is trained on."""
    return asked_now() if source == plans.ONE else gr.skip()


def preview(source: Any, base: Any, picture: Any, files: Any, size: Any, grey: Any) -> Any:
    """Some of the pictures that would be trained on; nothing where they are not known yet."""
    try:
        data = plans.preview(source, base, picture_or_default(picture), files, size, grey)
    except ValueError:  # it is said when the training is to begin
        data = None
    return None if data is None else train_scene.data_rows(data)


@says_what_is_wrong
def download(mine: Any) -> tuple[str, bytes]:
    job = own_job(mine)
    if job.checkpoint is None:
        raise ValueError("There is no model yet: wait for the training to end, or stop it.")
    return "unnoise-model.zip", archives.pack_checkpoint(job.checkpoint, "unnoise-model")


@says_what_is_wrong
def upload(mine: Any, path: Any) -> tuple:
    """Take in a checkpoint as a zip."""
    if path is None:
        return gr.skip(), gr.skip(), gr.skip()
    checkpoint = archives.unpack_checkpoint(
        path, current().train_parameters, max(64, current().train_size)
    )
    mine, key = remembered(mine), secrets.token_urlsafe(24)
    size = checkpoint.config.network.image_size
    models.keep(key, f"uploaded, {size}×{size}", checkpoint)
    keys = [key, *mine["models"]][:MOST_MODELS]
    note = "**Loaded.** The model is in the lists of Reverse and Subtract all."
    shown = gr.update(value=note, visible=True)
    return mine | {"models": keys}, models.own_choices(keys), shown


@says_what_is_wrong
def export(form: str, mine: Any) -> tuple[str, bytes]:
    job = own_job(mine)
    if not job.film:
        raise ValueError("There is nothing to save yet.")
    kind = "film" if form in ("GIF", "WEBP") else "loss"
    return f"training-{kind}.{form.lower()}", train_scene.export(job, form)


# -- layout and wiring -------------------------------------------------------------------------


def build(session: Session, place: Place, page: gr.Blocks, ways: Ways | None) -> None:
    """Lay the tab out inside the current context, and connect it.

    `ways` lead to the Reverse tab, which is there where a model is.
    """
    scene, saving = RunData(scene=SCENE), Download()
    frames = gr.State(0)
    clock = gr.Timer(POLL_SECONDS, active=False)
    prose("train_lead", elem_classes="lead")
    with gr.Row(elem_classes="stage"):
        with gr.Column(scale=3, min_width=320):
            note = gr.Markdown(NOTHING_YET, elem_id="train-note", elem_classes="lesson")
            with gr.Row():  # here, not with the settings, which a phone shows below the results
                begin = gr.Button(
                    "Train", variant="primary", elem_id="train-start", min_width=90, scale=3
                )
                rest = gr.Button("Pause", interactive=False, elem_id="train-pause", min_width=60)
                end = gr.Button("Stop", interactive=False, elem_id="train-stop", min_width=60)
            with gr.Row():
                walk = gr.Button("Sample it in Reverse", visible=False, elem_id="train-walk-it")
                fetch = gr.Button("Download the model (.zip)", visible=False, elem_id="train-fetch")
            progress = Progress(elem_id="train-progress", elem_classes="slot")
            with gr.Column(visible=False) as results:
                Walk(scene=SCENE, elem_id="train-walk")
                Steps(scene=SCENE, elem_id="train-time", elem_classes="wide")
                loss = Chart(scene=SCENE, elem_id="train-loss")
                bands = Chart(scene=SCENE, elem_id="train-bands")
                with gr.Row(elem_id="train-saves"):
                    forms = {
                        form: gr.Button(title, size="sm")
                        for form, title in {
                            "GIF": "The film (GIF)", "WEBP": "The film (WebP)",
                            "PNG": "Loss (PNG)", "CSV": "Loss (CSV)",
                        }.items()
                    }  # fmt: skip
            learned_from = Sheet(elem_id="train-data")
        with gr.Column(scale=1, min_width=300, elem_classes="settings"):
            controls = TrainControls.build(session, place.opened)
            with gr.Accordion("Load a model (.zip)", open=False):
                given = FileUpload(
                    label="What Download gave you", height=120, elem_id="train-upload"
                )
    with gr.Row(elem_classes="section"):
        with gr.Column(scale=2, min_width=300):
            prose("train_algorithm")
        with gr.Column(scale=3, min_width=320):
            algorithm = Equations(elem_id="train-algorithm")
    with gr.Column(elem_classes="section"):
        prose("train_floor")
        prose("train_one")
    with gr.Column(elem_classes="section"):
        prose("train_elsewhere")
        command = gr.Code(
            language="shell",
            label="Command line",
            wrap_lines=True,
            show_line_numbers=False,
            lines=2,
            max_lines=8,
            elem_id="train-command",
        )
        python = gr.Code(
            language="python", label="Python", wrap_lines=True, show_line_numbers=False,
            lines=2, max_lines=30, elem_id="train-python",
        )  # fmt: skip

    inputs = [session.picture, *controls.inputs]
    showing = [
        progress, scene, loss, bands, algorithm, frames, note, session.own, begin, rest, end,
        fetch, walk, results, clock,
    ]  # fmt: skip
    begin.click(start, [session.mine, *inputs], [session.mine, clock, frames], **JOB).success(
        watch, [session.mine, frames], showing, **JOB
    )
    page.load(find_again, session.mine, [session.mine, clock, session.own, note], **JOB)
    clock.tick(watch, [session.mine, frames], showing, **JOB)
    for button, handler in ((rest, pause), (end, stop)):
        button.click(handler, session.mine, **JOB).success(
            watch, [session.mine, frames], showing, **JOB
        )
    fields = controls.fields
    fields["source"].input(
        suggest, fields["source"],
        [*(fields[name] for name in SUGGESTS), fields["budget"], *controls.needed, fields["base"]],
        **QUICK,
    )  # fmt: skip
    typed = [name for name in FIELDS if name not in ("files", "archive")]
    gr.on(
        [*place.opened, *(fields[name].change for name in typed)],
        describe, inputs, [controls.size_note, command, python],
        trigger_mode="always_last", **QUICK,
    )  # fmt: skip
    seen = [fields[name] for name in ("source", "base", "files", "size", "grey")]
    source, base, *others = seen
    another = gr.State(0)
    session.picture.change(picture_matters, source, another, trigger_mode="always_last", **QUICK)
    gr.on(
        [*place.opened, another.change, *(field.change for field in seen)],
        preview, [source, base, session.picture, *others], learned_from,
        trigger_mode="always_last", **EXPORT_JOB,
    )  # fmt: skip
    fetch.click(download, session.mine, saving, **EXPORT_JOB)
    given.upload(upload, [session.mine, given], [session.mine, session.own, note], **JOB).failure(
        lambda: None, outputs=given, **QUICK
    )
    for form, button in forms.items():
        button.click(partial(export, form), session.mine, saving, **EXPORT_JOB)
    controls.keep(place)
    ways.to_model(walk.click, session.mine, to_walk)


@says_what_is_wrong
def to_walk(mine: Any) -> tuple[str, Any, int | None]:
    """The model that was trained, the picture to restore with it, and from which t."""
    job = own_job(mine)
    if job.checkpoint is None:
        raise ValueError("There is no model yet: wait for the training to end, or stop it.")
    picture = job.plan.picture
    T = job.checkpoint.schedule.T
    return job.key, picture, None if picture is None else round(0.6 * T)

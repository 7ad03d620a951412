"""The controls of a training: what it learns from, and everything that has a good default."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from app import chooser, models, plans
from app.components.fields import FileUpload, NumberField
from app.forms import check_choice
from app.links import Place
from app.permalink import CannotTravelError, Values, within
from app.session import Session, picture_or_default
from app.settings import Settings, current
from model.schedule import FAMILIES

# The controls, in the order in which they are handed to the handlers.
FIELDS = (
    "source", "base", "files", "archive", "dataset", "size", "grey", "network", "family", "T",
    "beta_start", "beta_end", "target", "batch", "learning_rate", "budget", "amount", "ema",
    "label_dropout", "seed",
)  # fmt: skip
SUGGESTS = ("size", "grey", "network", "T", "beta_end", "batch", "learning_rate", "amount")


@dataclass(frozen=True)
class TrainControls:
    """The controls by the names of `FIELDS`."""

    fields: dict[str, Component]
    needed: list[gr.Column]  # what one source or another needs besides, hidden until it is chosen
    size_note: gr.Markdown  # how large the network is

    @classmethod
    def build(cls, session: Session, loading: Sequence[Any]) -> TrainControls:
        """Inside the current context; `loading` are the events that first fill the thumbnails."""
        fields: dict[str, Component] = {}
        limits = current()
        gr.Markdown(allowance(), elem_classes="credit")
        kinds = [k for k in plans.SOURCES if k != plans.HUB or limits.hub]
        fields["source"] = gr.Radio(
            kinds, value=plans.DIGITS, label="Train on", elem_id="train-source",
            info="Digits are there without network.",
        )  # fmt: skip
        with gr.Column(visible=False) as one:
            chooser.build(session, loading, "train")
        with gr.Column(visible=False) as few:
            fields["files"] = FileUpload(
                label="1 to 20 pictures", file_count="multiple", height=120,
                elem_id="train-files",
            )  # fmt: skip
        with gr.Column(visible=False) as folder:
            fields["archive"] = FileUpload(
                label="A folder of pictures as .zip", height=120, elem_id="train-zip"
            )
        with gr.Column(visible=False) as hub:
            fields["dataset"] = gr.Textbox(
                label="Dataset", placeholder="owner/name", max_lines=1,
                info="Any with an image column.", elem_id="train-dataset",
            )  # fmt: skip
        with gr.Column(visible=False) as fine:
            fields["base"] = gr.Dropdown(
                [plans.SCRATCH, *models.names()], value=plans.SCRATCH, label="Begin",
                info="With random weights, or a shipped model’s: fine-tuning.",
                elem_id="train-base",
            )  # fmt: skip
        fields["network"] = gr.Radio(
            list(plans.NETWORKS), value="small", label="Network", elem_id="train-network",
            info="Larger learns more and slower.",
        )  # fmt: skip
        size_note = gr.Markdown(elem_classes="credit")
        with gr.Row():
            fields["amount"] = NumberField(60, label="Budget", min_width=90, elem_id="train-amount")
            fields["budget"] = gr.Radio(
                [plans.SECONDS, plans.STEPS],
                value=plans.SECONDS,
                label="in",
                min_width=90,
                elem_id="train-budget",
            )
        _advanced(fields, limits)
        return cls(fields, [one, few, folder, hub, fine], size_note)

    def keep(self, place: Place) -> None:
        """Let an address name them; files cannot travel."""
        place.keep("source", self.fields["source"], write=without_files)
        first = {name: control.value for name, control in self.fields.items()}
        for name in FIELDS[1:]:
            control = self.fields[name]
            if isinstance(control, FileUpload):
                continue
            place.keep(
                name, control,
                check=_check(name, first),
                default=_suggested(name) if name in SUGGESTS else None,
            )  # fmt: skip
        for column, needs in zip(self.needed, NEEDED, strict=True):
            place.follow(
                column, lambda values, needs=needs: gr.update(visible=needs(values["source"]))
            )

    @property
    def inputs(self) -> list[Component]:
        """In the order of `FIELDS`."""
        return [self.fields[name] for name in FIELDS]


# Whether a source needs each of `TrainControls.needed`.
NEEDED = (
    *((lambda source, kind=kind: source == kind) for kind in plans.SOURCES[1:]),
    lambda source: source in (plans.ONE, plans.FEW, plans.ZIP),
)


def without_files(source: str) -> str:
    """A source in an address."""
    if source in (plans.FEW, plans.ZIP):
        raise CannotTravelError("your own files")
    return source


def suggested(source: Any) -> dict[str, Any]:
    """The settings that suit what is trained on, within the limits of this server."""
    values, limits = plans.SUGGESTED[check_choice(source, "The data", plans.SOURCES)], current()
    size, amount = (
        min(values["size"], limits.train_size),
        min(values["amount"], limits.train_seconds),
    )
    return values | {"size": size, "amount": amount}


def _suggested(name: str) -> Callable[[Values], Any]:
    return lambda values: suggested(values["source"])[name]


def _check(name: str, first: dict[str, Any]) -> Callable[[Any], Any] | None:
    """What a plan says of a number for `name`, all else being as at first."""
    limits = current()
    most = {"beta_start": 1, "beta_end": 1, "amount": max(limits.train_seconds, limits.train_steps)}
    if name in most:  # what it says of these depends on others
        return within(name, 0, most[name])
    picture = picture_or_default(None)
    return lambda value: plans.make_plan(picture=picture, **(first | {name: value}))


def allowance() -> str:
    """The limits of this server, before they bite."""
    limits = current()
    at_once = f"{limits.jobs} training{'s' if limits.jobs != 1 else ''} at once"
    return (
        f"Here: up to {limits.train_seconds:,} s or {limits.train_steps:,} steps, "
        f"{limits.train_size}×{limits.train_size} pixels, "
        f"{limits.train_parameters / 1e6:g} million parameters, {at_once}, "
        f"uploads of up to {limits.max_upload.upper()}."
    )


def _advanced(fields: dict[str, Component], limits: Settings) -> None:
    """The settings that have good defaults."""
    with gr.Accordion("Pictures, schedule, optimiser, seed", open=False):
        fields["size"] = gr.Radio(
            plans.sizes(limits), value=16,
            label="Pixels a side", info="Four times the pixels take four times as long.",
        )  # fmt: skip
        fields["grey"] = gr.Checkbox(True, label="Grey", info="One channel in place of three.")
        fields["family"] = gr.Dropdown(
            list(FAMILIES), value="linear", label="Schedule", info="How the noise grows over t."
        )
        fields["T"] = NumberField(1000, label="T", precision=0, info="Timesteps of the schedule.")
        fields["beta_start"] = NumberField(1e-4, label="β_start", info="Noise of the first step.")
        fields["beta_end"] = NumberField(0.02, label="β_end", info="Noise of the last step.")
        fields["target"] = gr.Radio(
            [("ε", "eps"), ("x₀", "x0"), ("v", "v")], value="v", label="Target",
            info="What the network predicts. v is learned soonest.",
        )  # fmt: skip
        fields["batch"] = NumberField(
            32, label="Batch", precision=0, info="Pictures a step: more are steadier and slower."
        )
        fields["learning_rate"] = NumberField(
            0.003, label="Learning rate", info="How far a step goes, at its highest."
        )
        fields["ema"] = NumberField(
            0.999, label="EMA decay", info="How long the averaged weights remember."
        )
        fields["label_dropout"] = NumberField(
            0.1, label="Label dropout", info="Share of labels withheld: guidance needs it."
        )
        fields["seed"] = NumberField(
            0, label="Seed", precision=0, info="Of weights, batches and noise."
        )
    for name, control in fields.items():
        control.elem_id = f"train-{name}"

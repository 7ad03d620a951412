"""The controls of a run: what a person can choose about it, and how that is read.

`Controls.inputs` are in the order in which `read` takes their values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from app import chooser, models
from app.components.fields import ChoiceField, NumberField, RangeField
from app.events import QUICK, asked_now
from app.forms import check_choice, check_integer, check_seed, says_what_is_wrong
from app.links import Place
from app.pairs import ALONE, DEFAULTS, OWN, PAIRS
from app.permalink import CannotTravelError
from app.pictures import Picture
from app.runs import MOST_STEPS, SAMPLERS, SCHEDULES, TRAINED, RunSettings, run_settings
from app.session import Session, picture_or_default
from app.settings import current
from model.sampler import VARIANCES
from model.schedule import SPACINGS

NOISE, PICTURE = "pure noise", "a picture"
COMPARISONS = (ALONE, *PAIRS, OWN)
GUIDANCE = 2.0
NAMES = {"family": "schedule"}  # in an address
VARIANCE_TITLES = {"posterior": "β̃", "beta": "β"}


@dataclass(frozen=True)
class Side:
    """The controls that A and B each have, by the names of `app.pairs.DEFAULTS`."""

    components: dict[str, Component]

    @classmethod
    def build(cls, letter: str) -> Side:
        """Inside the current context."""
        made: dict[str, Component] = {}
        made["sampler"] = gr.Radio(
            [(title, key) for key, title in SAMPLERS.items()],
            value=DEFAULTS["sampler"],
            label="Sampler",
            info="DDPM adds new noise in each step, the others follow a path.",
            elem_id=f"sampler-{letter}",
        )
        made["steps"] = RangeField(
            1, MOST_STEPS, DEFAULTS["steps"], step=1, label="Steps",
            info="From 1 to 1000.",
            elem_id=f"steps-{letter}",
        )  # fmt: skip
        made["eta"] = RangeField(
            0, 1, DEFAULTS["eta"], step=0.05, label="η", visible=False,
            info="0: DDIM without noise. 1: as much as DDPM.", elem_id=f"eta-{letter}",
        )  # fmt: skip
        made["variance"] = gr.Radio(
            [(VARIANCE_TITLES[key], key) for key in VARIANCES],
            value=DEFAULTS["variance"],
            label="σ², the variance of the noise added",
            info="Both are right for a thousand steps; only β̃ for few.",
            elem_id=f"variance-{letter}",
        )
        with gr.Accordion("Schedule, spacing, clipping", open=False):
            made["family"] = gr.Dropdown(
                list(SCHEDULES), value=TRAINED, label="Schedule to sample on",
                info="Custom is the one drawn in the Schedules tab.", elem_id=f"family-{letter}",
            )  # fmt: skip
            made["matched"] = gr.Checkbox(
                True, label="Tell the network the matching t", visible=False,
                info="Off, “naive”: the same number t, however noisy that is to it.",
                elem_id=f"matched-{letter}",
            )  # fmt: skip
            made["spacing"] = gr.Dropdown(
                list(SPACINGS), value=DEFAULTS["spacing"], label="Spacing of the timesteps",
                info="Trailing begins at the noisiest t.", elem_id=f"spacing-{letter}",
            )  # fmt: skip
            made["clip"] = gr.Checkbox(
                True, label="Clip x̂₀ to [−1, 1]", info="Keeps errors at noisy t from growing.",
                elem_id=f"clip-{letter}",
            )  # fmt: skip
        side = cls(made)
        relevant = [made["eta"], made["variance"], made["matched"]]
        gr.on(
            [made["sampler"].change, made["family"].change],
            lambda sampler, family: [
                gr.update(visible=sampler == "ddim"),
                gr.update(visible=sampler == "ddpm"),
                gr.update(visible=family != TRAINED),
            ],
            [made["sampler"], made["family"]],
            relevant,
            **QUICK,
        )
        return side

    @property
    def inputs(self) -> list[Component]:
        return [self.components[name] for name in DEFAULTS]

    @property
    def touched(self) -> list[Any]:
        """The events that tell of a person's hand, not of a program's."""
        return [
            control.release if isinstance(control, gr.Slider) else control.input
            for control in self.components.values()
        ]


@dataclass(frozen=True)
class Controls:
    """Everything that decides what the Reverse tab shows."""

    model: Component
    label: Component
    guidance: Component
    seed: Component
    start: Component
    from_step: Component
    session: Session
    compare: Component
    a: Side
    b: Side
    asked: gr.State  # changes when a program, not a hand, changed the controls

    @classmethod
    def build(cls, session: Session, loading: Sequence[Any]) -> Controls:
        """Inside the current context; `loading` are the events that first fill the thumbnails."""
        names = models.names()
        model = gr.Radio(
            names, value=names[0], label="Model", info="Trained by this project, or by you.",
            elem_id="reverse-model",
        )  # fmt: skip
        label = ChoiceField(
            models.labels(names[0]), value=models.first_label(names[0]), label="Label",
            info="What the network is asked for.", elem_id="reverse-label",
        )  # fmt: skip
        compare = gr.Dropdown(
            list(COMPARISONS), value=ALONE, label="Compare",
            info="Two settings from the same noise, side by side.", elem_id="reverse-compare",
        )  # fmt: skip
        a = Side.build("A")
        with gr.Accordion("B, the other run", visible=False) as other:
            b = Side.build("B")
        with gr.Accordion("Start, guidance, seed", open=False):
            start = gr.Radio(
                [NOISE, PICTURE], value=NOISE, label="Start from",
                info="A picture is noised to a timestep first, and then restored.",
                elem_id="reverse-start",
            )  # fmt: skip
            with gr.Column(visible=False) as picture:
                from_step = RangeField(
                    1, models.load(names[0]).schedule.T, 500, step=1, label="Noised to t",
                    info="The more noise, the less of the picture comes back.",
                    elem_id="reverse-from",
                )  # fmt: skip
                chooser.build(session, loading, "reverse")
            guidance = RangeField(
                0, 8, GUIDANCE, step=0.25, label="Guidance",
                info="1: as trained. More exaggerates what the label asks for.",
                elem_id="reverse-guidance",
            )  # fmt: skip
            seed = NumberField(
                0, label="Seed", precision=0, info="The same seed gives the same noise.",
                elem_id="reverse-seed",
            )  # fmt: skip
        compare.change(lambda name: gr.update(visible=name != ALONE), compare, other, **QUICK)
        start.change(lambda name: gr.update(visible=name == PICTURE), start, picture, **QUICK)
        asked = gr.State(0)
        return cls(model, label, guidance, seed, start, from_step, session, compare, a, b, asked)

    @property
    def inputs(self) -> list[Component]:
        return [
            self.compare, self.model, self.label, self.guidance, self.seed, self.start,
            self.from_step, self.session.picture, self.session.points, *self.sides,
        ]  # fmt: skip

    def keep(self, place: Place) -> None:
        """Let an address name them; those of B as b.steps and so on."""
        keep_model(place, self.model, self.label)
        place.keep("guidance", self.guidance)
        place.keep("seed", self.seed, check=check_seed)
        place.keep("start", self.start)
        place.keep(
            "from", self.from_step,
            check=lambda value: check_integer(value, "“from”", 1, current().max_T),
            default=lambda values: models.load(values["model"]).schedule.T // 2,
            tell=lambda value, values: gr.update(
                maximum=models.load(values["model"]).schedule.T, value=value
            ),
        )  # fmt: skip
        place.keep("compare", self.compare)
        for letter, prefix, side in (("a", "", self.a), ("b", "b.", self.b)):
            for name, component in side.components.items():
                place.keep(
                    prefix + NAMES.get(name, name), component,
                    default=lambda values, letter=letter, name=name: _first(
                        values["compare"], letter, name
                    ),
                )  # fmt: skip

    @property
    def sides(self) -> list[Component]:
        """The controls of A, then those of B."""
        return [*self.a.inputs, *self.b.inputs]

    @property
    def touched(self) -> list[Any]:
        """What a person may do that asks for another run."""
        return [
            self.asked.change, self.session.picture.change, self.session.points.change,
            self.label.input, self.guidance.release, self.seed.change, self.start.input,
            self.from_step.release, *self.a.touched, *self.b.touched,
        ]  # fmt: skip


def _first(compare: str, letter: str, name: str) -> Any:
    """What a control of A or B begins with, where that comparison is chosen."""
    return (DEFAULTS | (getattr(PAIRS[compare], letter) if compare in PAIRS else {}))[name]


def shipped_only(model: str) -> str:
    """The name of a model in an address."""
    if model not in models.names():
        raise CannotTravelError("your own model")
    return model


def keep_model(place: Place, model: Component, label: Component) -> None:
    """Let an address name a model, and a label that it knows."""
    place.keep("model", model, write=shipped_only)
    place.keep(
        "label", label,
        default=lambda values: models.first_label(values["model"]),
        choices=lambda values: [key for _, key in models.labels(values["model"])],
        tell=lambda value, values: gr.update(
            choices=models.labels(values["model"]), value=value
        ),
    )  # fmt: skip


def read(
    compare: Any, model: Any, label: Any, guidance: Any, seed: Any, start: Any, from_step: Any,
    picture: Picture | None, points: Any, *sides: Any,
) -> tuple[RunSettings, ...]:  # fmt: skip
    """The runs that are asked for, one or two; ValueError says what is wrong."""
    check_choice(compare, "The comparison", COMPARISONS)
    from_picture = check_choice(start, "The start", (NOISE, PICTURE)) == PICTURE
    wanted = []
    for number in range(1 if compare == ALONE else 2):
        own = dict(zip(DEFAULTS, sides[number * len(DEFAULTS) :], strict=False))
        wanted.append(
            run_settings(
                model=model,
                label=label,
                guidance=guidance,
                seed=seed,
                points=points,
                picture=picture_or_default(picture) if from_picture else None,
                from_step=from_step if from_picture else None,
                **own,
            )
        )
    return tuple(wanted)


def labels_of(name: Any) -> dict:
    """What a list of labels is told when another model is chosen."""
    return gr.update(choices=models.labels(name), value=models.first_label(name))


def offer_own(session: Session, model: Component, *also: str) -> None:
    """Let a list of models offer the session's own too, and `also` what is no trained model."""
    session.own.change(
        lambda own: gr.update(choices=[*models.choices(own), *also]), session.own, model, **QUICK
    )


@says_what_is_wrong
def choose_model(name: Any) -> tuple:
    """The labels of another model, and its T for the slider of the start."""
    T = models.load(name).schedule.T
    return (
        labels_of(name),
        gr.update(maximum=T, value=T // 2),
        asked_now(),
    )


@says_what_is_wrong
def choose_pair(name: Any) -> list:
    """The values of both sides for a comparison by name."""
    check_choice(name, "The comparison", COMPARISONS)
    if name not in PAIRS:
        return [*[gr.skip()] * (2 * len(DEFAULTS)), asked_now()]
    pair = PAIRS[name]
    values = [(DEFAULTS | side)[key] for side in (pair.a, pair.b) for key in DEFAULTS]
    return [*values, asked_now()]

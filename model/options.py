"""What the command line of training takes, and what a training that goes on keeps of it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from model.checkpoint import CONFIG
from model.denoiser import TARGETS
from model.resume import STATE, BadState, read_settings
from model.schedule import FAMILIES
from model.training import TrainConfig
from model.unet import UNetConfig

CHANGEABLE = {"out", "resume", "data", "steps", "minutes", "save_minutes", "sample_every"}


def schedule_recipe(settings: dict[str, Any]) -> dict[str, Any]:
    """What `build_schedule` takes, of these settings."""
    recipe = {"family": settings["schedule"], "T": settings["T"]}
    return recipe | {name: settings[name] for name in SCHEDULE if settings[name] is not None}


def settings_of(arguments: Sequence[str] | None) -> dict[str, Any]:
    """All settings by name: defaults, then those of the training that goes on, then those given.

    Raises ValueError where they contradict each other or what lies in the folder.
    """
    given = vars(_parser().parse_args(arguments))
    folder = Path(given["out"])
    if not given.get("resume"):
        if (folder / STATE).exists() or (folder / CONFIG).exists():
            raise ValueError(
                f"{folder} already holds a training: add --resume to go on with it, "
                "or name another folder"
            )
        settings = DEFAULTS | {"resume": False} | given
    else:
        saved = read_settings(folder)
        _check_saved(saved)
        if fixed := sorted(k for k in given.keys() - CHANGEABLE if given[k] != saved.get(k)):
            option = fixed[0].replace("_", "-")
            raise ValueError(f"a training that goes on keeps its settings: leave out --{option}")
        settings = DEFAULTS | saved | given
    settings |= {k: tuple(v) for k, v in settings.items() if isinstance(v, list)}
    budgets = [name for name in ("steps", "minutes") if given.get(name) is not None]
    if "data" not in settings:
        raise ValueError("say what to train on: --data digits, for example")
    if len(budgets) == 1:  # the one given replaces the other
        settings |= {"steps": None, "minutes": None, budgets[0]: given[budgets[0]]}
    return settings


def command_line(settings: dict[str, Any]) -> str:
    """The command that trains this anew."""
    words = ["python -m model.train"]
    for name, value in settings.items():
        if name in ("resume", "save_minutes") or value == DEFAULTS.get(name):
            continue
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(option if value else "--no-" + option[2:])
        else:
            several = value if isinstance(value, list | tuple) else [value]
            words.append(" ".join([option, *(shlex.quote(str(one)) for one in several)]))
    return " ".join(words)


DATA = ("split", "size", "flip", "jitter", "label")
NETWORK = ("channels", "bottleneck", "attention", "heads", "groups", "pre_norm", "zero_init")
SCHEDULE = ("beta_start", "beta_end", "rescale")
TRAINING = tuple(field.name for field in fields(TrainConfig))

DEFAULTS: dict[str, Any] = {
    **dict.fromkeys((*DATA, "image_channels", *SCHEDULE)),
    "split": "train",
    "flip": False,
    "jitter": 0.0,
    "schedule": "linear",
    "T": 1000,
    "save_minutes": 2.0,
    **{field.name: field.default for field in fields(UNetConfig) if field.name in NETWORK},
    **{field.name: field.default for field in fields(TrainConfig)},
}


# What those settings are that have no default of their own.
_KINDS = dict.fromkeys(("data", "out", "label"), str)
_KINDS |= dict.fromkeys(("size", "image_channels", "steps", "sample_every"), int)
_KINDS |= dict.fromkeys(("beta_start", "beta_end", "minutes"), float)
_KINDS |= dict.fromkeys(("rescale", "bf16", "resume"), bool)


def _check_saved(saved: dict[str, Any]) -> None:
    """Raise `BadState` for the first setting of a state that no command line could have given."""
    for name, value in saved.items():
        default = DEFAULTS.get(name)
        kind = _KINDS.get(name) if default is None else type(default)
        if not (_is_of(kind, value) or (value is None and name in DEFAULTS and default is None)):
            raise BadState(
                f"{STATE} is damaged, so no training can go on: its setting {name!r:.40} cannot be "
                f"{value!r:.80}"
            )


def _is_of(kind: type | None, value: Any) -> bool:
    if kind is tuple:
        return isinstance(value, list | tuple) and all(type(one) is int for one in value)
    return type(value) is kind or (kind is float and type(value) is int)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.train",
        description="Train a diffusion model and save it as a checkpoint.",
        argument_default=argparse.SUPPRESS,  # to tell what was given from what was not
    )

    def option(group: argparse._ArgumentGroup, name: str, help: str, **how: Any) -> None:
        default = DEFAULTS.get(name)
        if default is not None and default is not False:
            shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
            help += f" (default: {shown})"
        if how.get("action") is None:
            how.setdefault("type", float if isinstance(default, float) else int)
            how.setdefault("metavar", "N")
        else:
            how.pop("metavar", None)
        group.add_argument("--" + name.replace("_", "-"), help=help, **how)

    text = {"type": str, "metavar": "NAME"}
    flag = {"action": "store_true"}
    number = {"type": float}
    many = {"nargs": "+"}

    group = parser.add_argument_group("pictures")
    option(group, "data", "digits, a .parquet file, a folder, or a dataset's id", **text)
    option(group, "split", "part of the data", **text)
    option(group, "size", "side in pixels; without it, as stored")
    option(group, "image_channels", "1 grey, 3 colour; without it, as stored", choices=(1, 3))
    option(group, "flip", "mirror half of the pictures at random", **flag)
    option(
        group, "jitter", "move, turn and brighten them at random: 1 as much as few pictures need"
    )
    option(group, "label", "column of the labels; an empty name: none", **text)

    group = parser.add_argument_group("network")
    option(group, "channels", "channels of each level, the image's own first", **many)
    option(group, "bottleneck", "channels at the bottom")
    option(group, "attention", "levels with self-attention", nargs="*")
    option(group, "heads", "heads of attention")
    option(group, "groups", "groups of GroupNorm")
    option(group, "pre_norm", "normalise before each convolution", **flag)
    option(group, "zero_init", "begin with every block as the identity", **flag)

    group = parser.add_argument_group("schedule")
    option(group, "schedule", "family", choices=tuple(FAMILIES), type=str, metavar="NAME")
    option(group, "T", "number of steps")
    option(group, "beta_start", "first β; without it, the family's", **number)
    option(group, "beta_end", "last β; without it, the family's", **number)
    option(group, "rescale", "keep the end of the schedule for a T other than 1000", **flag)

    group = parser.add_argument_group("training (a budget in steps or in minutes is needed)")
    option(group, "steps", "budget in steps")
    option(group, "minutes", "budget in minutes", **number)
    option(group, "target", "what the network predicts", choices=TARGETS, type=str, metavar="NAME")
    option(group, "batch", "images a step")
    option(group, "learning_rate", "highest learning rate")
    option(group, "warmup", "steps in which it rises to that")
    option(group, "weight_decay", "of AdamW")
    option(group, "clip", "longest gradient")
    option(group, "ema", "decay of the averaged weights")
    option(group, "label_dropout", "share of labels withheld")
    option(group, "seed", "of weights, batches and noise")
    option(
        group,
        "bf16",
        "bfloat16 autocast; default: where it is fast",
        action=argparse.BooleanOptionalAction,
    )
    option(group, "report_every", "steps between reports, for each of which a GPU is waited for")
    option(group, "sample_every", "steps between samples, written to samples.png")
    option(group, "samples", "how many")
    option(group, "sample_steps", "steps to draw them with")

    group = parser.add_argument_group("where to")
    option(group, "out", "folder of the checkpoint", **text, required=True)
    option(group, "resume", "go on with the training in that folder", **flag)
    option(group, "save_minutes", "minutes between saves")
    return parser

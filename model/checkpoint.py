"""A trained network in a folder: weights as plain numbers, and all that one must know to use them.

    checkpoints/digits/model.safetensors    the averaged weights, half precision
                       config.json          network, schedule, target, classes, how it was trained
                       mean.safetensors     the average training pictures; optional
                       README.md            the model card

Loading executes nothing and believes nothing: each name, shape and setting is checked.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from model.average import MEAN, Average, read_average, write_average
from model.card import model_card
from model.denoiser import Denoiser, GuidedDenoiser, check_target, guide
from model.files import write_whole
from model.schedule import FAMILIES, NoiseSchedule
from model.tensor_file import BadCheckpoint, find_file, one_line, read_tensors
from model.unet import UNet, UNetConfig

FOLDER = Path(__file__).parents[1] / "checkpoints"
FORMAT = "unnoise-unet-1"
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
MAX_CONFIG = 1_000_000  # bytes; ours have a few hundred
MAX_HALF = torch.finfo(torch.float16).max


@dataclass(frozen=True)
class CheckpointConfig:
    """What config.json holds."""

    network: UNetConfig
    schedule: Mapping[str, Any]  # see `build_schedule`
    target: str = "eps"
    classes: tuple[str, ...] = ()  # names of the labels
    training: Mapping[str, Any] = field(default_factory=dict)  # how it was made; for people

    def to_json(self) -> str:
        """As text that `from_json` reads."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> CheckpointConfig:
        """Read config.json. Raises ValueError with what is wrong."""
        values = json.loads(text)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError(f'it does not say "format": "{FORMAT}"')
        _check_keys(values, cls, "config.json")
        network = values.get("network")
        if not isinstance(network, dict):
            raise ValueError("it describes no network")
        _check_keys(network, UNetConfig, "network")
        _check_kinds(network)
        classes = values.get("classes", [])
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise ValueError("the names of the classes must be a list of texts")
        config = cls(
            network=UNetConfig(**network),
            schedule=values.get("schedule"),
            target=check_target(values.get("target", "eps")),
            classes=tuple(classes),
            training=values.get("training", {}),
        )
        if config.network.classes != len(config.classes):
            raise ValueError(
                f"the network has {config.network.classes} classes, {len(config.classes)} are named"
            )
        if not isinstance(config.training, dict):
            raise ValueError('"training" must be a record')
        return config


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained network, ready to sample; the weights are the averaged ones (EMA)."""

    net: UNet
    schedule: NoiseSchedule
    config: CheckpointConfig
    mean: Tensor | None = None  # (C, H, W), the average training picture, where it is known
    class_means: Tensor | None = None  # (K, C, H, W), those of the classes

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images it was trained on."""
        network = self.config.network
        return network.image_channels, network.image_size, network.image_size

    def to(self, device: torch.device) -> Checkpoint:
        """The same with its network there; the average pictures stay on the CPU."""
        return dataclasses.replace(self, net=self.net.to(device))

    def denoiser(
        self, label: int | Tensor | None = None, *, guidance: float = 1.0, clip: bool = True
    ) -> Denoiser | GuidedDenoiser:
        """The network as samplers want it.

        label: one class for all images or one each, (B,); None asks for any. `guidance` other than
        1 exaggerates what the label asks for (see `guide`). Raises ValueError for a label that it
        does not know.
        """
        if label is not None:
            self._check_label(torch.as_tensor(label))
        denoiser = Denoiser(self.net, self.schedule, self.config.target, label, clip)
        if label is None or guidance == 1:
            return denoiser
        # "No label" by its number, so that both can be asked in one batch.
        without = dataclasses.replace(denoiser, label=len(self.config.classes))
        return guide(denoiser, without, guidance)

    def expected(self, label: int | None = None) -> Tensor | None:
        """The average training picture, of a class if one is named: (C, H, W) in [−1, 1].

        None where it is not known. Raises ValueError for a label that the network does not know.
        """
        if label is None:
            return self.mean
        self._check_label(torch.as_tensor(label))
        return None if self.class_means is None else self.class_means[label]

    def _check_label(self, label: Tensor) -> None:
        classes = len(self.config.classes)
        if not classes:
            raise ValueError("this network was trained without labels: ask with label=None")
        if label.is_floating_point() or not bool(((label >= 0) & (label < classes)).all()):
            raise ValueError(f"label must be in 0 … {classes - 1}, got {label.tolist()}")


def build_schedule(recipe: Mapping[str, Any]) -> NoiseSchedule:
    """The schedule of {"family": "linear", "T": 1000, …} or {"family": "betas", "betas": […]}.

    Raises ValueError for a family or parameter that does not exist, or is out of range.
    """
    if not isinstance(recipe, Mapping) or not isinstance(recipe.get("family"), str):
        raise ValueError("the schedule names no family")
    settings = {name: value for name, value in recipe.items() if name != "family"}
    family = recipe["family"]
    makers = {**FAMILIES, "betas": NoiseSchedule.from_betas}
    if family not in makers:
        raise ValueError(
            f"the schedule's family must be one of {', '.join(makers)}, got {family!r:.80}"
        )
    try:
        return makers[family](**settings)
    except (TypeError, OverflowError, RecursionError) as error:
        raise ValueError(
            f"the schedule {family!r} cannot be made of {', '.join(settings) or 'nothing'}: {error}"
        ) from None


def save_checkpoint(
    folder: str | Path,
    net: UNet,
    config: CheckpointConfig,
    *,
    average: Average | None = None,
    half: bool = True,
) -> None:
    """Write a checkpoint; each file appears whole or not at all.

    `average` is that of the pictures it was trained on, where they are known. With `half`, what is
    too large for half precision stays as it is. A model card that is already there is kept: people
    write in it. Raises OSError where the folder cannot be written; what was there before is then
    untouched.
    """
    folder = Path(folder).resolve()  # "." has no name
    weights = {
        name: (w.half() if half and w.abs().max() <= MAX_HALF else w).detach().cpu().contiguous()
        for name, w in net.state_dict().items()
    }
    write_whole(folder / CONFIG, config.to_json().encode())
    write_whole(folder / WEIGHTS, safetensors.torch.save(weights, {"format": "pt"}))
    if average is not None:
        write_average(folder, average)
    else:
        (folder / MEAN).unlink(missing_ok=True)  # it would be that of other pictures
    if not (folder / CARD).exists():
        write_whole(folder / CARD, model_card(folder.name, config).encode())


def load_checkpoint(name: str | Path) -> Checkpoint:
    """A checkpoint by its name under `checkpoints/`, or by its folder; float32, on the CPU.

    Raises FileNotFoundError if there is none, and `BadCheckpoint` for a folder that is broken,
    truncated, foreign or hostile.
    """
    folder = find_checkpoint(name)
    config = _read_config(folder)
    try:
        schedule = build_schedule(config.schedule)
        with torch.device("meta"):  # nothing is initialised that the weights replace anyway
            net = UNet(config.network)
    except ValueError as error:
        raise BadCheckpoint(
            one_line(f"{CONFIG} of {folder.name} cannot be built: {error}")
        ) from None
    expected = {key: tuple(weight.shape) for key, weight in net.state_dict().items()}
    net.load_state_dict(read_tensors(folder, WEIGHTS, expected), assign=True)
    net = net.to(memory_format=torch.channels_last)  # a fifth faster on a processor
    checkpoint = Checkpoint(net.requires_grad_(False).eval(), schedule, config)
    average = read_average(folder, checkpoint.shape, len(config.classes))
    return dataclasses.replace(checkpoint, **average._asdict()) if average else checkpoint


def shipped() -> list[str]:
    """Names of the checkpoints that are there, in alphabetical order."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{CONFIG}"))


def find_checkpoint(name: str | Path) -> Path:
    """The folder of a checkpoint, as `load_checkpoint` looks for it.

    Raises FileNotFoundError if there is none.
    """
    folder = FOLDER / name if str(name) in shipped() else Path(name)
    if os.path.isdir(folder):  # False, too, for what can be no path
        return folder.resolve()
    known = ", ".join(shipped()) or "none yet"
    raise FileNotFoundError(
        f"there is no checkpoint {str(name)!r:.80}: give a folder that holds {CONFIG} and "
        f"{WEIGHTS}, or one of those shipped ({known})"
    )


def _read_config(folder: Path) -> CheckpointConfig:
    path = find_file(folder, CONFIG)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG + 1)
        if len(content) > MAX_CONFIG:
            raise ValueError(f"it is larger than {MAX_CONFIG:,} bytes")
        return CheckpointConfig.from_json(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(
            one_line(f"{CONFIG} of {folder.name} is not one of ours: {error}")
        ) from None


def _check_keys(values: Mapping[str, Any], record: type, what: str) -> None:
    known = {field.name for field in dataclasses.fields(record)}
    if unknown := sorted(values.keys() - known):
        raise ValueError(f"{what} has the unknown setting {unknown[0]!r:.80}")


def _check_kinds(network: Mapping[str, Any]) -> None:
    """JSON's own mix-ups, which `UNetConfig` would take: "false" for false, 1 for true."""
    kinds = {bool: "true or false", int: "a whole number", tuple: "a list of whole numbers"}
    for setting in dataclasses.fields(UNetConfig):
        kind = type(setting.default)
        value = network.get(setting.name, setting.default)
        numbers = value if isinstance(value, list | tuple) else [value]
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
        right = {
            bool: isinstance(value, bool),
            int: whole and not isinstance(value, list),
            tuple: whole and isinstance(value, list | tuple),
        }
        if not right[kind]:
            raise ValueError(f"{setting.name} must be {kinds[kind]}, got {json.dumps(value):.80}")

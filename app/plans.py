"""What a person wants to train → everything that a training needs, checked before it begins."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch

from app import archives, elsewhere, models
from app.forms import LARGEST_SEED, check_choice, check_integer, check_number
from app.pictures import Picture
from app.settings import Settings, current
from model.average import Average, average_pictures
from model.checkpoint import Checkpoint, CheckpointConfig, build_schedule
from model.data import MAX_PICTURES, load_data, load_pictures
from model.denoiser import TARGETS
from model.hugging_face import is_repository
from model.image_data import ImageData
from model.schedule import FAMILIES
from model.training import TrainConfig, Training, new_network
from model.unet import UNet, UNetConfig

DIGITS, ONE, FEW, ZIP, HUB = (
    "handwritten digits",
    "one picture",
    "a handful of pictures",
    "a folder as .zip",
    "a dataset of the Hub",
)
SOURCES = (DIGITS, ONE, FEW, ZIP, HUB)
SCRATCH = "from scratch"
SECONDS, STEPS = "seconds", "steps"
SIZES = (16, 32, 64)
# Channels of each level, of the bottleneck, and the levels with attention.
NETWORKS = {
    "small": ((32, 64), 64, (1,)),
    "medium": ((32, 64, 128), 128, (2,)),
    "large": ((64, 128, 256), 256, (2,)),
}
SAMPLES, SAMPLE_STEPS = (10, 5), 15  # of pictures up to 32×32, and of larger ones

# What each source suggests: the values of the controls that have these names.
SUGGESTED: dict[str, dict[str, Any]] = {
    DIGITS: {"size": 16, "grey": True, "network": "small", "T": 1000, "beta_end": 0.02,
             "batch": 32, "learning_rate": 0.003, "amount": 60},
    ONE: {"size": 64, "grey": True, "network": "medium", "T": 300, "beta_end": 0.04,
          "batch": 4, "learning_rate": 0.001, "amount": 120},
    FEW: {"size": 32, "grey": False, "network": "medium", "T": 1000, "beta_end": 0.02,
          "batch": 16, "learning_rate": 0.0015, "amount": 180},
    ZIP: {"size": 32, "grey": False, "network": "medium", "T": 1000, "beta_end": 0.02,
          "batch": 32, "learning_rate": 0.0015, "amount": 300},
    HUB: {"size": 32, "grey": False, "network": "medium", "T": 1000, "beta_end": 0.02,
          "batch": 32, "learning_rate": 0.0015, "amount": 300},
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Plan:
    """A training that can begin."""

    title: str
    load: Callable[[], ImageData]
    network: UNetConfig  # from scratch it gets the classes that the data turns out to have
    schedule: Mapping[str, Any]
    config: TrainConfig
    base: Checkpoint | None  # to begin with its weights
    command: str
    python: str
    picture: Picture | None  # the one that is trained on

    def data(self) -> ImageData:
        """The pictures, decoded. Raises ValueError or OSError with one sentence."""
        data = self.load()
        if self.base is None or not self.network.classes:
            return data
        # Pictures of one's own have no label of the base: it learns them as "no label".
        none = torch.full((len(data),), self.network.classes)
        return replace(data, labels=none, classes=self.base.config.classes)

    def training(self, data: ImageData) -> Training:
        """The training of these pictures, at its beginning."""
        if self.base is None:
            network = replace(self.network, classes=len(data.classes))
            net = new_network(network, self.config.seed)
        else:
            net = copy.deepcopy(self.base.net).requires_grad_(True)
        net = net.to(models.device(), memory_format=torch.channels_last)
        return Training.start(net, build_schedule(self.schedule), self.config)

    def checkpoint(self, training: Training, data: ImageData) -> Checkpoint:
        """What has been learned so far."""
        record = {
            "command": self.command,
            "data": data.name,
            "images": training.step * training.config.batch,
            "seconds": round(training.seconds),
            "device": training.device.type,
        }
        config = CheckpointConfig(
            network=training.net.config,
            schedule=dict(self.schedule),
            target=training.config.target,
            classes=data.classes,
            training=record,
        )
        net = copy.deepcopy(training.ema).requires_grad_(False).eval()
        average = average_pictures(data) if self.base is None else Average(None, None)
        return Checkpoint(net, training.schedule, config, *average)


def make_plan(
    *,
    source: Any,
    base: Any,
    picture: Picture,
    files: Any,
    archive: Any,
    dataset: Any,
    size: Any,
    grey: Any,
    network: Any,
    family: Any,
    T: Any,
    beta_start: Any,
    beta_end: Any,
    target: Any,
    batch: Any,
    learning_rate: Any,
    budget: Any,
    amount: Any,
    ema: Any,
    label_dropout: Any,
    seed: Any,
) -> Plan:
    """A plan from what the page sent; ValueError with one sentence that says what is wrong."""
    limits = current()
    check_choice(source, "The data", SOURCES)
    size = _size(size, limits)
    check_choice(family, "The schedule", FAMILIES)
    channels, bottleneck, attention = NETWORKS[check_choice(network, "The network", NETWORKS)]
    schedule: dict[str, Any] = {"family": family, "T": check_integer(T, "T", 2, limits.max_T)}
    if family != "cosine":
        schedule["beta_start"] = check_number(beta_start, "β_start", 1e-8, 0.999)
        schedule["beta_end"] = check_number(beta_end, "β_end", 1e-8, 0.999)
    build_schedule(schedule)  # raises for what makes none
    image_channels = 1 if grey else 3
    unet = UNetConfig(
        image_channels=image_channels, image_size=size, channels=channels, bottleneck=bottleneck,
        attention=attention, pre_norm=True, zero_init=True,
    )  # fmt: skip
    started = None
    if base != SCRATCH:
        started = models.load(base)
        unet, schedule = started.config.network, dict(started.config.schedule)
        target, size, image_channels = started.config.target, unet.image_size, unet.image_channels
        if source in (DIGITS, HUB):
            raise ValueError(
                "Fine-tuning is for pictures of your own: choose one, a handful, or a folder."
            )
    check_parameters(unet, limits)
    config = TrainConfig(
        **_budget(budget, amount, limits),
        target=check_choice(target, "The target", TARGETS),
        batch=check_integer(batch, "The batch", 1, 256),
        learning_rate=check_number(learning_rate, "The learning rate", 1e-6, 100),
        warmup=20,
        ema=check_number(ema, "The decay of the EMA", 0, 0.99999),
        label_dropout=check_number(label_dropout, "The label dropout", 0, 1),
        seed=check_integer(seed, "The seed", 0, LARGEST_SEED),
        # A record has to wait for the device, and a GPU is fastest where nobody waits for it.
        report_every=1 if models.device().type == "cpu" else 10,
        samples=SAMPLES[unet.image_size > 32],
        sample_steps=SAMPLE_STEPS,
    )
    load, name, title = _data(
        source, picture, files, archive, dataset, size, image_channels, limits
    )
    jitter = 1.0 if source == FEW else 0.0  # `load_pictures` says why
    if started is None:
        command = elsewhere.command(name, unet, schedule, config, jitter)
        python = elsewhere.python_code(name, unet, schedule, config, jitter)
    else:
        command = "# The command line trains from scratch; the Python below begins like this one."
        python = elsewhere.fine_tuning_code(name, base, started, config, jitter)
    return Plan(
        title=title if started is None else f"{title}, from {base}",
        load=load,
        network=unet,
        schedule=schedule,
        config=config,
        base=started,
        command=command,
        python=python,
        picture=picture if source == ONE else None,
    )


def preview(
    source: Any, base: Any, picture: Picture, files: Any, size: Any, grey: Any
) -> ImageData | None:
    """What would be trained on, where that is known at once: no folder, no dataset of the Hub."""
    if source not in (DIGITS, ONE, FEW):
        return None
    limits = current()
    if base == SCRATCH:
        size, channels = _size(size, limits), 1 if grey else 3
    else:
        network = models.load(base).config.network
        size, channels = network.image_size, network.image_channels
    load, *_ = _data(source, picture, files, None, None, size, channels, limits)
    return load()


@lru_cache(maxsize=64)
def count_parameters(config: UNetConfig) -> int:
    """How many numbers such a network learns."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in UNet(config).parameters())


def check_parameters(config: UNetConfig, limits: Settings) -> None:
    count = count_parameters(config)
    if count > limits.train_parameters:
        raise ValueError(
            f"The network has {count:,} parameters, at most {limits.train_parameters:,} are "
            "allowed here: choose a smaller one."
        )


def sizes(limits: Settings) -> list[int]:
    """The sides in pixels that may be trained on here."""
    return [side for side in SIZES if side <= limits.train_size]


def _size(size: Any, limits: Settings) -> int:
    return int(check_choice(size, "The size", sizes(limits)))


def _budget(budget: Any, amount: Any, limits: Settings) -> dict[str, Any]:
    if check_choice(budget, "The budget", (SECONDS, STEPS)) == STEPS:
        return {"steps": check_integer(amount, "The number of steps", 1, limits.train_steps)}
    return {"minutes": check_number(amount, "The seconds", 1, limits.train_seconds) / 60}


@lru_cache(maxsize=2)
def _digits(size: int, channels: int) -> ImageData:
    """Most look at the same, and train on them."""
    return load_data("digits", size=size, channels=channels)


def _data(
    source: str, picture: Picture, files: Any, archive: Any, dataset: Any, size: int,
    channels: int, limits: Settings,
) -> tuple[Callable[[], ImageData], str, str]:  # fmt: skip
    """How to load the data, what the command line calls it, and what the page does."""
    if source == DIGITS:
        return lambda: _digits(size, channels), "digits", "digits"
    if source == ONE:
        one = load_pictures([picture.square], size=size, channels=channels, jitter=0.0)
        return lambda: one, "PICTURES/", picture.title
    if source == FEW:
        chosen = archives.read_few(files, MAX_PICTURES)
        few = load_pictures(chosen, size=size, channels=channels)
        s = "s" if len(chosen) > 1 else ""
        return lambda: few, "PICTURES/", f"{len(chosen)} picture{s}"
    if source == ZIP:
        data = archives.read_pictures(archive, size, channels, limits.train_pictures)
        return lambda: data, "PICTURES/", f"{len(data):,} pictures"
    if not limits.hub:
        raise ValueError("This server does not load datasets: upload a folder as .zip instead.")
    if not isinstance(dataset, str) or not is_repository(dataset.strip()):
        raise ValueError("Give the dataset's id as owner/name, for example ylecun/mnist.")
    name = dataset.strip()
    return lambda: load_data(name, size=size, channels=channels), name, name

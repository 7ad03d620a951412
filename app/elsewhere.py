"""A training of the page as one would do it elsewhere: a command to copy, and lines of Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.checkpoint import Checkpoint
from model.hugging_face import is_repository
from model.options import DEFAULTS, command_line
from model.training import TrainConfig
from model.unet import UNetConfig


def command(
    name: str, unet: UNetConfig, schedule: Mapping[str, Any], config: TrainConfig, jitter: float
) -> str:
    """The training as the command line has it."""
    settings = dict(DEFAULTS) | {"data": name, "out": "runs/mine"}
    settings |= {
        "size": unet.image_size,
        "image_channels": unet.image_channels,
        "jitter": jitter,
        "channels": unet.channels,
        "bottleneck": unet.bottleneck,
        "attention": unet.attention,
        "pre_norm": unet.pre_norm,
        "zero_init": unet.zero_init,
        "schedule": schedule["family"],
    }
    settings |= {key: value for key, value in schedule.items() if key != "family"}
    for field in ("steps", "minutes", "target", "batch", "learning_rate", "warmup", "ema"):
        settings[field] = getattr(config, field)
    return command_line(settings | {"label_dropout": config.label_dropout, "seed": config.seed})


def python_code(
    name: str, unet: UNetConfig, schedule: Mapping[str, Any], config: TrainConfig, jitter: float
) -> str:
    """The training as a few lines of Python."""
    recipe = ", ".join(f"{key}={value!r}" for key, value in schedule.items() if key != "family")
    maker = schedule["family"].replace(" ", "_")
    return f"""\
from model import NoiseSchedule, UNetConfig
from model.data import load_data
from model.train import train
from model.training import TrainConfig, Training, new_network

data = {_data_code(name, unet, jitter)}
network = UNetConfig(image_channels={unet.image_channels}, image_size={unet.image_size}, \
channels={unet.channels}, bottleneck={unet.bottleneck}, attention={unet.attention}, \
pre_norm={unet.pre_norm}, zero_init={unet.zero_init}, classes=len(data.classes))
config = {_config_code(config)}
schedule = NoiseSchedule.{maker}({recipe})
training = Training.start(new_network(network, config.seed), schedule, config)
for progress in train(training, data):
    print(progress.step, progress.loss)
"""


def fine_tuning_code(
    name: str, base: str, started: Checkpoint, config: TrainConfig, jitter: float
) -> str:
    """The same for a training that begins with the weights of a checkpoint."""
    network, on_hub = started.config.network, is_repository(base)
    unlabelled = ""
    if network.classes:
        unlabelled = """
# Pictures of one's own have none of its labels: it learns them as "no label".
none = torch.full((len(data),), len(base.config.classes))
data = replace(data, labels=none, classes=base.config.classes)"""
    imports = "from dataclasses import replace\n\nimport torch\n\n" if unlabelled else ""
    return f"""\
{imports}from model{".sharing import pull" if on_hub else " import load_checkpoint"}
from model.data import load_data
from model.train import train
from model.training import TrainConfig, Training

base = {"pull" if on_hub else "load_checkpoint"}({base!r})
data = {_data_code(name, network, jitter)}{unlabelled}
config = {_config_code(config)}
training = Training.start(base.net.requires_grad_(True), base.schedule, config)
for progress in train(training, data):
    print(progress.step, progress.loss)
"""


def _data_code(name: str, unet: UNetConfig, jitter: float) -> str:
    more = f", jitter={jitter!r}" if jitter else ""
    return f"load_data({name!r}, size={unet.image_size}, channels={unet.image_channels}{more})"


def _config_code(config: TrainConfig) -> str:
    budget = f"steps={config.steps}" if config.steps else f"minutes={config.minutes!r}"
    return (
        f"TrainConfig({budget}, target={config.target!r}, batch={config.batch}, "
        f"learning_rate={config.learning_rate!r}, warmup={config.warmup}, ema={config.ema!r}, "
        f"label_dropout={config.label_dropout!r}, seed={config.seed})"
    )

"""The model card of a checkpoint: what its repository on the Hugging Face Hub shows first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.checkpoint import CheckpointConfig

_CARD = """\
---
pipeline_tag: {task}
tags:
- diffusion
- unnoise
---

# {name}

A small diffusion model of {size}×{size} {colour} pictures, trained and sampled with Unnoise.

- **Network**: a U-Net of {channels} channels that predicts {target}{classes}.
- **Noise schedule**: {schedule}.
- **Files**: `model.safetensors` holds the weights averaged over training (EMA), in half \
precision; `config.json` all that it takes to use them; `mean.safetensors`, where it is there, the \
average training picture, of all and of each class. None of them can execute anything.

## Use

```python
from model import ddim, load_checkpoint, standard_noise

checkpoint = load_checkpoint("{name}")
denoiser = checkpoint.denoiser({label})
x_T = standard_noise(checkpoint.shape, seeds=range(16))
for step in ddim(denoiser, checkpoint.schedule, x_T, checkpoint.schedule.timesteps(50)):
    pass
images = step.x_next  # (16, {image_channels}, {size}, {size}) in [−1, 1]
```

## Training

{training}
"""

_TARGETS = {"eps": "the noise ε", "x0": "the clean image x_0", "v": "the velocity v"}


def model_card(name: str, config: CheckpointConfig) -> str:
    """Markdown with the front matter that the Hub reads, from what the checkpoint's config says."""
    network, recipe, training = config.network, dict(config.schedule), config.training
    family, T = recipe.pop("family"), recipe.pop("T", None)
    settings = ", ".join(f"{key} = {value}" for key, value in recipe.items() if key != "betas")
    lines = []
    if "command" in training:
        lines.append(f"```sh\n{training['command']}\n```")
    if "images" in training:
        lines.append(f"{training['images']:,} pictures were seen.")
    return _CARD.format(
        name=name,
        task="unconditional-image-generation",
        size=network.image_size,
        image_channels=network.image_channels,
        colour="grey" if network.image_channels == 1 else "colour",
        channels=", ".join(map(str, network.channels)),
        target=_TARGETS[config.target],
        classes=f" and knows {len(config.classes)} classes" if config.classes else "",
        schedule=family + (f", T = {T}" if T else "") + (f", {settings}" if settings else ""),
        label="label=0" if config.classes else "",
        training="\n\n".join(lines) or "Not recorded.",
    )

"""What the U-Net tab shows: the network's own blocks, and a real forward pass through them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from app import models
from app.diagram import diagram
from app.evenly import evenly
from app.forms import LARGEST_SEED, check_choice, check_integer
from app.pictures import data_url, packed, to_image, to_pixels
from app.runs import TRAINED, Run
from model.checkpoint import Checkpoint
from model.denoiser import predict
from model.embeddings import LabelEmbedding, timestep_embedding
from model.forward import q_sample
from model.sampler import standard_noise

MOMENTS = 8  # timesteps that are computed, from 1 to T
STRONGEST = 3  # channels a block shows besides its mean
ATTENTION_BYTES = 80_000  # for maps of all moments; larger ones get fewer moments
START = 0.3


@dataclass(frozen=True, eq=False)
class Subject:
    """Whose inside is shown: a network, and the noised pictures that go through it."""

    checkpoint: Checkpoint
    label: int | None
    moments: Sequence[int]  # the timesteps at which all is computed
    x: Tensor  # (N, C, H, W): x_t at each of them
    x0: Tensor | None = None  # (C, H, W), where a known picture is noised …
    eps: Tensor | None = None  # … with this noise

    def at(self, t: Any) -> tuple[int, Tensor]:
        """A timestep and its x_t, (1, C, H, W): of a run, the nearest that it has."""
        t = check_integer(t, "t", 1, self.checkpoint.schedule.T)
        if self.x0 is not None:
            return t, q_sample(self.checkpoint.schedule, self.x0[None], t, self.eps[None])
        place = min(range(len(self.moments)), key=lambda i: abs(self.moments[i] - t))
        return self.moments[place], self.x[place : place + 1]

    def given(self, x: Tensor, t: Sequence[int]) -> tuple[Tensor, Tensor, Tensor | None]:
        """What the network takes, told these t: x, t and labels, where the network is."""
        label = None if self.label is None else torch.full((len(t),), self.label)
        label = None if label is None else models.there(label)
        return models.there(x), models.there(torch.tensor(t)), label

    def said(self, output: Tensor, x: Tensor, t: Sequence[int]) -> tuple[Tensor, Tensor]:
        """ε_θ and x̂_0, clipped, of what the network put out."""
        target, schedule = self.checkpoint.config.target, self.checkpoint.schedule
        found = predict(target, output, schedule, x, torch.tensor(t))
        return found.eps, found.x0.clamp(-1, 1)


def of_picture(model: Any, label: Any, x0: Tensor, seed: Any) -> Subject:
    """A picture (C, H, W) noised to a few t; ValueError with one sentence for what cannot be."""
    checkpoint = models.load(model)
    label = models.check_label(checkpoint, label)
    eps = standard_noise(checkpoint.shape, [check_integer(seed, "The seed", 0, LARGEST_SEED)])
    schedule = checkpoint.schedule
    t = sorted({round(1 + i / (MOMENTS - 1) * (schedule.T - 1)) for i in range(MOMENTS)})
    x = q_sample(schedule, x0.expand(len(t), *x0.shape), torch.tensor(t), eps)
    return Subject(checkpoint, label, t, x, x0, eps[0])


def of_run(run: Run) -> Subject:
    """A few moments of a run of the reverse process; it must be on the model's own schedule."""
    if run.settings.family != TRAINED:
        raise ValueError("The run of the Reverse tab is on another schedule: choose “as trained”.")
    last = len(run.kept) - 1
    places = sorted({round(last - i / (MOMENTS - 1) * last) for i in range(MOMENTS)}, reverse=True)
    t = [run.t[run.kept[place]] for place in places]
    return Subject(run.checkpoint, run.settings.label, t, run.x[places])


# -- a forward pass --------------------------------------------------------------------------------


@torch.no_grad()
def alive(this: Subject, chosen: tuple[str, int] | None = None) -> dict[str, Any]:
    """The scene: activation maps of every block at each moment, and what cutting does.

    `chosen`: a block and one of its channels, whose map is wanted besides.
    """
    net, t, x = this.checkpoint.net, list(this.moments), this.x
    given = this.given(x, t)
    trace = net.trace(*given).cpu()
    levels = range(net.config.levels)
    outputs = {"nothing": trace.output}
    outputs |= {str(level): net(*given, cut={level}).cpu() for level in levels}
    outputs["all"] = net(*given, cut=set(levels)).cpu()
    _, channels, height, width = x.shape
    cuts = {name: packed(to_pixels(this.said(output, x, t)[1])) for name, output in outputs.items()}
    return {
        **diagram(net),
        "start": START,
        "times": t,
        "channels": channels,
        "height": height,
        "width": width,
        "x": packed(to_pixels(x)),
        "maps": {
            name: _maps(activation, chosen[1] if chosen and chosen[0] == name else None)
            for name, activation in trace.activations.items()
        },
        "chosen": chosen,
        "attention": {name: _attention(weights) for name, weights in trace.attention.items()},
        "cuts": cuts,
    }


def _maps(activation: Tensor, chosen: int | None) -> dict[str, Any]:
    """The mean and the strongest channels of (N, C, H, W), and a chosen one, as uint8."""
    strength = activation.transpose(0, 1).flatten(1).std(1)  # of a channel over pixels and t
    channels = strength.argsort(descending=True)[:STRONGEST].tolist()
    channels += [] if chosen is None else [chosen]
    lanes = [activation.mean(1), *(activation[:, channel] for channel in channels)]
    return {
        "names": ["mean", *(f"channel {channel}" for channel in channels)],
        "height": activation.shape[2],
        "width": activation.shape[3],
        "pixels": packed(np.stack([_levels(lane, lane.std()) for lane in lanes])),
    }


def _levels(maps: Tensor, std: Tensor) -> np.ndarray:
    """Any maps as uint8: 0 is mid-grey, and three times `std` is black or white."""
    scaled = maps / (3 * std + 1e-12)
    return ((scaled.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()


def _attention(weights: Tensor) -> dict[str, Any]:
    """(N, heads, P, P) as uint8, each row by its largest; only some moments where P is large."""
    n, heads, pixels, _ = weights.shape
    most = max(1, ATTENTION_BYTES // (heads * pixels * pixels))
    kept = evenly(n, most)
    rows = weights[kept]
    levels = (255 * rows / rows.amax(-1, keepdim=True)).round().to(torch.uint8)
    return {
        "heads": heads, "side": math.isqrt(pixels), "moments": kept,
        "weights": packed(levels.numpy()),
    }  # fmt: skip


@torch.no_grad()
def all_channels(this: Subject, block: Any, t: Any) -> dict[str, Any]:
    """The value of a `Sheet`: every channel of one block at t."""
    net = this.checkpoint.net
    check_choice(block, "The block", list(net.blocks))
    t, x = this.at(t)
    trace = net.trace(*this.given(x, [t])).cpu()
    maps = trace.activations[block][0]
    pictures = [
        {
            "image": data_url(Image.fromarray(_levels(one, maps.std()))),
            "caption": str(channel),
            "hint": f"channel {channel}, from {one.min():.2f} to {one.max():.2f}: show it above",
            "key": {"block": block, "channel": channel},
        }
        for channel, one in enumerate(maps)
    ]
    return {
        "rows": [{"title": f"{block} at t = {t}, all {len(maps)} channels", "pictures": pictures}],
        "columns": 24,
        "narrow": 10,
    }


def channel_of(this: Subject, key: Any) -> tuple[str, int]:
    """A block and one of its channels, of what a click sends; ValueError for anything else."""
    net = this.checkpoint.net
    if not isinstance(key, dict):
        raise ValueError("Choose one of the channels.")
    block = check_choice(key.get("block"), "The block", list(net.blocks))
    count = next(info.output_shape[0] for info in net.describe() if info.name == block)
    return block, check_integer(key.get("channel"), "The channel", 0, count - 1)


@torch.no_grad()
def told(this: Subject, t: Any, lie: Any) -> dict[str, Any]:
    """The value of a `Sheet`: the same x_t, with the network told the right t and another."""
    lie = check_integer(lie, "The t that is told", 1, this.checkpoint.schedule.T)
    t, x = this.at(t)
    rows = []
    for said in (t, lie):
        output = this.checkpoint.net(*this.given(x, [said])).cpu()
        eps, x0 = this.said(output, x, [t])
        pictures = [
            {"image": data_url(to_image(x[0])), "caption": f"x_t, t = {t}"},
            {"image": data_url(to_image(eps[0])), "caption": "ε_θ", "role": "belief"},
            {"image": data_url(to_image(x0[0])), "caption": "x̂_0", "role": "belief"},
        ]
        note = f"std of ε_θ {eps.std():.3f}"
        if this.eps is not None:
            truth = data_url(to_image(this.eps))
            pictures.append({"image": truth, "caption": "ε, the truth", "role": "noise"})
            note += f", error {(eps[0] - this.eps).square().mean().sqrt():.3f} (rms)"
        rows.append({"title": f"told t = {said}", "note": note, "pictures": pictures})
    return {"rows": rows, "columns": 5}


# -- how far it looks, and what it is told ---------------------------------------------------------


def receptive_fields(this: Subject, t: Any) -> dict[str, Any]:
    """The value of a `Sheet`: how much each input pixel moves the middle of each block's output.

    By gradient: |∂ activation_{middle} / ∂ x|, summed over channels.
    """
    net = this.checkpoint.net
    t, x = this.at(t)
    x, *rest = this.given(x, [t])
    x = x.clone().requires_grad_(True)
    trace = net.trace(x, *rest)
    pictures = []
    for name, activation in trace.activations.items():
        _, _, h, w = activation.shape
        middle = activation[0, :, h // 2, w // 2].sum()
        [gradient] = torch.autograd.grad(middle, x, retain_graph=True)
        weight = gradient[0].cpu().abs().sum(0)
        pictures.append(
            {
                "image": data_url(to_image((2 * (weight / weight.max()).sqrt() - 1)[None])),
                "caption": f"{name.replace('_', ' ')}: {extent(weight)} px",
                "hint": "the side of the square around the middle that holds half of it",
            }
        )
    title = f"what moves the middle pixel of each block, t = {t}"
    note = "px: the side of the square that holds half of the gradient"
    return {"rows": [{"title": title, "note": note, "pictures": pictures}], "columns": 7}


def extent(weight: Tensor, share: float = 0.5) -> int:
    """The side of the smallest square around the middle of (H, W) that holds that share of it."""
    height, width = weight.shape
    rows = (torch.arange(height) - height // 2).abs()[:, None]
    columns = (torch.arange(width) - width // 2).abs()[None]
    ring = torch.maximum(rows, columns)
    total = weight.sum()
    for radius in range(max(height, width)):
        if weight[ring <= radius].sum() >= share * total:
            return min(2 * radius + 1, height, width)
    return max(height, width)


@torch.no_grad()
def embedding_tables(this: Subject) -> dict[str, Any]:
    """Tables for heat maps: the encoding of t, its similarities, and those of the labels."""
    net, T = this.checkpoint.net, this.checkpoint.schedule.T
    t = torch.tensor(evenly(T + 1, 101))
    table = timestep_embedding(t, net.config.embedding)
    unit = table / table.norm(dim=1, keepdim=True)
    found = {"t": t.tolist(), "table": table[:, ::2], "similarity": unit @ unit.T}
    if isinstance(net.label, LabelEmbedding):
        vectors = net.label.table.weight.cpu()
        unit = vectors / vectors.norm(dim=1, keepdim=True)
        found["labels"] = unit @ unit.T
        label = net.label.no_label if this.label is None else this.label
        found["sum"] = (table + vectors[label])[:, ::2]
        found["names"] = [*this.checkpoint.config.classes, "no label"]
    return found

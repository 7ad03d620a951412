"""The network: a U-Net that looks at x_t, t and a label, and predicts what it is trained for.

    input ──┬─────────────── skip ──────────────► up0 ── output     level 0: the image's own side
          down1 ──┬───────── skip ────────► up1 ───┘                      1: half of it
                down2 ──┬─── skip ──► up2 ───┘                            2: a quarter
                      down3 ► bottleneck ┘                                3: an eighth

Ronneberger et al. 2015, "U-Net"; with residual blocks, self-attention, and the timestep added in
every stage as in Ho et al. 2020, appendix B. It knows no schedule: t is a number to embed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.blocks import Downsample, ResNetBlock, SelfAttention, Upsample
from model.checks import as_integer
from model.embeddings import LabelEmbedding, timestep_embedding

Watch = Callable[[str, nn.Module, Tensor, Tensor], None]  # name, block, its input, its output


@dataclass(frozen=True)
class UNetConfig:
    """The size of a U-Net: everything that the shapes of its weights depend on.

    Level 0 has the image's own resolution; each level below it half of that above.

    `pre_norm` and `zero_init` pay only together: after 250 steps of 32 pictures of Fashion-MNIST
    the loss on held-out pictures was 0.069 with both, 0.079 with neither, 0.080 and 0.088 with one
    of them alone (``python -m benchmarks.ablation --data …``). Normalising before each
    convolution leaves a path from input to output that nothing rescales, which the zeros make the
    identity. The shipped models use both; the textbook's network uses neither.

    Raises ValueError for what cannot be built, with what would be right.
    """

    image_channels: int = 3  # 1 grey, 3 colour
    image_size: int = 32  # the side it is trained at; it takes any that its halvings divide
    channels: tuple[int, ...] = (32, 64, 128)  # of each level on the way down
    bottleneck: int = 128  # between the three blocks at the bottom
    attention: tuple[int, ...] = (2,)  # levels whose stages end in self-attention
    heads: int = 4  # of attention
    groups: int = 1  # of GroupNorm: 1 normalises all channels together
    embedding: int = 256  # length of the vector of t and label
    classes: int = 0  # labels it knows; 0: it takes none
    pre_norm: bool = False  # normalise before each convolution, not after
    zero_init: bool = False  # begin with every block as the identity and the output as 0

    @classmethod
    def classic(cls, classes: int = 0) -> UNetConfig:
        """The textbook figure: 64×64×3, 64 channels first, attention after every stage."""
        return cls(
            image_channels=3,
            image_size=64,
            channels=(64, 128, 256, 256),
            bottleneck=512,
            attention=(0, 1, 2, 3),
            classes=classes,
        )

    def __post_init__(self) -> None:
        for name in ("channels", "attention"):  # as lists they come from JSON
            values = tuple(as_integer(value, name) for value in getattr(self, name))
            object.__setattr__(self, name, values)
        check_sizes(self)

    @property
    def levels(self) -> int:
        """How often the side is halved."""
        return len(self.channels) - 1


def check_sizes(config: UNetConfig) -> None:
    """Raise ValueError for the first setting that cannot be built, with what would be right."""
    limits = {
        "image_channels": (1, 16),
        "image_size": (4, 1024),
        "bottleneck": (1, 4096),
        "heads": (1, 64),
        "groups": (1, 64),
        "embedding": (2, 4096),
        "classes": (0, 100_000),
    }
    for name, (low, high) in limits.items():
        if not low <= as_integer(getattr(config, name), name) <= high:
            raise ValueError(f"{name} must be in {low} … {high}, got {getattr(config, name)}")
    if not 2 <= len(config.channels) <= 8 or not all(1 <= c <= 4096 for c in config.channels):
        raise ValueError(f"channels must be 2 to 8 numbers in 1 … 4096, got {config.channels}")
    if config.embedding % 2:
        raise ValueError(f"embedding must be even, got {config.embedding}")
    if config.image_size % 2**config.levels:
        raise ValueError(
            f"{config.levels} halvings need a side that {2**config.levels} divides, "
            f"got image_size {config.image_size}"
        )
    if not all(0 <= level <= config.levels for level in config.attention):
        raise ValueError(f"attention must name levels 0 … {config.levels}, got {config.attention}")
    widths = {*config.channels, config.bottleneck}
    for name, count, among in (
        ("groups", config.groups, widths),
        ("heads", config.heads, {config.channels[level] for level in config.attention}),
    ):
        if any(width % count for width in among):
            raise ValueError(f"{name} must divide the channels {sorted(among)}, got {count}")


@dataclass(frozen=True)
class BlockInfo:
    """One block of the network; shapes are (C, H, W) of one image."""

    name: str
    kind: str  # "input", "downsample", "attention", "bottleneck", "upsample" or "output"
    level: int  # of its output
    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]
    parameters: int
    skip_from: str | None = None  # the block whose output an upsample stage concatenates


@dataclass(frozen=True, eq=False)
class Trace:
    """What one forward pass computed."""

    output: Tensor  # (B, C, H, W)
    activations: dict[str, Tensor]  # of each block by name, (B, C, H, W)
    attention: dict[str, Tensor]  # of each attention block, (B, heads, H·W, H·W), rows sum to 1

    def cpu(self) -> Trace:
        """The same, brought to the CPU."""
        found = self.activations, self.attention
        return Trace(
            self.output.cpu(), *({name: x.cpu() for name, x in one.items()} for one in found)
        )


class UNet(nn.Module):
    """The network of a `UNetConfig`: ``net(x, t, label)`` → the image's shape."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.label = LabelEmbedding(config.classes, config.embedding) if config.classes else None
        self.blocks = nn.ModuleDict(_blocks(config))  # in the order of the forward pass
        if config.zero_init:
            self._zero_init()

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        label: Tensor | None = None,
        *,
        watch: Watch | None = None,
        cut: Collection[int] = (),
    ) -> Tensor:
        """The prediction for x (B, C, H, W) at t (B,), which may be fractional; x's shape.

        label: (B,) integers, where `classes` itself means "no label", as None does for all.
        `watch` sees every block at work. The skip connections of the levels in `cut` carry zeros.
        Raises ValueError for a shape or label that does not fit.
        """
        self._check(x, t, label)
        emb = self.embed(t, label)
        skips = []
        for name, block in self.blocks.items():
            before = x
            if isinstance(block, Downsample):
                skips.append(x)
                x = block(x, emb)
            elif isinstance(block, Upsample):
                skip = skips.pop()
                x = block(x, torch.zeros_like(skip) if len(skips) in cut else skip, emb)
            else:
                x = block(x)
            if watch is not None:
                watch(name, block, before, x)
        return x

    def embed(self, t: Tensor, label: Tensor | None = None) -> Tensor:
        """What every stage is told: the sum of both embeddings, (B, D)."""
        emb = timestep_embedding(t, self.config.embedding)
        if self.label is None:
            return emb
        if label is None:
            label = torch.full_like(t, self.label.no_label, dtype=torch.long)
        return emb + self.label(label)

    def trace(
        self, x: Tensor, t: Tensor, label: Tensor | None = None, *, cut: Collection[int] = ()
    ) -> Trace:
        """One forward pass with every activation and attention map; arguments as `forward`."""
        activations, attention = {}, {}

        def watch(name: str, block: nn.Module, before: Tensor, after: Tensor) -> None:
            activations[name] = after
            if isinstance(block, SelfAttention):
                attention[name] = block.weights(before)

        return Trace(self(x, t, label, watch=watch, cut=cut), activations, attention)

    def describe(self, image_size: int | None = None) -> list[BlockInfo]:
        """The blocks in the order of the forward pass, for images of that side.

        Shapes come from a pass on the "meta" device, which computes none of the numbers.
        Raises ValueError for a side that does not fit.
        """
        config = self.config
        side = config.image_size if image_size is None else image_size
        with torch.device("meta"):
            twin = UNet(config)
            x, t = torch.empty(1, config.image_channels, side, side), torch.empty(1)
        infos, skips = [], []

        def watch(name: str, block: nn.Module, before: Tensor, after: Tensor) -> None:
            kind = _KINDS.get(type(block), name)
            if kind == "downsample":
                skips.append(infos[-1].name)
            infos.append(
                BlockInfo(
                    name=name,
                    kind=kind,
                    level=(side // after.shape[-1]).bit_length() - 1,
                    input_shape=tuple(before.shape[1:]),
                    output_shape=tuple(after.shape[1:]),
                    parameters=sum(p.numel() for p in block.parameters()),
                    skip_from=skips.pop() if kind == "upsample" else None,
                )
            )

        twin(x, t, watch=watch)
        return infos

    def _check(self, x: Tensor, t: Tensor, label: Tensor | None) -> None:
        config = self.config
        divisor = 2**config.levels
        if x.ndim != 4 or x.shape[1] != config.image_channels:
            raise ValueError(
                f"the network takes images (B, {config.image_channels}, H, W), "
                f"got shape {tuple(x.shape)}"
            )
        if x.shape[2] % divisor or x.shape[3] % divisor or not x.numel():
            raise ValueError(
                f"the network halves the image {config.levels} times, so height and width must be "
                f"multiples of {divisor}, got {x.shape[2]}×{x.shape[3]}"
            )
        if t.shape != (len(x),):
            raise ValueError(
                f"t must be one timestep for each of {len(x)} images, got shape {tuple(t.shape)}"
            )
        if label is None:
            return
        if self.label is None:
            raise ValueError("this network was built without labels: pass label=None")
        if label.shape != (len(x),) or label.is_floating_point():
            raise ValueError(
                f"label must be one integer for each of {len(x)} images, "
                f"got {label.dtype} of shape {tuple(label.shape)}"
            )
        # Only where looking is free: on a GPU it would wait for the device.
        if label.device.type == "cpu" and not 0 <= label.min() <= label.max() <= config.classes:
            raise ValueError(
                f"label must be in 0 … {config.classes - 1}, or {config.classes} for none, "
                f"got {label.tolist()}"
            )

    @torch.no_grad()
    def _zero_init(self) -> None:
        for block in self.modules():
            if isinstance(block, ResNetBlock):
                nn.init.zeros_((block.conv2 if block.pre_norm else block.norm2).weight)
            elif isinstance(block, SelfAttention):
                nn.init.zeros_(block.out.weight)
                nn.init.zeros_(block.mlp[-1].weight)
        nn.init.zeros_(self.blocks["output"].weight)


_KINDS = {
    Downsample: "downsample",
    SelfAttention: "attention",
    ResNetBlock: "bottleneck",
    Upsample: "upsample",
}


def _blocks(config: UNetConfig) -> dict[str, nn.Module]:
    channels, levels = config.channels, config.levels
    same = {"groups": config.groups, "pre_norm": config.pre_norm}
    blocks: dict[str, nn.Module] = {
        "input": nn.Conv2d(config.image_channels, channels[0], 3, padding=1)
    }

    def attend(name: str, level: int, width: int) -> None:
        if level in config.attention:
            blocks[name] = SelfAttention(width, heads=config.heads)

    for level in range(1, levels + 1):
        c_in, c_out = channels[level - 1], channels[level]
        blocks[f"down{level}"] = Downsample(c_in, c_out, dim=config.embedding, **same)
        attend(f"down{level}_attention", level, c_out)

    width = channels[-1]
    widths = (width, config.bottleneck, config.bottleneck, width)
    for i in range(3):
        blocks[f"bottleneck{i + 1}"] = ResNetBlock(widths[i], widths[i + 1], **same)

    for level in reversed(range(levels)):
        c_out = channels[max(level - 1, 0)]  # already as narrow as the next level up
        blocks[f"up{level}"] = Upsample(width, channels[level], c_out, dim=config.embedding, **same)
        attend(f"up{level}_attention", level, c_out)
        width = c_out

    blocks["output"] = nn.Conv2d(width, config.image_channels, 1)
    return blocks

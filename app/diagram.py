"""The U-Net as a diagram: its blocks as it describes them, and what is inside each."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from model.blocks import Downsample, ResNetBlock, SelfAttention, Upsample
from model.unet import BlockInfo, UNet, UNetConfig

CLASSIC = "the textbook's, without weights"
FORMULAS = {
    "input": "a 3×3 convolution: from the image's channels to the network's",
    "downsample": "block2( block1( max-pool_{2×2}(x) ) ) + Linear( SiLU(emb) )",
    "attention": "s ← s + softmax(Q K^{T}/√d) V,   Q = K = V = norm(s);   s ← s + MLP(norm(s))",
    "bottleneck": "x + conv( GELU( norm( conv( GELU( norm(x) ) ) ) ) )",
    "upsample": "block2( block1( [ enlarge_{2×}(x), skip ] ) ) + Linear( SiLU(emb) )",
    "output": "a 1×1 convolution: from the network's channels to the image's",
}
SOURCES = {
    "input": UNet.forward, "downsample": Downsample.forward, "attention": SelfAttention,
    "bottleneck": ResNetBlock.forward, "upsample": Upsample.forward, "output": UNet.forward,
}  # fmt: skip


def diagram(net: UNet) -> dict[str, Any]:
    """The network as it describes itself, block by block, with what is inside each."""
    infos = net.describe()
    return {
        "blocks": [asdict(info) | {"inside": inside(info, infos, net.config)} for info in infos],
        "parameters": sum(weight.numel() for weight in net.parameters()),
        "embedding": net.config.embedding,
        "kinds": {
            kind: {"formula": FORMULAS[kind], "source": inspect.getsource(SOURCES[kind])}
            for kind in FORMULAS
        },
    }


def classic_diagram() -> dict[str, Any]:
    """The well-known figure, 64×64×3, as shapes and counts alone."""
    with torch.device("meta"):
        return diagram(UNet(UNetConfig.classic()))


def inside(info: BlockInfo, infos: Sequence[BlockInfo], config: UNetConfig) -> list[dict]:
    """The operations of a block in order, each with the shape that it leaves."""
    (c, h, w), (c_out, h_out, w_out) = info.input_shape, info.output_shape

    def step(name: str, *shape: int, note: str = "") -> dict[str, Any]:
        return {"name": name, "shape": list(shape), "note": note}

    order = "norm → GELU → conv, twice" if config.pre_norm else "conv → norm → GELU → conv → norm"
    match info.kind:
        case "downsample":
            return [
                step("2×2 max-pool", c, h_out, w_out, note="the largest of four pixels stays"),
                step("ResNet block", c, h_out, w_out, note=f"{order}, beside a shortcut"),
                step("ResNet block", c_out, h_out, w_out, note="here the channels grow"),
                step("+ embedding", c_out, 1, 1, note="SiLU → Linear, added to every pixel"),
            ]
        case "upsample":
            skip = next(i for i in infos if i.name == info.skip_from)
            c_skip = skip.output_shape[0]
            return [
                step("enlarge twice", c, h_out, w_out, note="each pixel four times"),
                step("concatenate the skip", c + c_skip, h_out, w_out,
                     note=f"{c_skip} channels come from {skip.name}"),
                step("ResNet block", c_out, h_out, w_out, note=f"{order}, beside a shortcut"),
                step("ResNet block", c_out, h_out, w_out),
                step("+ embedding", c_out, 1, 1, note="SiLU → Linear, added to every pixel"),
            ]  # fmt: skip
        case "attention":
            n = h * w
            return [
                step("flatten to a sequence", n, c, note="(C, H, W) → (H·W, C): a pixel, a word"),
                step("LayerNorm, Q K V", 3, config.heads, n, c // config.heads,
                     note=f"{config.heads} heads"),
                step("softmax(Q Kᵀ/√d)", config.heads, n, n, note="who looks at whom"),
                step("· V, + skip", n, c),
                step("LayerNorm → Linear → GELU → Linear, + skip", n, c),
                step("back to an image", c, h, w, note="(H·W, C) → (C, H, W)"),
            ]  # fmt: skip
        case "bottleneck":
            return [
                step("conv 3×3", c_out, h, w, note=order),
                step("conv 3×3", c_out, h, w),
                step("+ shortcut", c_out, h, w, note="1×1 conv where the channels change"
                     if c != c_out else "x itself"),
            ]  # fmt: skip
        case _:
            size = "3×3" if info.kind == "input" else "1×1"
            return [step(f"conv {size}", c_out, h_out, w_out)]

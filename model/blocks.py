"""What the U-Net is built of: residual blocks, self-attention, and the stages made of them.

All map images of features (B, C, H, W) to such; `emb` is the vector of timestep and label, (B, D).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResNetBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut: x + norm(conv(GELU(norm(conv(x))))).

    He et al. 2015, "Deep Residual Learning for Image Recognition", with GroupNorm (Wu & He 2018)
    and GELU. With `pre_norm` the order is that of He et al. 2016, "Identity Mappings in Deep
    Residual Networks": x + conv(GELU(norm(conv(GELU(norm(x)))))). Where the number of channels
    changes, the shortcut is a 1×1 convolution.
    """

    def __init__(self, c_in: int, c_out: int, *, groups: int, pre_norm: bool) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.norm1 = nn.GroupNorm(groups, c_in if pre_norm else c_out)
        self.norm2 = nn.GroupNorm(groups, c_out)
        self.shortcut = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, c_in, H, W); returns (B, c_out, H, W)."""
        if self.pre_norm:
            h = self.conv1(F.gelu(self.norm1(x)))
            h = self.conv2(F.gelu(self.norm2(h)))
        else:
            h = F.gelu(self.norm1(self.conv1(x)))
            h = self.norm2(self.conv2(h))
        return self.shortcut(x) + h


class EmbeddingShift(nn.Module):
    """One number for each channel from the embedding of t and label: SiLU → Linear."""

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, channels)

    def forward(self, emb: Tensor) -> Tensor:
        """emb: (B, D); returns (B, C, 1, 1), to be added to every pixel."""
        return self.linear(F.silu(emb))[:, :, None, None]


class Downsample(nn.Module):
    """The way down: 2×2 max-pool, two ResNet blocks, and the embedding added."""

    def __init__(self, c_in: int, c_out: int, *, dim: int, groups: int, pre_norm: bool) -> None:
        super().__init__()
        self.block1 = ResNetBlock(c_in, c_in, groups=groups, pre_norm=pre_norm)
        self.block2 = ResNetBlock(c_in, c_out, groups=groups, pre_norm=pre_norm)
        self.emb = EmbeddingShift(dim, c_out)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """x: (B, c_in, H, W), emb: (B, D); returns (B, c_out, H/2, W/2)."""
        return self.block2(self.block1(F.max_pool2d(x, 2))) + self.emb(emb)


class Upsample(nn.Module):
    """The way up: each pixel four times, the skip beside it, two ResNet blocks, the embedding."""

    def __init__(
        self, c_in: int, c_skip: int, c_out: int, *, dim: int, groups: int, pre_norm: bool
    ) -> None:
        super().__init__()
        self.block1 = ResNetBlock(c_in + c_skip, c_out, groups=groups, pre_norm=pre_norm)
        self.block2 = ResNetBlock(c_out, c_out, groups=groups, pre_norm=pre_norm)
        self.emb = EmbeddingShift(dim, c_out)

    def forward(self, x: Tensor, skip: Tensor, emb: Tensor) -> Tensor:
        """x: (B, c_in, H, W), skip: (B, c_skip, 2H, 2W); returns (B, c_out, 2H, 2W)."""
        x = torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skip], dim=1)
        return self.block2(self.block1(x)) + self.emb(emb)


class SelfAttention(nn.Module):
    """Every pixel looks at every other: attention with a skip, then two layers with a skip.

        s ← s + attention(Q = K = V = norm(s)),    s ← s + Linear(GELU(Linear(norm(s))))

    with s the pixels as a sequence (B, H·W, C). Vaswani et al. 2017, "Attention Is All You Need",
    section 3.2, with the normalisation first.
    """

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, channels), nn.GELU(), nn.Linear(channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W); returns the same shape."""
        s = x.flatten(2).transpose(1, 2)  # (B, H·W, C)
        q, k, v = self._heads(s)
        s = s + self._joined(F.scaled_dot_product_attention(q, k, v))
        s = s + self.mlp(self.norm2(s))
        return s.transpose(1, 2).reshape(x.shape)

    def weights(self, x: Tensor) -> Tensor:
        """How much each pixel looks at each: softmax(Q Kᵀ/√d), (B, heads, H·W, H·W)."""
        q, k, _ = self._heads(x.flatten(2).transpose(1, 2))
        return (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)

    def _heads(self, s: Tensor) -> Tensor:
        """Q, K and V of each head: (3, B, heads, H·W, C/heads)."""
        qkv = self.qkv(self.norm1(s)).unflatten(2, (3, self.heads, -1))
        return qkv.permute(2, 0, 3, 1, 4)

    def _joined(self, heads: Tensor) -> Tensor:
        return self.out(heads.transpose(1, 2).flatten(2))

"""What the network is told beside the image: the timestep and the label, as vectors.

    emb = sinusoids(t) + table[label]

The sum goes to every stage of the U-Net, which learns its own linear reading of it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

MAX_PERIOD = 10_000.0


def timestep_embedding(t: Tensor, dim: int, max_period: float = MAX_PERIOD) -> Tensor:
    """Sinusoids of t at dim/2 frequencies from 1 down to almost 1/max_period.

        ω_i = max_period^(−2i/dim),   emb = ( sin ω_0 t, sin ω_1 t, …, cos ω_0 t, cos ω_1 t, … )

    Vaswani et al. 2017, "Attention Is All You Need", section 3.5, with t for the position as in
    Ho et al. 2020, appendix B. t: (B,), fractional too; returns float32 (B, dim) in [−1, 1].
    Raises ValueError if dim is odd or t is no vector.
    """
    if dim < 2 or dim % 2:
        raise ValueError(f"a sine and a cosine each: dim must be even and positive, got {dim}")
    if t.ndim != 1:
        raise ValueError(f"t must be one timestep for each image, (B,), got {tuple(t.shape)}")
    exponents = torch.arange(dim // 2, dtype=torch.float32, device=t.device) * (2 / dim)
    angles = t.float()[:, None] * torch.exp(-math.log(max_period) * exponents)  # (B, dim/2)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class LabelEmbedding(nn.Module):
    """A learned vector for each of `classes` labels, and one more for "no label".

    The last entry, `no_label`, is what classifier-free guidance calls the null token (Ho &
    Salimans 2022, "Classifier-Free Diffusion Guidance").
    """

    def __init__(self, classes: int, dim: int) -> None:
        super().__init__()
        self.no_label = classes
        self.table = nn.Embedding(classes + 1, dim)

    def forward(self, label: Tensor) -> Tensor:
        """label: (B,) integers in 0 … classes, the last meaning none; returns (B, dim)."""
        return self.table(label)

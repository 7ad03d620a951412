"""Where tensors live: a device is chosen once, by whoever starts; the rest follows its tensors."""

from __future__ import annotations

import torch
from torch import Tensor

DEVICES = ("cuda", "mps", "cpu")  # the best first


def choose_device(wanted: str = "") -> torch.device:
    """The device of that name, like "cpu" or "cuda:1"; without a name, the best that is there.

    Raises ValueError with the names of those that are there for any other.
    """
    there = _available()
    if not wanted:
        return torch.device(there[0])
    kind, _, number = wanted.partition(":")
    numbers = [str(i) for i in range(torch.cuda.device_count())] if kind == "cuda" else []
    if kind not in there or (":" in wanted and number not in numbers):
        raise ValueError(f"the device must be {' or '.join(there)} here, got {wanted!r:.40}")
    return torch.device(wanted)


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """`x` there, without waiting for it: what the device has still to do goes on meanwhile."""
    if x.device.type != "cpu" or device.type in ("cpu", "mps"):
        return x.to(device)
    # Only from memory that cannot be moved is a copy to a GPU not waited for.
    return (x.pin_memory() if device.type == "cuda" else x).to(device, non_blocking=True)


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 by instructions of its own.

    A processor without them takes ten times as long as with float32, not half; an older PyTorch,
    such as 2.8, cannot tell, and is taken for one without.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    tell = getattr(torch.cpu, "get_capabilities", dict)
    abilities = tell() if device.type == "cpu" else {}
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16") or abilities.get("bf16"))


def _available() -> list[str]:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [name for name in DEVICES if there.get(name, True)]

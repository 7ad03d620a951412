"""What a scene sends to the browser: x_0, ε and a table of coefficients per schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from app.catalogue import Curve
from app.pictures import packed, to_pixels
from app.theme import colour_name, dash_of

# ε travels as int16 in units of 1/4096: far finer than a screen's 1/128, and ±8 σ wide.
EPS_SCALE = 4096
START = 0.3  # where t stands at first, as a share of T: the picture is half gone

# How a plotly dash looks as an SVG stroke and as a CSS border.
_DASHES = {
    "solid": ("none", "solid"),
    "dash": ("8 5", "dashed"),
    "dot": ("3 4", "dotted"),
    "dashdot": ("9 4 3 4", "dashed"),
    "longdash": ("14 5", "dashed"),
    "longdashdot": ("14 4 3 4", "dashed"),
}


def scene_payload(
    x0: Tensor,
    eps: Tensor,
    curves: Sequence[Curve],
    *,
    T: int | None = None,
    normalised: bool = False,
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The value of a `SceneData`.

    x0 and eps: (C, H, W), x0 in [−1, 1]. `T`: the length of the scene's time, by default the
    longest schedule's; `normalised`: shorter schedules run over t/T instead of stopping early.
    `facts`: what a `Readout` shows beside the live numbers.
    """
    channels, height, width = x0.shape
    limit = np.iinfo(np.int16).max
    eps_levels = (eps.double() * EPS_SCALE).round().clamp(-limit, limit)
    return {
        "height": height,
        "width": width,
        "channels": channels,
        "x0": packed(to_pixels(x0)),
        "eps": packed(eps_levels.permute(1, 2, 0).numpy().astype("<i2")),
        "epsScale": EPS_SCALE,
        "T": T or max(curve.schedule.T for curve in curves),
        "start": START,
        "normalised": normalised,
        "schedules": [_table(curve) for curve in curves],
        "facts": facts,
    }


def _table(curve: Curve) -> dict[str, Any]:
    schedule = curve.schedule
    dash_array, css_dash = _DASHES[dash_of(curve.slot)]
    return {
        "key": curve.key,
        "title": curve.title,
        "colour": colour_name(curve.slot),
        "dashArray": dash_array,
        "cssDash": css_dash,
        "T": schedule.T,
        "signal": _float32(schedule.signal),
        "noise": _float32(schedule.noise),
        "unscaledNoise": _float32(schedule.unscaled_noise),
        "betas": _float32(schedule.betas),
        "snrDecibels": _float32(10 * schedule.snr.log10()),
    }


def _float32(values: Tensor) -> str:
    return packed(values.numpy().astype("<f4"))

"""What a scene sends to the browser: x_0, ε and a table of coefficients per schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from app.catalogue import Curve
from app.pictures import packed, packed_float32, to_pixels
from app.theme import colour_name, css_dash_of, dash_array_of

# ε travels as int16 in units of 1/4096: far finer than a screen's 1/128, and ±8 σ wide.
EPS_SCALE = 4096
START = 0.3  # where t stands at first, as a share of T: the picture is half gone


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
    return {
        "key": curve.key,
        "title": curve.title,
        "colour": colour_name(curve.slot),
        "dashArray": dash_array_of(curve.slot),
        "cssDash": css_dash_of(curve.slot),
        "T": schedule.T,
        "signal": packed_float32(schedule.signal),
        "noise": packed_float32(schedule.noise),
        "unscaledNoise": packed_float32(schedule.unscaled_noise),
        "betas": packed_float32(schedule.betas),
        "snrDecibels": packed_float32(10 * schedule.snr.log10()),
    }

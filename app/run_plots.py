"""Figures about runs of the reverse process, for the `Chart` view: noise left, image right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from app.plots import HALF_CELL, MARGIN, layout_of
from app.runs import Run
from app.subtract import Look, rms

NAMES = {  # factors of a formula → what the legend calls them
    "outer": "1/√α<sub>t</sub>",
    "inner": "β<sub>t</sub>/√(1−ᾱ<sub>t</sub>)",
    "sigma": "σ<sub>t</sub>",
    "x": "of x<sub>t</sub>",
    "x0": "of x̂<sub>0</sub>",
    "eps": "of ε<sub>θ</sub>",
}
TERMS = {"heun": "of ε̄<sub>θ</sub>", "dpm_solver": "of D"}
COLOURS = {
    "outer": "--ink", "x": "--ink", "inner": "--belief", "eps": "--belief", "x0": "--signal",
    "term": "--belief", "sigma": "--fresh",
}  # fmt: skip
RUN_DASHES = ("solid", "dot")


def spread_figure(runs: Sequence[Run]) -> dict[str, Any]:
    """Standard deviations of x_t and ε_θ, and how far x̂_0 still is from the final image."""
    data = []
    for run, dash, prefix in _each(runs):
        data += [
            _line(prefix + "std of x<sub>t</sub>", run.t, run.std_x, "--ink", dash),
            _line(prefix + "std of ε<sub>θ</sub>", run.t, run.std_eps, "--belief", dash),
            _line(prefix + "x̂<sub>0</sub> to the end", run.t, run.distance, "--signal", dash),
        ]
    return _figure("x<sub>t</sub> and ε<sub>θ</sub>, and what x̂<sub>0</sub> lacks", data)


def factors_figure(runs: Sequence[Run]) -> dict[str, Any]:
    """The coefficients of the equation, step by step."""
    data = []
    for run, dash, prefix in _each(runs):
        for name, values in run.formula.factors.items():
            title = NAMES.get(name) or TERMS[run.settings.sampler]
            data.append(_line(prefix + title, run.t, values, COLOURS[name], dash))
    return _figure("coefficients of the equation", data)


def removed_figure(look: Look) -> dict[str, Any]:
    """How large the pictures of the Subtract-all tab are, either way."""
    data = [
        _line("std of x<sub>t</sub>", look.t, look.x.std((1, 2, 3)), "--ink"),
        _line("std of x<sub>t</sub> − ε<sub>θ</sub>", look.t, look.plain.std((1, 2, 3)), "--noise"),
        _line("std of x̂<sub>0</sub>", look.t, look.prediction.x0.std((1, 2, 3)), "--belief"),
    ]
    return _figure("spread of input and result", data)


def error_figure(look: Look, eps: Tensor) -> dict[str, Any]:
    """How wrong the network is about a known noise and picture, over t."""
    data = [
        _line("ε<sub>θ</sub> − ε", look.t, rms(look.prediction.eps - eps), "--noise"),
        _line(
            "x̂<sub>0</sub> − x<sub>0</sub>",
            look.t,
            rms(look.prediction.x0 - look.final),
            "--belief",
        ),
    ]
    return _figure("error of the prediction (rms)", data)


def _each(runs: Sequence[Run]) -> list[tuple[Run, str, str]]:
    return [
        (run, RUN_DASHES[i], f"{'AB'[i]}: " if len(runs) > 1 else "") for i, run in enumerate(runs)
    ]


def _line(
    name: str, t: Sequence[int], values: Tensor, colour: str, dash: str = "solid"
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(t) <= 50 else "lines",
        "marker": {"size": 4},
        "name": name,
        "x": list(t),
        "y": values.tolist(),
        "line": {"color": colour, "dash": dash, "width": 2.5},
        "hovertemplate": "%{y:.4g}<extra>%{fullData.name}</extra>",
    }


def _figure(title: str, data: list[dict]) -> dict[str, Any]:
    end = max(trace["x"][0] for trace in data)
    layout = layout_of(f"{title}, over t", "", "", end)
    layout["xaxis"]["range"] = [(1 + HALF_CELL) * end, -HALF_CELL * end]  # as time runs backwards
    layout["margin"] = MARGIN | {"l": 44, "b": 64}
    layout["height"] = 320
    layout["showlegend"] = True
    layout["legend"] = {"orientation": "h", "y": -0.12, "x": 0, "bgcolor": "rgba(0,0,0,0)"}
    layout["hovermode"] = "x unified"
    highest = max((y for trace in data for y in trace["y"]), default=1)
    if highest > 4:  # one huge coefficient, or a run that blew up, would flatten all others
        layout["yaxis"] |= {"type": "log", "exponentformat": "power"}
    return {"data": data, "layout": layout, "cursor": "time"}

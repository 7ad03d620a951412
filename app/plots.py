"""Plotly figures, as plain JSON for the `Chart` view; colours are names of CSS variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from app.catalogue import Curve
from app.theme import colour_name, dash_of
from model.schedule import NoiseSchedule

# Shared with `Strip`: the plot stands 113 px from the left, 8 px from the right, and its axis
# leaves half a cell of eleven on either side, so that each cell is centred under its own t.
MARGIN = {"l": 113, "r": 8, "t": 34, "b": 44}
HALF_CELL = 0.05


@dataclass(frozen=True)
class Line:
    """One quantity of a schedule: how to compute it, and from which t on it is defined."""

    symbol: str
    values: Callable[[NoiseSchedule], Tensor]
    first: int = 0
    width: float = 2.5


@dataclass(frozen=True)
class Quantity:
    """What the Schedules tab can plot: its lines, the y axis, and if a log axis makes sense."""

    title: str
    axis: str
    lines: tuple[Line, ...]
    log: bool = True


QUANTITIES: dict[str, Quantity] = {
    "mean and variance": Quantity(
        "mean √ᾱ<sub>t</sub> (thick) and variance 1−ᾱ<sub>t</sub> (thin)",
        "√ᾱ<sub>t</sub>,  1−ᾱ<sub>t</sub>",
        (
            Line("√ᾱ", lambda s: s.signal, width=3),
            Line("1−ᾱ", lambda s: 1 - s.alpha_bars, width=1.5),
        ),
    ),
    "β": Quantity(
        "variance added by step t, β<sub>t</sub>",
        "β<sub>t</sub>",
        (Line("β", lambda s: s.betas, first=1),),
    ),
    "step mean factor": Quantity(
        "what step t keeps, √(1−β<sub>t</sub>)",
        "√(1−β<sub>t</sub>)",
        (Line("√(1−β)", lambda s: s.step_signal, first=1),),
    ),
    "log-SNR": Quantity(
        "log-SNR, ln ᾱ<sub>t</sub>/(1−ᾱ<sub>t</sub>)",
        "ln SNR",
        (Line("ln SNR", lambda s: s.snr.log(), first=1),),
        log=False,
    ),
}


def curves_figure(
    curves: Sequence[Curve], quantity: str, *, normalised: bool, log: bool
) -> dict[str, Any]:
    """One quantity of any number of schedules over t, or over t/T if `normalised`."""
    shown = QUANTITIES[quantity]
    data = []
    for curve in curves:
        schedule = curve.schedule
        for line in shown.lines:
            ts = range(line.first, schedule.T + 1)
            values = line.values(schedule)[line.first :].tolist()
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers" if schedule.T <= 50 else "lines",
                    "marker": {"size": 4},
                    "name": f"{curve.title}: {line.symbol}",
                    "x": [t / schedule.T for t in ts] if normalised else list(ts),
                    "y": values,
                    "line": {
                        "color": colour_name(curve.slot),
                        "dash": dash_of(curve.slot),
                        "width": line.width,
                    },
                    "hovertemplate": "%{y:.4g}<extra>%{fullData.name}</extra>",
                }
            )
    end = 1 if normalised else max(curve.schedule.T for curve in curves)
    layout = layout_of(shown.title, "t / T" if normalised else "t", shown.axis, end)
    layout["hovermode"] = "x unified"
    if log and shown.log:
        layout["yaxis"] |= {"type": "log", "dtick": 1, "exponentformat": "power"}
    return {"data": data, "layout": layout, "cursor": "fraction" if normalised else "t"}


def spread_figure(spread: dict[str, tuple[list[int], list[float]]], T: int) -> dict[str, Any]:
    """The standard deviation of x_t with and without the scaling (`app.lessons.spread`)."""
    styles = {
        "scaled": ("with √(1−β<sub>t</sub>): settles at 1", "--accent", "solid"),
        "left out": ("without: climbs without bound", "--warning", "dash"),
    }
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "marker": {"size": 4},
            "name": styles[key][0],
            "x": ts,
            "y": values,
            "line": {"color": styles[key][1], "dash": styles[key][2], "width": 2.5},
            "hovertemplate": "%{y:.3f}<extra></extra>",
        }
        for key, (ts, values) in spread.items()
    ]
    layout = layout_of("standard deviation of x<sub>t</sub>’s pixels", "t", "", T)
    layout["showlegend"] = True
    layout["legend"] = {"x": 0.02, "y": 0.98, "bgcolor": "rgba(0,0,0,0)"}
    layout["margin"] = MARGIN | {"l": 44}
    layout["yaxis"]["rangemode"] = "tozero"
    return {"data": data, "layout": layout, "cursor": "t"}


def layout_of(title: str, x_title: str, y_title: str, end: float) -> dict[str, Any]:
    """The layout that all charts share: 340 pixels high, no legend, x from 0 to `end`."""
    axis = {"gridcolor": "--line", "linecolor": "--line", "zeroline": False, "color": "--muted"}
    return {
        "title": {"text": title, "font": {"size": 14}, "x": 0, "xref": "paper", "y": 0.98},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "--panel",
        "font": {"color": "--ink", "family": "system-ui, sans-serif", "size": 12},
        "hoverlabel": {"bgcolor": "--panel", "font": {"color": "--ink"}, "namelength": -1},
        "height": 340,
        "margin": MARGIN,
        "showlegend": False,
        "uirevision": f"{x_title}{end}",  # a new curve keeps the zoom, another axis does not
        "xaxis": axis
        | {"title": {"text": x_title}, "range": [-HALF_CELL * end, (1 + HALF_CELL) * end]},
        "yaxis": axis | {"title": {"text": y_title}, "automargin": False},
    }

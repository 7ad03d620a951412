"""Files that a person takes away: strips, animations, tables and figures for slides."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from torch import Tensor

from app import film
from app.catalogue import Curve
from app.pictures import to_image
from app.plots import QUANTITIES
from app.theme import dash_of, tone_of
from model.forward import q_sample

CELLS = 11  # of the strip, as in the page
FRAMES = 50
_MATPLOTLIB_DASHES = {
    "solid": "-",
    "dash": "--",
    "dot": ":",
    "dashdot": "-.",
    "longdash": (0, (8, 3)),
    "longdashdot": (0, (8, 3, 2, 3)),
}


def strip_png(x0: Tensor, eps: Tensor, curves: Sequence[Curve]) -> bytes:
    """The process as the classic figure: a row a schedule, eleven timesteps from 0 to T."""
    rows = []
    for curve in curves:
        ts = [round(i / (CELLS - 1) * curve.schedule.T) for i in range(CELLS)]
        pictures = [to_image(q_sample(curve.schedule, x0, t, eps)) for t in ts]
        rows.append((curve.title, pictures, [f"t = {t}" for t in ts]))
    return film.strip_png(rows)


def animation(x0: Tensor, eps: Tensor, curves: Sequence[Curve], form: str) -> bytes:
    """The whole process, all schedules side by side; `form` is "GIF" or "WEBP"."""
    return film.animation(_film(x0, eps, curves), form)


def _film(x0: Tensor, eps: Tensor, curves: Sequence[Curve]) -> list[film.Moment]:
    """The process at working size, from t = 0 to T in at most `FRAMES` steps."""
    steps = min(FRAMES, max(curve.schedule.T for curve in curves))
    moments = []
    for i in range(steps + 1):
        ts = [round(i / steps * curve.schedule.T) for curve in curves]
        pictures = [
            to_image(q_sample(curve.schedule, x0, t, eps)).convert("RGB")
            for curve, t in zip(curves, ts, strict=True)
        ]
        captions = [f"{curve.title}\nt = {t}" for curve, t in zip(curves, ts, strict=True)]
        moments.append((pictures, captions))
    return moments


def schedules_csv(curves: Sequence[Curve]) -> bytes:
    """Every number of every schedule, to the last digit: one line per schedule and timestep."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(
        ["schedule", "t", "beta", "alpha", "alpha_bar", "signal", "noise", "snr",
         "posterior_variance"]
    )  # fmt: skip
    for curve in curves:
        s = curve.schedule
        columns = (s.betas, s.alphas, s.alpha_bars, s.signal, s.noise, s.snr, s.posterior_variance)
        for t, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            writer.writerow([curve.title, t, *map(repr, row)])
    return buffer.getvalue().encode("utf-8")


def schedules_figure(
    curves: Sequence[Curve], quantity: str, form: str, *, normalised: bool, log: bool
) -> bytes:
    """The chosen plot as a clean figure for slides and papers; `form` is "png" or "svg"."""
    # Here, not above: a quarter of a second at start-up for a file that few ask for. And without
    # pyplot, which is not thread-safe.
    from matplotlib.figure import Figure

    shown = QUANTITIES[quantity]
    figure = Figure(figsize=(6.4, 4.4), dpi=200, layout="constrained")
    axes = figure.add_subplot()
    for curve in curves:
        for number, line in enumerate(shown.lines):
            ts = range(line.first, curve.schedule.T + 1)
            axes.plot(
                [t / curve.schedule.T for t in ts] if normalised else list(ts),
                line.values(curve.schedule)[line.first :].tolist(),
                label=curve.title if number == 0 else None,
                color=tone_of(curve.slot).light,
                linestyle=_MATPLOTLIB_DASHES[dash_of(curve.slot)],
                linewidth=line.width * 0.7,
            )
    axes.set_xlabel("$t/T$" if normalised else "$t$")
    axes.set_ylabel(_plain(shown.axis))
    axes.set_title(_plain(shown.title), fontsize=10)
    if log and shown.log:
        axes.set_yscale("log")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8, handlelength=4)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form)
    return buffer.getvalue()


def _plain(label: str) -> str:
    """Plotly's markup in matplotlib's; the combining bar of ᾱ has no glyph in every font."""
    label = label.replace("√ᾱ<sub>t</sub>", r"$\sqrt{\bar\alpha_t}$")
    label = label.replace("√(1−β<sub>t</sub>)", r"$\sqrt{1-\beta_t}$")
    label = label.replace("ᾱ<sub>t</sub>", r"$\bar\alpha_t$")
    return label.replace("β<sub>t</sub>", r"$\beta_t$")

"""Files that a person takes away: strips, animations, tables and figures for slides."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from app.catalogue import Curve
from app.pictures import png_bytes, to_image
from app.plots import QUANTITIES
from app.theme import dash_of, tone_of
from model.forward import q_sample

CELLS = 11  # of the strip, as in the page
FRAMES = 60
FRAME_MS = 80
HOLD_MS = 1200  # the first and the last frame stay a while
_INK, _PAPER = (23, 27, 34), (255, 255, 255)
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
    cell, gap, left, line = 96, 4, 150, 26
    width = left + CELLS * (cell + gap)
    sheet = Image.new("RGB", (width, len(curves) * (cell + gap + line)), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for row, curve in enumerate(curves):
        top = row * (cell + gap + line)
        draw.text((4, top + cell // 2 - 8), curve.title, fill=_INK, font=font)
        for i in range(CELLS):
            t = round(i / (CELLS - 1) * curve.schedule.T)
            corner = left + i * (cell + gap)
            sheet.paste(_frame(x0, eps, curve, t, cell), (corner, top))
            draw.text((corner + cell // 2, top + cell + 4), f"t = {t}", _INK, font, anchor="ma")
    return png_bytes(sheet)


def animation(x0: Tensor, eps: Tensor, curves: Sequence[Curve], form: str) -> bytes:
    """The whole process, all schedules side by side; `form` is "GIF" or "WEBP"."""
    frames = list(_animation_frames(x0, eps, curves))
    durations = [HOLD_MS, *[FRAME_MS] * (len(frames) - 2), HOLD_MS]
    options = {"quality": 85, "method": 3} if form == "WEBP" else {"optimize": False}
    buffer = io.BytesIO()
    frames[0].save(
        buffer, form, save_all=True, append_images=frames[1:], duration=durations, loop=0, **options
    )
    return buffer.getvalue()


def _animation_frames(x0: Tensor, eps: Tensor, curves: Sequence[Curve]) -> Iterator[Image.Image]:
    cell, gap, line = 192, 8, 44
    font = ImageFont.load_default(15)
    T = max(curve.schedule.T for curve in curves)
    steps = min(FRAMES, T)
    for i in range(steps + 1):
        sheet = Image.new("RGB", (gap + len(curves) * (cell + gap), gap + cell + line), _PAPER)
        draw = ImageDraw.Draw(sheet)
        for column, curve in enumerate(curves):
            t = round(i / steps * curve.schedule.T)
            corner = gap + column * (cell + gap)
            sheet.paste(_frame(x0, eps, curve, t, cell), (corner, gap))
            caption = f"{curve.title}\nt = {t}"
            draw.multiline_text((corner, gap + cell + 3), caption, _INK, font, spacing=3)
        yield sheet


def _frame(x0: Tensor, eps: Tensor, curve: Curve, t: int, side: int) -> Image.Image:
    """x_t as an RGB picture of `side` pixels: pixels stay pixels."""
    image = to_image(q_sample(curve.schedule, x0, t, eps)).convert("RGB")
    return image.resize((side, side), Image.Resampling.NEAREST)


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

"""Files that a person takes away: strips, animations, tables and figures for slides."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from app.catalogue import Curve
from app.pictures import png_bytes, to_image
from app.plots import QUANTITIES
from app.theme import dash_of, tone_of
from model.forward import q_sample

CELLS = 11  # of the strip, as in the page
FRAMES = 50
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
    film = _film(x0, eps, curves)
    palette = _palette(film) if form == "GIF" else None
    frames = [_sheet(pictures, captions, palette) for pictures, captions in film]
    durations = [HOLD_MS, *[FRAME_MS] * (len(frames) - 2), HOLD_MS]
    options = {"quality": 80, "method": 0} if form == "WEBP" else {"optimize": False}
    buffer = io.BytesIO()
    frames[0].save(
        buffer, form, save_all=True, append_images=frames[1:], duration=durations, loop=0, **options
    )
    return buffer.getvalue()


Moment = tuple[list[Image.Image], list[str]]  # one picture and one caption a schedule


def _film(x0: Tensor, eps: Tensor, curves: Sequence[Curve]) -> list[Moment]:
    """The process at working size, from t = 0 to T in at most `FRAMES` steps."""
    steps = min(FRAMES, max(curve.schedule.T for curve in curves))
    film = []
    for i in range(steps + 1):
        ts = [round(i / steps * curve.schedule.T) for curve in curves]
        pictures = [
            to_image(q_sample(curve.schedule, x0, t, eps)).convert("RGB")
            for curve, t in zip(curves, ts, strict=True)
        ]
        captions = [f"{curve.title}\nt = {t}" for curve, t in zip(curves, ts, strict=True)]
        film.append((pictures, captions))
    return film


def _palette(film: Sequence[Moment]) -> Image.Image:
    """One palette for all frames of a GIF, from every tenth of them; paper and ink come last."""
    samples = [picture for pictures, _ in film[::10] for picture in pictures]
    side = samples[0].width
    montage = Image.new("RGB", (side, side * len(samples)))
    for i, picture in enumerate(samples):
        montage.paste(picture, (0, i * side))
    colours = montage.quantize(254).getpalette()[: 3 * 254]
    colours += [0] * (3 * 254 - len(colours))
    palette = Image.new("P", (1, 1))
    palette.putpalette([*colours, *_PAPER, *_INK])
    return palette


def _sheet(
    pictures: Sequence[Image.Image], captions: Sequence[str], palette: Image.Image | None
) -> Image.Image:
    """One frame: the pictures enlarged side by side, each with its caption."""
    cell, gap, line, font = 192, 8, 44, ImageFont.load_default(15)
    size = (gap + len(pictures) * (cell + gap), gap + cell + line)
    if palette is None:
        sheet, ink = Image.new("RGB", size, _PAPER), _INK
    else:
        sheet, ink = Image.new("P", size, 254), 255
        sheet.putpalette(palette.getpalette())
    draw = ImageDraw.Draw(sheet)
    for column, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        corner = gap + column * (cell + gap)
        if palette is not None:  # before it is enlarged: a ninth of the work, or less
            picture = picture.quantize(palette=palette, dither=Image.Dither.NONE)
        sheet.paste(picture.resize((cell, cell), Image.Resampling.NEAREST), (corner, gap))
        draw.multiline_text((corner, gap + cell + 3), caption, ink, font, spacing=3)
    return sheet


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

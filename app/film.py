"""Films and strips of pictures with captions, as files: GIF, WebP, PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from app.gallery import file_of
from app.pictures import png_bytes

FRAME_MS = 80
HOLD_MS = 1200  # the first and the last frame stay a while
INK, PAPER = (23, 27, 34), (255, 255, 255)
CELL, GAP, LEFT, LINE = 96, 4, 150, 26  # of a strip, in pixels


@cache
def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib: Pillow's own font has no Greek and no hats."""
    path = file_of("matplotlib", "mpl-data", "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(str(path), 14)


Moment = tuple[list[Image.Image], list[str]]  # pictures side by side, and a caption for each
Row = tuple[str, list[Image.Image], list[str]]  # a title, its pictures, and a caption for each


def animation(film: Sequence[Moment], form: str) -> bytes:
    """The moments one after the other; `form` is "GIF" or "WEBP", all pictures are RGB."""
    palette = _palette(film) if form == "GIF" else None
    frames = [_sheet(pictures, captions, palette) for pictures, captions in film]
    durations = [HOLD_MS, *[FRAME_MS] * (len(frames) - 2), HOLD_MS][: len(frames)]
    options = {"quality": 80, "method": 0} if form == "WEBP" else {"optimize": False}
    buffer = io.BytesIO()
    frames[0].save(
        buffer, form, save_all=True, append_images=frames[1:], duration=durations, loop=0, **options
    )
    return buffer.getvalue()


def strip_png(rows: Sequence[Row]) -> bytes:
    """Rows of pictures as one sheet: pixels stay pixels."""
    width = LEFT + max(len(pictures) for _, pictures, _ in rows) * (CELL + GAP)
    sheet = Image.new("RGB", (width, len(rows) * (CELL + GAP + LINE)), PAPER)
    draw, font = ImageDraw.Draw(sheet), _font()
    for row, (title, pictures, captions) in enumerate(rows):
        top = row * (CELL + GAP + LINE)
        draw.text((4, top + CELL // 2 - 8), title, fill=INK, font=font)
        for i, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
            corner = LEFT + i * (CELL + GAP)
            cell = picture.convert("RGB").resize((CELL, CELL), Image.Resampling.NEAREST)
            sheet.paste(cell, (corner, top))
            draw.text((corner + CELL // 2, top + CELL + 4), caption, INK, font, anchor="ma")
    return png_bytes(sheet)


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
    palette.putpalette([*colours, *PAPER, *INK])
    return palette


def _sheet(
    pictures: Sequence[Image.Image], captions: Sequence[str], palette: Image.Image | None
) -> Image.Image:
    """One frame: the pictures enlarged side by side, each with its caption."""
    cell, gap, line, font = 192, 8, 44, _font()
    tall = round(cell * pictures[0].height / pictures[0].width)
    size = (gap + len(pictures) * (cell + gap), gap + tall + line)
    if palette is None:
        sheet, ink = Image.new("RGB", size, PAPER), INK
    else:
        sheet, ink = Image.new("P", size, 254), 255
        sheet.putpalette(palette.getpalette())
    draw = ImageDraw.Draw(sheet)
    for column, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        corner = gap + column * (cell + gap)
        if palette is not None:  # before it is enlarged: a ninth of the work, or less
            picture = picture.quantize(palette=palette, dither=Image.Dither.NONE)
        sheet.paste(picture.resize((cell, tall), Image.Resampling.NEAREST), (corner, gap))
        draw.multiline_text((corner, gap + tall + 3), caption, ink, font, spacing=3)
    return sheet

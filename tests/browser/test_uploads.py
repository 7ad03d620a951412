"""A person's own pictures: uploads good and bad, the clipboard, the webcam."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.driver import eventually

OWN = "your own picture"


def saved(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def ramp(mode="RGB", size=(80, 60)):
    values = np.linspace(0, 255, size[0] * size[1]).reshape(size[1], size[0]).astype(np.uint8)
    return Image.fromarray(values).convert(mode)


def huge_png(side):
    """A valid black 1-bit PNG of any size, small on disk whatever its pixels."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1 + -(-side // 8)) * side)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def sixteen_bit():
    return Image.fromarray((np.arange(64 * 64).reshape(64, 64) * 16).astype(np.uint16))


GOOD = {
    "half-second.gif": saved(
        ramp(), "GIF", save_all=True, append_images=[ramp().rotate(90 * i) for i in range(1, 5)],
        duration=100,
    ),
    "sixteen-bit.png": saved(sixteen_bit(), "PNG"),
    "cmyk.jpg": saved(ramp("CMYK"), "JPEG"),
    "palette.png": saved(ramp().quantize(16), "PNG"),
    "alpha.png": saved(ramp("RGBA"), "PNG"),
}  # fmt: skip

BAD = {
    "text.png": (b"this is a text file", "not a picture"),
    "empty.png": (b"", "empty"),
    "truncated.jpg": (saved(ramp(size=(800, 600)), "JPEG")[:3000], "damaged|cut off|incomplete"),
    "huge.png": (huge_png(13_000), "more than 50 million pixels"),
    "point.png": (saved(Image.new("RGB", (1, 1)), "PNG"), "smaller than 8 × 8 pixels"),
    "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
}


def upload(page, name, content):
    if not page.locator("#forward-upload").is_visible():
        page.get_by_role("button", name="Your own picture").click()
    page.locator("#forward-upload").wait_for()
    if page.locator("#forward-upload input[type=file]").count() == 0:  # take the old one away
        page.get_by_role("button", name="Clear").or_(page.get_by_label("Remove")).first.click()
    page.set_input_files(
        "#forward-upload input[type=file]",
        {"name": name, "mimeType": "image/png", "buffer": content},
    )


@pytest.mark.parametrize("name", GOOD)
def test_unusual_but_valid_pictures_are_shown(page, name):
    page.seek(0)
    before = page.cards()[0]
    upload(page, name, GOOD[name])
    expect(page.locator(".prose.credit")).to_have_text(OWN)
    after = page.changed(before)
    assert after.max() > 200  # a ramp from black to white, neither clipped nor inverted
    assert after[0].mean() < 40
    assert after[-1].mean() > 215


def test_every_bad_file_gets_one_sentence_and_leaves_the_rest_as_it_was(page):
    before = page.cards()
    for name, (content, sentence) in BAD.items():
        upload(page, name, content)
        toast = page.locator(".toast-body, [data-testid=toast-body]").last
        expect(toast).to_contain_text(re.compile(sentence))
        page.locator("[data-testid=toast-close], .toast-close").last.click()
        expect(page.locator(".prose.credit")).to_contain_text("Grace Hopper")
        page.wait_for_timeout(200)
        assert all((a == b).all() for a, b in zip(page.cards(), before, strict=True)), name
    upload(page, "good.png", GOOD["palette.png"])
    expect(page.locator(".prose.credit")).to_have_text(OWN)


def test_another_session_never_sees_an_upload(page, open_page):
    upload(page, "own.png", GOOD["palette.png"])
    expect(page.locator(".prose.credit")).to_have_text(OWN)
    other = open_page()
    expect(other.locator(".prose.credit")).to_contain_text("Grace Hopper")
    page.changed(other.cards()[0])


def test_a_picture_from_the_clipboard(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async () => {
          const canvas = new OffscreenCanvas(64, 64);
          const context = canvas.getContext('2d');
          context.fillStyle = '#f00';
          context.fillRect(0, 0, 64, 64);
          const blob = await canvas.convertToBlob();
          await navigator.clipboard.write([new ClipboardItem({'image/png': blob})]);
        }"""
    )
    page.get_by_role("button", name="Your own picture").click()
    page.get_by_label("Paste from clipboard").click()
    paste = page.get_by_text("Click to Paste", exact=False)
    if paste.count():
        paste.first.click()
    expect(page.locator(".prose.credit")).to_have_text(OWN)
    page.seek(0)
    assert eventually(lambda: (page.cards()[0] == (255, 0, 0)).all())


def test_a_picture_from_the_webcam(page):
    page.get_by_role("button", name="Your own picture").click()
    page.get_by_label("Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#forward-upload video')?.videoWidth > 0")
    page.get_by_label("capture photo").click()
    expect(page.locator(".prose.credit")).to_have_text(OWN)
    # Gradio's widget asks for the progress of an upload that it did not begin: no fault of ours.
    page.wait_for_timeout(300)
    page.complaints = [c for c in page.complaints if "404" not in c and "Response" not in c]

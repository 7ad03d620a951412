"""Contrast: every colour of text on every ground it stands on, in both themes (WCAG 2.1, AA)."""

from itertools import product

import pytest

from app.theme import CURVES, PAGE, SYMBOLS, between

GROUNDS = ("page", "panel", "sunken")
TEXTS = {name: PAGE[name] for name in ("ink", "muted", "accent", "warning")} | SYMBOLS
TEXT, LINE = 4.5, 3.0  # the least contrast of text, and of what is no text


def luminance(colour):
    def linear(part):
        return part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(part / 255) for part in bytes.fromhex(colour.removeprefix("#")))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_what_wcag_says():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), list(product(TEXTS, GROUNDS)))
def test_text_can_be_read(theme, text, ground):
    assert contrast(getattr(TEXTS[text], theme), getattr(PAGE[ground], theme)) >= TEXT


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_on_a_button_can_be_read(theme):
    accent, on_accent = PAGE["accent"], PAGE["on-accent"]
    assert contrast(getattr(accent, theme), getattr(on_accent, theme)) >= TEXT


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
def test_curves_and_focus_can_be_seen(theme, ground):
    below = getattr(PAGE[ground], theme)
    for tone in (*CURVES, PAGE["focus"]):
        assert contrast(getattr(tone, theme), below) >= LINE
    for share in (0, 0.25, 0.5, 0.75, 1):  # one scale for both themes
        assert contrast(between(share), getattr(PAGE["panel"], theme)) >= 2.5

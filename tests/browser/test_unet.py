"""The U-Net tab in Chromium: the diagram, its inside, cutting, attention, a wrong t."""

import numpy as np
import pytest
from playwright.sync_api import expect

from app import models
from app.diagram import CLASSIC
from tests.browser.driver import eventually

BLOCK = "#unet-diagram .block"


@pytest.fixture(scope="module")
def page(profiles, address):
    """One page for all tests: each looks at another part of it."""
    with profiles.visit(address) as page:
        open_tab(page)
        yield page


def open_tab(page):
    tab = page.get_by_role("tab", name="U-Net")
    if not tab.is_visible():  # a phone has room for a few only
        page.get_by_label("More tabs").click()
        tab = page.locator(".overflow-dropdown button", has_text="U-Net")
    tab.click()
    page.wait_for_selector(f"{BLOCK} image[href]")
    page.wait_for_selector("#unet-told img")


def choose(page, name):
    page.locator("#unet-model input").click()
    page.get_by_role("option", name=name, exact=True).click()
    page.locator("#unet-model input").blur()


def maps(page):
    return page.locator(f"{BLOCK} image").evaluate_all(
        "all => all.map(i => i.getAttribute('href'))"
    )


def result(page, index):
    return page.pixels("#unet-diagram figure canvas", index)


def test_the_diagram_is_the_network(page):
    infos = models.load("fashion").net.describe()
    names = page.locator(BLOCK).evaluate_all("all => all.map(b => b.getAttribute('aria-label'))")
    for info, name in zip(infos, names, strict=True):
        shape = " × ".join(map(str, info.output_shape))
        assert name.startswith(f"{info.name}, {info.kind}:")
        assert f"to {shape}, {info.parameters:,} parameters" in name
    skips = [info for info in infos if info.skip_from]
    expect(page.locator("#unet-diagram .skip title")).to_have_count(len(skips))
    assert page.locator("#unet-diagram svg").get_attribute("role") == "group"


def test_the_maps_follow_the_slider_without_a_request(page):
    page.wait_for_timeout(500)
    page.requests.clear()
    before = maps(page)
    page.seek(7, "unet")
    assert eventually(lambda: all(a != b for a, b in zip(maps(page), before, strict=True)))
    expect(page.locator("#unet-time output")).to_have_text("t = 1000")
    assert page.requests == []


def test_a_cut_skip_changes_the_answer_at_once(page):
    page.seek(2, "unet")
    kept, same = result(page, 1), result(page, 2)
    np.testing.assert_array_equal(kept, same)
    page.requests.clear()
    page.get_by_label("cut", exact=True).select_option("0")
    assert (result(page, 2) != kept).any()
    np.testing.assert_array_equal(result(page, 1), kept)
    expect(page.locator("#unet-diagram .skip.cut")).to_have_count(1)
    page.get_by_label("each block shows").select_option("1")
    assert page.requests == []
    page.get_by_label("cut", exact=True).select_option("nothing")
    np.testing.assert_array_equal(result(page, 2), kept)


def test_a_block_opens_by_click_and_by_keyboard(page):
    page.locator(BLOCK).nth(1).click()
    inside = page.locator("#unet-diagram .inside")
    expect(inside).to_contain_text("2×2 max-pool")
    expect(page.locator("#unet-channels img")).to_have_count(64)
    inside.locator("summary").click()
    expect(inside.locator("pre")).to_contain_text("F.max_pool2d")
    page.locator(BLOCK).nth(1).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(inside).to_contain_text("flatten to a sequence")
    assert page.locator(BLOCK).nth(3).get_attribute("aria-expanded") == "true"
    expect(page.locator("#unet-channels img")).to_have_count(128)
    before = maps(page)
    page.locator("#unet-channels button").nth(77).click()
    shown = page.get_by_label("each block shows")
    expect(shown).to_contain_text("down2_attention: channel 77")
    assert eventually(lambda: maps(page)[3] != before[3])
    assert shown.input_value() == "chosen"


def test_attention_is_asked_by_click_and_by_arrow_keys(page):
    heads = "#unet-attention figure:not(.large) canvas"
    before = page.pixels(heads, 0)
    picture = page.locator("#unet-attention canvas.input")
    picture.click(position={"x": 8, "y": 8})
    expect(page.locator("#unet-attention .note")).to_contain_text("Row 1, column 1 of 7 × 7")
    assert (page.pixels(heads, 0) != before).any()
    picture.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#unet-attention .note")).to_contain_text("Row 2, column 1")


def test_a_wrong_t_and_the_receptive_field(page):
    page.locator("#unet-lie input[type=number]").fill("700")
    page.locator("#unet-lie input[type=number]").press("Enter")
    page.locator("#unet-lie input[type=number]").blur()
    expect(page.locator("#unet-told")).to_contain_text("told t = 700")
    page.click("#unet-measure")
    count = len(models.load("fashion").net.blocks)
    expect(page.locator("#unet-fields img")).to_have_count(count)
    page.locator("#unet-encoding").scroll_into_view_if_needed()
    page.wait_for_selector("#unet-encoding .main-svg")


def test_other_networks_and_the_textbooks(page):
    choose(page, "digits")
    blocks = page.locator(BLOCK)
    expect(blocks).to_have_count(len(models.load("digits").net.blocks))
    choose(page, CLASSIC)
    expect(blocks.first).to_contain_text("64×64×64")
    expect(page.locator("#unet-diagram .tools")).to_be_hidden()
    expect(page.locator("#unet-attention")).to_contain_text("Without weights")
    choose(page, "digits")
    page.wait_for_selector(f"{BLOCK} image[href]")


@pytest.mark.parametrize("width", [390, 1280])
def test_no_sideways_scrolling_where_a_block_is_open(open_page, width):
    page = open_page(width=width)
    open_tab(page)
    page.locator(BLOCK).nth(1).click()
    page.wait_for_selector("#unet-channels img")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

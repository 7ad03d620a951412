"""The page as a whole: both themes, what stays where it was."""

import pytest
from playwright.sync_api import expect


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_theme_has_its_own_colours_and_can_be_switched(open_page, theme):
    page = open_page(theme=theme)

    def background():
        colour = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
        return [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(", ")]

    assert (sum(background()) > 600) == (theme == "light")
    page.get_by_label("Switch between light and dark").click()
    assert (sum(background()) > 600) == (theme == "dark")


def test_the_slider_stays_in_sight_on_a_phone(open_page):
    page = open_page(width=390, height=800)
    for place in (0, 900, 2000):
        page.evaluate(f"scrollTo(0, {place})")
        page.wait_for_timeout(100)
        box = page.locator("#forward-time").bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 800


def test_coming_back_to_a_tab_finds_it_as_it_was(page):
    page.seek(640)
    card = page.cards()[0]
    page.schedules()
    page.seek(200, "schedules")
    page.get_by_role("tab", name="Forward").click()
    page.frame()
    assert page.t() == 640
    assert (page.cards()[0] == card).all()
    page.get_by_role("tab", name="Schedules").click()
    expect(page.locator("#schedules-time output")).to_have_text("200 / 1000")

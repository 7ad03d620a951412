"""The Subtract-all tab in Chromium: one slider, two ways, the microscope, one step against many."""

import numpy as np
import pytest
from playwright.sync_api import expect

from app import models, runs, subtract
from app.pairs import PAIRS
from app.pictures import built_in, to_pixels
from tests.browser.driver import eventually
from tests.browser.test_reverse import image, rgb

WALK, SCOPE = "#subtract-walk", "#microscope-walk"
FIRST = {"model": "fashion-v", "label": "9", "guidance": 2.0, "seed": 0, "sampler": "ddpm",
         "steps": 50, "T": 50, "family": "linear"}  # fmt: skip


@pytest.fixture(scope="module")
def page(profiles, address):
    """One page for the tests that look at the first run from many sides."""
    with profiles.visit(address) as page:
        page.subtract()
        yield page


@pytest.fixture(scope="module")
def look():
    return subtract.along(runs.compute(runs.run_settings(**FIRST)))


def lane(look, name, place):
    pictures = {
        "x": look.x, "eps": look.prediction.eps, "plain": look.plain, "x0": look.prediction.x0,
    }  # fmt: skip
    return rgb(to_pixels(pictures[name][place]))


def shows(page, walk, expected):
    """Whether the large pictures of a panel are these, up to rounding."""
    canvases = f"{walk} .figures canvas"
    return page.locator(canvases).count() == len(expected) and all(
        np.abs(page.pixels(canvases, i).astype(int) - picture).max() <= 1
        for i, picture in enumerate(expected)
    )


def asked(page):
    """What the page asked the server for; its own heartbeat aside."""
    return [url for url in page.requests if "heartbeat" not in url]


def test_dragging_and_the_way_of_removing_ask_the_server_nothing(page, look):
    assert eventually(lambda: page.t("subtract") == 34)
    page.wait_for_timeout(1000)  # whatever the page still asks for at its start
    count = len(asked(page))
    for place in (0, 20, 49):
        page.seek(place, "subtract")
        wanted = [lane(look, name, place) for name in ("x", "eps", "plain")]
        assert eventually(lambda wanted=wanted: shows(page, WALK, wanted))
    for _ in page.drag(20, "subtract"):
        pass
    text = page.locator(f"{WALK} .equation .text")
    expect(text).to_have_text("xt − εθ")
    page.locator("#subtract-way").get_by_label("to scale").check()
    expect(text).to_contain_text("1/√ᾱt · ( xt − √(1−ᾱt) · εθ )")
    page.seek(30, "subtract")
    wanted = [lane(look, name, 30) for name in ("x", "eps", "x0")]
    assert eventually(lambda: shows(page, WALK, wanted))
    schedule = runs.schedule_of(runs.run_settings(**FIRST))
    factor = page.locator(f"{WALK} [data-factor=outer] b")
    expect(factor).to_have_text(f"{1 / schedule.signal[look.t[30]].item():.4f}")
    page.locator("#subtract-way").get_by_label("plain difference").check()
    expect(page.locator(f"{WALK} [data-factor]")).to_have_count(0)
    page.frame()
    assert asked(page)[count:] == []


def test_the_overview_shows_eleven_moments_of_each_lane(page, look):
    rows = page.locator("#subtract-lanes .row")
    expect(rows).to_have_count(3 + 1)  # and the timesteps
    side = look.x.shape[-1]
    for row, name in enumerate(("x", "eps", "plain")):
        strip = page.pixels("#subtract-lanes canvas", row)
        assert strip.shape[:2] == (side, 11 * side)
        for cell, place in ((0, 0), (10, 49)):
            shown = strip[:, cell * side : (cell + 1) * side].astype(int)
            assert np.abs(shown - lane(look, name, place)).max() <= 1
    page.locator("#subtract-lanes button").first.click()
    assert eventually(lambda: page.t("subtract") == 0)


def test_the_microscope_on_a_picture_of_the_gallery(page):
    settings = runs.run_settings(**FIRST)
    found, eps = subtract.microscope(settings, runs.compute(settings).final)
    assert page.locator(f"{SCOPE} .figures canvas").count() == 5

    def pictures(found, eps, place):
        eps_found = found.prediction.eps[place]
        lanes = (found.x[place], eps, eps_found, eps_found - eps, found.prediction.x0[place])
        return [rgb(to_pixels(picture)) for picture in lanes]

    page.seek(10, "microscope")
    assert eventually(lambda: shows(page, SCOPE, pictures(found, eps, 10)))
    page.locator("#microscope-source").get_by_label("a picture").check()
    page.locator("#microscope-picker").get_by_role("radio", name="Handwritten 5").click()
    x0 = built_in("digit-5").as_input((1, 28, 28))
    found, eps = subtract.microscope(settings, x0)
    page.seek(25, "microscope")
    assert eventually(lambda: shows(page, SCOPE, pictures(found, eps, 25)))
    error = (found.prediction.eps[25] - eps).double().square().mean().sqrt().item()
    expect(page.locator(f"{SCOPE} .measured").nth(2)).to_contain_text(f"{error:.2f}")
    expect(page.locator("#microscope-chart .main-svg").first).to_be_visible()


def test_one_step_is_compared_with_many(page):
    page.locator("#compare").click()
    rows = page.locator("#comparison section")
    expect(rows).to_have_count(subtract.ROWS + 1)
    expect(rows.nth(0).locator("img")).to_have_count(5)
    expect(rows.nth(4)).to_contain_text("they differ by")
    settings = runs.run_settings(
        model="fashion-v", label="9", guidance=2.0, sampler="ddim", steps=10
    )
    shown = image(page, "#comparison img", 3).astype(int)
    assert np.abs(shown - rgb(to_pixels(runs.compute(settings).final))).max() <= 2
    mean = models.load(settings.model).expected(9)
    assert (image(page, "#comparison img", 21) == rgb(to_pixels(mean))).all()
    expect(page.locator("#compare-progress .body")).to_have_count(0)


def test_the_lessons_lead_to_their_pair_in_reverse(open_page):
    page = open_page()
    for button, pair, titles in (
        ("fewer", "10 steps beside 100", ("A · DDIM · 10 steps", "B · DDIM · 100 steps")),
        ("schedule", "linear beside cosine", ("A · DDIM · 50 steps", "B · DDIM · 50 steps")),
    ):
        assert pair in PAIRS
        page.subtract()
        page.locator(f"#lesson-{button}").click()
        expect(page.get_by_role("tab", name="Reverse")).to_have_attribute("aria-selected", "true")
        expect(page.locator("#reverse-walk .panel")).to_have_count(2)
        for panel, title in enumerate(titles):
            expect(page.locator("#reverse-walk .panel h3").nth(panel)).to_contain_text(title)
        expect(page.locator("#reverse-compare input")).to_have_value(pair)
        expect(page.locator("#reverse-lesson")).to_be_visible()
        assert eventually(lambda: page.evaluate("scrollY") == 0)
        expect(page.locator("#reverse-progress .words")).to_have_count(0)  # both runs are over


def test_other_settings_are_another_run_and_nonsense_is_one_sentence(open_page):
    page = open_page()
    page.subtract()
    page.locator("#subtract-model").get_by_label("digits").check()
    expect(page.locator("#subtract-label input")).to_have_value("3")
    page.locator("#subtract-T").get_by_label("10", exact=True).check()
    expect(page.locator(f"{WALK} h3")).to_contain_text("linear, T = 10")
    settings = runs.run_settings(**FIRST | {"model": "digits", "label": 3, "steps": 10, "T": 10})
    found = subtract.along(runs.compute(settings))
    page.seek(4, "subtract")
    wanted = [lane(found, name, 4) for name in ("x", "eps", "plain")]
    assert eventually(lambda: shows(page, WALK, wanted))
    page.get_by_role("button", name="Guidance and seed").locator("visible=true").click()
    page.locator("#subtract-seed input").fill("-1")
    toast = page.locator(".toast-body, [data-testid=toast-body]").last
    expect(toast).to_contain_text("The seed must be a whole number from 0 to 4,294,967,295")
    assert shows(page, WALK, wanted)
    page.locator("#subtract-again").click()
    assert eventually(lambda: not shows(page, WALK, wanted))

"""The Schedules tab in Chromium: curves, cursor, strip, points, read-outs."""

import csv
import io
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from PIL import Image
from playwright.sync_api import expect

from model.schedule import NoiseSchedule
from tests.browser.driver import eventually


@pytest.fixture
def page(page):
    page.schedules()
    return page


def show(page, name):
    page.locator("#schedules-shown input").click()
    page.get_by_role("option", name=name, exact=True).click()
    page.locator("#schedules-shown input").blur()
    row = page.locator("#schedules-readout tbody tr").filter(has_text=name)
    expect(row).to_be_visible()
    return row


def traces(page):
    return page.evaluate(
        """() => document.querySelector('#schedules-chart .js-plotly-plot').data
              .map(trace => [trace.name, Array.from(trace.x), Array.from(trace.y)])"""
    )


def test_the_curves_are_those_of_the_library(page):
    (name, x, y), *_ = traces(page)
    assert name == "DDPM linear: √ᾱ"
    assert y == NoiseSchedule.linear().signal.tolist()
    assert x[500] == 0.5


def test_the_cursor_and_the_numbers_follow_the_slider_without_a_request(page):
    page.wait_for_timeout(400)
    page.requests.clear()
    places = []
    for move in page.drag(tab="schedules"):
        if move % 20 == 0:
            page.frame()
            cells = page.locator("#schedules-readout td.live").all_text_contents()
            places.append((page.locator("#schedules-chart .cursor").bounding_box()["x"], cells[0]))
            assert int(cells[0]) == page.t("schedules")
    assert places[0][0] < places[1][0] < places[2][0]
    assert page.requests == []


def test_the_cells_of_the_strip_stand_under_their_t(page):
    for cell, t in ((0, 0), (3, 300), (10, 1000)):
        page.seek(t, "schedules")
        button = page.locator("#schedules-strip .row").first.locator("button").nth(cell)
        box, cursor = button.bounding_box(), page.locator("#schedules-chart .cursor").bounding_box()
        assert box["x"] + box["width"] / 2 == pytest.approx(cursor["x"] + 1, abs=1.5)


def test_a_cut_schedule_is_warned_of_and_its_repair_is_not(page):
    cut = show(page, "DDPM linear cut to T = 50")
    expect(cut).to_contain_text("0.6030")
    expect(cut.locator(".warning")).to_contain_text("still mostly picture")
    repaired = show(page, "DDPM linear rescaled to T = 50")
    expect(repaired.locator(".warning")).to_have_count(0)
    page.seek(1000, "schedules")
    assert cut.locator("td.live").first.text_content() == "50"  # its own end


@pytest.mark.parametrize("choice", ["β", "step mean factor", "log-SNR"])
def test_other_curves_and_a_log_axis(page, choice):
    before = traces(page)
    page.get_by_label(choice, exact=True).check()
    page.get_by_label("Log axis").check()
    kind = "linear" if choice == "log-SNR" else "log"
    shown = "document.querySelector('#schedules-chart .js-plotly-plot')._fullLayout.yaxis.type"
    assert eventually(lambda: traces(page) != before and page.evaluate(shown) == kind)


def test_a_schedule_of_ones_own(page):
    page.get_by_label("β_end").fill("0.1")
    page.get_by_role("button", name="Add this schedule").click()
    row = page.locator("#schedules-readout tr").filter(has_text="yours: linear 0.0001 → 0.1")
    expect(row).to_be_visible()


def test_wrong_parameters_are_one_sentence_and_leave_the_plot(page):
    before = traces(page)
    page.get_by_label("β_start").fill("0.5")
    page.get_by_role("button", name="Add this schedule").click()
    expect(page.get_by_text("beta_start must not exceed beta_end, got 0.5 > 0.02")).to_be_visible()
    page.get_by_label("T", exact=True).fill("0")
    page.get_by_role("button", name="Add this schedule").click()
    expect(page.get_by_text("T must be a whole number from 1 to 4,000, got 0")).to_be_visible()
    assert traces(page) == before


def test_dragged_points_stay_monotone_and_reach_the_forward_tab(page):
    point = page.locator("#points circle").nth(2)
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 900, box["y"] - 900, steps=5)  # far beyond both neighbours
    page.mouse.up()
    expect(page.locator("#schedules-readout tr").filter(has_text="drawn by hand")).to_be_visible()
    [curve] = [y for name, _, y in traces(page) if name == "custom, drawn by hand: √ᾱ"]
    assert all(a > b for a, b in pairwise(curve))
    page.get_by_role("tab", name="Forward").click()
    page.locator(".settings").first.get_by_label("custom", exact=True).check()
    expect(page.locator("#forward-cards .card")).to_have_count(3)
    page.seek(500)
    shown = page.locator("#forward-cards .card").nth(2).locator("dd").nth(2).text_content()
    assert float(shown) == pytest.approx(curve[500], abs=0.0006)


def test_points_by_keyboard_added_and_removed(page):
    points = page.locator("#points circle")
    expect(points).to_have_count(5)
    points.nth(1).focus()
    before = float(points.nth(1).get_attribute("aria-valuenow"))
    page.keyboard.press("ArrowDown")
    assert float(points.nth(1).get_attribute("aria-valuenow")) == pytest.approx(before - 0.01)
    page.get_by_role("button", name="Add a point").click()
    expect(points).to_have_count(6)
    page.get_by_role("button", name="Remove the chosen one").click()
    expect(points).to_have_count(5)
    expect(page.locator("#schedules-readout tr").filter(has_text="drawn by hand")).to_be_visible()


def test_taking_the_numbers_and_the_figure_away(page):
    contents = {}
    for form in ("CSV", "PNG", "SVG"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"({form})").last.click()
        contents[form] = download.value.path().read_bytes()
    rows = list(csv.DictReader(io.StringIO(contents["CSV"].decode("utf-8"))))
    assert len(rows) == 2 * 1001
    assert float(rows[700]["alpha_bar"]) == NoiseSchedule.linear().alpha_bars[700].item()
    assert Image.open(io.BytesIO(contents["PNG"])).format == "PNG"
    assert ElementTree.fromstring(contents["SVG"]).tag.endswith("svg")

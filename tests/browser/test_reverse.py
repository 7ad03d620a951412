"""The Reverse tab in Chromium: the walk, its equation, pairs, branches, samples, and Stop."""

import base64
import csv
import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from app import fans, run_exports, runs
from app.cache import LRU
from app.pairs import DEFAULTS, PAIRS
from app.pictures import Picture, built_in, to_pixels
from tests.browser.driver import eventually

FIRST = {"model": "fashion", "label": "9", "guidance": 2.0, **DEFAULTS}  # what the tab opens with
QUICK = {
    "model": "digits",
    "label": "3",
    "guidance": 2.0,
    **DEFAULTS,
    "sampler": "ddim",
    "steps": 8,
}
PANEL = "#reverse-walk .panel"


@pytest.fixture
def page(page):
    page.reverse()
    return page


@pytest.fixture(scope="module")
def first(profiles, address):
    """One page for all tests that only look at the first run from many sides."""
    with profiles.visit(address) as page:
        page.reverse()
        yield page


def run_of(base=FIRST, **changes):
    return runs.compute(runs.run_settings(**base | changes))


def rgb(frame):
    return np.broadcast_to(frame, (*frame.shape[:2], 3))


def title(page, panel=0):
    return page.locator(f"{PANEL} h3 span:not(.muted)").nth(panel)


def shows(page, run, place, panel=1, lanes=("x", "eps", "x0")):
    """Whether a panel's large pictures are the run's own at one of its kept steps."""
    canvases = f"{PANEL}:nth-child({panel}) .figures canvas"
    return page.locator(canvases).count() == len(lanes) and all(
        (shown := page.pixels(canvases, i)).shape[:2] == run.lanes[lane].shape[1:3]
        and (shown == rgb(run.lanes[lane][place])).all()
        for i, lane in enumerate(lanes)
    )


def image(page, selector, index=0):
    """The pixels of an <img> that stands in the page itself."""
    source = page.locator(selector).nth(index).get_attribute("src")
    png = Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))
    return np.asarray(png.convert("RGB"))


def ends_with(page, run, panel=0):
    """Whether the image at the end of what is on show is this run's."""
    shown, final = image(page, f"{PANEL} figure.end img", panel), rgb(to_pixels(run.final))
    return shown.shape == final.shape and np.abs(shown.astype(int) - final).max() <= 1


def choose(page, where, name):
    """Take a name from a drop-down list."""
    page.locator(f"#{where} input").click()
    page.get_by_role("option", name=name, exact=True).click()


def steps(page, number, side="A"):
    box = page.locator(f"#steps-{side} input[type=number]")
    box.fill(str(number))
    box.press("Tab")


def unfold(page, name="Start, guidance, seed"):
    page.get_by_role("button", name=name).locator("visible=true").first.click()


def seed(page, number):
    box = page.locator("#reverse-seed input")
    if not box.is_visible():
        unfold(page)
    box.fill(str(number))


def quick(page):
    """Settings that are computed in no time."""
    page.locator("#reverse-model").get_by_label("digits").check()
    page.locator("#sampler-A").get_by_label("DDIM").check()
    steps(page, 8)
    expect(title(page)).to_have_text("DDIM · 8 steps")
    assert eventually(lambda: ends_with(page, run_of(QUICK)))


def toast(page):
    return page.locator(".toast-body, [data-testid=toast-body]").last


# -- one run -------------------------------------------------------------------------------------


def test_the_tab_opens_with_a_finished_run_whose_pixels_are_the_samplers(first):
    run = run_of()
    expect(title(first)).to_have_text("DDPM · 50 steps")
    expect(first.locator("#reverse-time output")).to_have_text("35/50 · t = 320")
    assert eventually(lambda: ends_with(first, run))
    for place in (0, 34, 49):
        first.seek(place, "reverse")
        assert eventually(lambda place=place: shows(first, run, place))
        terms = first.locator(".terms canvas")
        for i, lane in enumerate(("next", "x", "eps", "z")):
            expected = rgb(run.lanes[lane][place])
            assert (first.pixels("#reverse-walk .terms canvas", i) == expected).all(), lane
        assert terms.count() == 4
        shown = first.locator("#reverse-walk .factor b").all_text_contents()
        assert [float(text.replace("−", "-")) for text in shown] == [
            pytest.approx(run.formula.factors[name][place].item(), abs=6e-5)
            for name in ("outer", "inner", "sigma")
        ]
        heading = first.locator(f"{PANEL} h3").text_content()
        assert f"t = {run.t[place]} → {run.t_next[place]}" in heading
        assert f"step {place + 1} of 50" in heading
        expect(first.locator(f"{PANEL} .measured").first).to_have_text(
            f"std {run.std_x[place].item():.3f}"
        )


def test_a_drag_changes_pictures_numbers_and_cursors_and_asks_nobody(first):
    first.locator("#reverse-spread").scroll_into_view_if_needed()
    for chart in ("spread", "factors"):
        first.wait_for_selector(f"#reverse-{chart} .cursor:not([hidden])")
    first.wait_for_timeout(500)
    first.requests.clear()
    seen = []
    for move in first.drag(tab="reverse"):
        if move % 20 == 0:
            first.frame()
            seen.append(
                (
                    first.pixels("#reverse-walk .figures canvas").tobytes(),
                    first.locator("#reverse-walk .factor b").first.text_content(),
                    first.locator("#reverse-spread .cursor").bounding_box()["x"],
                    first.locator("#reverse-factors .cursor").bounding_box()["x"],
                    first.locator("#reverse-lanes .times .near").text_content(),
                )
            )
    assert all(len(set(column)) == 3 for column in zip(*seen, strict=True))
    assert seen[0][2] < seen[1][2] < seen[2][2]  # from noise, left, to image, right
    assert first.requests == []


def test_keys_step_and_play_runs_to_the_image(first):
    run = run_of()
    first.get_by_role("tab", name="Reverse").click()
    first.seek(34, "reverse")
    first.keyboard.press("ArrowRight")  # wherever the focus is after a click on the tab
    assert eventually(lambda: first.t("reverse") == 35)
    first.keyboard.press("ArrowLeft")
    assert eventually(lambda: first.t("reverse") == 34)
    slider = first.locator("#reverse-time input")
    slider.press("Home")
    assert first.t("reverse") == 0
    slider.press(" ")
    first.wait_for_function("document.querySelector('#reverse-time input').value > 3")
    slider.press(" ")
    stopped = first.t("reverse")
    first.wait_for_timeout(300)
    assert first.t("reverse") == stopped < 49
    first.locator("#reverse-time select").select_option("4")
    first.locator("#reverse-time .play").click()
    first.wait_for_function("document.querySelector('#reverse-time input').value == 49")
    expect(first.locator("#reverse-time .play")).to_have_attribute("aria-label", "Play")
    assert eventually(lambda: shows(first, run, 49))
    first.locator("#reverse-lanes .row").first.locator("button").nth(3).click()
    assert eventually(lambda: shows(first, run, round(0.3 * 49)))


def test_lanes_are_switched_on_and_off(first):
    run, boxes = run_of(), first.locator("#reverse-lanes-shown")
    for name in ("mean", "z, added"):
        boxes.get_by_label(name).check()
    boxes.get_by_label("ε, found").uncheck()
    first.seek(34, "reverse")
    assert eventually(lambda: shows(first, run, 34, lanes=("x", "x0", "mean", "z")))
    expect(first.locator("#reverse-lanes .row")).to_have_count(4 + 1)  # and the timesteps
    strip = first.pixels("#reverse-lanes canvas", 3)
    assert (strip[:, :28] == rgb(run.lanes["z"][0])).all()
    for name in ("xₜ, seen", "x̂₀, foreseen", "mean", "z, added"):
        boxes.get_by_label(name).uncheck()
    expect(first.locator("#reverse-lanes canvas")).to_have_count(0)
    first.seek(10, "reverse")
    boxes.get_by_label("xₜ, seen").check()
    assert eventually(lambda: shows(first, run, 10, lanes=("x",)))


def test_another_model_label_sampler_and_noise_are_another_run(page):
    quick(page)
    choose(page, "reverse-label", "8")
    assert eventually(lambda: ends_with(page, run_of(QUICK, label="8")))
    choose(page, "reverse-label", "any")
    assert eventually(lambda: ends_with(page, run_of(QUICK, label=None)))
    for name, key in (("Heun", "heun"), ("DPM-Solver++ 2M", "dpm_solver")):
        page.locator("#sampler-A").get_by_label(name).check()
        expect(title(page)).to_have_text(f"{name} · 8 steps")
        run = run_of(QUICK, label=None, sampler=key)
        assert eventually(lambda run=run: ends_with(page, run))
        page.seek(2, "reverse")
        assert (page.pixels("#reverse-walk .terms canvas", 2) == rgb(run.lanes["term"][2])).all()
    page.get_by_role("button", name="New noise (another seed)").locator("visible=true").click()
    assert eventually(lambda: not ends_with(page, run))
    unfold(page)
    number = page.locator("#reverse-seed input").input_value()
    run = run_of(QUICK, label=None, sampler="dpm_solver", seed=int(number))
    assert eventually(lambda: ends_with(page, run))
    page.locator("#reverse-model").get_by_label("cats").check()
    choose(page, "reverse-label", "orange")  # a label that the first model did not have
    cat = run_of(QUICK, model="cats", label="14", sampler="dpm_solver", seed=int(number))
    assert eventually(lambda: ends_with(page, cat))


def test_keys_move_a_slider_and_a_run_of_one_step_is_drawn_too(page):
    page.locator("#steps-A input[type=range]").press("Home")
    expect(title(page)).to_have_text("DDPM · 1 step")
    run = run_of(steps=1)
    assert eventually(lambda: shows(page, run, 0))
    assert (page.pixels("#reverse-walk .terms canvas", 3) == rgb(run.lanes["z"][0])).all()
    page.locator("#reverse-time .play").click()
    page.locator("#reverse-time .on").click()
    assert page.t("reverse") == 0
    number = page.locator("#steps-A input[type=number]")
    number.fill("3")
    number.press("Enter")
    expect(title(page)).to_have_text("DDPM · 3 steps")
    assert eventually(lambda: shows(page, run_of(steps=3), page.t("reverse")))


# -- two runs ------------------------------------------------------------------------------------


def test_a_pair_by_name_goes_in_step_from_the_same_noise(page):
    name = "DDPM beside DDIM, 20 steps"
    choose(page, "reverse-compare", name)
    expect(page.locator(PANEL)).to_have_count(2)
    a, b = run_of(**PAIRS[name].a), run_of(**PAIRS[name].b)
    expect(title(page, 0)).to_have_text(f"A · {a.settings.title}")
    expect(title(page, 1)).to_have_text(f"B · {b.settings.title}")
    expect(page.locator("#reverse-lesson")).to_contain_text("DDIM adds none")
    for place in (0, 7, 19):
        page.seek(place, "reverse")
        assert eventually(
            lambda place=place: shows(page, a, place) and shows(page, b, place, panel=2)
        )
    page.seek(0, "reverse")
    starts = [page.pixels(f"{PANEL}:nth-child({i}) .figures canvas") for i in (1, 2)]
    assert (starts[0] == starts[1]).all()
    assert eventually(lambda: ends_with(page, b, panel=1))
    other = "10 steps beside 100"  # here one slider leads through grids of two lengths
    choose(page, "reverse-compare", other)
    expect(title(page, 1)).to_have_text("B · DDIM · 100 steps")
    a, b = run_of(**PAIRS[other].a), run_of(**PAIRS[other].b)
    assert eventually(lambda: ends_with(page, b, panel=1))
    page.seek(43, "reverse")  # t = 570: A is still in its step from 600
    expect(page.locator("#reverse-time output")).to_have_text("t = 570")
    assert eventually(lambda: shows(page, a, 4) and shows(page, b, 43, panel=2))
    choose(page, "reverse-compare", "one run alone")
    expect(page.locator(PANEL)).to_have_count(1)
    expect(page.locator("#reverse-lesson")).to_be_hidden()


def test_the_other_run_has_settings_of_its_own(page):
    quick(page)
    choose(page, "reverse-compare", "settings of your own")
    steps(page, 5, "B")
    expect(title(page, 1)).to_have_text("B · DDPM · 5 steps")
    assert eventually(lambda: ends_with(page, run_of(QUICK, sampler="ddpm", steps=5), panel=1))


# -- while it is computed ------------------------------------------------------------------------


def test_a_long_run_tells_of_itself_and_ends_when_stopped_or_no_longer_wanted(page):
    seed(page, 90_001)  # that no other test has computed
    before = run_of(seed=90_001)
    assert eventually(lambda: ends_with(page, before))
    steps(page, 1000)
    told = page.locator("#reverse-progress")
    expect(told.locator("b")).to_have_text("DDPM · 1000 steps")
    expect(told.locator("img")).to_have_count(2)
    first = image(page, "#reverse-progress img")
    assert eventually(lambda: (image(page, "#reverse-progress img") != first).any())
    assert page.locator("#reverse-progress progress").evaluate("bar => bar.value / bar.max") < 0.9
    page.seek(5, "reverse")  # the run on show stays usable meanwhile
    assert eventually(lambda: shows(page, before, 5))
    page.locator("#reverse-stop").click()
    expect(told.locator(".body")).to_have_count(0)
    page.seek(20, "reverse")
    assert eventually(lambda: shows(page, before, 20))
    page.locator("#reverse-run").click()  # the same again, and then another wish in the middle
    expect(told.locator(".body")).to_be_visible()
    steps(page, 4)
    expect(title(page)).to_have_text("DDPM · 4 steps")
    assert eventually(lambda: ends_with(page, run_of(steps=4, seed=90_001)))
    assert runs.RUNS.cache.get(runs.run_settings(**FIRST | {"seed": 90_001, "steps": 1000})) is None


def test_a_closed_page_makes_way_for_the_next(page, open_page):
    page.locator("#sampler-A").get_by_label("Heun").check()
    expect(title(page)).to_have_text("Heun · 50 steps")
    steps(page, 1000)
    expect(page.locator("#reverse-progress .body")).to_be_visible()
    other = open_page()
    other.get_by_role("tab", name="Reverse").click()
    expect(other.locator("#reverse-walk canvas")).to_have_count(0)
    page.playwright.close()
    expect(other.locator("#reverse-walk canvas").first).to_be_visible()
    assert eventually(lambda: ends_with(other, run_of()))
    given_up = runs.run_settings(**FIRST | {"sampler": "heun", "steps": 1000})
    assert runs.RUNS.cache.get(given_up) is None


def test_nonsense_is_one_sentence_and_the_page_goes_on(page):
    seed(page, -1)
    expect(toast(page)).to_contain_text("The seed must be a whole number from 0 to 4,294,967,295")
    assert eventually(lambda: ends_with(page, run_of()))
    seed(page, 3)
    assert eventually(lambda: ends_with(page, run_of(seed=3)))
    expect(page.locator("#reverse-progress .body")).to_have_count(0)


# -- from a picture ------------------------------------------------------------------------------


def test_a_run_starts_from_a_picture_of_the_gallery_or_ones_own(page):
    quick(page)
    unfold(page)
    page.locator("#reverse-start").get_by_label("a picture").check()
    start = {"from_step": 500, **QUICK}
    assert eventually(lambda: ends_with(page, run_of(start, picture=built_in("hopper"))))
    page.locator("#reverse-picker").get_by_role("radio", name="Handwritten 5").click()
    run = run_of(start, picture=built_in("digit-5"))
    assert eventually(lambda: ends_with(page, run))
    expect(title(page)).to_have_text("DDIM · 8 steps · from t = 500")
    page.seek(0, "reverse")
    assert eventually(lambda: shows(page, run, 0))
    page.get_by_role("button", name="Your own picture").locator("visible=true").click()
    buffer = io.BytesIO()
    own = Image.new("RGB", (40, 40), (0, 0, 0))
    own.paste((255, 255, 255), (18, 4, 24, 36))
    own.save(buffer, "PNG")
    page.set_input_files(
        "#reverse-upload input[type=file]",
        {"name": "own.png", "mimeType": "image/png", "buffer": buffer.getvalue()},
    )
    run = run_of(start, picture=Picture(own, "mine"))
    assert eventually(lambda: ends_with(page, run))


def test_a_picture_chosen_before_the_tab_was_opened_is_the_one(open_page):
    page = open_page()
    page.get_by_role("radio", name="Summer Palace").first.click()
    expect(page.locator(".prose.credit").first).to_contain_text("Summer Palace")
    page.wait_for_timeout(1500)  # whatever the hidden tab does with it
    page.reverse()
    assert eventually(lambda: ends_with(page, run_of()))
    unfold(page)
    page.locator("#reverse-start").get_by_label("a picture").check()
    assert eventually(lambda: ends_with(page, run_of(picture=built_in("china"), from_step=500)))


# -- branches, samples, files --------------------------------------------------------------------


def test_branches_from_here_and_along_the_run(page, monkeypatch):
    quick(page)
    page.seek(2, "reverse")
    page.get_by_role("button", name="Branch at this step").click()
    fan = page.locator("#fan section")
    expect(fan.locator("img")).to_have_count(1 + fans.BRANCHES)
    run = run_of(QUICK)
    expect(fan.locator("h4")).to_contain_text(f"from t = {run.t[2]}")
    monkeypatch.setattr(runs.ENDINGS, "cache", LRU(0))  # once more, from the beginning
    *_, last = fans.start(run.settings, 2)[0]
    for i, expected in enumerate((run.final, *last.x_next)):
        assert (image(page, "#fan img", i) == rgb(to_pixels(expected))).all()
    page.get_by_role("button", name="Branch along the whole run").click()
    expect(fan).to_have_count(fans.PLACES)


def test_a_click_on_a_sample_walks_to_it(page):
    quick(page)
    page.get_by_label("8", exact=True).check()
    page.get_by_role("button", name="Draw samples").click()
    buttons = page.locator("#many button")
    expect(buttons).to_have_count(8)
    picture = image(page, "#many img", 5)
    assert np.abs(picture.astype(int) - rgb(to_pixels(run_of(QUICK, seed=5).final))).max() <= 1
    buttons.nth(5).click()
    assert eventually(lambda: ends_with(page, run_of(QUICK, seed=5)))
    assert eventually(lambda: page.evaluate("scrollY") == 0)  # where there is something to see
    page.get_by_label("one of each class").check()
    page.get_by_role("button", name="Draw samples").click()
    expect(buttons).to_have_count(10)
    expect(buttons.nth(7)).to_contain_text("7")
    buttons.nth(7).click()  # of the same seed: only the label is another
    assert eventually(lambda: ends_with(page, run_of(QUICK, seed=5, label="7")))
    shown = image(page, f"{PANEL} figure.end img").astype(int)
    assert np.abs(shown - image(page, "#many img", 7)).max() <= 1


def test_long_work_below_can_be_stopped_where_it_stands(page):
    for name, begin in (("branch", "#branch-along"), ("many", "#draw-many")):
        page.locator(begin).click()
        body = page.locator(f"#{name}-progress .body")
        expect(body).to_be_visible()
        page.locator(f"#{name}-stop").click()
        expect(body).to_have_count(0)
    page.wait_for_timeout(500)
    expect(page.locator("#fan img, #many img")).to_have_count(0)


def test_saving_the_run(first):
    run = run_of()
    saved = {}
    for name in ("This run (GIF)", "Strip (PNG)", "All numbers (CSV)"):
        with first.expect_download() as download:
            first.get_by_role("button", name=name).click()
        saved[name[-4:-1]] = download.value.path().read_bytes()
        assert download.value.suggested_filename == f"reverse-process.{name[-4:-1].lower()}"
    film = Image.open(io.BytesIO(saved["GIF"]))
    assert (film.format, film.n_frames) == ("GIF", 51)
    assert saved["PNG"] == run_exports.export([run], "PNG")
    rows = list(csv.DictReader(io.StringIO(saved["CSV"].decode())))
    assert [float(row["std_x"]) for row in rows] == run.std_x.tolist()


# -- small screens -----------------------------------------------------------------------------


def test_a_pair_and_all_its_panels_fit_on_a_phone(open_page):
    page = open_page(width=390, height=844, theme="dark")
    page.reverse()
    choose(page, "reverse-compare", "DDPM beside DDIM, 20 steps")
    expect(page.locator(PANEL)).to_have_count(2)
    page.get_by_label("one of each class").check()
    page.get_by_role("button", name="Draw samples").click()
    expect(page.locator("#many button")).to_have_count(10)
    page.get_by_role("button", name="Branch at this step").click()
    expect(page.locator("#fan img")).to_have_count(1 + fans.BRANCHES)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for panel in page.locator(PANEL).all():
        widest = panel.evaluate(
            """panel => Math.max(...Array.from(
                 panel.querySelectorAll('*'), node => node.getBoundingClientRect().right))"""
        )
        box = panel.bounding_box()
        assert widest <= box["x"] + box["width"]

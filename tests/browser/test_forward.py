"""The Forward tab in Chromium: the drag, the numbers, the panels."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from app.catalogue import DEFAULT_POINTS
from app.pictures import built_in, to_pixels
from app.tabs.forward import set_up
from model.forward import q_sample
from tests.browser.driver import eventually

EVERY = ["linear", "cosine", "scaled linear", "sigmoid", "custom"]


def setup(size=64, colour="colour", T=1000):
    return set_up(None, size, colour, T, True, DEFAULT_POINTS, 0)


def expected(setup, curve, t):
    pixels = to_pixels(q_sample(curve.schedule, setup.x0, t, setup.eps))
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(int)


def choose(page, *, schedules=(), T=None, size=None, colour=None):
    for name in schedules:
        page.locator(".settings").first.get_by_label(name, exact=True).check()
    if T:
        page.get_by_label(str(T), exact=True).check()
    if size or colour:
        page.get_by_role("button", name="Size, colour and seed").click()
    if size:
        page.get_by_label(str(size), exact=True).check()
    if colour:
        page.get_by_label(colour, exact=True).check()


def test_a_drag_changes_every_picture_at_every_move_and_asks_nobody(page):
    choose(page, schedules=EVERY)
    expect(page.locator("#forward-cards canvas.picture")).to_have_count(5)
    page.wait_for_timeout(600)  # the panels below follow the new choice
    page.requests.clear()
    before, times = page.cards(), [page.t()]
    for move in page.drag():
        if move % 20 == 0:
            page.frame()
            now = page.cards()
            assert all((a != b).any() for a, b in zip(before, now, strict=True))
            before, times = now, [*times, page.t()]
    assert times[1] < times[2] < times[3]
    assert page.requests == []


@pytest.mark.parametrize("colour", ["colour", "grey"])
def test_the_pixels_on_the_screen_are_those_of_the_library(page, colour):
    choose(page, schedules=EVERY, colour=colour if colour == "grey" else None)
    expect(page.locator("#forward-cards canvas.picture")).to_have_count(5)
    ours = setup(colour=colour)

    def same(t):  # to one level of 255: the browser adds in another order
        pairs = zip(page.cards(), ours.curves(EVERY), strict=True)
        return all(np.abs(shown - expected(ours, curve, t)).max() <= 1 for shown, curve in pairs)

    for t in (0, 1, 250, 1000):
        page.seek(t)
        assert eventually(lambda t=t: same(t))


def test_the_numbers_under_a_picture_are_those_of_its_schedule(page):
    page.seek(300)
    schedule = setup().curve("linear").schedule
    card = page.locator("#forward-cards .card").first
    numbers = card.locator("dd").all_text_contents()
    signal, noise = schedule.signal[300].item(), schedule.noise[300].item()
    decibels = f"{10 * schedule.snr[300].log10().item():.1f} dB".replace("-", "−")
    assert numbers == ["300", decibels, f"{signal:.3f}", f"{noise:.3f}"]
    equation = card.locator(".equation").inner_text().replace("\n", "")
    assert f"{signal:.3f}" in equation
    assert f"{noise:.3f}" in equation
    page.seek(0)
    assert card.locator("dd").all_text_contents() == ["0", "∞ dB", "1.000", "0.000"]


def test_the_entropy_is_that_of_the_8_bit_picture_and_rises(page):
    ours, shown = setup(), []
    for t in (0, 100, 300, 1000):
        page.seek(t)
        x_t = q_sample(ours.curve("linear").schedule, ours.x0, t, ours.eps).double().numpy().ravel()
        counts, _ = np.histogram(x_t, bins=256, range=(-4, 4))
        p = counts[counts > 0] / counts.sum()
        text = page.locator("#forward-cards .entropy b").first.text_content()
        shown.append(float(text.removesuffix(" bit")))
        assert shown[-1] == pytest.approx(-(p * np.log2(p)).sum(), abs=0.02)
    assert shown == sorted(shown)
    assert shown[-1] == pytest.approx(7.05, abs=0.03)


def test_the_keyboard_steps_plays_and_pauses(page):
    page.locator("body").press("ArrowRight")  # nothing is focused
    assert eventually(lambda: page.t() == 301)
    slider = page.locator("#forward-time input")
    slider.focus()
    slider.press("ArrowRight")
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")
    assert eventually(lambda: page.t() == 300)
    slider.press("Home")
    assert eventually(lambda: page.t() == 0)
    page.frame()
    first = page.cards()[0]
    slider.press(" ")
    page.wait_for_function("document.querySelector('#forward-time input').value > 60")
    slider.press(" ")
    page.frame()
    stopped = page.t()
    page.wait_for_timeout(200)
    assert page.t() == stopped
    assert (page.cards()[0] != first).any()
    slider.press("End")
    assert eventually(lambda: page.t() == 1000)


def test_play_runs_to_the_end_and_starts_again_from_the_picture(page):
    page.get_by_label("Speed of play").first.select_option("4")
    page.locator("#forward-time .play").click()
    page.wait_for_function("document.querySelector('#forward-time input').value == 1000")
    expect(page.locator("#forward-time .play")).to_have_attribute("aria-label", "Play")
    page.locator("#forward-time .play").click()
    page.wait_for_function("document.querySelector('#forward-time input').value < 900")


def test_a_cell_of_the_strip_takes_the_slider_there(page):
    page.locator("#forward-strip .row").nth(1).locator("button").nth(7).click()
    page.frame()
    assert page.t() == 700
    ours = setup()
    strip = page.pixels("#forward-strip canvas", 1)[:, 7 * 64 : 8 * 64]
    assert np.abs(strip.astype(int) - expected(ours, ours.curve("cosine"), 700)).max() <= 1
    expect(page.locator("#forward-strip button.near")).to_have_count(2)


@pytest.mark.parametrize("T", [10, 50, 100, 300])
def test_another_T_keeps_the_place_on_the_way(page, T):
    choose(page, T=T)
    expect(page.locator("#forward-time output")).to_have_text(f"{round(0.3 * T)} / {T}")
    ours = setup(T=T)
    pixels = expected(ours, ours.curve("linear"), page.t())
    assert eventually(lambda: np.abs(page.cards()[0] - pixels).max() <= 1)


@pytest.mark.parametrize("size", [32, 128])
def test_another_working_size(page, size):
    choose(page, size=size)
    page.wait_for_function(
        f"document.querySelector('#forward-cards canvas.picture').width === {size}"
    )
    ours = setup(size=size)
    assert (
        np.abs(page.cards()[0].astype(int) - expected(ours, ours.curve("linear"), 300)).max() <= 1
    )


def test_new_noise_and_back_by_its_seed(page):
    first = page.cards()[0]
    page.get_by_role("button", name="Size, colour and seed").click()
    seed = page.get_by_label("Seed", exact=True)
    page.get_by_role("button", name="New noise").click()
    expect(seed).not_to_have_value("0")
    assert (page.changed(first) != first).mean() > 0.5
    seed.fill("0")
    seed.press("Enter")
    assert eventually(lambda: (page.cards()[0] == first).all())


def test_single_steps_follow_when_the_slider_is_let_go(page):
    title = page.locator("#single-steps h4").first
    page.locator("#spread-chart").scroll_into_view_if_needed()
    title.wait_for()
    for move in page.drag(moves=20):
        if move == 10:
            before = title.text_content()
            page.wait_for_timeout(400)
            assert title.text_content() == before  # not while it is dragged
    expect(title).to_have_text(f"One Markov step, from t = {page.t() - 1} to t = {page.t()}")
    chain, jump = page.locator("#single-steps .note").all_text_contents()[:2]
    (mean, spread), (other_mean, other_spread) = (
        [float(number.replace("−", "-")) for number in re.findall(r"[+−]?\d\.\d+", text)[:2]]
        for text in (chain, jump)
    )
    assert mean == pytest.approx(other_mean, abs=0.05)
    assert spread == pytest.approx(other_spread, rel=0.05)


def test_single_steps_are_asked_for_when_they_come_into_view(page):
    asked = len([url for url in page.requests if "/queue/join" in url])
    page.seek(200)
    page.seek(400)
    page.wait_for_timeout(600)
    assert len([url for url in page.requests if "/queue/join" in url]) == asked
    assert not page.locator("#single-steps img").count()
    page.locator("#spread-chart").scroll_into_view_if_needed()
    expect(page.locator("#single-steps h4").first).to_have_text(
        "One Markov step, from t = 399 to t = 400"
    )
    page.seek(500)
    expect(page.locator("#single-steps h4").first).to_have_text(
        "One Markov step, from t = 499 to t = 500"
    )


def test_leaving_out_the_scaling_and_putting_it_back(page):
    page.seek(1000)
    page.wait_for_timeout(400)
    before = page.cards()[0]
    page.get_by_label("Leave the scaling out").check()
    page.frame()
    ours = setup()
    b = ours.curve("linear").schedule.unscaled_noise[1000].item()
    shown = page.cards()[0].astype(int)
    assert np.abs(shown - to_pixels(ours.x0 + b * ours.eps).astype(int)).max() <= 1
    expect(page.locator("#forward-cards .wrong").first).to_be_visible()
    page.get_by_label("Leave the scaling out").uncheck()
    page.frame()
    assert (page.cards()[0] == before).all()
    expect(page.locator("#forward-cards .wrong").first).to_be_hidden()


def test_another_built_in_picture(page):
    page.seek(0)
    before = page.cards()[0]
    page.get_by_role("radio", name="Summer Palace").first.click()
    expect(page.locator(".prose.credit")).to_contain_text("Summer Palace")
    picture = built_in("china").at(64, False)
    assert (page.changed(before) == to_pixels(picture)).all()


def test_no_schedule_at_all_is_one_sentence_and_nothing_is_lost(page):
    before = page.cards()
    for name in ("linear", "cosine"):
        page.locator(".settings").first.get_by_label(name, exact=True).uncheck()
    expect(page.get_by_text("Choose at least one schedule to show.")).to_be_visible()
    assert any((page.cards()[0] == card).all() for card in before)


@pytest.mark.parametrize(("button", "form"), [("PNG", "PNG"), ("GIF", "GIF"), ("WebP", "WEBP")])
def test_saving_the_process(page, button, form):
    with page.expect_download() as download:
        page.get_by_role("button", name=f"({button})").first.click()
    content = download.value.path().read_bytes()
    image = Image.open(io.BytesIO(content))
    assert image.format == form
    assert getattr(image, "n_frames", 1) == (1 if form == "PNG" else 51)

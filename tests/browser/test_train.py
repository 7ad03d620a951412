"""The Train tab in Chromium: watch, reload, pause, stop, sample, take away and bring back."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import expect

from app import models, runs
from app.jobs import REGISTRY
from app.pairs import DEFAULTS
from app.pictures import built_in, to_pixels
from app.run_controls import GUIDANCE
from model.checkpoint import load_checkpoint
from tests.browser.driver import eventually
from tests.browser.test_reverse import ends_with, image, rgb

NOTE, WALK = "#train-note", "#train-walk"


@pytest.fixture(autouse=True)
def no_job_left_over():
    """The server has one place: a test that fails must not keep it."""
    yield
    for job in list(REGISTRY._jobs.values()):
        if not job.over:
            REGISTRY.stop(job)
    assert eventually(lambda: all(job.over for job in REGISTRY._jobs.values()), 120)


@pytest.fixture
def page(open_page):
    page = open_page()
    page.train()
    return page


def settings(page, amount, **numbers):
    """A small training, of so many steps."""
    page.locator("#train-budget").get_by_label("steps").check()
    page.locator("#train-amount input").fill(str(amount))
    page.get_by_role("button", name="Pictures, schedule, optimiser, seed").click()
    for name, value in ({"batch": 4} | numbers).items():
        page.locator(f"#train-{name} input").fill(str(value))
        page.locator(f"#train-{name} input").press("Tab")


def start(page):
    """Press Train, and find the job that this began."""
    before = set(REGISTRY._jobs)
    page.locator("#train-start").click()
    assert eventually(lambda: set(REGISTRY._jobs) - before)
    (key,) = set(REGISTRY._jobs) - before
    return REGISTRY._jobs[key]


def step_of(page):
    """The training step that the page tells of."""
    text = page.locator("#train-progress .words span").inner_text()
    return int(text.split()[1].replace(",", ""))


def film(page):
    """Both sheets of samples and the example's pictures, as they are shown."""
    return [page.pixels(f"{WALK} .figures canvas", i) for i in range(7)]


def shows_moment(page, moment):
    shown = film(page)
    pictures = (moment.example.x0, moment.example.eps, moment.example.x_t)
    return all(
        (found == rgb(to_pixels(picture))).all()
        for found, picture in zip(shown[2:5], pictures, strict=True)
    )


def curve(page):
    """The steps and the losses that the chart draws; of many only some."""
    chart = page.locator("#train-loss .js-plotly-plot")
    return chart.evaluate("plot => [Array.from(plot.data[0].x), Array.from(plot.data[0].y)]")


def fits(page, width):
    return page.evaluate("document.documentElement.scrollWidth") <= width


def test_train_watch_reload_pause_stop_sample_and_take_it_elsewhere(page, open_page, tmp_path):
    expect(page.locator(NOTE)).to_contain_text("Nothing is trained yet")
    expect(page.locator("#train-stop")).to_be_disabled()
    settings(page, 20_000, T=10, beta_end=0.5)
    expect(page.locator("#train-command")).to_contain_text("--steps 20000")
    job = start(page)
    expect(page.locator(f"{WALK} canvas")).to_have_count(7)

    # It can be seen to learn.
    expect(page.locator("#train-start")).to_be_disabled()
    expect(page.locator(NOTE)).to_be_hidden()
    first = step_of(page)
    assert eventually(lambda: step_of(page) > first, 60)
    page.locator("#train-loss").scroll_into_view_if_needed()
    page.wait_for_selector("#train-loss .main-svg")
    steps, losses = curve(page)
    assert losses[0] == pytest.approx(job.records[0].loss)
    assert eventually(lambda: curve(page)[0][-1] > steps[-1], 60)
    assert eventually(lambda: len(job.film) > 1 and page.t("train") > 0, 60)
    page.seek(0, "train")
    assert eventually(lambda: shows_moment(page, job.film[0]))
    step = job.film[-1].step
    assert eventually(lambda: job.film[-1].step > step)
    page.wait_for_timeout(1500)
    assert page.t("train") == 0  # whoever looks back is left there
    expect(page.locator("#train-algorithm section")).to_have_count(6)
    expect(page.locator("#train-algorithm section").nth(4)).to_contain_text("loss 0.")
    assert fits(page, 1280)

    # Nobody else sees it.
    other = open_page()
    other.train()
    other.wait_for_timeout(1500)
    expect(other.locator(NOTE)).to_contain_text("Nothing is trained yet")
    expect(other.locator("#train-stop")).to_be_disabled()
    assert other.locator(f"{WALK} canvas").count() == 0

    # A reload finds it again, whichever tab is open.
    page.complaints, earlier = [], page.complaints
    assert earlier == []
    page.reload()
    page.wait_for_selector("#forward-cards canvas")
    page.wait_for_timeout(2500)
    # Gradio's own stream complains that it was cut off.
    page.complaints = [c for c in page.complaints if "aborted" not in c and "Connection" not in c]
    page.train()
    expect(page.locator("#train-start")).to_have_text("Train")
    expect(page.locator("#train-pause")).to_have_text("Pause")
    expect(page.locator(f"{WALK} canvas")).to_have_count(7)
    expect(page.locator("#train-stop")).to_be_enabled()

    # Pause holds, Resume goes on, Stop keeps.
    page.locator("#train-pause").click()
    expect(page.locator(NOTE)).to_contain_text("Paused")
    expect(page.locator("#train-pause")).to_have_text("Resume")
    page.wait_for_timeout(1000)
    count = len(job.records)
    page.wait_for_timeout(1000)
    assert len(job.records) == count
    page.locator("#train-pause").click()
    expect(page.locator("#train-pause")).to_have_text("Pause")
    assert eventually(lambda: len(job.records) > count + 2)
    page.locator("#train-stop").click()
    expect(page.locator(NOTE)).to_contain_text("It was stopped. The model is in the lists")
    expect(page.locator("#train-start")).to_be_enabled()
    expect(page.locator("#train-time output")).to_have_text(f"step {job.steps}")

    # What was trained is a model like any other, and goes with whom it belongs to.
    with page.expect_download() as download:
        page.locator("#train-fetch").click()
    assert download.value.suggested_filename == "unnoise-model.zip"
    packed = download.value.path().read_bytes()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path)
    assert load_checkpoint(tmp_path / "unnoise-model").config == job.checkpoint.config
    page.locator("#train-walk-it").click()
    run = runs.compute(runs.run_settings(
        **DEFAULTS | {"steps": 10}, model=job.key, label="0", guidance=GUIDANCE
    ))  # fmt: skip
    expect(page.locator("#reverse-walk .panel h3")).to_contain_text("DDPM · 10 steps")
    assert eventually(lambda: ends_with(page, run))
    title = f"yours: digits, step {job.steps}"
    expect(page.locator("#reverse-model").get_by_label(title)).to_be_checked()
    expect(page.locator("#reverse-model")).to_contain_text("Model")
    page.get_by_role("tab", name="Subtract all").click()
    page.locator("#subtract-model").get_by_label(title).check()
    expect(page.locator("#subtract-walk canvas").first).to_be_visible()

    # Brought into another browser, it draws what its half precision draws.
    known = set(models._own)
    other.get_by_role("button", name="Load a model (.zip)").click()
    other.set_input_files(
        "#train-upload input[type=file]",
        {"name": "mine.zip", "mimeType": "application/zip", "buffer": b"PK no archive"},
    )
    toast = other.locator(".toast-body, [data-testid=toast-body]").last
    expect(toast).to_contain_text("The file is no zip archive that can be read here")
    expect(other.locator("#train-upload input[type=file]")).to_be_attached()  # room for another
    other.set_input_files(
        "#train-upload input[type=file]",
        {"name": "mine.zip", "mimeType": "application/zip", "buffer": packed},
    )
    expect(other.locator(NOTE)).to_contain_text("Loaded.")
    other.get_by_role("tab", name="Reverse").click()
    expect(other.locator("#reverse-model")).not_to_contain_text(title)
    other.locator("#steps-A input[type=number]").fill("10")
    other.locator("#steps-A input[type=number]").press("Tab")
    other.locator("#reverse-model").get_by_label("yours: uploaded, 16×16").check()
    expect(other.locator("#reverse-walk .panel h3")).to_contain_text("DDPM · 10 steps")
    (key,) = set(models._own) - known
    brought = runs.compute(replace(run.settings, model=key))
    assert eventually(lambda: ends_with(other, brought))


def test_one_picture_is_learned_and_restored_from_its_noise(page):
    shown = page.locator("#train-data img")  # what would be trained on
    expect(shown).to_have_count(20)
    page.locator("#train-source").get_by_label("one picture").check()
    expect(page.locator("#train-amount input")).to_have_value("120")
    expect(shown).to_have_count(1)
    page.locator("#train-picker").get_by_role("radio", name="Summer Palace").click()
    pixels = rgb(to_pixels(built_in("china").as_input((1, 64, 64))))
    assert eventually(lambda: np.array_equal(image(page, "#train-data img"), pixels))
    page.locator("#train-network").get_by_label("small").check()
    settings(page, 3)
    expect(page.locator("#train-T input")).to_have_value("300")
    page.locator("#train-size").get_by_label("32").check()
    expect(page.locator("#train-command")).to_contain_text("--size 32")
    job = start(page)
    expect(page.locator(NOTE)).to_contain_text("Ended after 3 steps.")
    page.seek(0, "train")
    pixels = rgb(to_pixels(built_in("china").as_input((1, 32, 32))))
    assert eventually(lambda: (film(page)[2] == pixels).all())
    page.locator("#train-walk-it").click()
    expect(page.locator("#reverse-walk .panel h3")).to_contain_text("from t = 180")
    run = runs.compute(runs.run_settings(
        **DEFAULTS, model=job.key, picture=built_in("china"), from_step=180
    ))  # fmt: skip
    assert eventually(lambda: ends_with(page, run))
    assert models.load(job.key).schedule.T == 300


def test_the_boxes_of_code_are_as_high_as_their_text(page):
    for name in ("command", "python"):
        box, text = (
            page.locator(f"#train-{name} {part}").bounding_box()["height"]
            for part in (".cm-editor", ".cm-content")
        )
        assert box == pytest.approx(text, abs=4)


def test_nonsense_is_a_sentence_and_the_page_fits_a_phone(open_page):
    page = open_page(width=390, height=844, theme="dark")
    page.train()
    assert fits(page, 390)
    settings(page, 20_000, learning_rate=1000)
    page.locator("#train-start").click()
    toast = page.locator(".toast-body, [data-testid=toast-body]").last
    expect(toast).to_contain_text("The learning rate must be from 1e-06 to 100, got 1,000")
    page.locator("#train-learning_rate input").fill("100")
    page.locator("#train-amount input").fill("0")
    page.locator("#train-start").click()
    expect(toast).to_contain_text("The number of steps must be a whole number from 1 to 20,000")
    page.locator("#train-amount input").fill("20000")
    job = start(page)
    expect(page.locator(NOTE)).to_contain_text(
        "Ended. Training diverged: the loss was", timeout=90_000
    )
    expect(page.locator(NOTE)).to_contain_text("a learning rate well below 100 should hold.")
    assert job.checkpoint is None
    expect(page.locator("#train-walk-it")).to_be_hidden()
    expect(page.locator(f"{WALK} canvas")).to_have_count(7)
    page.locator("#train-bands").scroll_into_view_if_needed()
    page.wait_for_selector("#train-bands .main-svg")
    assert fits(page, 390)

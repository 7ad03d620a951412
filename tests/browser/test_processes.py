"""The app as it is started, whose networks are asked and trained in processes of their own."""

import os
import signal
import sys

import psutil
import pytest
from playwright.sync_api import expect

from app import priority
from app.workers import GONE
from tests.browser.driver import eventually
from tests.process import APP, Server

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(sys.platform != "linux", reason="tells them by their niceness"),
]

BEGINS = 90_000  # milliseconds: a process has to load PyTorch first, beside other tests


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(APP, {"UNNOISE_CACHE": str(tmp_path_factory.mktemp("cache"))}) as server:
        server.wait()
        yield server


@pytest.fixture
def page(profiles, server):
    with profiles.visit(server.address) as page:
        yield page


def worker(server, niceness):
    """The server's process that stands back so far."""
    found = [p for p in psutil.Process(server.pid).children() if p.nice() == niceness]
    return found[0] if found else None


def ends(page):
    """Wait until a run is on show and none is under way."""
    expect(page.locator("#reverse-walk canvas").first).to_be_visible()
    expect(page.locator("#reverse-progress .words")).to_have_count(0)


def test_what_was_trained_there_is_asked_in_the_other_one(page, server):
    page.tab("Train")
    page.locator("#train-budget").get_by_label("steps").check()
    page.locator("#train-amount input").fill("12")
    page.locator("#train-start").click()
    expect(page.locator("#train-note")).to_contain_text("Ended after 12 steps", timeout=BEGINS)
    expect(page.locator("#train-walk canvas").first).to_be_visible()
    page.locator("#train-walk-it").click()
    chosen = page.locator("#reverse-model input:checked")
    expect(chosen).to_be_visible()
    expect(page.locator("#reverse-model")).to_contain_text("yours: digits, step 12")
    ends(page)
    page.locator("#reverse-again").click()
    ends(page)
    assert worker(server, priority.PASSES)
    assert worker(server, priority.TRAINING)


def long_run(page):
    """Begin a run of many seconds."""
    page.tab("Reverse")
    ends(page)
    steps = page.locator("#steps-A input[type=number]")
    steps.fill("1000")
    steps.press("Enter")
    expect(page.locator("#reverse-progress .words")).to_be_visible()


def test_a_run_under_way_can_be_stopped_or_replaced(page):
    long_run(page)
    page.locator("#reverse-stop").click()
    expect(page.locator("#reverse-progress .words")).to_have_count(0)
    page.locator("#reverse-run").click()
    expect(page.locator("#reverse-progress .words")).to_be_visible()
    steps = page.locator("#steps-A input[type=number]")
    steps.fill("5")  # another wish: the long run ends by itself
    steps.press("Enter")
    ends(page)
    expect(page.locator("#reverse-time input")).to_have_attribute("max", "4")


def test_a_process_that_ends_is_a_sentence_and_another_one_begins(page, server):
    long_run(page)
    gone = worker(server, priority.PASSES)
    os.kill(gone.pid, signal.SIGKILL)
    expect(page.locator(".toast-body")).to_contain_text(GONE)
    expect(page.locator("#reverse-progress .words")).to_have_count(0)
    page.locator(".toast-close").first.click()
    steps = page.locator("#steps-A input[type=number]")
    steps.fill("5")
    steps.press("Enter")
    assert eventually(lambda: worker(server, priority.PASSES) not in (None, gone), 90)
    ends(page)

"""The first look: something alive, little to load, and nothing that moves against one's wish."""

import pytest
from playwright.sync_api import expect

from tests.browser.driver import eventually


def test_t_moves_by_itself_until_somebody_touches_the_page(open_page):
    page = open_page(motion="no-preference")
    assert eventually(lambda: page.t() != 300)
    expect(page.locator("#forward-time .hint")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    page.frame()
    stands = page.t()
    page.wait_for_timeout(500)
    assert page.t() == stands
    expect(page.locator("#forward-time .hint")).to_be_hidden()
    page.get_by_role("button", name="Play", exact=True).click()
    assert eventually(lambda: page.t() != stands)


@pytest.mark.parametrize("touch", ["key", "slider", "elsewhere"])
def test_any_touch_ends_it(open_page, touch):
    page = open_page(motion="no-preference")
    assert eventually(lambda: page.t() != 300)
    if touch == "key":
        page.keyboard.press("Shift")
    elif touch == "slider":
        page.seek(500)
    else:
        page.mouse.click(5, 400)
    page.frame()  # the last place is still drawn
    stands = page.t()
    page.wait_for_timeout(500)
    assert page.t() == stands
    assert touch != "slider" or stands == 500


def test_it_stays_for_those_who_want_less_motion_and_where_an_address_says_so(open_page):
    calm = open_page()
    named = open_page(motion="no-preference", query="t=640")
    named.wait_for_selector("#forward-cards canvas")
    named.wait_for_timeout(2500)
    assert calm.t() == 300
    assert named.t() == 640


def test_less_than_a_megabyte_travels_before_the_first_touch(chromium, address):
    kind, how = chromium
    context = kind.launch(**how).new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    network = context.new_cdp_session(page)
    ours, sizes, streams = {}, {}, set()

    def received(event):
        if event["requestId"] in streams:  # never compressed, and never over
            sizes[event["requestId"]] = sizes.get(event["requestId"], 0) + event["dataLength"]

    def finished(event):
        if event["requestId"] not in streams:
            sizes[event["requestId"]] = event["encodedDataLength"]

    def asked(event):
        if event["request"]["url"].startswith("http"):
            ours[event["requestId"]] = event["request"]["url"]
            if "/queue/data" in event["request"]["url"]:
                streams.add(event["requestId"])

    network.on("Network.requestWillBeSent", asked)
    network.on("Network.dataReceived", received)
    network.on("Network.loadingFinished", finished)
    network.send("Network.enable")
    page.goto(address)
    page.wait_for_selector("#forward-strip canvas")
    page.wait_for_timeout(2000)
    context.browser.close()
    heaviest = sorted(((sizes.get(request, 0), url) for request, url in ours.items()), reverse=True)
    total = sum(size for size, _ in heaviest)
    print(total, *heaviest[:9], sep="\n")  # shown where it is too much
    assert 100_000 < total <= 1_000_000

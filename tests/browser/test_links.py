"""Addresses: what "Copy link" gives opens the same tab with the same settings elsewhere."""

import re
from itertools import zip_longest

import pytest
from playwright.sync_api import expect

from tests.browser.driver import eventually

CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}

# What a person set, and what they see: every control of the tab on show, and every canvas.
PANEL = "[...document.querySelectorAll('[role=tabpanel]')].find(p => p.getClientRects().length)"
CONTROLS = f"""() => {{
  const panel = {PANEL};
  return [...panel.querySelectorAll('input, select, textarea')]
    .filter(node => !['file', 'hidden'].includes(node.type))
    .map(node => [node.getAttribute('aria-label') ?? '',
      ['radio', 'checkbox'].includes(node.type) ? node.checked : node.value]);
}}"""
PICTURES = f"() => [...{PANEL}.querySelectorAll('canvas')].map(canvas => canvas.toDataURL())"
NO_CLIPBOARD = """() => {
  const no = () => Promise.reject(new Error('no'));
  Object.defineProperty(navigator, 'clipboard', {value: {write: no, writeText: no}});
}"""


SETTINGS = ".settings"


def radio(page, within, name):
    page.locator(within).get_by_role("radio", name=name, exact=True).check()


def dropdown(page, within, name):
    page.locator(f"{within} input").click()
    page.get_by_role("option", name=name, exact=True).click()


def group(page, label):
    """The choices of the tab on show that have this label."""
    title = page.get_by_test_id("block-info").get_by_text(label, exact=True)
    return page.locator("fieldset:visible", has=title).first


def open_folds(page):
    folds = page.locator(f"{SETTINGS} button.label-wrap:not(.open)").locator("visible=true")
    while folds.count():
        folds.first.click()


def number(page, label, value):
    field = page.get_by_label(label, exact=True).locator("visible=true").first
    field.fill(str(value))
    field.press("Enter")


def slider(page, label, value):
    field = page.get_by_label(f"number input for {label}").locator("visible=true").first
    field.fill(str(value))
    field.press("Enter")


def in_forward(page):
    page.get_by_role("radio", name="Dahlia").first.click()
    for name in ("sigmoid", "scaled linear"):
        group(page, "Schedules").get_by_label(name, exact=True).check()
    group(page, "Number of steps T").get_by_label("300", exact=True).check()
    page.get_by_label("Rescale β for a short T").uncheck()
    open_folds(page)
    group(page, "Pixels a side").get_by_label("32", exact=True).check()
    group(page, "Colours").get_by_label("grey", exact=True).check()
    number(page, "Seed", 7)
    group(page, "Schedule of this panel and the next").get_by_label("cosine", exact=True).check()
    page.get_by_label("Leave the scaling out").check()
    expect(page.locator("#forward-cards .card")).to_have_count(4)
    expect(page.locator("#forward-time output")).to_contain_text("/ 300")
    page.locator("#forward-time select").select_option("2")
    page.seek(111)
    return ["picture=flower", "t=111", "T=300", "seed=7", "rescale=no", "unscaled=yes", "speed=2"]


def in_schedules(page):
    group(page, "Curves").get_by_label("log-SNR", exact=True).check()
    group(page, "Time axis").get_by_label("t", exact=True).check()
    number(page, "T", 300)
    number(page, "β_end", 0.04)
    page.get_by_label("Rescale β", exact=True).check()
    page.get_by_role("button", name="Add this schedule to the plot").click()
    rows = page.locator("#schedules-readout tbody tr")
    expect(rows).to_have_count(3)
    handle = page.get_by_label("Control point 2")
    handle.focus()
    handle.press("ArrowDown")
    expect(rows).to_have_count(4)
    page.seek(250, "schedules")
    return ["made=linear:300:0.0001:0.04:rescaled", "points=0:1,", "axis=t", "t=250"]


def in_reverse(page):
    radio(page, "#reverse-model", "digits")
    expect(page.locator("#reverse-label input")).to_have_value("3")
    dropdown(page, "#reverse-compare", "10 steps beside 100")
    expect(page.locator("#reverse-walk .panel")).to_have_count(2)
    slider(page, "Steps", 20)
    dropdown(page, "#reverse-label", "5")
    open_folds(page)
    number(page, "Seed", 11)
    page.locator("#reverse-lanes-shown").get_by_label("mean").check()
    page.wait_for_selector("#reverse-progress .progress:empty", state="attached")
    expect(page.locator("#reverse-walk h3").first).to_contain_text("20 steps")
    page.wait_for_timeout(1500)
    page.wait_for_selector("#reverse-progress .progress:empty", state="attached")
    page.seek(30, "reverse")
    return ["model=digits", "label=5", "compare=10+steps+beside+100", "steps=20", "seed=11"]


def in_subtract(page):
    radio(page, "#subtract-model", "digits")
    page.wait_for_timeout(300)
    radio(page, "#subtract-family", "cosine")
    page.locator("#subtract-T").get_by_label("10", exact=True).check()
    radio(page, "#subtract-way", "to scale")
    radio(page, "#microscope-source", "a picture")
    page.wait_for_timeout(2500)
    page.wait_for_selector("#subtract-progress .progress:empty", state="attached")
    expect(page.locator("#subtract-walk h3").first).to_contain_text("cosine, T = 10")
    page.seek(3, "subtract")
    return ["model=digits", "schedule=cosine", "T=10", "way=to+scale", "known=a+picture"]


def in_unet(page):
    dropdown(page, "#unet-model", "digits")
    page.wait_for_selector("#unet-told img")
    dropdown(page, "#unet-label", "8")
    radio(page, "#unet-source", "a picture, noised")
    page.wait_for_timeout(3000)
    page.get_by_label("cut", exact=True).select_option("all")
    page.seek(5, "unet")
    return ["model=digits", "label=8", "source=a+picture,+noised", "cut=all"]


def in_train(page):
    radio(page, "#train-source", "one picture")
    page.get_by_role("radio", name="Summer Palace").locator("visible=true").first.click()
    expect(page.get_by_label("Budget")).to_have_value("120")
    open_folds(page)
    number(page, "Batch", 8)
    number(page, "T", 200)
    page.locator("#train-target").get_by_label("ε").check()
    return ["picture=china", "source=one+picture", "batch=8", "T=200", "target=eps"]


PLACES = {
    "Forward": (in_forward, "#forward-cards canvas"),
    "Schedules": (in_schedules, "#schedules-strip canvas"),
    "Reverse": (in_reverse, "#reverse-walk canvas"),
    "Subtract all": (in_subtract, "#subtract-walk canvas"),
    "U-Net": (in_unet, "#unet-attention canvas"),
    "Train": (in_train, "#train-command"),
}


def copied(page):
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("button.link")).to_have_text("Copied")
    return page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("tab", PLACES)
def test_a_copied_link_opens_the_same_tab_with_the_same_settings(open_page, tab):
    mine = open_page(**CLIPBOARD)
    set_up, drawn = PLACES[tab]
    mine.tab(tab)
    mine.wait_for_selector(drawn)
    parts = set_up(mine)
    mine.wait_for_timeout(800)  # what was asked for last is drawn
    address = copied(mine)
    for part in parts:
        assert part in address
    theirs = open_page(query=address.partition("?")[2])
    theirs.wait_for_selector(drawn)
    open_folds(mine)
    open_folds(theirs)

    def differ(what):
        pairs = zip_longest(theirs.evaluate(what), mine.evaluate(what))
        return [(here, there) for here, there in pairs if here != there]

    assert eventually(lambda: not differ(CONTROLS)), differ(CONTROLS)
    assert mine.evaluate(PICTURES) or tab == "Train"  # which shows none before it trains
    assert eventually(lambda: not differ(PICTURES)), len(differ(PICTURES))
    assert theirs.get_by_role("tab", name=tab, exact=True).get_attribute("aria-selected") == "true"


def test_a_link_is_computed_once_and_not_beside_the_defaults(open_page):
    page = open_page(query="tab=reverse&model=digits&sampler=ddim&steps=10")
    page.wait_for_selector("#reverse-walk canvas")
    page.wait_for_timeout(1000)
    titles = page.locator("#reverse-walk h3").all_text_contents()
    assert len(titles) == 1
    assert "10 steps" in titles[0]
    page.tab("Forward")
    page.tab("Reverse")  # it opens as ever when one comes back
    expect(page.locator("#reverse-walk h3")).to_contain_text("10 steps")


def test_a_wrong_address_says_so_and_shows_the_default(open_page):
    page = open_page(query="tab=forward&T=7&t=%3Cimg%20src=x%3E&__theme=light")
    page.wait_for_selector("#forward-cards canvas")
    toasts = page.locator(".toast-body")
    expect(toasts).to_contain_text("In the address, “t” must be a number.")
    expect(toasts).to_contain_text("“T” must be one of 10, 50, 100, 300, 1000.")
    assert page.locator(".toast-body img").count() == 0
    expect(page.locator("#forward-time output")).to_have_text("300 / 1000")


def test_where_nothing_can_be_copied_the_address_can_be_selected(open_page):
    page = open_page()
    page.evaluate(NO_CLIPBOARD)
    page.seek(640)
    page.get_by_role("button", name="Copy link").click()
    field = page.get_by_label("Address of this tab")
    expect(field).to_have_value(re.compile(r"\?tab=forward&t=640$"))
    expect(field).to_be_focused()


def test_a_picture_of_ones_own_is_left_out_and_the_button_says_so(open_page, tmp_path):
    page = open_page(**CLIPBOARD)
    page.get_by_role("button", name="Your own picture").first.click()
    file = tmp_path / "mine.png"
    file.write_bytes(page.playwright.screenshot())
    page.locator("#forward-upload input[type=file]").set_input_files(file)
    expect(page.locator(".credit").first).to_contain_text("your own picture")
    assert copied(page).endswith("?tab=forward")
    expect(page.get_by_role("status").filter(has_text="Left out")).to_have_text(
        "Left out: your own picture."
    )

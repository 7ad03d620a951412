"""For everybody: axe-core over every tab, the keyboard, and what a screen reader is told."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.driver import eventually

SHOWN = {
    "Forward": "#forward-cards canvas",
    "Schedules": "#schedules-strip canvas",
    "Reverse": "#reverse-walk canvas",
    "Subtract all": "#microscope-walk canvas",
    "U-Net": "#unet-attention canvas",
    "Train": "#train-command >> text=model.train",
    "About": "#about-models",
}
PANEL = ".tabitem:not([style*='display: none'])"
SEVERE = {"serious", "critical"}
# What is focused, and whether it looks otherwise than it does without focus.
FOCUSED = """() => {
  const node = document.activeElement;
  if (!node || node === document.body) return null;
  const parts = [node, node.closest('label'), node.parentElement].filter(Boolean);
  const looks = () => parts.map(part => {
    const { outlineStyle, outlineWidth, outlineColor, boxShadow, borderColor } =
      getComputedStyle(part);
    return [outlineStyle, outlineWidth, outlineColor, boxShadow, borderColor].join();
  }).join();
  const name = node.getAttribute('aria-label') ?? node.title ?? '';
  const focused = looks();
  node.blur();
  const bare = looks();
  node.focus();
  return {
    name: name || node.textContent.trim().slice(0, 30),
    html: node.outerHTML.slice(0, 120),
    seen: focused !== bare,
  };
}"""


def findings(page, theme, context=None):
    """What axe-core finds serious or critical; only colours differ in the dark theme."""
    options = {"resultTypes": ["violations"], "iframes": False}
    if theme == "dark":
        options["runOnly"] = {"type": "rule", "values": ["color-contrast"]}
    result = Axe().run(page.playwright, context, options)
    return [
        (rule["id"], node["target"], node["html"][:120])
        for rule in result.response["violations"]
        if rule["impact"] in SEVERE
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious_in_any_tab(open_page, width, theme):
    page = open_page(width=width, theme=theme)
    assert findings(page, theme) == []  # the header and the tabs too
    for tab, drawn in SHOWN.items():
        page.tab(tab)
        page.wait_for_selector(drawn)
        folds = page.locator(f"{PANEL} button.label-wrap:not(.open):visible")
        while folds.count():
            folds.first.click()
        page.wait_for_timeout(400)  # whatever is wider than the page can be reached by then
        assert findings(page, theme, PANEL) == [], tab
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab


def test_focus_is_seen_on_whatever_the_keyboard_reaches(page):
    page.keyboard.press("Tab")
    seen, hidden = set(), []
    for _ in range(60):
        here = page.evaluate(FOCUSED)
        if here is None:
            break
        if not here["seen"]:
            hidden.append(here)
        seen.add(here["name"])
        page.keyboard.press("Tab")
    assert hidden == []
    assert {"Switch between light and dark", "Grace Hopper", "Timestep t"} <= seen


def test_tabs_and_the_slider_work_by_keyboard_and_say_where_they_stand(page):
    page.get_by_role("tab", name="Forward").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="Schedules")).to_have_attribute("aria-selected", "true")
    page.tab("Forward")
    slider = page.get_by_role("slider", name="Timestep t").first
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "0 of 1000")
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "1 of 1000")
    picture = page.locator("#forward-cards canvas.picture").first
    expect(picture).to_have_attribute("aria-label", "linear: the picture at t = 1")


def test_the_pictures_of_a_run_say_at_which_t_they_are(page):
    page.reverse()
    page.seek(2, "reverse")
    t = page.locator("#reverse-walk h3 b").first.text_content().removeprefix("t = ").split(" →")[0]
    picture = page.locator("#reverse-walk figure canvas").first
    assert eventually(lambda: picture.get_attribute("aria-label").endswith(f", at t = {t}"))


def test_every_picture_has_words(page):
    wordless = """() => [...document.querySelectorAll('canvas, img, svg')].filter(node =>
      node.getClientRects().length && !node.closest('[aria-hidden=true]')
      && !node.closest('button[aria-label], button[title], [role=img]')
      && !node.getAttribute('aria-label') && !node.getAttribute('alt') && node.alt !== ''
    ).map(node => node.outerHTML.slice(0, 100))"""
    for tab, drawn in SHOWN.items():
        page.tab(tab)
        page.wait_for_selector(drawn)
        ours = page.evaluate(wordless)
        assert [html for html in ours if html.startswith(("<canvas", "<img"))] == [], tab


def test_a_picture_has_its_name_from_the_first_moment(page):
    page.evaluate("""() => {
      window.names = [];
      const cards = document.querySelector('#forward-cards .cards');
      new MutationObserver(() => {
        for (const picture of cards.querySelectorAll('canvas.picture')) {
          window.names.push(picture.getAttribute('aria-label'));
        }
      }).observe(cards, { childList: true });
    }""")
    page.locator(".settings").first.get_by_label("sigmoid", exact=True).check()
    expect(page.locator("#forward-cards canvas.picture")).to_have_count(3)
    names = page.evaluate("window.names")
    assert names
    assert all(name and "the picture at t = " in name for name in names)


def test_nothing_moves_for_those_who_want_less_motion(page):
    lasting = """() => [...document.querySelectorAll('*')].filter(node => {
      const style = getComputedStyle(node);
      const longest = times => Math.max(...times.split(',').map(parseFloat));
      const animated = style.animationName !== 'none' && longest(style.animationDuration) > 0.01;
      return animated || longest(style.transitionDuration) > 0.01;
    }).map(node => node.className)"""
    assert page.evaluate(lasting) == []

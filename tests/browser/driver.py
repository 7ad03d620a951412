"""What a test does in the page: drag, look at pixels, read numbers."""

from __future__ import annotations

import base64
import time

import numpy as np

PATIENCE = 60_000  # milliseconds: a busy machine may be slow, but not wrong

PIXELS = """canvas => {
  const {width, height} = canvas;
  const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
  let text = '';
  for (const value of data) text += String.fromCharCode(value);
  return [height, width, btoa(text)];
}"""


def eventually(holds, seconds: float = PATIENCE / 1000) -> bool:
    """Whether `holds()` becomes true in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Page:
    """One visit of the app, with everything that it complained about or asked for."""

    def __init__(self, tab, address, theme, query=""):
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.playwright = page = tab
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("console", self._console)
        page.on("request", self._request)
        self.address = address
        page.goto(f"{address}?__theme={theme}&{query}".removesuffix("&"))
        if not query:
            page.wait_for_selector("#forward-cards canvas")
            page.wait_for_selector("#forward-strip canvas")

    def _request(self, request):
        # Looked at as it goes by: a route would hold each of them up, and do without the cache.
        self.requests.append(request.url)
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.complaints.append(f"asked the network for {request.url}")

    def _console(self, message):
        if message.type == "error":
            self.complaints.append(f"console: {message.text}")

    def __getattr__(self, name):
        return getattr(self.playwright, name)

    # -- what there is to see ------------------------------------------------------------------

    def pixels(self, selector: str, index: int = 0) -> np.ndarray:
        """The pixels of a canvas, uint8 (H, W, 3)."""
        height, width, data = self.locator(selector).nth(index).evaluate(PIXELS)
        rgba = np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
        assert (rgba[..., 3] == 255).all()
        return rgba[..., :3]

    def cards(self) -> list[np.ndarray]:
        count = self.locator("#forward-cards canvas.picture").count()
        return [self.pixels("#forward-cards canvas.picture", i) for i in range(count)]

    def changed(self, before: np.ndarray) -> np.ndarray:
        """The first card's pixels, once they differ from `before`."""
        assert eventually(lambda: (self.cards()[0] != before).any()), "the picture stayed the same"
        return self.cards()[0]

    def t(self, tab: str = "forward") -> int:
        return int(self.locator(f"#{tab}-time input").input_value())

    # -- what there is to do -------------------------------------------------------------------

    def seek(self, t: int, tab: str = "forward") -> None:
        """Put the timestep somewhere, as one who lets go of the slider there."""
        self.locator(f"#{tab}-time input").evaluate(
            """(slider, t) => {
              slider.value = t;
              slider.dispatchEvent(new Event('input', {bubbles: true}));
              slider.dispatchEvent(new Event('change', {bubbles: true}));
            }""",
            t,
        )
        self.frame()

    def frame(self) -> None:
        """Wait until the browser has drawn, the numbers too, which come a little later."""
        self.evaluate("() => new Promise(r => requestAnimationFrame(() => setTimeout(r, 60)))")

    def drag(self, moves: int = 60, tab: str = "forward"):
        """Drag the slider's thumb from left to right; yields at every move, button still down."""
        slider = self.locator(f"#{tab}-time input")
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        y = box["y"] + box["height"] / 2
        self.mouse.move(box["x"] + 10, y)
        self.mouse.down()
        for i in range(1, moves + 1):
            self.mouse.move(box["x"] + 10 + i / moves * (box["width"] - 30), y)
            yield i
        self.mouse.up()

    def tab(self, name: str) -> None:
        """Go to a tab; on a phone some are behind the dots."""
        tab = self.get_by_role("tab", name=name, exact=True)
        if tab.count():
            tab.click()
        else:
            self.locator(".overflow-menu > button").click()
            self.locator(".overflow-dropdown").get_by_text(name, exact=True).click()

    def reverse(self) -> None:
        """Go to the Reverse tab and wait for its first run."""
        self.get_by_role("tab", name="Reverse").click()
        self.wait_for_selector("#reverse-walk canvas")
        self.wait_for_selector("#reverse-progress .progress:empty", state="attached")
        self.frame()

    def schedules(self) -> None:
        """Go to the Schedules tab and wait for its first curves."""
        self.get_by_role("tab", name="Schedules").click()
        self.wait_for_selector("#schedules-chart .main-svg")
        self.wait_for_selector("#schedules-strip canvas")
        self.wait_for_selector("#schedules-chart .cursor:not([hidden])")

    def subtract(self) -> None:
        """Go to the Subtract-all tab and wait for its first run and what the microscope shows."""
        self.tab("Subtract all")
        for name in ("subtract-walk", "microscope-walk"):
            self.wait_for_selector(f"#{name} canvas")
        self.wait_for_selector("#subtract-progress .progress:empty", state="attached")
        self.frame()

    def train(self) -> None:
        """Go to the Train tab and wait until it has described what would be trained."""
        self.tab("Train")
        self.wait_for_selector("#train-command >> text=model.train")

"""Assembles the tabs into one page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import gradio as gr

from app import api, server, theme
from app.components import RUNTIME, Header
from app.server import journal
from app.session import Session
from app.settings import current
from app.tabs import forward, reverse, schedules, subtract, train, unet

HOUR = 3600


def build() -> gr.Blocks:
    """The whole page, not yet launched."""
    with gr.Blocks(title="Unnoise", analytics_enabled=False, delete_cache=(HOUR, HOUR)) as page:
        session = Session.create()
        Header()
        with gr.Tabs() as tabs:
            with gr.Tab("Forward", id="forward") as tab:
                forward.build(session, tab, page)
            with gr.Tab("Schedules", id="schedules") as tab:
                schedules.build(session, tab)
            with gr.Tab("Reverse", id="reverse") as tab:
                ways = _or_say_why(partial(reverse.build, session, tab, tabs))
            with gr.Tab("Subtract all", id="subtract") as tab:
                _or_say_why(lambda tab=tab: subtract.build(session, tab, ways))
            with gr.Tab("U-Net", id="unet") as tab:
                _or_say_why(partial(unet.build, session, tab))
            with gr.Tab("Train", id="train") as tab:
                _or_say_why(lambda tab=tab: train.build(session, tab, page, ways))
        api.build()
    journal.keep(page)
    return page


def _or_say_why(build_tab: Callable[[], Any]) -> Any:
    """A tab that needs a model, or in its place why there is none: the rest of the page works."""
    try:
        return build_tab()
    except ValueError as error:
        gr.Markdown(str(error))
        return None


def warm_up() -> None:
    """Compute what the Reverse tab shows first, so that nobody waits for it."""
    with suppress(ValueError):  # the page says what is missing
        reverse.warm_up()


def launch_options() -> dict[str, Any]:
    """What `launch` needs for the page to look and behave as it should."""
    return {
        "theme": theme.theme(),
        "css": theme.css(),
        "head": f"<script>{RUNTIME}</script>",
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "max_file_size": current().max_upload,
        "app_kwargs": server.options(),
        "footer_links": ["api"],
    }

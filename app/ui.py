"""Assembles the tabs into one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import gradio as gr

from app import apart, api, links, models, server, theme, translation, zero
from app.apart import Lender
from app.components import RUNTIME, Header
from app.language import said
from app.links import Place
from app.server import journal, sessions
from app.server.page import Page
from app.session import Session
from app.settings import current
from app.tabs import about, forward, reverse, schedules, subtract, train, unet

FORGETS = (600, 3600)  # seconds: how often files are looked through, and how old they get


def build(lenders: Mapping[str, Lender] | None = None) -> gr.Blocks:
    """The whole page, not yet launched; `lenders` say where its events compute (`app.apart`)."""
    models.fetch()
    with Page(title="Unnoise", analytics_enabled=False, delete_cache=FORGETS) as page:
        session = Session.create()
        header = Header()
        for sentence in models.problems():
            gr.Markdown(said(sentence), elem_classes="lesson")
        links.connect(header, lay_out(page, session))
        api.build()
    apart.part(page, zero.lenders() | dict(lenders or {}))
    translation.translate(page)
    journal.keep(page)
    return page


def lay_out(page: gr.Blocks, session: Session) -> list[Place]:
    """The tabs, inside the context of the page; returns what addresses can say of each."""
    with gr.Tabs() as tabs:
        with gr.Tab("Forward", id="forward"):
            at_forward = Place(session, page.load, "forward", [forward.SCENE])
            forward.build(session, at_forward)
        with gr.Tab("Schedules", id="schedules") as tab:
            at_schedules = Place(session, tab.select, "schedules", [schedules.SCENE])
            schedules.build(session, at_schedules)
        with gr.Tab("Reverse", id="reverse") as tab:
            at_reverse = Place(session, tab.select, "reverse", [reverse.SCENE])
            ways = _or_say_why(partial(reverse.build, session, at_reverse, tabs))
        with gr.Tab("Subtract all", id="subtract") as tab:
            scenes = [subtract.SCENE, subtract.SCOPE]
            at_subtract = Place(session, tab.select, "subtract", scenes)
            _or_say_why(partial(subtract.build, session, at_subtract, ways))
        with gr.Tab("U-Net", id="unet") as tab:
            at_unet = Place(session, tab.select, "unet", [unet.SCENE])
            _or_say_why(partial(unet.build, session, at_unet))
        with gr.Tab("Train", id="train") as tab:
            at_train = Place(session, tab.select, "train")
            _or_say_why(partial(train.build, session, at_train, page, ways))
        with gr.Tab("About", id="about") as tab:
            at_about = Place(session, tab.select, "about")
            _or_say_why(about.build)
    return [at_forward, at_schedules, at_reverse, at_subtract, at_unet, at_train, at_about]


def _or_say_why(build_tab: Callable[[], Any]) -> Any:
    """A tab that needs a model, or in its place why there is none: the rest of the page works."""
    try:
        return build_tab()
    except ValueError as error:
        gr.Markdown(said(str(error)))
        return None


def warm_up(lender: Lender | None = None) -> None:
    """Compute what the Reverse tab shows first, where `lender` asks networks: nobody waits then."""
    if current().zero_gpu:  # without an event, no GPU is lent
        return
    with suppress(ValueError):  # the page says what is missing
        apart.done(lender, reverse.warm_up)


def launch_options() -> dict[str, Any]:
    """What `launch` needs for the page to look and behave as it should."""
    return {
        "theme": theme.theme(),
        "css": theme.css(),
        "head": f"<script>{translation.script()}{RUNTIME}</script>",
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "state_session_capacity": sessions.MOST,
        "max_file_size": current().max_upload,
        "app_kwargs": server.options(),
        "footer_links": ["api"],
    }

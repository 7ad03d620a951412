"""What is remembered of a session: enough to go on, and not what it was shown."""

from __future__ import annotations

import asyncio
from datetime import datetime

import gradio as gr
from gradio.state_holder import SessionState

from app.server import sessions
from app.server.page import Page
from tests.visitor import Visitor, run


async def visit(address: str) -> str:
    """Somebody who looks at a run and leaves; returns their session."""
    visitor = Visitor(address)
    await visitor.open()
    await asyncio.wait_for(visitor.quiet(), 60)
    visitor.select("Reverse")
    await asyncio.wait_for(visitor.quiet(), 60)
    assert [event.error for event in visitor.events if event.error] == []
    await visitor.leave()
    return visitor.session


def test_a_session_keeps_its_states_and_not_what_it_was_shown(address, running):
    state = running.state_holder.session_data[run(visit(address))]
    assert any(state.state_data.values())  # the run on show, for one
    assert state.config_values
    assert not any(state.config_values.values())
    made = dict.keys(state.blocks_config.blocks)
    assert len(made) < len(running.blocks) / 4  # all others are the page's own


def test_the_page_itself_is_described(running):
    described = [each for each in running.config["components"] if each["props"].get("elem_id")]
    assert len(described) > 50


def test_sessions_are_forgotten_in_the_end(running):
    assert running.state_holder.capacity == sessions.MOST


def test_who_has_left_is_forgotten_after_a_while_and_who_is_there_is_not(address, running):
    holder = running.state_holder
    left, stays, newer = (run(visit(address)) for _ in range(3))
    holder.session_data[stays].is_closed = False
    assert holder.session_data[left].is_closed
    holder.delete_all_expired_state()
    assert left in holder.session_data
    for session in (left, stays):
        holder.time_last_used[session] = datetime.now() - 2 * sessions.CLOSED
        holder.session_data.move_to_end(session, last=False)
    holder.delete_all_expired_state()
    assert left not in holder.session_data
    assert {stays, newer} <= holder.session_data.keys()


def test_what_one_session_changes_no_other_has():
    with Page() as page:
        box = gr.Radio(["a", "b"])
        gr.Button().click(lambda: None, outputs=box)
    (function,) = page.fns.values()
    one, other = SessionState(page), SessionState(page)
    run(page.postprocess_data(function, gr.update(choices=["c"]), one))
    assert one[box._id].choices == [("c", "c")]
    assert other[box._id] is page.blocks[box._id]
    assert box._id in other
    assert -1 not in other

"""What is remembered of a session: enough to go on, and not what it was shown."""

from __future__ import annotations

import asyncio

from app.server import sessions
from tests.visitor import Visitor, run


def test_a_session_keeps_its_states_and_not_what_it_was_shown(address, running):
    async def visit() -> str:
        visitor = Visitor(address)
        await visitor.open()
        await asyncio.wait_for(visitor.quiet(), 30)
        visitor.select("Reverse")
        await asyncio.wait_for(visitor.quiet(), 60)
        assert [event.error for event in visitor.events if event.error] == []
        await visitor.leave()
        return visitor.session

    state = running.state_holder.session_data[run(visit())]
    assert any(state.state_data.values())  # the run on show, for one
    assert state.config_values
    assert not any(state.config_values.values())


def test_the_page_itself_is_described(running):
    described = [each for each in running.config["components"] if each["props"].get("elem_id")]
    assert len(described) > 50


def test_sessions_are_forgotten_in_the_end(running):
    assert running.state_holder.capacity == sessions.MOST

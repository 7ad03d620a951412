"""What the server remembers of a session: the values of its states, and what it has changed.

For links to a page as somebody left it, Gradio keeps a list and a description of every component
and the last value of every output, of each session, for good, and every second it looks through
the states of all sessions. This page has links of its own, and its states have no time to live.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import gradio as gr
from gradio.blocks import BlocksConfig
from gradio.state_holder import StateHolder

MOST = 2000  # sessions that are remembered; the one that was used longest ago is forgotten first
CLOSED = timedelta(hours=1)  # for which a session is remembered that is closed and not used
_NOTHING: dict[str, Any] = {}


class Sessions(StateHolder):
    def delete_all_expired_state(self) -> None:
        """Forget who left long ago: Gradio asks for it every second."""
        limit = datetime.now() - CLOSED
        for session in list(self.session_data):  # those that rest the longest come first
            if self.time_last_used[session] > limit:
                break
            if self.session_data[session].is_closed:
                del self.session_data[session], self.time_last_used[session]


class Lean(BlocksConfig):
    def __copy__(self) -> BlocksConfig:
        """What a new session begins with. Describing it all took as long as half a visit."""
        copied = BlocksConfig(self.root_block)
        copied.blocks, copied.fns = _Changed(self.blocks), self.fns
        copied.fn_id, copied.renderables = self.fn_id, self.renderables
        copied.config_for_block = _nothing
        return copied


def _nothing(*_: Any, **__: Any) -> dict[str, Any]:
    return _NOTHING


class _Changed(dict):
    """The components that a session has changed; for all others, the page's."""

    def __init__(self, shared: dict[int, gr.blocks.Block]) -> None:
        self._shared = shared

    def __missing__(self, key: int) -> gr.blocks.Block:
        return self._shared[key]

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self._shared

    def get(self, key: int, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

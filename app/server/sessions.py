"""What the server remembers of a session: the values of its states, and nothing else.

For links to a page as somebody left it, Gradio keeps a description of every component and the
last value of every output, of each session, for good. This page has links of its own.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.blocks import BlocksConfig

MOST = 2000  # sessions that are remembered; the one that was used longest ago is forgotten first
_NOTHING: dict[str, Any] = {}


class _Lean(BlocksConfig):
    def __copy__(self) -> BlocksConfig:
        """What a new session begins with. Describing it all took as long as half a visit."""
        copied = super().__copy__()
        copied.config_for_block = lambda *_, **__: _NOTHING
        return copied


def keep_little(page: gr.Blocks) -> None:
    """Let the sessions of a page keep little; `gr.render` and deep links then do not work."""
    page.default_config.__class__ = _Lean

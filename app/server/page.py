"""Gradio's page, with less to do for an event, and with no click forgotten: many click at once.

Gradio takes a thread for each input and each output, which waits for its turn the longer the more
is to do, makes a component anew for each output that stays as it is, and looks into its queue a
thousand times a second. When an event fails, it forgets what was asked for meanwhile.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from enum import Enum
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.exceptions import ComponentProcessingError
from gradio.state_holder import SessionState, StateHolder
from gradio.utils import is_prop_update

from app.server.sessions import Lean, Sessions

LOOKS = 0.01  # seconds between two looks into the queue; a thousand a second cost 7 % of a core


class Page(gr.Blocks):
    """Gradio's page with lean sessions; `gr.render` and deep links then do not work."""

    def __exit__(self, *args: Any) -> None:
        super().__exit__(*args)
        self.default_config.__class__ = Lean

    def queue(self, *args: Any, **kwargs: Any) -> Page:
        super().queue(*args, **kwargs)
        self._queue.sleep_when_free = LOOKS
        return self

    @property
    def state_holder(self) -> StateHolder:
        return self._sessions

    @state_holder.setter
    def state_holder(self, holder: StateHolder) -> None:
        holder.__class__ = Sessions
        self._sessions = holder

    async def preprocess_data(
        self, block_fn: Any, inputs: list, state: Any, explicit_call: bool = False
    ) -> list[Any]:
        """As Gradio's, without a thread for each input."""
        state = state or SessionState(self)
        if not block_fn.preprocess or not all(
            block.stateful or _at_once(block) for block in block_fn.inputs
        ):
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        unread = _altered(block_fn, preprocess=False)
        values = await super().preprocess_data(unread, inputs, state, explicit_call)
        for i, block in enumerate(block_fn.inputs):
            if not block.stateful:
                with self._says_where(block_fn, i, values[i], is_input=True):
                    values[i] = state[block._id].preprocess(values[i])
        return values

    async def call_function(
        self,
        block_fn: Any,
        processed_input: list[Any],
        iterator: Any = None,
        requests: Any = None,
        event_id: str | None = None,
        *rest: Any,
        **named: Any,
    ) -> dict[str, Any]:
        """As Gradio's; but where one event waits for another, a refusal is told and fails nothing.

        The page would else forget the one that waits, and go on showing what nobody asks for.
        """
        given = (block_fn, processed_input, iterator, requests, event_id, *rest)
        try:
            return await super().call_function(*given, **named)
        except gr.Error as error:
            if event_id is None or block_fn.trigger_mode != "always_last":
                raise
            told = (error.message, error.title, "error", error.duration, error.visible)
            self._queue.log_message(event_id, *told)
            values = [
                None if getattr(block, "until_end", False) else gr.skip()
                for block in block_fn.outputs
            ]
            return {
                "prediction": values[0] if len(values) == 1 else values,
                "duration": 0.0,
                "is_generating": inspect.isgeneratorfunction(block_fn.fn),
                "iterator": _nothing_more(),
            }

    async def postprocess_data(self, block_fn: Any, predictions: Any, state: Any) -> list[Any]:
        """As Gradio's, without a thread for each output and a component for what stays."""
        state = state or SessionState(self)
        outputs = block_fn.outputs
        if _skips(predictions):
            predictions = [predictions] * len(outputs)
        elif len(outputs) == 1:
            predictions = [predictions]
        if not isinstance(predictions, (list, tuple)) or len(predictions) != len(outputs):
            return await super().postprocess_data(block_fn, predictions, state)
        values = list(predictions)
        data = [gr.skip()] * len(outputs)
        ready, others = [], []
        for i, (block, value) in enumerate(zip(outputs, values, strict=True)):
            if _skips(value) and not block.stateful:
                continue
            if not block_fn.postprocess or not _at_once(block) or _of_gradio(value):
                others.append(i)
                continue
            with self._says_where(block_fn, i, value, is_input=False):
                values[i] = state[block._id].postprocess(value)
            ready.append(i)
        for part, postprocess in ((ready, False), (others, block_fn.postprocess)):
            if part:
                few = _altered(
                    block_fn, postprocess=postprocess, outputs=[outputs[i] for i in part]
                )
                told = [values[i] for i in part]
                told = await super().postprocess_data(
                    few, told if len(told) > 1 else told[0], state
                )
                for i, value in zip(part, told, strict=True):
                    data[i] = value
        return data

    @contextmanager
    def _says_where(self, block_fn: Any, i: int, value: Any, is_input: bool) -> Iterator[None]:
        """Errors of a component, as Gradio tells them."""
        try:
            yield
        except gr.Error:
            raise
        except Exception as error:
            block = (block_fn.inputs if is_input else block_fn.outputs)[i]
            raise ComponentProcessingError(
                self._format_processing_error(
                    block_fn, i, block, value, is_input=is_input, original_error=error
                )
            ) from error


def _at_once(block: Any) -> bool:
    """Whether its values neither are nor become files, so that they need no thread."""
    files = getattr(block, "data_model", None) or getattr(block, "saves", False)
    return not block.stateful and isinstance(block, Component) and not files


def _of_gradio(value: Any) -> bool:
    """Whether it says what becomes of a component, and is not its value."""
    return is_prop_update(value) or isinstance(value, (gr.blocks.Block, SimpleNamespace, Enum))


async def _nothing_more() -> AsyncIterator[Any]:
    """What follows the last that an event gives."""
    for nothing in ():
        yield nothing


def _altered(block_fn: Any, **changes: Any) -> Any:
    changed = copy.copy(block_fn)
    vars(changed).update(changes)
    return changed


def _skips(value: Any) -> bool:
    return isinstance(value, dict) and value == gr.skip()

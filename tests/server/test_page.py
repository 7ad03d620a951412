"""What an event costs less than Gradio's gives the same."""

from __future__ import annotations

import copy
import threading

import gradio as gr
import pytest
from gradio.exceptions import ComponentProcessingError
from gradio.state_holder import SessionState

from app.components import Download
from app.server.page import Page
from tests.app.handlers import function_of
from tests.server.client import Client
from tests.visitor import run


class Counted(gr.Textbox):
    """Counts how many of it were made."""

    made = 0

    def __init__(self, *args, **kwargs):
        Counted.made += 1
        super().__init__(*args, **kwargs)


SKIP = gr.skip()


@pytest.mark.parametrize(
    ("predictions", "made", "expected"),
    [
        (("a", SKIP, 3, SKIP), 0, ["a", SKIP, None, SKIP]),
        ((SKIP, "b", SKIP, SKIP), 0, [SKIP, "b", None, SKIP]),
        ((SKIP, SKIP, SKIP, SKIP), 0, [SKIP, SKIP, None, SKIP]),
        (("a", "b", 3, "c"), 0, ["a", "b", None, "c"]),
        ((SKIP, gr.update(value="b", lines=2), SKIP, "c"), 1, None),
        (SKIP, 0, [SKIP, SKIP, None, SKIP]),
    ],
)
def test_what_stays_as_it_is_costs_no_component(predictions, made, expected):
    with Page() as page:
        outputs = [Counted(), Counted(), gr.State(1), Counted()]
        gr.Button().click(lambda: None, outputs=outputs)
    (function,) = page.fns.values()
    state, plain = SessionState(page), SessionState(page)
    before = Counted.made
    data = run(page.postprocess_data(function, copy.deepcopy(predictions), state))
    assert Counted.made - before == made
    usual = run(gr.Blocks.postprocess_data(page, function, predictions, plain))
    assert data == usual
    assert expected is None or data == expected
    assert state[outputs[2]._id] == plain[outputs[2]._id]
    assert (state[outputs[1]._id].lines == 2) == (made == 1)


def test_one_output_that_stays_as_it_is():
    with Page() as page:
        box = gr.Textbox()
        gr.Button().click(lambda: None, outputs=box)
    (function,) = page.fns.values()
    assert run(page.postprocess_data(function, gr.skip(), SessionState(page))) == [gr.skip()]


class Noted(gr.Textbox):
    """Notes the threads in which it is asked."""

    def __init__(self, *args, **kwargs):
        self.threads = set()
        super().__init__(*args, **kwargs)

    def preprocess(self, payload):
        self.threads.add(threading.get_ident())
        return super().preprocess(payload)

    def postprocess(self, value):
        self.threads.add(threading.get_ident())
        return super().postprocess(value)


def test_values_come_and_go_as_with_gradio_and_without_threads():
    with Page() as page:
        text, kept = Noted(), gr.State("kept")
        parts = [text, kept, gr.Slider(0, 10), gr.CheckboxGroup(["a", "b"]), gr.Radio(["c", "d"])]
        gr.Button().click(lambda *given: given, parts, parts)
    (function,) = page.fns.values()
    sent = ["word", None, 3, ["b"], "d"]
    here, there = SessionState(page), SessionState(page)
    given = run(page.preprocess_data(function, list(sent), here))
    assert given == run(gr.Blocks.preprocess_data(page, function, list(sent), there))
    assert given == ["word", "kept", 3, ["b"], "d"]
    told = run(page.postprocess_data(function, tuple(given), here))
    assert told == run(gr.Blocks.postprocess_data(page, function, tuple(given), there))
    assert told == ["word", None, 3, ["b"], "d"]

    async def both() -> int:
        text.threads.clear()
        await page.preprocess_data(function, list(sent), here)
        await page.postprocess_data(function, tuple(given), here)
        return threading.get_ident()

    assert text.threads == {run(both())}


class Whole(gr.Number):
    def postprocess(self, value):
        return int(value or 0)


def test_what_does_not_fit_is_said_as_gradio_says_it():
    with Page() as page:
        choice = gr.Radio(["a", "b"])
        gr.Button().click(lambda value: value, choice, choice)
    (function,) = page.fns.values()
    for ask in (page.preprocess_data, lambda *given: gr.Blocks.preprocess_data(page, *given)):
        with pytest.raises(gr.Error, match="not in the list of choices"):
            run(ask(function, ["c"], SessionState(page)))
    with Page() as page:
        gr.Button().click(lambda: "seven", outputs=Whole())
    (function,) = page.fns.values()
    sentences = []
    for ask in (page.postprocess_data, lambda *given: gr.Blocks.postprocess_data(page, *given)):
        with pytest.raises(ComponentProcessingError) as raised:
            run(ask(function, "seven", SessionState(page)))
        sentences.append(str(raised.value))
    assert sentences[0] == sentences[1]


def test_a_wrong_number_of_outputs_is_said_as_gradio_says_it():
    with Page() as page:
        boxes = [gr.Textbox(), gr.Textbox()]
        gr.Button().click(lambda: None, outputs=boxes)
    (function,) = page.fns.values()
    with pytest.raises(ValueError, match="didn't return enough"):
        run(page.postprocess_data(function, ("one",), SessionState(page)))


class Bar(gr.Textbox):
    until_end = True


def refused(mode, handler, outputs):
    """What an event that says a sentence gives in all, and what is told beside it."""
    with Page() as page:
        made = [output() for output in outputs]
        gr.Button().click(handler, outputs=made, trigger_mode=mode)
    (function,) = page.fns.values()
    told, given, iterator = [], [], None
    page._queue.log_message = lambda *said: told.append(said)

    async def ask():
        nonlocal iterator
        state = SessionState(page)
        while True:
            found = await page.call_function(function, [], iterator, event_id="1", state=state)
            given.append(await page.postprocess_data(function, found["prediction"], state))
            iterator = found["iterator"]
            if not found["is_generating"]:
                return

    run(ask())
    return given, told


def test_a_refusal_fails_nothing_where_another_event_may_wait_behind_it():
    def wrong():
        raise gr.Error("It must be 1.", duration=5)

    def wrong_in_the_end():
        yield "half", "a"
        raise gr.Error("It must be 1.", duration=5)

    sentence = [("1", "It must be 1.", "Error", "error", 5, True)]
    assert refused("always_last", wrong, [gr.Textbox]) == ([[SKIP]], sentence)
    assert refused("always_last", wrong, [Bar, gr.Textbox]) == ([[None, SKIP]], sentence)
    given, told = refused("always_last", wrong_in_the_end, [Bar, gr.Textbox])
    assert given[:2] == [["half", "a"], [None, SKIP]]
    assert told == sentence
    for mode in ("once", "multiple"):
        with pytest.raises(gr.Error, match="It must be 1"):
            refused(mode, wrong, [gr.Textbox])


def test_a_fault_is_a_failure_wherever_it_happens():
    with pytest.raises(ZeroDivisionError):
        refused("always_last", lambda: 1 / 0, [gr.Textbox])


def test_what_was_asked_for_before_a_list_changed_is_still_answered(address, running):
    client = Client(address)
    choose_model, show = (
        function_of(running, f"subtract.{name}") for name in ("choose_model", "show")
    )
    assert client.ask(choose_model._id, ["cats"])["success"]  # has fewer labels than digits

    def answer(label):
        given = {"subtract-model": "digits", "subtract-label": label, "subtract-T": 10}
        data = [
            given.get(block.elem_id, None if block.stateful else block.value)
            for block in show.inputs
        ]
        return client.ask(show._id, data)

    assert answer("7")["success"]
    assert client.told == []
    assert answer("77")["success"]
    assert client.told == ["The label must be a whole number from 0 to 9, got 77."]
    client.close()


def test_files_take_a_thread():
    with Page() as page:
        gr.Button().click(lambda: None, outputs=Download())
    (function,) = page.fns.values()
    (download,) = function.outputs
    threads = []
    usual = download.postprocess
    download.postprocess = lambda value: [threads.append(threading.get_ident()), usual(value)][1]

    async def save() -> int:
        (told,) = await page.postprocess_data(function, ("a.txt", b"text"), SessionState(page))
        assert told["name"] == "a.txt"
        return threading.get_ident()

    assert run(save()) not in threads
    assert len(threads) == 1


def test_no_change_is_lost_while_the_one_before_is_under_way(running):
    lost = [
        function.name
        for function in running.fns.values()
        if function.trigger_mode == "once"  # Gradio's default, unless a change is named first
        and any(event == "change" for _, event in function.targets)
    ]
    assert lost == []

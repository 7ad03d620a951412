"""The journal: a line of JSON an event, and nothing in it that a person gave."""

import json
from dataclasses import replace

import gradio as gr
import gradio.queueing
import pytest

from app.server import journal
from app.settings import Settings

SECRET = "what nobody may read"


@pytest.fixture
def lines(monkeypatch, capsys):
    """What was written, line by line, as objects."""
    monkeypatch.setattr(journal, "current", lambda: replace(Settings(), log=True))
    monkeypatch.setattr(gradio.queueing, "traceback", gradio.queueing.traceback)  # put back after
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def answer(value):
    return value.upper()


def refuse(value):
    raise gr.Error(f"This is wrong: {value}.")


def fail(value):
    raise KeyError(value)


def tell(value):
    yield value
    yield value


def page_with(handler):
    with gr.Blocks() as page:
        box = gr.Textbox()
        box.change(handler, box, box)
    journal.keep(page)
    (function,) = page.fns.values()
    return function.fn


def test_an_event_is_one_line_with_its_name_its_time_and_its_outcome(lines):
    assert page_with(answer)(SECRET) == SECRET.upper()
    (line,) = lines()
    assert line["event"] == "test_journal.answer"
    assert line["outcome"] == "done"
    assert line["ms"] >= 0
    assert line["time"].endswith("Z")
    assert set(line) == {"time", "event", "ms", "outcome"}


@pytest.mark.parametrize(
    ("handler", "error", "outcome"), [(refuse, gr.Error, "refused"), (fail, KeyError, "failed")]
)
def test_what_goes_wrong_is_told_without_what_was_given(lines, handler, error, outcome):
    with pytest.raises(error):
        page_with(handler)(SECRET)
    (line,) = lines()
    assert line["outcome"] == outcome
    assert SECRET not in json.dumps(line)
    if outcome == "failed":
        assert line["error"] == "KeyError"
        assert "test_journal.py:" in line["at"]


def test_a_generator_is_one_event_and_stays_one(lines):
    handler = page_with(tell)
    assert list(handler(SECRET)) == [SECRET, SECRET]
    given_up = handler(SECRET)
    next(given_up)
    given_up.close()
    assert [line["outcome"] for line in lines()] == ["done", "left"]


def test_names_are_those_of_the_code():
    def inner():
        """Inside another function, as the tabs' small handlers are."""

    assert journal.name_of(inner) == "test_journal.test_names_are_those_of_the_code"


def test_without_the_setting_nothing_is_written(monkeypatch, capsys):
    monkeypatch.setattr(journal, "current", Settings)
    journal.note("event", ms=1)
    assert capsys.readouterr().err == ""


def test_what_gradio_would_print_of_an_error_is_a_line_too(lines):
    try:
        fail(SECRET)
    except KeyError:
        journal._Printer.print_exc()
    (line,) = lines()
    assert (line["event"], line["error"]) == ("gradio", "KeyError")
    assert SECRET not in json.dumps(line)

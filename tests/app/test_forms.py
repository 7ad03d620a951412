"""What handlers accept; all else gets one sentence: the value, and what would be right."""

import math

import gradio as gr
import pytest

from app.forms import (
    check_choice,
    check_choices,
    check_integer,
    check_number,
    says_what_is_wrong,
    sent,
)

JUNK = [
    None,
    "7",
    "",
    [],
    [7],
    {},
    {"a": 1},
    math.nan,
    math.inf,
    -math.inf,
    True,
    10**400,
    "x" * 999,
]


@pytest.mark.parametrize("value", [1, 1.0, 10, 10.0])
def test_whole_numbers_pass(value):
    checked = check_integer(value, "T", 1, 10)
    assert checked == value
    assert isinstance(checked, int)


@pytest.mark.parametrize("value", [*JUNK, 0, 11, 1.5, -1])
def test_everything_else_is_no_whole_number(value):
    with pytest.raises(
        ValueError, match=r"^T must be a whole number from 1 to 10, got .*\.$"
    ) as error:
        check_integer(value, "T", 1, 10)
    assert len(str(error.value)) < 100


@pytest.mark.parametrize("value", [*JUNK, -0.1, 1.1])
def test_everything_out_of_range_is_no_number(value):
    with pytest.raises(ValueError, match=r"^β must be .*from 0 to 1, got .*\.$"):
        check_number(value, "β", 0, 1)


def test_numbers_in_range_pass():
    assert [check_number(v, "β", 0, 1) for v in (0, 0.5, 1)] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("value", [*JUNK, "c"])
def test_unknown_choices_are_refused_with_the_known_ones(value):
    with pytest.raises(ValueError, match=r"^The letter must be one of a, b, got "):
        check_choice(value, "The letter", ["a", "b"])


def test_several_choices_come_in_a_fixed_order_and_once():
    assert check_choices(["b", "a", "b"], "The letters", ["a", "b", "c"]) == ["a", "b"]
    for bad in ("ab", None, ["a", "x"], [["a"]]):
        with pytest.raises(ValueError, match="The letters must be"):
            check_choices(bad, "The letters", ["a", "b"])


def test_a_value_error_becomes_a_sentence_in_the_page():
    @says_what_is_wrong
    def handler(value):
        return check_integer(value, "T", 1, 10)

    assert handler(3) == 3
    with pytest.raises(gr.Error, match="T must be a whole number from 1 to 10, got 0"):
        handler(0)


def test_a_sentence_is_said_once_however_many_say_it():
    @says_what_is_wrong
    @says_what_is_wrong
    def handler(value):
        return check_integer(value, "T", 1, 10)

    with pytest.raises(gr.Error) as raised:
        handler(0)
    assert raised.value.message == "T must be a whole number from 1 to 10, got 0."


def test_a_truth_value_is_called_by_its_name():
    with pytest.raises(ValueError, match="got True"):
        check_integer(True, "T", 1, 10)


def test_a_generator_says_what_is_wrong_where_it_comes_to_it():
    ended = []

    @says_what_is_wrong
    def handler(value):
        try:
            yield "begun"
            yield check_integer(value, "T", 1, 10)
        finally:
            ended.append(value)

    assert list(handler(3)) == ["begun", 3]
    steps = handler(0)
    assert next(steps) == "begun"
    with pytest.raises(gr.Error, match=r"^'T must be a whole number from 1 to 10, got 0\.'$"):
        next(steps)
    given_up = handler(5)
    next(given_up)
    given_up.close()
    assert ended == [3, 0, 5]


def test_other_errors_are_not_the_persons():
    @says_what_is_wrong
    def handler():
        yield 1 / 0

    with pytest.raises(ZeroDivisionError):
        list(handler())


def test_what_a_view_sends_may_be_anything():
    class Event:
        def __init__(self, data):
            self._data = data

    assert sent(Event({"t": 3}), "t") == 3
    for data in ({}, None, "t", [1]):
        assert sent(Event(data), "t") is None

"""Whatever the internet sends to any function of the page: one sentence, and the session lives."""

from __future__ import annotations

import random
import time
from typing import Any

import gradio as gr
import pytest

from app.jobs import REGISTRY
from app.server import gate, journal
from tests.server.client import API, Client

JUNK: list[Any] = [
    None, True, False, 0, -1, 1, 3, 10**12, -(10**30), 0.5, 1e308, -1e308, float("nan"),
    float("inf"), float("-inf"), "", "nonsense", "../../../../etc/passwd", "/etc/passwd",
    "a\0b", "${7*7}", "<img src=x onerror=alert(1)>", "9" * 400, "ᾱ" * 3, "🙂" * 5000, [], [[]],
    [None], [1, 2], ["linear", "nobody"], [["a", "b"], 3], [float("nan")], {}, {"a": 1},
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    {"path": "app.py", "meta": {"_type": "gradio.FileData"}}, {"__type__": "update", "value": 3},
    [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}], {"t": [1]}, {"t": "x"},
    {"key": {"seed": "x"}}, {"block": 7}, {"points": [[0, 1], [1, 2], ["a"]]},
]  # fmt: skip
LEAKS = ("Traceback", 'File "', "site-packages", "root:", "/home/", "object at 0x")


@pytest.fixture(autouse=True)
def no_limits(monkeypatch):
    """One address asks for far more here than the gate would let in."""
    monkeypatch.setattr(gate.Gate, "_take", lambda *given: None)


@pytest.fixture(autouse=True)
def nothing_goes_on():
    """A training that good values began does not outlast the test."""
    yield
    for job in list(REGISTRY._jobs.values()):
        REGISTRY.stop(job)
        while not job.over:
            time.sleep(0.05)


@pytest.fixture
def outcomes(monkeypatch):
    """What the journal says of each event."""
    noted = []
    monkeypatch.setattr(journal, "note", lambda event, **facts: noted.append((event, facts)))
    return noted


def given(function, number: random.Random, spoilt: int | None) -> list[Any]:
    """The values that the page begins with, of which one, or all, are junk."""
    values = []
    for i, block in enumerate(function.inputs):
        value = None if isinstance(block, gr.State) else getattr(block, "value", None)
        values.append(number.choice(JUNK) if spoilt in (None, i) else value)
    return values


def rounds(function, number: random.Random) -> list[list[Any]]:
    """Junk in some places, one at a time, and junk in all."""
    places = range(len(function.inputs))
    found = [given(function, number, i) for i in number.sample(places, min(8, len(places)))]
    found += [given(function, number, None) for _ in range(2)]
    found += [[value] * len(function.inputs) for value in number.sample(JUNK, 2)]
    return found


def test_no_junk_breaks_a_function_of_the_page(running, address, outcomes):
    number = random.Random(0)
    functions = [f for f in running.fns.values() if f.fn is not None and not f.cancels]
    assert len(functions) > 60
    client = Client(address)
    for function in functions:
        asked = []
        for data in rounds(function, number):
            answer = client.join(function._id, data, number.choice(JUNK))
            assert answer.status_code in (200, 400), (function.name, data, answer.text)
            if answer.status_code == 200:
                asked.append(answer.json()["event_id"])
        for word in client.answers(len(asked)).values() if asked else ():
            error = word["output"].get("error") if not word["success"] else None
            assert not any(leak in str(error) for leak in LEAKS), (function.name, error)
    assert client.told
    assert not any(leak in sentence for leak in LEAKS for sentence in client.told)
    broken = {
        (event, facts["outcome"]) for event, facts in outcomes if "failed" in facts["outcome"]
    }
    assert broken == set()
    check_alive(client, running)
    client.close()


def broken(outcomes):
    """The handlers that ended by another error than a sentence."""
    return {(name, facts["outcome"]) for name, facts in outcomes if "failed" in facts["outcome"]}


def check_alive(client, running):
    """A proper event of the same session still gets a proper answer."""
    shown = next(f for f in running.fns.values() if f.api_name == "show")
    data = given(shown, random.Random(), -1)
    answer = client.ask(shown._id, data)
    assert answer["success"], answer


@pytest.mark.parametrize("name", ["noise", "schedule", "sample"])
def test_no_junk_breaks_an_endpoint_of_the_api(running, address, outcomes, name):
    number = random.Random(1)
    function = next(f for f in running.fns.values() if f.api_name == name)
    client = Client(address)
    bodies: list[Any] = [{"data": data} for data in rounds(function, number)]
    bodies += [{"data": value} for value in number.sample(JUNK, 6)]
    bodies += number.sample(JUNK, 6)
    for body in bodies:
        answer = client.post(f"{API}/call/{name}", body)
        assert answer.status_code in (200, 400, 422), (body, answer.text)
        if answer.status_code == 200:
            reply = client.http.get(f"{API}/call/{name}/{answer.json()['event_id']}").text
            assert reply.startswith(("event: complete", "event: error", "event: heartbeat"))
            assert not any(leak in reply for leak in LEAKS), reply[:500]
    assert broken(outcomes) == set()
    client.close()


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/queue/join", f"{API}/cancel", f"{API}/call/sample", f"{API}/call/v2/sample",
        f"{API}/upload", f"{API}/upload?upload_id=x",
    ],
)  # fmt: skip
def test_no_body_breaks_a_route(address, path):
    client = Client(address)
    number = random.Random(2)
    keys = ["session_hash", "fn_index", "data", "event_data", "event_id", "trigger_id", "seed"]
    for _ in range(40):
        body = {key: number.choice(JUNK) for key in number.sample(keys, 4)}
        answer = client.post(path, body)
        assert answer.status_code < 500, (body, answer.text)
        assert not any(leak in answer.text for leak in LEAKS), answer.text[:500]
    client.close()

"""What the gate lets through, and the one sentence that all else gets."""

import http.client
import json
import time

import pytest

from app.server import gate, health, shape
from tests.server.client import API, Client


@pytest.fixture
def client(address):
    client = Client(address)
    yield client
    client.close()


def sentence(answer):
    detail = answer.json()["detail"]
    assert detail.endswith(".")
    return detail


@pytest.mark.parametrize(
    "path",
    [
        "/", "/config", "/healthz", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json",
        f"{API}/app_id", f"{API}/info", f"{API}/openapi.json",
    ],
)  # fmt: skip
def test_what_the_page_and_its_api_need_is_open(client, path):
    assert client.http.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/monitoring", "/monitoring/summary", "/login", "/logout", "/docs", "/openapi.json",
        f"{API}/proxy=http://127.0.0.1/", f"{API}/runs", f"{API}/dev/reload", f"{API}/vibe-code",
        f"{API}/stream/a/b/c/playlist.m3u8", f"{API}/deep_link?session_hash=a", f"{API}/user",
        f"{API}/queue/status", f"{API}/component_server", f"{API}/heartbeat/not*a*session",
        f"{API}/custom_component/a/b/c/d.js", "/app.py", "/../app.py", "/static", "/.env",
    ],
)  # fmt: skip
def test_what_it_does_not_need_is_closed(client, path):
    answer = client.http.get(path)
    assert answer.status_code == 404
    assert sentence(answer) == "There is no such page here."


@pytest.mark.parametrize(
    "path",
    [
        "/login", f"{API}/run/sample", f"{API}/api/sample", f"{API}/process_recording",
        f"{API}/vibe-edit", f"{API}/component_server", f"{API}/stream/abc",
    ],
)  # fmt: skip
def test_no_other_route_takes_anything(client, path):
    assert client.post(path, {"data": []}).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_refused(client, method):
    assert client.http.request(method, "/").status_code == 405


def test_a_private_function_has_no_name_in_the_api(client, running):
    private = {f.api_name for f in running.fns.values() if f.api_visibility != "public"}
    public = {f.api_name for f in running.fns.values() if f.api_visibility == "public"}
    assert public == {"noise", "schedule", "sample"}
    assert len(private) > 50
    for name in sorted(private)[:5]:
        answer = client.post(f"{API}/call/{name}", {"data": []})
        assert answer.status_code == 404
        assert "no such function" in sentence(answer)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b"nonsense", "must be a JSON object"),
        (b"\xff\xfe", "must be a JSON object"),
        (b"[" * 100_000, "must be a JSON object"),
        (json.dumps({"data": [[[]]]}).replace("[[]]", "[" * 50 + "]" * 50).encode(), "nested"),
        (b'{"fn_index": ' + b"9" * 5000 + b"}", "must be a JSON object"),
        (b'{"session_hash": "a", "fn_index": 0, "data": ["\\ud800"]}', "valid Unicode"),
        (b'{"session_hash": "a", "fn_index": 0, "data": {"0": 1}}', "data must be the list"),
        (b'{"session_hash": "a", "fn_index": 0, "data": null}', "data must be the list"),
        (b'{"session_hash": "a", "fn_index": "0", "data": []}', "fn_index must be"),
        (b'{"session_hash": "a", "fn_index": true, "data": []}', "fn_index must be"),
        (b'{"session_hash": "a", "fn_index": -1, "data": []}', "fn_index must be"),
        (b'{"session_hash": "a", "fn_index": 1e99, "data": []}', "fn_index must be"),
        (b'{"session_hash": "../a", "fn_index": 0, "data": []}', "session_hash must be"),
        (b'{"session_hash": null, "fn_index": 0, "data": []}', "session_hash must be"),
        (b'{"fn_index": 0, "data": []}', "session_hash must be"),
        (b'{"session_hash": "a", "fn_index": 0, "data": [NaN]}', "must be finite"),
        (b'{"session_hash": "a", "fn_index": 0, "data": [{"a": 1e999}]}', "must be finite"),
        (
            b'{"session_hash": "a", "fn_index": 0, "data": [{"path": "http://10.0.0.1/x.png"}]}',
            "no address is fetched",
        ),
        (
            b'{"session_hash": "a", "fn_index": 0, "data": [[{"path": " FILE:///etc/passwd"}]]}',
            "no address is fetched",
        ),
    ],
)
def test_a_malformed_body_gets_one_sentence(client, body, words):
    answer = client.post(f"{API}/queue/join", body)
    assert answer.status_code == 400
    assert words in sentence(answer)


def test_a_body_may_not_be_large(client):
    answer = client.post(f"{API}/queue/join", b" " * (gate.LARGEST_BODY + 1))
    assert answer.status_code == 413
    assert "1 MB at most" in sentence(answer)


def test_a_stream_is_for_a_session_that_asked(client):
    answer = client.http.get(f"{API}/queue/data?session_hash=nobody")
    assert answer.status_code == 404
    assert "reload the page" in sentence(answer)


@pytest.mark.parametrize(
    "body",
    [
        {}, {"session_hash": "a"}, {"session_hash": "a", "event_id": 1, "fn_index": 0},
        {"session_hash": "a", "event_id": "b", "fn_index": "0"},
        {"session_hash": "a", "event_id": "b", "fn_index": 10**9},
    ],
)  # fmt: skip
def test_what_cannot_be_cancelled_is_refused(client, body):
    assert client.post(f"{API}/cancel", body).status_code == 400


def test_a_page_that_cancels_may_reset_what_it_likes(client):
    assert client.post(f"{API}/reset", {"event_id": "nothing"}).status_code == 200
    for body in ({}, {"event_id": 3}, {"event_id": None}, {"event_id": "a" * 100}):
        assert client.post(f"{API}/reset", body).status_code == 400


def test_cancelling_what_is_over_does_nothing(client):
    body = {"session_hash": "nobody", "event_id": "nothing", "fn_index": 0}
    assert client.post(f"{API}/cancel", body).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "app.py", "../app.py", "README.md", "/proc/self/environ", "~/.bashrc",
        "http://127.0.0.1/", "//etc/passwd", "%2Fetc%2Fpasswd", "..%2f..%2fapp.py", "checkpoints",
        "file:///etc/passwd", "C:\\Windows\\win.ini", ".", "", "/", "a%00b", "%0A", "x" * 5000,
    ],
)  # fmt: skip
def test_no_file_of_the_server_can_be_read(client, path):
    answer = client.http.get(f"{API}/file={path}")
    assert answer.status_code in (400, 403, 404)
    assert "root:" not in answer.text
    assert "import" not in answer.text
    assert "location" not in answer.headers


def test_every_answer_carries_the_headers(client):
    for path in ("/", f"{API}/info", "/nowhere", "/healthz"):
        headers = client.http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "object-src 'none'" in policy
        assert "frame-ancestors 'self' https://huggingface.co" in policy
        assert headers["referrer-policy"] == "same-origin"


# -- how much, and how often -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "status", "words"),
    [
        (str(60 * 2**20 + 1), 413, "60 MB at most"), ("9" * 15, 413, "60 MB at most"),
        (None, 411, "must say its length"),
    ],
)  # fmt: skip
def test_an_upload_is_bounded(client, length, status, words):
    answer = upload_of(client, length)
    assert answer.status == status
    assert words in json.loads(answer.read())["detail"]


def upload_of(client, length):
    """The answer to an upload that says this length, before anything of it is sent."""
    connection = http.client.HTTPConnection(client.http.base_url.netloc.decode(), timeout=20)
    connection.putrequest("POST", f"{API}/upload")
    connection.putheader("content-type", "multipart/form-data; boundary=x")
    if length is None:
        connection.putheader("transfer-encoding", "chunked")
    else:
        connection.putheader("content-length", length)
    connection.endheaders()
    return connection.getresponse()


def test_the_uploads_of_an_hour_are_bounded_together(client, monkeypatch):
    monkeypatch.setattr(gate, "bytes_of", lambda size: 1000)  # each, and all together
    file = {"files": ("a.png", b"x" * 500)}
    answers = [client.http.post(f"{API}/upload", files=file).status_code for _ in range(3)]
    assert answers[-1] == 503
    answer = client.http.post(f"{API}/upload", files=file)
    assert "uploaded in the last hour" in sentence(answer)
    monkeypatch.setattr(gate, "HOUR", 0.0)  # an hour later
    assert client.http.post(f"{API}/upload", files=file).status_code == 200


def test_who_asks_too_often_is_told_how_long_to_wait(client, running):
    heavy = next(f for f in running.fns.values() if f.concurrency_id == "network")
    inputs = [None] * len(heavy.inputs)
    answers = [client.join(heavy._id, inputs) for _ in range(40)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 5 <= len(refused) <= 11  # thirty at once, and one a second
    assert "wait 1 second" in sentence(refused[0])
    assert refused[0].headers["retry-after"] == "1"
    accepted = [answer.json()["event_id"] for answer in answers if answer.status_code == 200]
    assert set(client.answers(len(accepted))) == set(accepted)
    other = Client(str(client.http.base_url))
    assert other.join(heavy._id, inputs).status_code == 200  # another person is served


# -- when it is to end -----------------------------------------------------------------------------


def test_a_server_that_leaves_takes_nothing_new_and_says_so(client, monkeypatch):
    health.leaving.set()
    try:
        answer = client.http.get("/healthz")
        assert answer.status_code == 503
        assert answer.json() == {"status": "leaving"}
        refused = client.join(0, [])
        assert refused.status_code == 503
        assert "restart" in sentence(refused)
        assert client.http.get("/").status_code == 200
    finally:
        health.leaving.clear()
    assert client.http.get("/healthz").json() == {"status": "ok"}


def test_shape_names_the_function(running):
    data = [None] * len(running.fns[3].inputs)
    value = {"session_hash": "abc", "fn_index": 3, "data": data}
    assert shape.joined(value, running) is running.fns[3]
    with pytest.raises(ValueError, match=f"{len(data)} inputs, got {len(data) + 1}"):
        shape.joined(value | {"data": [*data, 1]}, running)
    assert shape.called("sample", {"data": []}, running).api_name == "sample"
    assert shape.called("sample", {"seed": 3}, running, by_name=True).api_name == "sample"
    with pytest.raises(ValueError, match="/sample has no parameter 'sed': it takes model, label"):
        shape.called("sample", {"sed": 3}, running, by_name=True)
    with pytest.raises(KeyError):
        shape.called("nobody", {"data": []}, running)


def test_slow_bodies_are_given_up(client, monkeypatch):
    monkeypatch.setattr(gate, "PATIENCE", 0.2)

    def slowly():
        yield b"{"
        time.sleep(1)
        yield b"}"

    answer = client.http.post(f"{API}/queue/join", content=slowly())
    assert answer.status_code == 408
    assert "send again" in sentence(answer)

"""The page is compressed for those who can read it, and nothing else is touched."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.server.compression import PAGES, Compression

TEXT = "the same words over and over, " * 1000


@pytest.fixture(scope="module")
def client():
    async def answer(request):
        return PlainTextResponse(TEXT)

    routes = [Route(path, answer) for path in ("/", "/config", "/gradio_api/queue/data")]
    return TestClient(Compression(Starlette(routes=routes)))


@pytest.mark.parametrize("accepted", ["br", "gzip"])
@pytest.mark.parametrize("path", ["/", "/config"])
def test_the_page_is_compressed_as_asked(client, path, accepted):
    answer = client.get(path, headers={"Accept-Encoding": accepted})
    assert answer.headers["content-encoding"] == accepted
    assert int(answer.headers["content-length"]) < len(TEXT) / 10
    if accepted == "gzip":
        assert answer.text == TEXT


def test_who_accepts_nothing_gets_it_as_it_is(client):
    answer = client.get("/", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.text == TEXT


def test_a_stream_is_left_alone(client):
    assert "/gradio_api/queue/data" not in PAGES
    answer = client.get("/gradio_api/queue/data", headers={"Accept-Encoding": "br"})
    assert "content-encoding" not in answer.headers

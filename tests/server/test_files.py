"""The page's scripts and styles: the very files, read and compressed once."""

from __future__ import annotations

import re
from pathlib import Path

import brotli
import gradio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.server import files

FRONTEND = Path(gradio.__file__).parent / "templates" / "frontend"
FOREVER = "public, max-age=31536000, immutable"


@pytest.fixture
def http(address):
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        yield client


def test_a_file_is_the_one_that_gradio_ships(http):
    paths = set(re.findall(r"assets/[\w.-]+\.(?:js|css)", http.get("/").text))
    some = sorted(FRONTEND.glob("assets/*.*"))[::40]
    paths |= {f"assets/{path.name}" for path in some if path.suffix in (".js", ".css", ".woff2")}
    assert len(paths) > 10
    for path in paths:
        for encoding in ("br", "identity"):
            for _ in range(2):  # the second comes from memory
                answer = http.get(f"/{path}", headers={"accept-encoding": encoding})
                assert answer.status_code == 200
                assert answer.content == (FRONTEND / path).read_bytes()
                assert answer.headers["cache-control"] == FOREVER
                assert answer.headers["x-content-type-options"] == "nosniff"


def test_scripts_travel_compressed(http):
    script = re.search(r"assets/index-[\w-]+\.js", http.get("/").text)[0]
    with http.stream("GET", f"/{script}", headers={"accept-encoding": "br"}) as answer:
        sent = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "br"
    assert int(answer.headers["content-length"]) == len(sent)
    assert brotli.decompress(sent) == (FRONTEND / script).read_bytes()
    assert len(sent) < 0.5 * (FRONTEND / script).stat().st_size


def test_only_files_are_kept_and_only_as_many_as_there_is_room_for(monkeypatch):
    asked = []

    def answer(request):
        asked.append(request.url.path)
        missing = "missing" in request.url.path
        return Response(bytes(1000), 404 if missing else 200, media_type="text/javascript")

    routes = [Route("/{path:path}", answer)]
    inner = TestClient(Starlette(routes=routes, middleware=[Middleware(files.Files)]))
    monkeypatch.setattr(files, "ROOM", 2500)
    plain = {"accept-encoding": "identity"}
    for path in ("/assets/a.js", "/assets/b.js", "/assets/c.js", "/assets/missing.js", "/config"):
        for _ in range(2):
            assert inner.get(path, headers=plain).content == bytes(1000)
    assert asked.count("/assets/a.js") == asked.count("/assets/b.js") == 1
    assert asked.count("/assets/c.js") == asked.count("/assets/missing.js") == 2
    assert asked.count("/config") == 2
    assert "cache-control" not in inner.get("/assets/missing.js", headers=plain).headers


def test_a_part_of_a_file_is_left_to_gradio(http):
    script = re.search(r"assets/index-[\w-]+\.js", http.get("/").text)[0]
    answer = http.get(f"/{script}", headers={"range": "bytes=0-9", "accept-encoding": "identity"})
    assert answer.status_code == 206
    assert answer.content == (FRONTEND / script).read_bytes()[:10]

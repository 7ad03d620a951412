"""A client of the page's own events, which sends whatever it is told to."""

from __future__ import annotations

import json
import secrets
from typing import Any

import httpx

API = "/gradio_api"


class Client:
    """One session."""

    def __init__(self, address: str) -> None:
        self.session = secrets.token_hex(6)
        self.told: list[str] = []  # what was said beside the answers
        # NaN is no JSON, but Python's client sends it, and a server reads it.
        self.http = httpx.Client(base_url=address, timeout=60, trust_env=False)

    def post(self, path: str, body: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(path, content=content, headers={"content-type": "application/json"})

    def join(self, function: int, data: Any, event: Any = None) -> httpx.Response:
        """Ask for a function of the page."""
        body = {
            "fn_index": function, "data": data, "event_data": event, "session_hash": self.session,
        }  # fmt: skip
        return self.post(f"{API}/queue/join", body)

    def answers(self, count: int) -> dict[str, dict[str, Any]]:
        """The last word on each of `count` events, by their ids."""
        found: dict[str, dict[str, Any]] = {}
        stream = self.http.stream("GET", f"{API}/queue/data?session_hash={self.session}")
        with stream as answer:
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    message = json.loads(line[len("data:") :])
                    if message["msg"] == "process_completed":
                        found[message["event_id"]] = message
                    if message["msg"] == "log":
                        self.told.append(message["log"])
                    if len(found) == count or message["msg"] == "close_stream":
                        break
        return found

    def ask(self, function: int, data: Any, event: Any = None) -> dict[str, Any]:
        """Ask, and wait for the answer."""
        answer = self.join(function, data, event)
        assert answer.status_code == 200, answer.text
        return self.answers(1)[answer.json()["event_id"]]

    def close(self) -> None:
        self.http.close()

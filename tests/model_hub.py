"""A stand-in for the Hugging Face Hub that gives out checkpoints, by the protocol of the Hub."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler

from tests.hub import StandIn

REVISION = "5" * 40


class ModelHub(StandIn):
    """Files of each model by id; `huggingface_hub` finds it through HF_ENDPOINT."""

    def __init__(self, models: dict[str, dict[str, bytes]]) -> None:
        self.models = models
        self.asked: list[str] = []  # files whose content was sent
        self.pretended: dict[tuple[str, str], int] = {}  # sizes that are not true
        super().__init__(_handler(self))

    def describe(self, path: str) -> dict | list | None:
        """The answer to a question about a model; None where there is none."""
        owner, name, *rest = path.removeprefix("/api/models/").split("/")
        files = self.models.get(model := f"{owner}/{name}")
        if files is None:
            return None
        sizes = {file: self.pretended.get((model, file), len(files[file])) for file in files}
        if rest[:1] == ["tree"]:
            return [
                {"type": "file", "path": file, "size": size, "oid": "0" * 40}
                for file, size in sizes.items()
            ]
        siblings = [{"rfilename": file, "size": size} for file, size in sizes.items()]
        return {"id": model, "sha": REVISION, "siblings": siblings}

    def content(self, path: str) -> bytes | None:
        """What ``/owner/name/resolve/revision/file`` gives."""
        owner, name, _, _, *file = path.strip("/").split("/")
        return self.models.get(f"{owner}/{name}", {}).get("/".join(file))


def _handler(hub: ModelHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/api/models/"):
                answer = hub.describe(path)
                self._send(None if answer is None else json.dumps(answer).encode())
            elif "/resolve/" in path:
                if self.command == "GET":
                    hub.asked.append(path)
                self._send(hub.content(path))
            else:
                self._send(None)

        do_HEAD = do_GET

        def _send(self, content: bytes | None) -> None:
            self.send_response(404 if content is None else 200)
            if content is None:
                content = b'{"error": "Repository not found"}'
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("X-Error-Message", "Repository not found")
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler

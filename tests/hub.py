"""A stand-in for the Hugging Face Hub: it speaks the Hub's protocol, and keeps what it is sent.

Spaces alone, one revision, large files by LFS. `huggingface_hub` finds it through HF_ENDPOINT.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

TOKEN = "hf_stand_in"
LARGE = (".safetensors", ".png")  # what the Hub's own .gitattributes sends past git


class StandIn:
    """A server of this computer for as long as a ``with``, at `endpoint`."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Hub(StandIn):
    """Files of each Space by name, and the commits that brought them."""

    def __init__(self) -> None:
        self.spaces: dict[str, dict[str, bytes]] = {}
        self.commits: list[dict] = []
        self.objects: dict[str, bytes] = {}  # of LFS, by SHA-256
        self.created: list[dict] = []
        self.validated: list[dict] = []  # what was asked about a README
        self.complaints: list[dict] = []  # and what is answered: {"message": …}
        super().__init__(_handler(self))

    def create(self, asked: dict) -> dict:
        name = f"{asked['organization']}/{asked['name']}"
        self.created.append(asked)
        # As on the Hub, a new one is not empty.
        self.spaces.setdefault(name, {".gitattributes": b"*.safetensors filter=lfs\n"})
        return {"url": f"{self.endpoint}/spaces/{name}", "name": name}

    def commit(self, space: str, lines: list[dict]) -> dict:
        files = self.spaces[space]
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.commits.append(value)
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
            else:
                raise KeyError(line["key"])
        oid = f"{len(self.commits):040x}"
        return {"commitUrl": f"{self.endpoint}/spaces/{space}/commit/{oid}", "commitOid": oid}

    def answer(self, method: str, path: str, body: bytes) -> dict | list | None:
        """The Hub's answer to a request; None if it knows no such path."""
        match method, path.strip("/").split("/"):
            case "POST", ["api", "repos", "create"]:
                return self.create(json.loads(body))
            case "GET", ["api", "spaces", owner, name, "tree", "main"]:
                files = self.spaces[f"{owner}/{name}"].items()
                return [
                    {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
                    for path, content in files
                ]
            case "GET", ["api", "spaces", owner, name, *_]:
                files = [{"rfilename": path} for path in self.spaces[f"{owner}/{name}"]]
                return {"id": f"{owner}/{name}", "sha": "0" * 40, "siblings": files}
            case "POST", ["api", "spaces", _, _, "preupload", "main"]:
                asked = [file["path"] for file in json.loads(body)["files"]]
                modes = {path: "lfs" if path.endswith(LARGE) else "regular" for path in asked}
                return {
                    "files": [
                        {"path": path, "uploadMode": mode, "shouldIgnore": False}
                        for path, mode in modes.items()
                    ]
                }
            case "POST", ["spaces", _, _, "info", "lfs", "objects", "batch"]:
                return {"transfer": "basic", "objects": self._wanted(json.loads(body)["objects"])}
            case "POST", ["api", "validate-yaml"]:
                self.validated.append(json.loads(body))
                return {"warnings": [], "errors": self.complaints}
            case "PUT", ["lfs", oid]:
                if hashlib.sha256(body).hexdigest() != oid:
                    return None
                self.objects[oid] = body
                return {}
            case "POST", ["api", "spaces", owner, name, "commit", "main"]:
                lines = [json.loads(line) for line in body.splitlines()]
                return self.commit(f"{owner}/{name}", lines)
        return None

    def _wanted(self, objects: list[dict]) -> list[dict]:
        wanted = []
        for item in objects:
            item = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.objects:
                item["actions"] = {"upload": {"href": f"{self.endpoint}/lfs/{item['oid']}"}}
            wanted.append(item)
        return wanted


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self) -> None:
            body = self._body()
            path = self.path.partition("?")[0]
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if not known and not path.startswith("/lfs/"):  # their links are signed
                self._send(401, {"error": "Invalid username or password."})
            elif (answer := hub.answer(self.command, path, body)) is None:
                self._send(404, {"error": f"Not Found: {self.command} {path}"})
            else:
                self._send(
                    400 if isinstance(answer, dict) and answer.get("errors") else 200, answer
                )

        do_GET = do_POST = do_PUT = reply

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _send(self, status: int, answer: dict | list) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler

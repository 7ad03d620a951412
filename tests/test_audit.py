"""`make audit`: a finding is an error, silence of the service is not."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata

import pytest

from tools import audit

LEAK = {
    "id": "GHSA-test",
    "aliases": ["CVE-2000-0001"],
    "summary": "It leaks.",
    "affected": [
        {
            "package": {"name": "leaky", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


@pytest.fixture
def database():
    """A list of vulnerabilities that speaks OSV's protocol, and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(f"{query['package']['name']}=={query['version']}")
            answer = {"vulns": [LEAK]} if asked[-1] == "leaky==1.0" else {}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield ("osv", f"--osv-url=http://127.0.0.1:{server.server_port}/v1/query"), asked
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def pins(monkeypatch):
    """What is taken for installed."""
    pins = ["good==1.0", "leaky==1.0"]
    monkeypatch.setattr(audit, "installed", lambda files: pins)
    return pins


UNREACHABLE = ("osv", "--osv-url=http://127.0.0.1:9/v1/query")


def test_a_finding_is_an_error_with_its_names_and_the_way_out(database):
    service, _ = database
    assert audit.main([service]) == "leaky 1.0: CVE-2000-0001, GHSA-test; fixed in 1.1."


def test_without_a_finding_it_says_how_many_were_audited(database, pins, capsys):
    service, asked = database
    pins[1:] = ["leaky==1.1"]
    assert audit.main([service]) is None
    assert capsys.readouterr().out == "2 packages audited, no known vulnerability.\n"
    assert set(asked) == {"good==1.0", "leaky==1.1"}


def test_where_no_list_answers_one_line_says_so(capsys):
    assert audit.main([UNREACHABLE]) is None
    assert capsys.readouterr().out == (
        "Nothing was audited: no list of known vulnerabilities can be reached from here.\n"
    )


def test_all_that_the_requirements_bring_is_audited(tmp_path, monkeypatch):
    monkeypatch.undo()
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("-r other.txt\n# nothing\nhuggingface_hub>=0.30  # a reason\nnone-such>=1\n")
    pins = dict(pin.split("==") for pin in audit.installed([wanted]))
    assert pins.keys() >= {"huggingface-hub", "pyyaml", "tqdm"}
    assert pins.keys().isdisjoint({"none-such", "pytest"})
    assert pins["huggingface-hub"] == metadata.version("huggingface_hub")


def test_the_next_list_is_asked_where_the_first_is_silent(database):
    service, _ = database
    assert audit.main([UNREACHABLE, service]).startswith("leaky 1.0: ")

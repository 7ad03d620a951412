"""What holds the project together: how the app starts and ends, and what its files declare."""

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IMPORT_NAMES = {"pillow": "PIL", "scikit-learn": "sklearn"}  # where they differ from pip's
THE_HUBS_OWN = {"spaces"}  # which a Space with ZeroGPU brings along; imported only there


def environment(**changes):
    """This environment without what would change how the app starts."""
    ours = ("PORT", "GRADIO_", "UNNOISE_", "SPACE_ID")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | changes


def launch(**changes):
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def requirements():
    """Lines of requirements.txt as (name, version range, comment)."""
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement, _, comment = line.partition("#")
            name, versions = re.fullmatch(r"([\w-]+)(.*)", requirement.strip()).groups()
            yield name, versions, comment.strip()


# -- starting and ending ------------------------------------------------------------------------


def test_a_taken_port_is_one_sentence_with_the_way_out(taken_port):
    result = launch(PORT=str(taken_port))
    assert result.returncode == 1
    assert result.stdout == ""  # at once, before anything is loaded
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith(f"Port {taken_port} is taken")
    other = int(re.search(r"PORT=(\d+)", sentence)[1])
    assert other != taken_port
    socket.create_server(("127.0.0.1", other)).close()  # the way out is open


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "70000"),
        ("GRADIO_SERVER_PORT", "abc"),
        ("GRADIO_SERVER_NAME", "no..name"),
        ("UNNOISE_MAX_T", "5"),
    ],
)
def test_a_bad_setting_is_one_sentence_with_variable_and_value(variable, value):
    result = launch(**{variable: value})
    assert result.returncode == 1
    assert result.stdout == ""
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith(f"{variable} must be ")
    assert repr(value) in sentence


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_the_app_says_where_it_is_and_ends_quietly(number):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    # A proxy that does not exist: the app must reach its own server without it.
    changes = {"PORT": str(port), "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    app = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    address = f"http://127.0.0.1:{port}/"
    limit = threading.Timer(120, app.kill)
    limit.start()
    try:
        said = next((line for line in app.stdout if address in line), None)
        assert said, app.stderr.read()
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(address, timeout=30) as page:
            assert b"gradio" in page.read()
        app.send_signal(number)
        rest, errors = app.communicate(timeout=30)
        assert app.returncode == 0
        assert rest == ""
        assert errors == ""
    finally:
        limit.cancel()
        app.kill()
        app.communicate()


# -- what is declared ---------------------------------------------------------------------------


def test_every_requirement_says_why():
    assert [name for name, _, comment in requirements() if len(comment.split()) < 3] == []


def test_every_import_is_declared():
    imported = set()
    for path in [ROOT / "app.py", *ROOT.glob("app/**/*.py"), *ROOT.glob("model/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.split(".")[0])
    declared = {IMPORT_NAMES.get(name, name) for name, _, _ in requirements()}
    there = {"app", "model", *THE_HUBS_OWN, *sys.stdlib_module_names}
    assert imported - declared - there == set()


def test_no_file_names_a_folder_of_somebodys_computer():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    # The user of the container is the one whose home is known.
    private = re.compile(
        rb"(?<![\w.~/-])/(?:home/(?!user\b)|Users/|root/|work/)\w|\b[A-Z]:\\Users\\"
    )
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content and (match := private.search(content)):
            found.append(f"{name}: {match[0]!r}")
    assert found == []

"""The running app, for all tests that ask it over the network."""

from __future__ import annotations

import socket

import pytest

from app import priority
from app.environment import prepare

prepare()  # before anything imports Gradio or PyTorch


@pytest.fixture(scope="session", autouse=True)
def scratch_cache(tmp_path_factory):
    """What the app keeps on disk it keeps in a folder of the tests, not of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNNOISE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def nobody_stands_back():
    """Beside another test, which takes both cores, who stands back might wait for ever."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(priority, "stand_back", lambda niceness: None)
        yield


@pytest.fixture(scope="session")
def running():
    """The page, launched on a port of its own."""
    from app.ui import build, launch_options

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    page = build().queue(api_open=False)
    page.launch(
        server_name="127.0.0.1",
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        **launch_options(),
    )
    yield page
    page.close()


@pytest.fixture(scope="session")
def address(running):
    return running.local_url


@pytest.fixture
def passes_here(monkeypatch):
    """The networks are asked in the thread of the test, and not in the app's own for that."""
    from app import batching

    class Here:
        def ask(self, request):
            batching._serve([request])
            if request.error is not None:
                raise request.error
            return request.output

    monkeypatch.setattr(batching, "_line", Here())

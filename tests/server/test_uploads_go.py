"""What people upload does not stay."""

import time
from pathlib import Path

from gradio.route_utils import delete_files_created_by_app

from tests.server.client import API, Client


def test_an_upload_is_removed_after_an_hour(running, address):
    client = Client(address)
    (name,) = client.http.post(f"{API}/upload", files={"files": ("a.png", b"x" * 10)}).json()
    client.close()
    often, age = running.delete_cache
    assert (often, age) == (600, 3600)
    delete_files_created_by_app(running, age)  # as the server does, so often
    assert Path(name).exists()
    time.sleep(1.1)
    delete_files_created_by_app(running, 1)  # an hour later, if it were of that age
    assert not Path(name).exists()

"""``make check-image``: the image that the Dockerfile describes, made and run without Docker.

The Dockerfile's own steps are run in a clean Debian, then its CMD with the network cut off, until
its HEALTHCHECK passes. It must draw a picture, be user 1000 and end within ten seconds of SIGTERM;
the image must hold no compiler. Debian stands for the base image; all else is as it is.

Needs Linux, root, mmdebstrap (`apt install mmdebstrap`) and, for Debian and pip, the network.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.dockerfile import Build, Stage

ROOT = Path(__file__).parents[1]
DEBIAN = "bookworm"
BASE_PACKAGES = "python3,python3-venv,python-is-python3,ca-certificates"
COMPILERS = {"gcc", "cc", "g++", "c++", "clang", "make", "cmake", "ld", "as", "rustc", "go"}
# What a visitor's program does: a picture out of noise, by a network that is shipped.
VISIT = """
from gradio_client import Client
client = Client("http://127.0.0.1:7860", verbose=False)
print(len(client.predict(model="digits", steps=3, api_name="/sample")["pixels"][0]))
"""
PATIENCE = 180  # seconds to start, on a machine that may be busy
LEAVE = 10  # seconds that `docker stop` gives
SETTINGS = re.compile(r"\w*_proxy|SSL_CERT_FILE|REQUESTS_CA_BUNDLE", re.IGNORECASE)


def main() -> str | None:
    parser = argparse.ArgumentParser(prog="make check-image", description=__doc__.split("\n")[0])
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    if sys.platform != "linux" or os.geteuid() != 0:
        return "The image is made in a root of its own, which needs Linux and root."
    if not shutil.which("mmdebstrap"):
        return "mmdebstrap makes the clean root: `apt install mmdebstrap` brings it."
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # and cleans up
    scratch = Path(tempfile.mkdtemp(prefix="unnoise-image-"))
    scratch.chmod(0o755)  # user 1000 must reach what is in it
    try:
        base = clean_root(scratch / "base")
        env, shared = pip_settings()
        args = dict(argument.split("=", 1) for argument in given.build_arg)
        stage = Build(ROOT, base, scratch, args, env, shared).run()
        check(stage)
    except (AssertionError, subprocess.SubprocessError) as error:
        return f"The image is not right: {error}"
    finally:
        shutil.rmtree(scratch)
    return None


def clean_root(folder: Path) -> Path:
    """A minimal Debian with Python in `folder`."""
    began = time.monotonic()
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={BASE_PACKAGES}", DEBIAN]
    # This machine's own mirror, where it is the same Debian.
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    mirror = [str(sources)] if f"VERSION_CODENAME={DEBIAN}" in release and sources.exists() else []
    subprocess.run([*command, str(folder), *mirror], check=True, stderr=subprocess.DEVNULL)
    print(f"A clean Debian, {DEBIAN} ({time.monotonic() - began:.1f} s)", flush=True)
    return folder


def pip_settings() -> tuple[dict[str, str], list[str]]:
    """How this machine reaches its package index: variables, and the files that they name."""
    env = {name: value for name, value in os.environ.items() if SETTINGS.fullmatch(name)}
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    for key, value in re.findall(r"^[^.]*\.([\w-]+)='(.*)'$", listed.stdout, re.MULTILINE):
        env["PIP_" + key.upper().replace("-", "_")] = value
    shared = {"/etc/resolv.conf", "/etc/hosts"}  # where names are known
    for word in " ".join(env.values()).split():
        path = Path(word.removeprefix("file://"))
        if path.is_absolute() and path.exists():
            # An index of files may point to what lies beside it.
            shared.add(str(path.parent if word.startswith("file://") else path))
    return {"PIP_QUIET": "2"} | env, sorted(shared)


def check(stage: Stage) -> None:
    """Start the image, ask it, stop it. Raises AssertionError for what is not as it should be."""
    found = {name for path in stage.env["PATH"].split(":") for name in _programs(stage, path)}
    assert not found & COMPILERS, f"there are compilers in it: {found & COMPILERS}"
    assert stage.user == "1000", f"it runs as user {stage.user}"
    cache = stage.root / stage.env["HOME"].lstrip("/") / ".cache"
    assert cache.stat().st_uid == 1000, "its user cannot keep anything"
    assert not _healthy(stage.argv(stage.healthcheck, network=False)), "healthy, but not started"
    began = time.monotonic()
    with started(stage) as (process, pid):
        while not _healthy(stage.argv_beside(pid, stage.healthcheck)):
            assert process.poll() is None, f"it ended by itself, with {process.returncode}"
            assert time.monotonic() - began < PATIENCE, f"not healthy after {PATIENCE} s"
        print(f"Healthy without network after {time.monotonic() - began:.1f} s.")
        visit = subprocess.run(
            stage.argv_beside(pid, ["python", "-c", VISIT]), capture_output=True, text=True
        )
        assert visit.stdout == "16\n", f"it draws nothing: {visit.stderr.strip()[-300:]}"
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        ids = {line.split()[0]: line.split()[1:] for line in status.splitlines() if line.strip()}
        assert set(ids["Uid:"] + ids["Gid:"]) == {"1000"}, f"it runs as {ids['Uid:']}"
        assert not int(ids["CapEff:"][0], 16), "it has privileges"
        networks = Path(f"/proc/{pid}/net/dev").read_text(encoding="utf-8").splitlines()[2:]
        assert [line.split(":")[0].strip() for line in networks] == ["lo"], "it has a network"
        began = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(LEAVE)
        assert process.poll() is not None, f"it goes on {LEAVE} s after SIGTERM"
        assert process.returncode == 0, f"it ended with {process.returncode}"
        print(f"As user 1000; ended {time.monotonic() - began:.1f} s after SIGTERM.")


@contextmanager
def started(stage: Stage) -> Iterator[tuple[subprocess.Popen, int]]:
    """CMD without network, and the number of its first process as seen from here."""
    process = subprocess.Popen(stage.argv(stage.cmd, network=False))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    name = Path(stage.cmd[0]).name.encode()
    try:
        began = time.monotonic()
        while not (pids := _named(children, name)):
            assert time.monotonic() - began < PATIENCE, "it does not start"
            assert process.poll() is None, f"it ended at once, with {process.returncode}"
            time.sleep(0.05)
        yield process, pids[0]
    finally:
        # It changed its user since `unshare` started it, which loosens the tie between the two.
        if process.poll() is None:
            for pid in children.read_text(encoding="utf-8").split():
                os.kill(int(pid), signal.SIGKILL)
            process.kill()
            process.wait()


def _named(children: Path, name: bytes) -> list[int]:
    """Those of a process's children that have become the program of that name."""
    found = []
    with suppress(FileNotFoundError):  # they come and go
        for pid in children.read_text(encoding="utf-8").split():
            if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0] == name:
                found.append(int(pid))
    return found


def _programs(stage: Stage, path: str) -> Iterator[str]:
    with suppress(FileNotFoundError):
        yield from os.listdir(stage.root / path.lstrip("/"))


def _healthy(argv: list[str]) -> bool:
    return subprocess.run(argv, capture_output=True, timeout=60).returncode == 0


if __name__ == "__main__":
    sys.exit(main())

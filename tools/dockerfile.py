"""A Dockerfile's steps, run in clean folders where there is no Docker engine.

Every stage is a folder that begins as a copy of one root file system, whatever its FROM says;
RUN works in it as in a container: chroot, with a process and mount space of its own. What a step
needs and this file does not know is an error, never skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from docker.utils.build import exclude_paths
from dockerfile_parse import DockerfileParser
from dockerfile_parse.util import WordSplitter

# $1: the root; $2: 1 without network; $3: Python; $4: how many folders of ours follow, each to be
# seen in the root under the same name; then the command, which becomes process 1.
ENTER = """
set -e
root=$1 cut_off=$2 python=$3 count=$4; shift 4
if [ "$cut_off" = 1 ]; then "$python" -c "$LOOPBACK_UP"; fi
while [ "$count" -gt 0 ]; do
    if [ -d "$1" ]; then mkdir -p "$root$1"
    else mkdir -p "$root${1%/*}"; [ -e "$root$1" ] || : >"$root$1"; fi
    mount --rbind "$1" "$root$1"
    shift; count=$((count - 1))
done
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot "$@"
"""
LOOPBACK_UP = """
import fcntl, socket, struct
up = struct.pack("16sh14x", b"lo", 0x1)  # IFF_UP
fcntl.ioctl(socket.socket(), 0x8914, up)  # SIOCSIFFLAGS
"""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Stage:
    """One FROM and what follows it: a root and what it is run with."""

    root: Path
    args: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    workdir: str = "/"
    user: str = "0"
    cmd: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)

    def argv(
        self,
        command: Sequence[str],
        env: dict[str, str] | None = None,
        shared: Sequence[str] = (),
        network: bool = True,
    ) -> list[str]:
        """The command line that runs `command` in here; its process is number 1 there."""
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
            *(() if network else ("--net",)),
            *("env", f"LOOPBACK_UP={LOOPBACK_UP}", "sh", "-c", ENTER, "sh"),
            *(str(self.root), "0" if network else "1", sys.executable),
            *(str(len(shared)), *shared, *self._chroot(command, env)),
        ]

    def argv_beside(self, pid: int, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` in here, among what process `pid` sees."""
        spaces = ("--mount", "--pid", "--net")
        return ["nsenter", f"--target={pid}", *spaces, "chroot", *self._chroot(command)]

    def _chroot(self, command: Sequence[str], env: dict[str, str] | None = None) -> list[str]:
        variables = [f"{name}={value}" for name, value in ((env or {}) | self.env).items()]
        who = [f"--userspec={self.user}:{self.user}", f"--groups={self.user}"]
        return [*who, str(self.root), "env", "-i", "-C", self.workdir, *variables, *command]


@dataclass
class Build:
    """`docker build`, as far as the Dockerfile of this project goes."""

    context: Path
    base: Path  # the root file system that stands for every base image
    scratch: Path
    args: dict[str, str]  # --build-arg
    env: dict[str, str]  # what RUN sees beside: proxies, pip's settings
    shared: list[str]  # folders and files of this machine that RUN sees
    stages: dict[str, Stage] = field(default_factory=dict)

    def run(self) -> Stage:
        """Every step in order; returns the last stage. Raises for a step that fails."""
        dockerfile = DockerfileParser(fileobj=(self.context / "Dockerfile").open("rb"))
        stage = None
        for step in dockerfile.structure:
            instruction, value = step["instruction"], step["value"]
            if instruction == "COMMENT":
                continue
            began = time.monotonic()
            print(f"{instruction} {value[:90]}", end=" ", flush=True)
            if instruction == "FROM":
                stage = self._from(value)
            elif stage is None:
                raise ValueError(f"{instruction} stands before FROM")
            else:
                getattr(self, f"_{instruction.lower()}")(stage, value)
            print(f"({time.monotonic() - began:.1f} s)", flush=True)
        return stage

    def _from(self, value: str) -> Stage:
        _, _, name = value.partition(" AS ")
        root = self.scratch / (name or "final")
        subprocess.run(["cp", "-a", str(self.base), str(root)], check=True)
        # Docker gives every container this much, even one without network.
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n", encoding="utf-8")
        stage = self.stages[name] = Stage(root)
        return stage

    def _arg(self, stage: Stage, value: str) -> None:
        name, _, default = value.partition("=")
        stage.args[name] = self.args.get(name, default)

    def _env(self, stage: Stage, value: str) -> None:
        stage.env |= dict(word.split("=", 1) for word in self._words(stage, value))

    def _user(self, stage: Stage, value: str) -> None:
        if not value.isdigit():
            raise ValueError(f"USER must be a number, got {value}")
        stage.user = value

    def _workdir(self, stage: Stage, value: str) -> None:
        stage.workdir = os.path.join(stage.workdir, value)
        self._inside(stage, stage.workdir).mkdir(parents=True, exist_ok=True)

    def _expose(self, stage: Stage, value: str) -> None:
        int(value)  # it opens nothing by itself

    def _cmd(self, stage: Stage, value: str) -> None:
        stage.cmd = json.loads(value)  # the exec form alone: a shell would keep signals to itself

    def _healthcheck(self, stage: Stage, value: str) -> None:
        stage.healthcheck = json.loads(value.partition("CMD ")[2])

    def _copy(self, stage: Stage, value: str) -> None:
        *options, source, target = self._words(stage, value)
        to = self._inside(stage, os.path.join(stage.workdir, target))
        if options:
            (origin,) = options
            root = self.stages[origin.removeprefix("--from=")].root
            subprocess.run(["cp", "-a", "--link", f"{root}{source}", str(to)], check=True)
            return
        names = [name for name in context_files(self.context) if source in (".", name)]
        if not names:
            raise FileNotFoundError(f"COPY {source}: there is none, or .dockerignore keeps it out")
        for name in names:
            place = to / name if source == "." or target.endswith("/") else to
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.context / name, place)

    def _run(self, stage: Stage, value: str) -> None:
        command = ["/bin/sh", "-c", value]
        subprocess.run(stage.argv(command, self.env | stage.args, self.shared), check=True)

    def _words(self, stage: Stage, value: str) -> list[str]:
        return list(WordSplitter(value, stage.args, stage.env).split())

    def _inside(self, stage: Stage, path: str) -> Path:
        return stage.root / path.lstrip("/")


def context_files(context: Path) -> Iterator[str]:
    """The files that .dockerignore lets through, as Docker's own library reads it."""
    lines = (context / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    # Those two reach Docker in any case, but COPY does not see them.
    names = exclude_paths(str(context), patterns) - {"Dockerfile", ".dockerignore"}
    for name in sorted(names):
        if (context / name).is_file():
            yield Path(name).as_posix()

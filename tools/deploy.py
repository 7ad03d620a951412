"""``make deploy SPACE=user/name``: put the last commit on a Hugging Face Space.

What goes up is what git tracks and a Space needs, as one commit. Of what the Space had, files
that are gone from the folders of `CODE` go there too; all else of it stays. A dry run lists the
same files, and needs neither network nor token.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = ("app", "model", "docs")
NEEDED = ("LICENSE", "README.md", "app", "app.py", "checkpoints", "model", "requirements.txt")
LARGE = 10_000_000  # bytes from which the Hub wants a file beside git


class Refused(Exception):
    """Nothing was sent; the message is one sentence."""


def main() -> str | None:
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__.split("\n")[0])
    parser.add_argument("space", help='"user/name" on the Hub')
    parser.add_argument("--dry-run", action="store_true", help="only list what would go up")
    given = parser.parse_args()
    try:
        check_name(given.space)
        files = tracked(ROOT)
        left = uncommitted(ROOT, files)
        print(listing(files))
        if left:
            more = f" and {len(left) - 5} more" if len(left) > 5 else ""
            sentence = f"Not committed, and so not what goes up: {', '.join(left[:5])}{more}."
            if not given.dry_run:
                raise Refused(f"{sentence} Commit it, or put it aside, and deploy again.")
            print(sentence)
        if given.dry_run:
            print(f"A dry run: nothing was sent to {given.space}.")
        else:
            print(f"Deployed: {send(ROOT, given.space, files)}")
    except Refused as refusal:
        return str(refusal)
    return None


def check_name(space: str) -> None:
    if not re.fullmatch(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}", space, re.ASCII):
        got = f", got {space!r}" if space else ""
        raise Refused(f"A Space is called user/name: make deploy SPACE=user/name{got}.")


def tracked(root: Path) -> dict[str, int]:
    """The files of the last commit that a Space needs, with their sizes in bytes."""
    readme = _git(root, "show", "HEAD:README.md").decode()
    pictures = re.findall(r"!\[[^\]]*\]\((?!https?:)([^)\s]+)\)", readme)
    listed = _git(root, "ls-tree", "-r", "-l", "-z", "HEAD", "--", *NEEDED, *pictures).decode()
    sizes = {}
    for line in filter(None, listed.split("\0")):
        facts, name = line.split("\t")
        sizes[name] = int(facts.split()[-1])
    for name in (*NEEDED, *pictures):
        if not any(file == name or file.startswith(f"{name}/") for file in sizes):
            raise Refused(f"A Space needs {name}, and git does not track it: `git add {name}`.")
    return sizes


def uncommitted(root: Path, files: dict[str, int]) -> list[str]:
    """What differs from the last commit among `files`, and what is new beside them."""
    paths = {*NEEDED, *(name for name in files if not name.startswith(NEEDED))}
    changed = _git(root, "status", "--porcelain", "-z", "--no-renames", "--", *sorted(paths))
    return [entry[3:] for entry in changed.decode().split("\0") if entry]


def listing(files: dict[str, int]) -> str:
    """One line a file, and what all of it comes to."""
    lines = [f"{size / 1000:10,.1f} kB  {name}" for name, size in files.items()]
    total = sum(files.values()) / 1e6
    large = [name for name, size in files.items() if size > LARGE]
    note = f"above 10 MB, kept beside git: {', '.join(large)}" if large else "none above 10 MB"
    return "\n".join([*lines, f"{len(files)} files, {total:.1f} MB; {note}."])


def send(root: Path, space: str, files: dict[str, int]) -> str:
    """Put `files` of the last commit on the Space, made if there is none; returns its address."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token

    if not get_token():
        raise Refused("The Hub asks who you are: `hf auth login`, or set HF_TOKEN to a token.")
    commit = _git(root, "rev-parse", "--short", "HEAD").decode().strip()
    archive = io.BytesIO(_git(root, "archive", "--format=tar", "HEAD", "--", *files))
    with tarfile.open(fileobj=archive) as tar:
        contents = {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}
    api = HfApi()
    try:
        address = api.create_repo(space, repo_type="space", space_sdk="gradio", exist_ok=True)
        there = api.list_repo_files(space, repo_type="space")
        gone = [name for name in there if name.split("/")[0] in CODE and name not in contents]
        api.create_commit(
            space,
            [
                *(CommitOperationDelete(name, is_folder=False) for name in gone),
                *(CommitOperationAdd(name, contents[name]) for name in files),
            ],
            commit_message=f"Unnoise at {commit}",
            repo_type="space",
        )
    except Exception as error:  # of two libraries, and they changed between releases
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise Refused(f"{space} could not be deployed: {reason}") from error
    return str(address)


def _git(root: Path, *command: str) -> bytes:
    try:
        done = subprocess.run(["git", *command], cwd=root, capture_output=True, check=True)
    except FileNotFoundError:
        raise Refused("Deploying sends what git tracks: install git.") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines() or ["?"]
        raise Refused(f"Deploying sends what git tracks, and git says: {reason[0]}") from None
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())

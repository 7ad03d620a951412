"""`make deploy`: the list, the upload through the Hub's own client, and what it refuses."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub import TOKEN, Hub
from tools import deploy

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")


def git(root, *command):
    done = subprocess.run(["git", *command], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def checkout(tmp_path):
    """A small project of one commit, with the commands of this one."""
    root = tmp_path / "project"
    files = {
        "LICENSE": "MIT License",
        "README.md": "---\ntitle: x\n---\n![a](docs/shown.png) ![b](https://elsewhere/b.png)",
        "app.py": "print('app')",
        "app/ui.py": "ui = 1",
        "app/a “name”.py": "",
        "model/net.py": "net = 1",
        "checkpoints/tiny/model.safetensors": "weights",
        "docs/shown.png": "picture",
        "docs/hidden.png": "picture",
        "tests/test_app.py": "",
        "requirements.txt": "gradio",
        "requirements-dev.txt": "pytest",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", ".")
    commit(root)
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    return root


def commit(root):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    git(root, *who, "commit", "-q", "-a", "-m", "first")


def run(root, *given, **env):
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    variables |= {"HF_HOME": str(root.parent / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    variables |= {"no_proxy": "127.0.0.1", "HF_HUB_DISABLE_XET": "1"}
    return subprocess.run(
        [sys.executable, "-m", "tools.deploy", *given],
        cwd=root,
        env=variables | env,
        capture_output=True,
        text=True,
        timeout=120,
    )


UP = {
    "LICENSE", "README.md", "app.py", "app/ui.py", "app/a “name”.py", "model/net.py",
    "checkpoints/tiny/model.safetensors", "docs/shown.png", "requirements.txt",
}  # fmt: skip


def listed(output):
    return set(re.findall(r"^ *[\d,.]+ kB  (.+)$", output, re.MULTILINE))


def test_a_dry_run_lists_what_would_go_up_and_sends_nothing(checkout):
    with Hub() as hub:
        done = run(checkout, "someone/space", "--dry-run", HF_ENDPOINT=hub.endpoint)
    assert done.returncode == 0, done.stderr
    assert listed(done.stdout) == UP
    assert "9 files, 0.0 MB; none above 10 MB." in done.stdout
    assert "nothing was sent to someone/space" in done.stdout
    assert hub.spaces == {}


def test_the_hub_receives_exactly_what_was_listed_as_one_commit(checkout):
    with Hub() as hub:
        done = run(checkout, "someone/space", HF_ENDPOINT=hub.endpoint, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert f"Deployed: {hub.endpoint}/spaces/someone/space" in done.stdout
    (asked,) = hub.created
    assert (asked["type"], asked["sdk"]) == ("space", "gradio")
    files = hub.spaces["someone/space"]
    assert files.keys() - {".gitattributes"} == UP == listed(done.stdout)
    assert all(files[name] == (checkout / name).read_bytes() for name in UP)
    assert {name.rpartition(".")[2] for name in UP} >= {"safetensors", "png"}
    assert set(hub.objects.values()) == {b"weights", b"picture"}  # by LFS
    (asked,) = hub.validated
    assert asked["repoType"] == "space"
    assert asked["content"] == (checkout / "README.md").read_text()
    (made,) = hub.commits
    assert made["summary"] == f"Unnoise at {git(checkout, 'rev-parse', '--short', 'HEAD').strip()}"


def test_code_that_is_gone_goes_and_what_the_space_has_of_its_own_stays(checkout):
    with Hub() as hub:
        hub.spaces["someone/space"] = {
            ".gitattributes": b"", "app/old.py": b"", "docs/old.png": b"",
            "checkpoints/own/model.safetensors": b"own", "notes.txt": b"",
        }  # fmt: skip
        done = run(checkout, "someone/space", HF_ENDPOINT=hub.endpoint, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    own = {".gitattributes", "checkpoints/own/model.safetensors", "notes.txt"}
    assert hub.spaces["someone/space"].keys() == UP | own


@pytest.mark.parametrize("change", ["a change", "a new file", "a staged file"])
def test_what_is_not_committed_is_refused_but_listed_by_a_dry_run(checkout, change):
    if change == "a change":
        name = "app/ui.py"
        (checkout / name).write_text("ui = 2")
    else:
        name = "model/new.py"
        (checkout / name).write_text("")
        if change == "a staged file":
            git(checkout, "add", name)
    (checkout / "tests/test_app.py").write_text("nobody minds")
    sentence = f"Not committed, and so not what goes up: {name}."
    done = run(checkout, "someone/space", HF_TOKEN=TOKEN)
    assert done.returncode == 1
    assert done.stderr.strip() == f"{sentence} Commit it, or put it aside, and deploy again."
    done = run(checkout, "someone/space", "--dry-run")
    assert done.returncode == 0
    assert sentence in done.stdout
    assert listed(done.stdout) == UP


@pytest.mark.parametrize("space", ["", "space", "a/b/c", "a b/c", "/c", "a/", "-a/b", "ä/b"])
def test_a_bad_name_is_one_sentence(checkout, space):
    done = run(checkout, "--dry-run", "--", space)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("A Space is called user/name: make deploy SPACE=user/name")


def test_what_the_hub_finds_wrong_with_the_readme_is_said(checkout):
    with Hub() as hub:
        hub.complaints = [{"message": '"colorFrom" must be a colour'}]
        done = run(checkout, "someone/space", HF_ENDPOINT=hub.endpoint, HF_TOKEN=TOKEN)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.endswith('Invalid metadata in README.md. - "colorFrom" must be a colour')
    assert hub.commits == []


def test_without_a_token_one_sentence_says_how_to_get_one(checkout):
    with Hub() as hub:
        done = run(checkout, "someone/space", HF_ENDPOINT=hub.endpoint)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "The Hub asks who you are: `hf auth login`, or set HF_TOKEN to a token."
    )
    assert hub.spaces == {}


def test_a_wrong_token_is_one_sentence(checkout):
    with Hub() as hub:
        done = run(checkout, "someone/space", HF_ENDPOINT=hub.endpoint, HF_TOKEN="hf_wrong")
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("someone/space could not be deployed: ")
    assert "401" in sentence


def test_without_a_network_one_sentence_says_so(checkout):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = run(checkout, "someone/space", HF_ENDPOINT=nobody, HF_TOKEN=TOKEN)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("someone/space could not be deployed: ")


def test_a_space_without_what_it_needs_is_refused(checkout):
    git(checkout, "rm", "-q", "-r", "checkpoints")
    commit(checkout)
    done = run(checkout, "someone/space", "--dry-run")
    assert done.returncode == 1
    assert done.stderr.strip().startswith("A Space needs checkpoints, and git does not track it")


def test_outside_git_one_sentence_says_so(checkout):
    shutil.rmtree(checkout / ".git")
    done = run(checkout, "someone/space", "--dry-run", GIT_CEILING_DIRECTORIES=str(checkout.parent))
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("Deploying sends what git tracks, and git says: ")


def test_a_file_above_the_hubs_limit_is_named():
    text = deploy.listing({"app.py": 1_500, "checkpoints/big/model.safetensors": 25_000_000})
    assert "2 files, 25.0 MB; above 10 MB, kept beside git: checkpoints/big" in text

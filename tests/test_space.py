"""What makes this repository a Hugging Face Space, and a container: the README's front matter
against the Hub's documentation, and what goes up against what the app needs.

The fields are those of https://huggingface.co/docs/hub/spaces-config-reference, the licences of
https://huggingface.co/docs/hub/repositories-licenses; that a short description has 60 characters
at most is what the Hub answers to a longer one.
"""

import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import yaml
from huggingface_hub import SpaceCard, SpaceHardware
from packaging.requirements import Requirement
from packaging.version import Version

from tools import deploy
from tools.dockerfile import context_files

ROOT = Path(__file__).parents[1]
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
LICENCES = {
    "mit", "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "isc",
    "mpl-2.0", "gpl", "gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "openrail",
    "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "unlicense", "zlib", "other", "unknown",
}  # fmt: skip
ISOLATION = {f"cross-origin-{name}-policy" for name in ("embedder", "opener", "resource")}


def is_text(value):
    return isinstance(value, str) and bool(value.strip())


def is_flag(value):
    return isinstance(value, bool)


def is_path(value):
    return is_text(value) and not value.startswith("/") and ".." not in value


def is_emoji(value):
    """One pictograph, perhaps with the sign that asks for its colours, and nothing else."""
    return is_text(value) and all(
        unicodedata.category(sign) == "So" or sign in "\ufe0f\u200d" for sign in value
    )


def matches(pattern):
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def one_of(choices):
    return lambda value: isinstance(value, str) and value in choices


def each(check):
    return lambda value: isinstance(value, list) and all(map(check, value))


is_repository = matches(r"(?:[\w.-]+/)?[\w.-]+")

# Every field that is documented → whether the Hub takes a value.
FIELDS = {
    "title": is_text,
    "emoji": is_emoji,
    "colorFrom": one_of(COLOURS),
    "colorTo": one_of(COLOURS),
    "sdk": one_of({"gradio", "docker", "static"}),
    "python_version": matches(r"3\.\d+(?:\.\d+)?"),
    "sdk_version": matches(r"\d+\.\d+\.\d+"),
    "suggested_hardware": one_of({flavour.value for flavour in SpaceHardware}),
    "suggested_storage": one_of({"small", "medium", "large"}),
    "app_file": is_path,
    "app_build_command": is_text,
    "app_port": lambda value: type(value) is int and 0 < value < 65_536,
    "base_path": lambda value: is_text(value) and value.startswith("/"),
    "fullWidth": is_flag,
    "header": one_of({"default", "mini"}),
    "short_description": lambda value: is_text(value) and len(value) <= 60,
    "models": each(is_repository),
    "datasets": each(is_repository),
    "tags": each(is_text),
    "thumbnail": matches(r"https://\S+"),
    "pinned": is_flag,
    "license": one_of(LICENCES),
    "hf_oauth": is_flag,
    "hf_oauth_scopes": each(is_text),
    "hf_oauth_expiration_minutes": lambda value: type(value) is int and value > 0,
    "hf_oauth_authorized_org": is_text,
    "disable_embedding": is_flag,
    "startup_duration_timeout": matches(r"\d+\s?(?:s|m|h|d)"),
    "custom_headers": lambda value: isinstance(value, dict) and value.keys() <= ISOLATION,
    # A repository, then files of it, then a commit.
    "preload_from_hub": each(
        matches(r"[\w.-]+/[\w.-]+(?: [^\s,]+(?:,[^\s,]+)*(?: [0-9a-f]{40})?)?")
    ),
}
NEEDED = {"title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "app_file"}


def complaints(matter):
    """What the Hub would not take of a front matter, by the name of the field."""
    unknown = [name for name in matter if name not in FIELDS]
    wrong = [name for name, takes in FIELDS.items() if name in matter and not takes(matter[name])]
    return sorted({*unknown, *wrong, *(NEEDED - matter.keys())})


@pytest.fixture
def matter():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return yaml.safe_load(re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)[1])


def requirement(name):
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    (line,) = (line.partition("#")[0] for line in lines if re.match(rf"{name}\b", line))
    return Requirement(line.strip())


# -- the front matter ----------------------------------------------------------------------------


def test_every_field_is_one_that_the_hub_knows_with_a_value_that_it_takes(matter):
    assert complaints(matter) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""), ("emoji", "fog"), ("emoji", ":fog:"), ("colorFrom", "orange"),
        ("colorTo", "white"), ("sdk", "gradoi"), ("sdk_version", 6.31), ("python_version", 3.12),
        ("app_file", "/app.py"), ("short_description", "x" * 61), ("license", "MIT"),
        ("pinned", "no"), ("tags", "diffusion"), ("models", ["a/b/c"]), ("header", "none"),
        ("suggested_hardware", "gpu"), ("startup_duration_timeout", 30), ("app_port", "7860"),
        ("preload_from_hub", ["no space for this"]), ("colour", "red"), ("sdk", None),
    ],
)  # fmt: skip
def test_what_the_hub_would_not_take_is_found(matter, field, value):
    assert complaints(matter | {field: value}) == [field]
    del matter["sdk_version"]
    assert complaints(matter) == ["sdk_version"]


def test_the_hubs_own_library_reads_the_same(matter):
    card = SpaceCard.load(ROOT / "README.md")
    assert card.data.to_dict() == matter
    assert card.text.startswith("\n# Unnoise")


def test_it_fits_the_files_beside_it(matter):
    assert matter["sdk"] == "gradio"
    assert (ROOT / matter["app_file"]).samefile(ROOT / "app.py")
    assert matter["license"] == "mit"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    assert Version(matter["sdk_version"]) in requirement("gradio").specifier
    # ZeroGPU, the Spaces with a GPU that is lent for each event, has these alone.
    assert any(Version(f"2.{minor}.0") in requirement("torch").specifier for minor in range(8, 12))


def test_space_and_container_run_the_same_supported_python(matter):
    space = re.match(r"3\.\d+", matter["python_version"])[0]
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    images = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert set(images) == {f"python:{space}-slim"}
    assert (3, 11) <= tuple(map(int, space.split("."))) <= (3, 14)


# -- what goes up --------------------------------------------------------------------------------


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_image_and_space_hold_the_same_files():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    files = {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    needed = {name for name in files if name.split("/")[0] in deploy.NEEDED}
    assert set(context_files(ROOT)) == needed - {"README.md"}


def test_they_are_all_that_the_app_needs(tmp_path):
    for name in context_files(ROOT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    program = (
        "from app import api, models, ui; page = ui.build(); print(*models.names());"
        "print(len(api.sample(steps=2)['pixels']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    names, channels = done.stdout.splitlines()
    assert set(names.split()) == {
        path.parent.name for path in ROOT.glob("checkpoints/*/config.json")
    }
    assert channels == "1"

"""`model/` stands alone, and everything imports in one direction only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FRONT_END = {"gradio", "plotly", "app", "fastapi"}
ALLOWED = {  # what each file may import of the project
    "__init__": {"checkpoint", "denoiser", "forward", "sampler", "schedule", "unet"},
    "checks": set(),
    "device": set(),
    "schedule": {"checks", "device"},
    "forward": {"schedule"},
    "files": set(),
    "embeddings": set(),
    "blocks": set(),
    "unet": {"blocks", "checks", "embeddings"},
    "denoiser": {"device", "schedule"},
    "sampler": {"denoiser", "device", "schedule"},
    "training": {"checks", "denoiser", "schedule", "unet"},
    "train": {"command", "data", "denoiser", "device", "forward", "sampler", "training"},
    "resume": {"files", "training"},
    "card": {"checkpoint"},  # for its type alone
    "tensor_file": set(),
    "average": {"files", "image_data", "tensor_file"},
    "checkpoint": {"average", "card", "denoiser", "files", "schedule", "tensor_file", "unet"},
    "sharing": {"average", "checkpoint", "hugging_face", "tensor_file"},
    "options": {"checkpoint", "denoiser", "resume", "schedule", "training", "unet"},
    "command": {
        "options",
        "average",
        "checkpoint",
        "data",
        "denoiser",
        "device",
        "files",
        "image_data",
        "resume",
        "schedule",
        "train",
        "training",
        "unet",
    },
    "metrics": {"checks"},
    "image_files": {"checks"},
    "image_data": set(),
    "data_cache": {"files", "image_data"},
    "hugging_face": {"image_files"},
    "records": {"image_data", "image_files"},
    "data": {"data_cache", "hugging_face", "image_data", "image_files", "records"},
}


def project_imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", sorted((ROOT / "model").glob("*.py")), ids=lambda p: p.stem)
def test_imports_point_one_way(path):
    imported = set(project_imports(path))
    assert not {name.split(".")[0] for name in imported} & FRONT_END
    within = {name.split(".")[1] for name in imported if name.startswith("model.")}
    assert within <= ALLOWED[path.stem]


@pytest.mark.parametrize("path", sorted((ROOT / "app" / "tabs").glob("*.py")), ids=lambda p: p.stem)
def test_tabs_never_import_each_other(path):
    imported = set(project_imports(path))
    assert not {name for name in imported if name.startswith(("app.tabs", "app.ui"))}


def test_only_the_page_knows_the_tabs():
    for path in (ROOT / "app").glob("**/*.py"):
        if path.name != "ui.py":
            assert "app.tabs" not in set(project_imports(path)), path


def test_importing_the_library_loads_no_front_end():
    code = "import sys, model; print(*(m.split('.')[0] for m in sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(loaded.stdout.split()) & FRONT_END

"""Checkpoints to and from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from model.average import MEAN
from model.checkpoint import CARD, CONFIG, WEIGHTS, Checkpoint, find_checkpoint, load_checkpoint
from model.hugging_face import first_line, is_repository

FILES = [CARD, CONFIG, MEAN, WEIGHTS]
PATIENCE = 10  # seconds to wait for the Hub


def push(folder: str | Path, repo: str, *, private: bool = False) -> str:
    """Upload a checkpoint folder to the Hub as `repo`, "owner/name"; returns its address.

    Needs a token (``hf auth login`` or HF_TOKEN). Raises ValueError for a bad id,
    FileNotFoundError or `BadCheckpoint` for a folder that would not load, and ConnectionError
    where the Hub refuses or cannot be reached.
    """
    import huggingface_hub

    _check_repo(repo)
    folder = find_checkpoint(folder)
    load_checkpoint(folder)  # nothing broken goes up
    try:
        address = huggingface_hub.create_repo(repo, private=private, exist_ok=True)
        huggingface_hub.upload_folder(
            repo_id=repo, folder_path=folder, allow_patterns=FILES, commit_message="Upload"
        )
    except Exception as error:  # of two libraries, and they changed between releases
        raise ConnectionError(
            f"{folder.name} could not be pushed to {repo}: {first_line(error)}"
        ) from error
    return str(address)


def pull(repo: str) -> Checkpoint:
    """The checkpoint `repo`, "owner/name", from the Hub, or as downloaded before.

    Raises ValueError for a bad id, ConnectionError where there is none or the Hub cannot be
    reached, and `BadCheckpoint` for what is no checkpoint of ours.
    """
    import huggingface_hub

    _check_repo(repo)
    try:
        folder = huggingface_hub.snapshot_download(
            repo, allow_patterns=FILES, etag_timeout=PATIENCE
        )
    except Exception as error:
        raise ConnectionError(
            f"the checkpoint {repo} could not be pulled from the Hugging Face Hub: "
            f"{first_line(error)}"
        ) from error
    return load_checkpoint(folder)


def _check_repo(repo: str) -> None:
    if not is_repository(repo):
        raise ValueError(f'a repository on the Hub is "owner/name", got {repo!r}')

"""Checkpoints to and from the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from model.average import MEAN
from model.checkpoint import CARD, CONFIG, WEIGHTS, Checkpoint, find_checkpoint, load_checkpoint
from model.hugging_face import first_line, is_repository
from model.tensor_file import BadCheckpoint

FILES = [CARD, CONFIG, MEAN, WEIGHTS]
PATIENCE = 10  # seconds to wait for the Hub
MOST_BYTES = 1_000_000_000  # of a checkpoint: as many numbers as one may have, and some room


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


def pull(repo: str, *, most: int = MOST_BYTES) -> Checkpoint:
    """The checkpoint `repo`, "owner/name", from the Hub, or as downloaded before.

    Only the four files of a checkpoint are downloaded, and only if they have at most so many bytes
    together. Raises as `fetch`, and `BadCheckpoint` for what is no checkpoint of ours.
    """
    return load_checkpoint(fetch(repo, most=most))


def fetch(repo: str, *, most: int = MOST_BYTES) -> Path:
    """The folder that `pull` reads, in the cache of Hugging Face.

    Raises ValueError for a bad id, ConnectionError where there is none or the Hub cannot be
    reached, and `BadCheckpoint` for files that are too large.
    """
    import huggingface_hub

    _check_repo(repo)
    with _without_bars():
        try:
            found = huggingface_hub.HfApi().model_info(repo, files_metadata=True, timeout=PATIENCE)
            sizes = {file.rfilename: file.size for file in found.siblings or ()}
            _check_bytes(repo, sizes, most)
            folder = huggingface_hub.snapshot_download(
                repo, allow_patterns=FILES, etag_timeout=PATIENCE
            )
        except BadCheckpoint:
            raise
        except Exception as error:
            try:
                folder = huggingface_hub.snapshot_download(
                    repo, allow_patterns=FILES, local_files_only=True
                )
            except Exception:  # nor was it downloaded before: what went wrong is the former
                raise ConnectionError(
                    f"the checkpoint {repo} could not be pulled from the Hugging Face Hub: "
                    f"{first_line(error)}"
                ) from error
    return Path(folder)


def _check_bytes(repo: str, sizes: Mapping[str, int | None], most: int) -> None:
    known = [sizes[name] for name in FILES if name in sizes]
    if None in known or sum(known) > most:
        total = "unknown" if None in known else f"{sum(known) / 1e6:,.0f} MB"
        raise BadCheckpoint(
            f"the files of {repo} may have at most {most / 1e6:,.0f} MB together, got {total}"
        )


@contextmanager
def _without_bars() -> Iterator[None]:
    """No progress bars: where it is said how it went, it is in one sentence."""
    from huggingface_hub import utils

    shown = not utils.are_progress_bars_disabled()
    if shown:
        utils.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            utils.enable_progress_bars()


def _check_repo(repo: str) -> None:
    if not is_repository(repo):
        raise ValueError(f'a repository on the Hub is "owner/name", got {repo!r}')

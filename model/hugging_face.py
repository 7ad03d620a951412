"""Tables and folders of images opened by the `datasets` library: local ones, or from the Hub.

Every failure underneath, in one of several libraries, becomes one sentence here, and nothing is
printed. What local files hold is never told to the Hub.
"""

from __future__ import annotations

import glob
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from model.image_files import IMAGE_SUFFIXES

if TYPE_CHECKING:  # costs a second to import, so only where it is needed
    from datasets import Dataset

OFFLINE = "these work offline: digits, a .parquet file, a folder of images, your own pictures"

_settings_lock = threading.Lock()


def is_repository(name: str) -> bool:
    """Whether this can be the id of something on the Hub: "owner/name"."""
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name) is not None


def first_line(error: BaseException) -> str:
    """What went wrong, of an error that may say it on a page."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def open_files(files: list[Path], split: str, scratch: str, name: str) -> Dataset:
    """The records of local files; `datasets` keeps its own copy in the folder `scratch`."""
    import datasets

    # It takes paths for patterns. Online, it would tell the Hub that such files were loaded.
    patterns = {split.partition("[")[0]: [glob.escape(str(file)) for file in files]}
    pictures = any(file.suffix.lower() in IMAGE_SUFFIXES for file in files)
    kind = "imagefolder" if pictures else "parquet"
    with _quiet(offline=True):
        try:
            return datasets.load_dataset(kind, data_files=patterns, split=split, cache_dir=scratch)
        except Exception as error:  # from three libraries, of every kind
            raise _unreadable(name, split, error) from error


def open_hub(name: str, split: str) -> Dataset:
    """The records of a data set of the Hugging Face Hub, downloaded or as downloaded before."""
    if not is_repository(name) or name.lower().endswith(".parquet"):
        raise FileNotFoundError(
            f"there is no data set {name!r}: give digits, a .parquet file, a folder of images, or "
            "a Hugging Face id (owner/name)"
        )
    import datasets

    reachable = _hub_answers()
    with _quiet(offline=not reachable):
        try:
            return datasets.load_dataset(name, split=split)
        except datasets.exceptions.DatasetNotFoundError as error:
            raise FileNotFoundError(
                f"there is no data set {name!r}, neither as a file or folder here nor for everyone "
                "on the Hugging Face Hub"
            ) from error
        except Exception as error:
            if not reachable or isinstance(error, ConnectionError | TimeoutError):
                raise ConnectionError(
                    f"the data set {name} could not be reached on the Hugging Face Hub; {OFFLINE}"
                ) from error
            raise _unreadable(name, split, error) from error


def _hub_answers() -> bool:
    """One quick question: without network, `datasets` would try again for half a minute."""
    import datasets
    from huggingface_hub.utils import get_session

    if datasets.config.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(datasets.config.HF_ENDPOINT, timeout=5)
    except Exception:  # its HTTP library, and so its errors, changed between releases
        return False
    return True


@contextmanager
def _quiet(offline: bool) -> Iterator[None]:
    """No progress bars and messages of the Hugging Face libraries; `offline`: no requests.

    These settings are the process's, so one data set is opened at a time.
    """
    import datasets
    import huggingface_hub.utils as hub

    with _settings_lock:
        switches = [s for s in (datasets.utils, hub) if not s.are_progress_bars_disabled()]
        levels = [(log, log.get_verbosity()) for log in (datasets.logging, hub.logging)]
        was_offline = datasets.config.HF_HUB_OFFLINE
        try:
            for switch in switches:
                switch.disable_progress_bars()
            for log, _ in levels:
                log.set_verbosity(log.CRITICAL)
            datasets.config.HF_HUB_OFFLINE = was_offline or offline
            yield
        finally:
            datasets.config.HF_HUB_OFFLINE = was_offline
            for log, level in levels:
                log.set_verbosity(level)
            for switch in switches:
                switch.enable_progress_bars()


def _unreadable(name: str, split: str, error: Exception) -> ValueError:
    """A sentence around the first line of what went wrong underneath."""
    line = first_line(error.__cause__ or error)
    if "corresponds to no data" in line:
        return ValueError(f"{name} holds no records in the split {split!r}")
    return ValueError(f"{name} cannot be read: {line}")

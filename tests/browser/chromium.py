"""Where Chromium or Chrome is, and how the tests start it.

``python tests/browser/chromium.py`` prints the path and exits 0, or exits 1 if there is none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ARGS = [
    "--no-sandbox",  # root, as in a container, cannot have the sandbox
    "--disable-gpu",
    # The rest keeps Chromium from calling its maker, which a closed network answers slowly.
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

ON_PATH = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
ON_MACOS = [
    f"{folder}/{name}.app/Contents/MacOS/{name}"
    for folder in ("/Applications", os.path.expanduser("~/Applications"))
    for name in ("Google Chrome", "Chromium")
]
ON_WINDOWS = [
    rf"{os.environ[folder]}\{program}\Application\chrome.exe"
    for folder in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")
    if folder in os.environ
    for program in (r"Google\Chrome", "Chromium")
]


def find_chromium() -> str | None:
    """The path of an installed Chromium or Chrome, or None; the variable CHROMIUM overrules.

    Call it before Playwright is started: its synchronous interface cannot be nested.
    Raises FileNotFoundError if CHROMIUM names no program.
    """
    named = os.environ.get("CHROMIUM")
    if named:
        path = shutil.which(named)
        if path is None:
            raise FileNotFoundError(f"CHROMIUM must name a program, got {named!r}.")
        return path
    for candidate in [*ON_PATH, *ON_MACOS, *ON_WINDOWS]:
        path = shutil.which(candidate)
        if path and _starts(path):
            return path
    return _playwrights_own()


def _starts(path: str) -> bool:
    """Ubuntu's `chromium-browser` may be a mere script that asks to install a snap."""
    if sys.platform == "win32":
        return True  # no such scripts there, and `chrome.exe --version` opens a window
    try:
        version = subprocess.run([path, "--version"], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return version.returncode == 0


def _playwrights_own() -> str | None:
    """What ``python -m playwright install chromium`` fetched."""
    try:
        from playwright.sync_api import sync_playwright  # late: .ci/run asks without Playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def main() -> int:
    try:
        path = find_chromium()
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    if path is None:
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())

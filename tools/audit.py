"""``make audit``: does what the project installs have known vulnerabilities? pip-audit asks.

Every package that requirements.txt and requirements-dev.txt bring is looked up in the version
that is installed. A finding is an error. A list of vulnerabilities that cannot be reached is not:
then one line says that nothing was audited.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
FILES = ("requirements.txt", "requirements-dev.txt")
# Who keeps lists: PyPI's own answer for each version, else the database that it is made from.
SERVICES = (("pypi",), ("osv",))


def main(services: Iterable[Sequence[str]] = SERVICES) -> str | None:
    pins = installed([ROOT / name for name in FILES])
    for service in services:
        # One question first: who does not know one package is not asked about a hundred.
        if not answers(ask(pins[:1], service)):
            continue
        found = ask(pins, service)
        if not answers(found):
            continue
        for line in unknown(found):
            print(line)
        if lines := findings(found):
            return "\n".join(lines)
        print(f"{len(answers(found))} packages audited, no known vulnerability.")
        return None
    print("Nothing was audited: no list of known vulnerabilities can be reached from here.")
    return None


def installed(files: Iterable[Path]) -> list[str]:
    """What these requirements bring, and what that needs in turn, as "name==version"."""
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    wanted = [line.split("#")[0].strip() for line in lines]
    waiting = [Requirement(line) for line in wanted if line and not line.startswith("-")]
    pins: dict[str, str] = {}
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # for another system
            continue
        # 2.13.0+cpu is 2.13.0, built otherwise.
        pins[name] = f"{name}=={Version(package.version).public}"
        for text in package.requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)
            ):
                waiting.append(needed)
    return [pins[name] for name in sorted(pins)]


def ask(pins: Sequence[str], service: Sequence[str]) -> list[dict[str, Any]]:
    """What pip-audit says of each pin; empty if the service cannot be reached."""
    with tempfile.TemporaryDirectory() as folder:
        asked, told = Path(folder, "asked.txt"), Path(folder, "told.json")
        asked.write_text("\n".join(pins), encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(asked)]
        command += ["--no-deps", "--disable-pip", "--progress-spinner=off"]
        command += ["--format=json", f"--output={told}", "--vulnerability-service", *service]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not told.exists():
            return []
        return json.loads(told.read_text(encoding="utf-8"))["dependencies"]


def answers(told: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [package for package in told if "vulns" in package]


def unknown(told: Iterable[dict[str, Any]]) -> list[str]:
    return [f"{p['name']}: not audited, {p['skip_reason']}" for p in told if "vulns" not in p]


def findings(told: Iterable[dict[str, Any]]) -> list[str]:
    """One line for each vulnerability."""
    lines = []
    for package in answers(told):
        for vulnerability in package["vulns"]:
            names = ", ".join([vulnerability["id"], *sorted(vulnerability.get("aliases", []))])
            fixed = " or ".join(vulnerability["fix_versions"]) or "no version yet"
            lines.append(f"{package['name']} {package['version']}: {names}; fixed in {fixed}.")
    return lines


if __name__ == "__main__":
    sys.exit(main())

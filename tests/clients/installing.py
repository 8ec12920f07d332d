"""Clients that are not in the test extra: each from its registry, once for all tests of a run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import filelock

INSTALL_SECONDS = 90
AIOTUS = "aiotus>=1.1,<2"
NODE_PACKAGES = {"cloudflare": "^7.3.0", "tus-js-client": "^4.3.1"}


# CI gives pip the packages of its lock alone, and these are not among them.
_AT_THE_REGISTRY = {
    name: value
    for name, value in os.environ.items()
    if name not in ("PIP_NO_INDEX", "PIP_FIND_LINKS")
}


class Missing(Exception):
    """A client cannot be had here; the text says why."""


def node_modules(folder: Path) -> Path:
    """Install the Node clients below ``folder`` and give what NODE_PATH has to be."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise Missing("node and npm are not installed")

    def install(place: Path) -> list[str]:
        (place / "package.json").write_text(json.dumps({"dependencies": NODE_PACKAGES}))
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
        return [npm, "install", "--silent", *options, "--fetch-retries=1", "--prefix", str(place)]

    return _once(folder / "node", install) / "node_modules"


def python_packages(folder: Path) -> Path:
    """Install aiotus and what it needs below ``folder`` and give what PYTHONPATH has to be."""

    def install(place: Path) -> list[str]:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        return [*pip, "--retries=1", "--target", str(place / "lib"), AIOTUS]

    return _once(folder / "python", install) / "lib"


def _once(place: Path, command: Callable[[Path], list[str]]) -> Path:
    """Let the first worker install; the others wait for it, and hear whether it went well."""
    place.mkdir(parents=True, exist_ok=True)
    outcome = place / "outcome"
    with filelock.FileLock(place / "lock"):
        if not outcome.exists():
            outcome.write_text(_run(command(place), place))
    if problem := outcome.read_text():
        raise Missing(problem)
    return place


def _run(command: list[str], place: Path) -> str:
    """Give why it failed, or nothing."""
    try:
        done = subprocess.run(
            command,
            cwd=place,
            env={**_AT_THE_REGISTRY, "CI": "1"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{Path(command[0]).name} did not end in {INSTALL_SECONDS} s"
    if done.returncode == 0:
        return ""
    last = (done.stderr.strip() or done.stdout.strip() or "no words").splitlines()[-1]
    return f"{Path(command[0]).name} failed: {last}"

"""Every test works in folders of its own, on no account but its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served, served

_PRIVATE = ("CLOUDFLARE_", "CF_", "CFUPLOAD_")
_AROUND = (
    "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy",
    "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "NO_COLOR", "GITHUB_ACTIONS", "GITHUB_OUTPUT",
    "GITHUB_STEP_SUMMARY", "GITHUB_RUN_ID", "CI_PIPELINE_ID",
)  # fmt: skip


MEMORY = Path("/dev/shm")
_MADE: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    """Work in memory where the system has such a folder.

    The journal syncs each commit; on a slow disk the thousands of runs here would wait for it.
    """
    if config.option.basetemp is None and os.access(MEMORY, os.W_OK):
        folder = tempfile.mkdtemp(prefix="cfupload-tests-", dir=MEMORY)
        _MADE.append(folder)
        config.option.basetemp = Path(folder) / "base"
        os.environ["TMPDIR"] = tempfile.tempdir = folder


def pytest_unconfigure() -> None:
    for folder in _MADE:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the developer's settings, or writes into the developer's folders."""
    for name in list(os.environ):
        if name.startswith(_PRIVATE) or name in _AROUND:
            monkeypatch.delenv(name)
    monkeypatch.setenv("CFUPLOAD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("CFUPLOAD_CONFIG", str(tmp_path / "config.toml"))


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The embedded Stream on real sockets, and a proxy that can harm its uploads."""
    with served(tmp_path) as here:
        for name, value in here.environment.items():
            monkeypatch.setenv(name, value)
        yield here

"""The examples do what they say, on the embedded Stream."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from served import MIB, Served

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def with_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put ``cfupload`` on the path, as an installed package does."""
    command = tmp_path / "bin" / "cfupload"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m cfstream_upload "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RETRY_SECONDS", "0")
    monkeypatch.setenv("CFUPLOAD_RETRIES", "0")


def ci(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(EXAMPLES / "ci.sh"), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.usefixtures("with_command")
def test_the_ci_script_prints_the_uid(stream: Served) -> None:
    path = stream.file(size=100_000)
    ended = ci(str(path))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == stream.videos()[0]["uid"]


@pytest.mark.usefixtures("with_command")
def test_the_ci_script_tries_again_where_that_helps(stream: Served) -> None:
    path = stream.file()
    stream.proxy.cut_after(8 * MIB)
    ended = ci(str(path))
    assert ended.returncode == 0, ended.stderr
    assert "try 1: trouble outlasted" in ended.stderr
    assert stream.whole(path)


@pytest.mark.usefixtures("with_command")
def test_the_ci_script_does_not_try_again_where_that_does_not_help(stream: Served) -> None:
    (stream.folder / "text.mp4").write_text("no video" * 1000)
    ended = ci(str(stream.folder / "text.mp4"))
    assert ended.returncode == 4
    assert stream.methods() == []


def test_the_python_example_prints_the_uid_and_the_progress(stream: Served) -> None:
    path = stream.file()
    ended = subprocess.run(
        [sys.executable, "-P", str(EXAMPLES / "send.py"), str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == stream.videos()[0]["uid"]
    assert "100 %" in ended.stderr
    assert stream.whole(path)


def test_the_sample_is_the_one_that_ships_with_the_package() -> None:
    from cfstream_upload.emulator.footage import sample

    assert (EXAMPLES / "sample.mp4").read_bytes() == sample()

"""Completion: what is offered where, at no cost, and in the shells themselves."""

from __future__ import annotations

import os
import pty
import select
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from inprocess import stage

from cfstream_upload.cli.app import run
from cfstream_upload.cli.completing import Candidate, answer, candidates
from cfstream_upload.cli.completion import SCRIPTS
from cfstream_upload.cli.reference import everything

MIB = 1024 * 1024


def offered(line: str) -> list[str]:
    """The words offered for the last word of ``line``."""
    return [one.value for one in candidates(everything(), line.split(" "))]


# --- what is offered -----------------------------------------------------------------------------


def test_commands_are_offered() -> None:
    assert offered("s") == ["send", "status"]
    assert offered("--quiet config s") == ["show", "set"]
    assert set(offered("")) == {page.path[-1] for page in everything().pages}


def test_options_are_offered_before_and_after_the_command() -> None:
    assert offered("--js") == ["--json"]
    assert offered("send --on-f") == ["--on-failure"]
    assert "--quiet" in offered("config show -")
    assert "--no-quiet" not in offered("send --n")
    assert offered("send --no-q") == ["--no-quiet"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("send --on-failure ", ["delete", "keep"]),
        ("send --on-failure k", ["keep"]),
        ("send --on-failure=k", ["--on-failure=keep"]),
        ("send --on-failure = k", ["keep"]),
        ("send --on-failure =", ["delete", "keep"]),
        ("list --state re", ["ready"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("config set ac", ["account_id"]),
        ("help en", ["environment"]),
        ("send --name ", []),
        ("send --name x --on-failure k", ["keep"]),
        ("completion bash ", []),
        ("nonsense ", []),
        ("send -- --on", [""]),
    ],
)
def test_values_are_offered_by_what_the_metavar_promises(line: str, words: list[str]) -> None:
    assert offered(line) == words


def test_names_of_files_are_left_to_the_shell() -> None:
    for line in ("send ", "send a.mp4 b", "send -- -x", "send --log-file ", "send --manifest "):
        assert candidates(everything(), line.split(" ")) == [Candidate("file")], line


def test_profiles_are_offered_for_profile() -> None:
    for name in ("work", "home"):
        assert run(["config", "set", "label", "x", "--profile", name, "-q"]) == 0
    assert offered("--profile w") == ["work"]
    assert offered("send --profile ") == ["work", "home"]


def test_uids_of_the_journal_are_offered_with_their_files(tmp_path: Path) -> None:
    here = stage(tmp_path)
    path = here.file(size=100_000, name="tab\there\x1b.mp4")
    uid = here.send(path).uid
    assert uid is not None
    for command in ("get", "delete", "cleanup"):
        (found,) = candidates(everything(), [command, uid[:4]])
        assert (found.value, found.meaning) == (uid, "tab\\x09here\\x1b.mp4")
    assert offered("send --watermark ") == []


def test_no_journal_is_no_trouble_and_none_is_made(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    assert offered("get ") == []
    assert list((tmp_path / "state").iterdir()) == []


@pytest.mark.parametrize("profile", ["", "fleet"])
def test_nobody_waits_for_a_shared_journal_wherever_it_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    here = stage(tmp_path)
    assert [here.send(here.file(size=100_000)).uid] == offered("get ")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        named = ["--profile", profile] if profile else []
        assert run(["config", "set", "journal", url, "-q", *named]) == 0
        monkeypatch.setenv("CFUPLOAD_PROFILE", profile)
        capfd.readouterr()
        # What this machine sent before it shared one is no upload of the shared journal.
        assert answer(["get", ""]) == 0
        assert capfd.readouterr() == ("", "")
        silent.settimeout(0)
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_a_broken_config_file_leaves_the_prompt_clean(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text("not toml")
    assert answer(["--profile", ""]) == 1
    assert capfd.readouterr() == ("", "")


# --- the scripts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_is_printed_as_it_is(shell: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert capfd.readouterr().out == SCRIPTS[shell]


def test_completing_loads_nothing_heavy() -> None:
    heavy = "httpx httpcore rich tusclient requests pydantic sqlite3 pymediainfo starlette"
    probe = (
        "import sys\n"
        "from cfstream_upload.cli import main\n"
        "try: main(['send', '--on-failure', ''])\n"
        "except SystemExit as ended: assert not ended.code\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", probe],
        env={**os.environ, "_CFUPLOAD_COMPLETE": "bash"}, capture_output=True, check=True,
    )  # fmt: skip
    assert ended.stdout.decode() == "plain\tdelete\t\nplain\tkeep\t\n"
    assert ended.stderr.decode().strip() == "[]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a video, and ``cfupload`` on the path."""
    program = tmp_path / "bin" / "cfupload"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m cfstream_upload "$@"\n')
    program.chmod(0o755)
    (tmp_path / "a b.mp4").touch()
    for shell, script in SCRIPTS.items():
        (tmp_path / f"script.{shell}").write_text(script)
    return tmp_path


def typed(folder: Path, shell: list[str], lines: list[tuple[str, str]]) -> str:
    """The screen of ``shell`` after each text was typed and what is waited for was seen."""
    child, screen = pty.fork()
    if child == 0:
        os.chdir(folder)
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        more = {"PATH": path, "TERM": "dumb", "PS1": "> ", "HOME": str(folder), "COLUMNS": "200"}
        os.execvpe(shell[0], shell, {**os.environ, **more})
    shown = ""
    try:
        for text, awaited in lines:
            os.write(screen, text.encode())
            ends = time.monotonic() + 30
            seen = len(shown)
            while awaited not in shown[seen:]:
                assert time.monotonic() < ends, shown
                if select.select([screen], [], [], 0.2)[0]:
                    shown += os.read(screen, 65536).decode(errors="replace")
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(screen)
    return shown


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_options_words_and_files(folder: Path) -> None:
    typed(
        folder,
        ["bash", "--norc", "-i"],
        [
            (". ./script.bash; echo rea''dy\n", "ready"),
            ("cfupload sen\t", "cfupload send "),
            ("--on-f\t", "--on-failure "),
            ("k\t", "keep "),
            ("--on-failure=d\t", "=delete "),
            ("a\t", "a\\ b.mp4"),
        ],
    )


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_commands_options_words_and_files(folder: Path) -> None:
    typed(
        folder,
        ["zsh", "-f", "-i"],
        [
            ("autoload -Uz compinit; compinit -u -D; . ./script.zsh; echo rea''dy\n", "ready"),
            ("cfupload sen\t", "send "),
            ("--on-f\t", "--on-failure "),
            ("k\t", "keep "),
            ("a\t", "a\\ b.mp4"),
        ],
    )


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_commands_options_words_and_files(folder: Path) -> None:
    asked = ["cfupload sen", "cfupload send --on-f", "cfupload send --on-failure=k"]
    asked += ["cfupload send a", "cfupload --log-file=a"]
    lines = "; ".join(f"complete -C '{line}'" for line in asked)
    ended = subprocess.run(
        ["fish", "--no-config", "-c", f"source script.fish; {lines}"],
        cwd=folder, capture_output=True, check=True,
        env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder)},
    )  # fmt: skip
    words = [line.split("\t")[0] for line in ended.stdout.decode().splitlines()]
    assert words == ["send", "--on-failure", "--on-failure=keep", "a b.mp4", "--log-file=a b.mp4"]

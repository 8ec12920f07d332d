"""Bad input: the exit code of the contract, one clear line, one hint, nothing created or lost."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from mp4 import padded_mp4, sample
from served import Served

from cfstream_upload.cli.app import run
from cfstream_upload.emulator.model import Stream as Model
from cfstream_upload.emulator.server import running
from cfstream_upload.safetext import safe

Told = Callable[[list[str]], tuple[int, list[str]]]


@pytest.fixture
def told(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Told:
    """Run a command in this process: its exit code, and the two lines of its error."""
    monkeypatch.chdir(tmp_path)

    def command(arguments: list[str]) -> tuple[int, list[str]]:
        capfd.readouterr()
        code = run(arguments)
        lines = capfd.readouterr().err.splitlines()
        errors = [i for i, line in enumerate(lines) if line.startswith("error: ")]
        assert len(errors) == 1, lines
        error, hint = lines[errors[0] : errors[0] + 2]
        assert hint.startswith("  hint: ")
        assert all(safe(line, 5000) == line for line in lines), "unsafe text on the terminal"
        assert "Traceback" not in "\n".join(lines)
        return code, [error, hint]

    return command


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that no test here may reach: every file is refused before anything is asked."""
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", "http://127.0.0.1:9/client/v4")
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "ab" * 16)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "canary-token-0123456789")


# --- files ---------------------------------------------------------------------------------------


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _thirty_gigabytes(path: Path) -> None:
    padded_mp4(path, 30_000_000_001)


def _cut_off(path: Path) -> None:
    path.write_bytes(sample()[:40_000])


FILES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "empty": lambda path: path.touch(),
    "directory": lambda path: path.mkdir(),
    "fifo": _fifo,
    "larger than 30 GB": _thirty_gigabytes,
    "no video": lambda path: path.write_text("To be, or not to be" * 5000),
    "cut off": _cut_off,
}


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_cannot_be_sent_is_exit_4_and_creates_nothing(
    told: Told, tmp_path: Path, kind: str
) -> None:
    FILES[kind](tmp_path / "bad.mp4")
    code, (error, _) = told(["send", "bad.mp4"])
    assert code == 4
    assert "bad.mp4" in error


@pytest.mark.usefixtures("account")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_exit_4(told: Told, tmp_path: Path) -> None:
    padded_mp4(tmp_path / "bad.mp4", 100_000).chmod(0)
    assert told(["send", "bad.mp4"])[0] == 4


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    "name",
    [
        "esc\x1b[31mred.mp4", "[bold]markup[-].mp4", "[link=x].mp4", "cr\rlf\n.mp4",
        "\udcff\udcfe.mp4", "rtl\u202egpj.mp4", "c1\x9b2J.mp4", "zero\u200bwidth.mp4", "--help",
        "::error::x.mp4",
    ],
)  # fmt: skip
def test_a_hostile_name_is_shown_harmless(told: Told, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no video at all" * 100)
    assert told(["send", "--", name])[0] == 4


@pytest.mark.parametrize(
    "name", ["esc\x1b[31mred.mp4", "\udcff\udcfe.mp4", "[link=x].mp4", "cr\rlf\n.mp4"]
)
def test_a_file_with_a_hostile_name_is_sent_like_any_other(stream: Served, name: str) -> None:
    path = stream.file(name, 100_000)
    ended = stream.run("send", "--", name)
    assert ended.code == 0, ended.err
    assert stream.whole(path)
    listed = stream.run("list")
    assert "\x1b" not in listed.out + ended.err
    assert stream.run("list", "--json").document["videos"]


# --- credentials and settings --------------------------------------------------------------------


@pytest.fixture
def served_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Model:
    padded_mp4(tmp_path / "good.mp4", 100_000)
    return Model()


@pytest.mark.parametrize("command", [["send", "good.mp4"], ["list"], ["cleanup"]])
def test_no_token_is_exit_3(
    told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: list[str]
) -> None:
    padded_mp4(tmp_path / "good.mp4", 100_000)
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "ab" * 16)
    code, (_, hint) = told(command)
    assert code == 3
    assert "CLOUDFLARE_API_TOKEN" in hint


@pytest.mark.parametrize("token", ["canary\ntoken", "canary token", "canäry", " canary"])
@pytest.mark.usefixtures("account")
def test_a_token_that_is_no_token_is_exit_3_and_not_shown(
    told: Told, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", token)
    code, lines = told(["list"])
    assert code == 3
    assert "can" + "ary" not in " ".join(lines)


def test_a_wrong_token_is_exit_3_and_creates_nothing(
    told: Told, served_account: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(served_account) as endpoint:
        monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", endpoint.base_url)
        monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", endpoint.account)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "wrong-token")
        assert told(["send", "good.mp4"])[0] == 3
        assert told(["list"])[0] == 3
    assert served_account.videos() == []


def test_a_wrong_account_is_exit_3(
    told: Told, served_account: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(served_account) as endpoint:
        monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", endpoint.base_url)
        monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "cd" * 16)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", endpoint.token)
        assert told(["send", "good.mp4"])[0] == 3
        assert told(["list"])[0] == 3


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    "base", ["http://api.example.com/client/v4", "https://user:pw@api.example.com", "ftp://x", "x"]
)
def test_an_api_base_that_would_leak_the_token_is_exit_3(
    told: Told, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", base)
    assert told(["list"])[0] == 3


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    "arguments",
    [
        ["send"],
        ["nonsense"],
        ["send", "--nonsense", "x.mp4"],
        ["send", "--json", "--quiet", "x.mp4"],
        ["send", "--chunk-size", "1M", "x.mp4"],
        ["send", "--on-failure", "explode", "x.mp4"],
        ["send", "--meta", "novalue", "x.mp4"],
        ["send", "--meta", "cfupload=1", "x.mp4"],
        ["send", "--thumbnail-pct", "7", "x.mp4"],
        ["send", "--label", "a b", "x.mp4"],
        ["send", "--stall-timeout", "soon", "x.mp4"],
        ["send", "--proxy", "http://user:password@proxy:1", "x.mp4"],
        ["get", "not-a-uid"],
        ["cleanup", "--ended"],
        ["cleanup", "not-a-uid"],
        ["cleanup", "--forget", "ab" * 16],
        ["help", "everything"],
    ],
)
def test_wrong_usage_is_exit_2(told: Told, arguments: list[str]) -> None:
    assert told(arguments)[0] == 2


# --- the journal ---------------------------------------------------------------------------------


def _read_only(state: Path) -> None:
    (state / "journal.db").chmod(0o400)
    state.chmod(0o500)


def _zero_length(state: Path) -> None:
    (state / "journal.db").write_bytes(b"")


def _foreign(state: Path) -> None:
    (state / "journal.db").unlink()
    with sqlite3.connect(state / "journal.db") as other:
        other.execute("CREATE TABLE notes (text)")
    other.close()


def _no_database(state: Path) -> None:
    (state / "journal.db").write_bytes(b"not a database, not at all" * 100)


def _newer(state: Path) -> None:
    with sqlite3.connect(state / "journal.db") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()


def _open_to_others(state: Path) -> None:
    state.chmod(0o777)


JOURNALS = {
    "zero-length": _zero_length,
    "foreign": _foreign,
    "no database": _no_database,
    "newer": _newer,
    "open to others": _open_to_others,
}


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("kind", JOURNALS)
def test_a_journal_that_cannot_be_used_is_exit_10_and_nothing_is_sent(
    told: Told, tmp_path: Path, kind: str
) -> None:
    from cfstream_upload.journal import Journal

    state = tmp_path / "state"
    Journal.open(state).close()
    JOURNALS[kind](state)
    padded_mp4(tmp_path / "good.mp4", 100_000)
    code, (error, _) = told(["send", "good.mp4"])
    assert code == 10
    assert str(state) in error


@pytest.mark.usefixtures("account")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_read_only_journal_is_exit_10(told: Told, tmp_path: Path) -> None:
    from cfstream_upload.journal import Journal

    state = tmp_path / "state"
    Journal.open(state).close()
    _read_only(state)
    padded_mp4(tmp_path / "good.mp4", 100_000)
    try:
        assert told(["send", "good.mp4"])[0] == 10
    finally:
        state.chmod(0o700)

"""What GitHub Actions is told, and what no file name can make it do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from served import MIB, Ended, Served

from cfstream_upload import errors, github
from cfstream_upload.result import Result, summary

Ran = Callable[..., Ended]
UID = "ab" * 16
HOSTILE = "a`|<img src=x>[x](http://e.vil)\n::error::\r\nuid=evil\x1b[1m\u2028@me,file:%0A.mp4"
NAMES = st.text(max_size=60) | st.text(alphabet="`|\\<>&[]()!:#*_@%,\r\n =\u2028a", max_size=60)


def failed(file: str = "bad.mp4", message: str = "No such file", uid: str | None = None) -> Result:
    error = errors.FileProblem(message, uid=uid)
    return Result(file, "failed", uid, exit_code=4, error=error)


def table(results: list[Result]) -> str:
    return github.step_summary(results, summary(results, 1.0, 0))


def rendered(results: list[Result]) -> list[Any]:
    """The tokens of the summary, as a real renderer reads it."""
    return MarkdownIt("commonmark").enable("table").parse(table(results))


# --- texts ---------------------------------------------------------------------------------------


def test_an_annotation_is_one_command_whose_parts_are_escaped() -> None:
    assert github.annotation("error", "50 % of it\r\nand\nmore") == (
        "::error title=cfupload::50 %25 of it%0D%0Aand%0Amore"
    )
    assert github.annotation("warning", "a: b, c", "a,b:c\n%.mp4") == (
        "::warning title=cfupload,file=a%2Cb%3Ac%0A%25.mp4::a: b, c"
    )


@given(NAMES, NAMES)
@settings(max_examples=100, deadline=None)
def test_no_text_breaks_out_of_an_annotation(text: str, file: str) -> None:
    line = github.annotation("error", text, file)
    assert "\n" not in line
    assert "\r" not in line
    assert line.count("::") >= 2
    properties = line.removeprefix("::error ").partition("::")[0].split(",")
    assert len(properties) == (2 if file else 1)
    assert properties[0] == "title=cfupload"


def test_the_outputs_of_one_file_are_its_uid() -> None:
    sent = Result("a.mp4", "uploaded", UID)
    assert github.outputs([sent], 0) == f'uid={UID}\nuids=["{UID}"]\nexit_code=0\n'
    assert github.outputs([failed(uid=UID)], 4) == "uid=\nuids=[]\nexit_code=4\n"


def test_the_outputs_of_a_batch_are_a_list_in_the_order_of_the_files() -> None:
    results = [
        Result("a.mp4", "already", "2" * 32), failed(), Result("b.mp4", "resumed", "1" * 32),
    ]  # fmt: skip
    assert github.outputs(results, 4) == (f'uid=\nuids=["{"2" * 32}", "{"1" * 32}"]\nexit_code=4\n')


@given(NAMES, NAMES, NAMES)
@settings(max_examples=100, deadline=None)
def test_no_text_is_an_output_of_its_own(file: str, uid: str, message: str) -> None:
    lines = github.outputs([Result(file, "uploaded", uid), failed(file, message, uid)], 4)
    assert re.fullmatch(r'uid=\nuids=\[("[0-9a-f]{32}")?\]\nexit_code=4\n', lines)


def test_the_summary_is_a_table() -> None:
    results = [Result("a.mp4", "uploaded", UID, "queued", 3 * MIB, seconds=62.0), failed()]
    assert table(results).splitlines() == [
        "### cfupload: 1 of 2 on Stream",
        "",
        "| file | outcome | uid | size | time |",
        "|---|---|---|---:|---:|",
        f"| `a.mp4` | uploaded | `{UID}` | 3.0 MiB | 1m02s |",
        "| `bad.mp4` | failed, exit 4: `No such file` |  |  | 0 s |",
        "",
    ]


def test_a_long_summary_shows_what_failed_and_says_that_there_is_more() -> None:
    many = [Result(f"{number}.mp4", "uploaded", UID) for number in range(github.MOST_ROWS)]
    text = table([*many, failed("last.mp4")])
    assert "`last.mp4`" in text
    assert "1 more are not shown." in text
    assert len(text) < 2**20


@given(NAMES, NAMES)
@settings(max_examples=150, deadline=None)
def test_no_name_is_markup_in_the_summary(file: str, message: str) -> None:
    results = [Result(file, "uploaded", UID, size=1), failed(file, message)]
    assert len(re.split(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", table(results))) == 8
    tokens = rendered(results)
    assert [token.type for token in tokens].count("tr_open") == 3
    assert [token.type for token in tokens].count("td_open") == 10
    assert not any(token.type == "html_block" for token in tokens)
    inner = {child.type for token in tokens for child in token.children or ()}
    assert inner <= {"text", "code_inline"}


def test_a_hostile_name_is_still_readable() -> None:
    (code,) = [
        child.content
        for token in rendered([Result(HOSTILE, "skipped")])
        for child in token.children or ()
        if child.type == "code_inline"
    ]
    assert code.startswith("a\\x60\\x7c<img src=x>[x](http://e.vil)\\x0a::error::")


# --- the command on a runner ---------------------------------------------------------------------


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The variables of a runner; its files are in the folder."""
    folder = tmp_path / "runner"
    folder.mkdir()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_OUTPUT", str(folder / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary"))
    (folder / "output").write_text("earlier=1\n")
    return folder


def test_send_tells_the_runner_and_a_name_commands_nothing(
    ran: Ran, stream: Served, runner: Path
) -> None:
    name = "a`|b\n::set-output name=uid::evil\n<b>.mp4"
    stream.file(name, size=100_000)
    ended = ran("send", "--json", name, "::error::gone.mp4")
    uid = stream.videos()[0]["uid"]
    assert ended.code == 4
    assert (runner / "output").read_text() == (f'earlier=1\nuid=\nuids=["{uid}"]\nexit_code=4\n')
    told = (runner / "summary").read_text()
    assert told.startswith("### cfupload: 1 of 2 on Stream\n")
    assert "| uploaded |" in told
    lines = [*ended.err.splitlines(), *ended.out.splitlines()]
    (command,) = [line for line in lines if line.lstrip().startswith("::")]
    assert command.startswith("::error title=cfupload,file=\\%3A%3Aerror%3A%3Agone.mp4::")


def test_one_file_gives_its_uid_and_files_that_cannot_be_written_only_warn(
    ran: Ran, stream: Served, runner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(runner))
    stream.file(size=100_000)
    ended = ran("send", "-q", "big.mp4")
    assert ended.code == 0
    assert f"uid={ended.out.strip()}\n" in (runner / "output").read_text()
    (command,) = [line for line in ended.err.splitlines() if line.startswith("::")]
    assert command.startswith("::warning title=cfupload::GITHUB_STEP_SUMMARY ")


def test_errors_of_every_command_are_annotated(ran: Ran, runner: Path) -> None:
    for arguments in (["get", "zz"], ["sned"], ["send", "--bogus"], ["--json", "-q", "status"]):
        told = ran(*arguments).err.splitlines()
        assert sum(line.startswith("::error title=cfupload::") for line in told) == 1, told
    assert (runner / "output").read_text() == "earlier=1\n"


def test_elsewhere_nothing_is_written_for_a_runner(
    ran: Ran, stream: Served, runner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "false")
    stream.file(size=100_000)
    ended = ran("send", "big.mp4", "gone.mp4")
    assert "::" not in ended.err
    assert (runner / "output").read_text() == "earlier=1\n"
    assert not (runner / "summary").exists()


def test_what_is_written_for_a_runner_is_free_of_secrets(runner: Path) -> None:
    results = [failed("canary-token.mp4")]
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(runner / "summary")}
    totals = summary(results, 1.0, 4)
    assert github.report(environ, results, totals, lambda t: t.replace("canary", "***")) == []
    assert "***-token.mp4" in (runner / "summary").read_text()
    assert json.dumps(totals)

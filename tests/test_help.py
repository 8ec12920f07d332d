"""Help that teaches, and errors that name the nearest thing that is right."""

from __future__ import annotations

import ast
import json
import os
import pty
import re
import select
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from parsing import parsed

import cfstream_upload
from cfstream_upload.cli.app import run
from cfstream_upload.cli.helppage import laid_out
from cfstream_upload.cli.reference import Page, everything
from cfstream_upload.cli.topics import TOPICS, variables
from cfstream_upload.nearest import did_you_mean, nearest

COMMANDS = list(everything().commands())
GROUPS = [everything(), *(page for page in everything().pages if page.pages)]
PAGES = [*COMMANDS, *GROUPS]
PACKAGE = Path(cfstream_upload.__file__).parent

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Told:
    """Run a command: its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run(list(words))
        shown = capfd.readouterr()
        return code, shown.out, shown.err

    return command


def words_of(example: str) -> list[str]:
    """The words after ``cfupload`` in a line for a shell, up to where the shell goes on."""
    line = re.sub(r'^eval "\$\((.*)\)"$', r"\1", example)
    line = line[line.index("cfupload ") :]
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)[1:]
    ends = [at for at, word in enumerate(words) if word in ("|", "<", ">", "&&", ";")]
    return words[: ends[0]] if ends else words


# --- pages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_has_two_examples_that_the_parser_takes(page: Page) -> None:
    assert len(page.examples) >= 2
    assert len(set(page.examples)) == len(page.examples)
    for example in page.examples:
        words = words_of(example)
        context = parsed(words)
        if not page.pages:
            assert context.command_path == page.name, example


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_fits_80_columns_and_is_readable_at_40(page: Page) -> None:
    assert max(map(len, laid_out(page, 80).splitlines())) <= 80
    narrow = laid_out(page, 40).splitlines()
    unbroken = {f"  {example}" for example in page.examples}
    unbroken |= {f"  {one.shown}" for one in page.options}
    assert [line for line in narrow if len(line) > 40 and line not in unbroken] == []
    words = " ".join(" ".join(narrow).split())
    for one in page.options:
        assert one.meaning in words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_speaks_in_metavars_and_explains_everything(page: Page) -> None:
    shown = laid_out(page, 80)
    assert not re.search(
        r"<\w+|list\[|INTEGER|PATH\b|x>=|VALUE\b(?!  )", shown.replace("[VALUE]", "")
    )
    for argument in page.arguments:
        assert argument.meaning, argument
    for option in page.options:
        assert option.meaning, option


def test_no_line_of_a_page_grows_with_the_terminal_past_what_eyes_follow() -> None:
    assert max(map(len, laid_out(everything(), 300).splitlines())) < 300


def test_help_follows_the_width_of_the_terminal(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    narrow = told("cleanup", "--help")[1]
    monkeypatch.setenv("COLUMNS", "80")
    wide = told("cleanup", "--help")[1]
    assert max(map(len, narrow.splitlines())) <= 40 < max(map(len, wide.splitlines())) <= 80


@pytest.mark.parametrize("words", [[], ["config"]])
def test_a_group_alone_shows_what_there_is(told: Told, words: list[str]) -> None:
    code, out, err = told(*words)
    assert (code, err) == (0, "")
    assert out == told(*words, "--help")[1]
    assert "Commands:" in out


def test_help_of_a_command_is_what_its_option_shows(told: Told) -> None:
    assert told("help", "config", "set")[1] == told("config", "set", "-h")[1]
    assert told("help", "config")[1] == told("config")[1]


def test_help_as_json_is_one_document(told: Told) -> None:
    command = json.loads(told("help", "send", "--json")[1])["command"]
    assert "--on-failure" in [name for one in command["options"] for name in one["names"]]
    assert {one["name"] for one in json.loads(told("help", "--json")[1])["topics"]} == set(TOPICS)
    found = json.loads(told("help", "environment", "--json")[1])["variables"]
    assert {"name", "meaning", "option"} == set(found[0])


def test_help_of_a_command_loads_nothing_that_only_running_it_needs() -> None:
    heavy = "httpx httpcore rich tusclient requests sqlite3 pymediainfo platformdirs xxhash"
    probe = (
        "import sys\n"
        "from cfstream_upload.cli.app import run\n"
        "assert run(['send', '--help']) == 0\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, check=True)
    assert ended.stderr.decode().strip() == "[]"


# --- topics --------------------------------------------------------------------------------------


def test_help_alone_lists_the_topics(told: Told) -> None:
    code, out, _ = told("help")
    assert code == 0
    assert {line.split("\t")[0] for line in out.splitlines()[1:]} == set(TOPICS)


def test_help_environment_has_every_variable_that_the_code_reads() -> None:
    named = {
        node.value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.fullmatch(r"(CFUPLOAD|CLOUDFLARE|CF)_[A-Z_]*[A-Z]", node.value)
    }
    # The global key is looked for only to say that it is not used; the SDKs' variable is told.
    assert named - {one.name for one in variables()} == {
        "CLOUDFLARE_API_KEY", "CF_API_KEY", "CLOUDFLARE_BASE_URL",
    }  # fmt: skip


def test_every_variable_has_a_meaning_and_stands_there_once() -> None:
    names = [one.name for one in variables()]
    assert len(set(names)) == len(names)
    assert all(one.meaning for one in variables())


def test_a_topic_on_a_terminal_is_wrapped_to_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, terminal = pty.openpty()
    monkeypatch.setenv("COLUMNS", "70")
    with os.fdopen(terminal, "w", encoding="utf-8") as out, os.fdopen(screen, "rb", 0) as shown:
        monkeypatch.setattr(sys, "stdout", out)
        assert run(["help", "exit-codes"]) == 0
        monkeypatch.undo()
        content = b""
        while select.select([shown], [], [], 0.5)[0]:
            content += shown.read(65536)
    lines = content.decode().splitlines()
    assert max(map(len, lines)) < 70
    assert lines[0].startswith("  0         the video is on Stream")
    assert any(line.startswith("  130, 143  interrupted") for line in lines)


# --- what was mistyped ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "error", "hint"),
    [
        ("sned x.mp4", "command 'sned'", "Did you mean send?"),
        ("config shwo", "command 'shwo'", "Did you mean show?"),
        ("send --chunksize 5M x", "option --chunksize", "Did you mean --chunk-size?"),
        ("--chunk-size 5M send x", "option --chunk-size", "command's name: cfupload send"),
        ("list --orphans", "option --orphans", "cfupload cleanup"),
        ("--jsno send x", "option --jsno", "Did you mean --json?"),
        ("send -x", "option -x", "after '--'"),
        ("send --on-failure=kep x", "'kep' is not delete or keep", "Did you mean keep?"),
        ("send --on-processing-error x x", "--on-processing-error 'x'", "delete, keep"),
        ("list --state redy", "--state 'redy'", "Did you mean ready?"),
        ("help enviroment", "help on 'enviroment'", "Did you mean environment?"),
        ("help config shw", "help on 'config shw'", "Did you mean config show?"),
        ("completion bsh", "SHELL 'bsh'", "Did you mean bash?"),
        ("config set acount_id x", "setting 'acount_id'", "Did you mean account_id?"),
        ("config unset lable", "setting 'lable'", "Did you mean label?"),
        ("send", "No file is named", "Like: cfupload send big.mp4"),
        ("get", "UID is missing", "Like: cfupload get 0123"),
        ("get a b", "does not take: b", "Like: cfupload get 0123"),
        ("send --name", "--name needs a value", "Like: --name TEXT"),
        ("send --json=5 x", "--json takes no value", "Write it alone"),
        ("send --retries -1 x", "--retries takes a whole number of at least 0", "Like"),
        ("send --thumbnail-pct half x", "--thumbnail-pct takes a number", "Like"),
        ("emulator --port 70000", "--port takes a whole number from 0 to 65535", "Like"),
        ("send --stall-timeout soon x", "--stall-timeout: 'soon' is no time", "500ms"),
        ("send --chunk-size big x", "--chunk-size: 'big' is no size", "500K"),
        ("--json", "No command was given", "cfupload --help"),
        ("send --json -q x", "--json and --quiet contradict", "Choose one"),
    ],
)  # fmt: skip
def test_wrong_usage_is_two_lines_and_names_the_nearest_right_thing(
    told: Told, line: str, error: str, hint: str
) -> None:
    code, _, err = told(*line.split())
    assert code == 2
    first, second = err.splitlines()
    assert first.startswith("error: ")
    assert second.startswith("  hint: ")
    assert error in first
    assert hint in second


def test_a_profile_that_is_not_there_is_exit_3_with_the_nearest(told: Told) -> None:
    assert told("config", "set", "label", "x", "--profile", "work")[0] == 0
    code, _, err = told("config", "show", "--profile", "wrok")
    assert code == 3
    assert err.splitlines()[1] == "  hint: Did you mean work?"


def test_a_file_where_a_command_belongs_is_shown_the_way(told: Told) -> None:
    Path("holiday.mp4").touch()
    assert "cfupload send holiday.mp4" in told("holiday.mp4")[2]


def test_a_state_is_taken_in_any_case() -> None:
    assert parsed(["list", "--state", "READY"]).params["state"] == "READY"


def test_wrong_usage_is_one_document_where_a_variable_asks_for_it(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_JSON", "1")
    assert json.loads(told("sned")[1])["error"]["code"] == 2
    assert told("-q", "sned")[1] == ""


def test_wrong_usage_is_one_event_where_events_are_asked_for(told: Told) -> None:
    event = json.loads(told("--ndjson", "sned")[1])
    assert (event["message_type"], event["code"]) == ("exit_error", 2)


def test_a_hint_names_the_nearest_word_or_all_of_them() -> None:
    assert nearest("KEPE", ["delete", "keep"]) == "keep"
    assert nearest("zzz", ["delete", "keep"]) is None
    assert did_you_mean("zzz", ["delete", "keep"]) == "There are: delete, keep."
    assert did_you_mean("zzz", []) == "There are none."
    assert did_you_mean("chunk", ["chunk-size-of-all-uploads"]).endswith("uploads?")

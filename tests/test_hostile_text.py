"""Texts of strangers at every edge: terminals, logs, JSON, CSV, CI runners, completion."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matrix.names import NAMES, assert_harmless
from mp4 import padded_mp4
from scripted import created, intended, sent
from served import Served

from cfstream_upload import events
from cfstream_upload.cli import app as application
from cfstream_upload.cli.completing import candidates
from cfstream_upload.cli.reference import everything
from cfstream_upload.console import Console, Mode
from cfstream_upload.emulator.exchange import Request, converse
from cfstream_upload.emulator.faults import Answer, Fault
from cfstream_upload.envelope import decipher
from cfstream_upload.errors import CfuploadError, FileProblem, Refused, UsageProblem
from cfstream_upload.journal import Journal
from cfstream_upload.manifest import Known, Manifest
from cfstream_upload.records import as_json
from cfstream_upload.result import Result
from cfstream_upload.safetext import no_formula, safe
from cfstream_upload.tus import Upload
from cfstream_upload.video import VideoOptions
from cfstream_upload.wire import Wire

pty = pytest.importorskip("pty")

# What no file's name on this system can hold, and what a server or a variable can.
TEXTS = [*NAMES, "##vso[task.setvariable variable=PATH]x", "##teamcity[x]", "=1+1", "a\x00b"]
ANY = st.text(st.characters(), max_size=60) | st.sampled_from(TEXTS)


class Screen:
    """A terminal that this process itself writes to; `seen` is what it got since the last look."""

    def __init__(self) -> None:
        import fcntl
        import termios

        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self._got = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._streams = [
            io.TextIOWrapper(
                io.FileIO(self.slave, mode, closefd=False), encoding="utf-8", newline="\n"
            )
            for mode in ("r", "w", "w")
        ]

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command here: its exit code, and what was shown."""
        # Only now: between a fixture and its test pytest sets the streams anew.
        with pytest.MonkeyPatch.context() as patch:
            for name, stream in zip(("stdin", "stdout", "stderr"), self._streams, strict=True):
                patch.setattr(sys, name, stream)
            patch.setenv("TERM", "xterm")
            patch.setenv("NO_COLOR", "1")
            code = application.run(["--no-progress", *arguments])
        return code, self.seen()

    def _read(self) -> None:
        while True:
            try:
                self._got += os.read(self.master, 65536)
            except OSError:
                return

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def seen(self) -> str:
        end = b"\x00end of it\x00"
        os.write(self.slave, end)
        limit = time.monotonic() + 20
        while not self._got.endswith(end):
            assert time.monotonic() < limit, "the terminal got stuck"
            time.sleep(0.0005)
        text = self._got.decode("utf-8", "surrogateescape").removesuffix(end.decode())
        self._got.clear()
        return text.replace("\r\n", "\n")

    def close(self) -> None:
        for stream in self._streams:
            stream.close()
        os.close(self.slave)
        self._reader.join(5)
        os.close(self.master)


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    made.close()


SHARE = int(os.environ.get("CFUPLOAD_TEST_SHARE", "16"))
"""Each command meets one in so many names, each time others; 1 tries all pairs, for minutes:

    CFUPLOAD_TEST_SHARE=1 python -P -m pytest tests/test_hostile_text.py -k terminal --timeout 0
"""

Shown = Callable[..., tuple[int, str]]


@pytest.fixture
def shown(screen: Screen, stream: Served, monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Run a command at the terminal: its code and what was shown, which no terminal obeys."""
    monkeypatch.chdir(stream.folder)

    def command(*arguments: str) -> tuple[int, str]:
        code, text = screen.run(*arguments)
        assert text, arguments
        assert_harmless(text)
        assert "Traceback" not in text
        assert "bug" not in text, (arguments, text)
        assert "\nerror: forged" not in text
        return code, text

    return command


# --- at a terminal -------------------------------------------------------------------------------


def test_no_name_does_anything_to_a_terminal_as_argument_of_any_command(shown: Shown) -> None:
    commands = [page.path[1:] for page in everything().commands()]
    assert len(commands) > 12
    for number, path in enumerate(commands):
        for name in NAMES[number % SHARE :: SHARE]:
            code, text = shown(*path, "--", name)
            if path != ("status",):
                assert code, (path, name)
            assert "error: " in text or path in {("doctor",), ("status",)}


OPTIONS = [
    ("--profile",), ("--log-file",), ("--proxy",), ("--ca-cert",), ("--stats",),
    ("send", "--label"), ("send", "--meta"), ("send", "--creator"), ("send", "--watermark"),
    ("send", "--expiry"),
    ("send", "--allowed-origin"), ("send", "--manifest"), ("send", "--files-from"),
    ("send", "--wait"), ("list", "--state"), ("cleanup", "--forget"), ("cleanup", "--min-age"),
]  # fmt: skip


def test_no_text_does_anything_to_a_terminal_as_value_or_name_of_an_option(shown: Shown) -> None:
    for number, option in enumerate(OPTIONS):
        for name in NAMES[number % (2 * SHARE) :: 2 * SHARE]:
            if option == ("--log-file",):
                name = f"no such folder/{name}"
            file = ["gone.mp4"] if option[0] == "send" else []
            words = [*option[:-1], f"{option[-1]}={name}", *file]
            shown(*(words if len(option) > 1 else [*words, "status"]))
    for name in NAMES[::SHARE]:
        assert shown(f"--{name}")[0] == 2
        assert shown("send", f"--{name}", "x.mp4")[0] in (2, 4)
        assert shown(name)[0] in (0, 2)


VARIABLES = (
    "CLOUDFLARE_API_BASE_URL", "CLOUDFLARE_ACCOUNT_ID", "CFUPLOAD_LABEL", "CFUPLOAD_HOST_ID",
    "CFUPLOAD_CONFIG", "CFUPLOAD_WAIT", "CFUPLOAD_UNREAD",
)  # fmt: skip


def test_no_text_does_anything_to_a_terminal_as_a_variable(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, variable in enumerate(VARIABLES):
        for name in NAMES[number % SHARE :: SHARE]:
            with monkeypatch.context() as patch:
                patch.setenv(variable, name)
                shown("config", "show")


def _journal_of_names(stream: Served) -> None:
    account = stream.environment["CLOUDFLARE_ACCOUNT_ID"]
    base = stream.environment["CLOUDFLARE_API_BASE_URL"]
    with closing(Journal.open(stream.folder / "state")) as journal:
        for number, name in enumerate(NAMES):
            kind = (created, sent, intended)[number % 3]
            uid = None if kind is intended else f"{number:032x}"
            path = f"/videos/{name}"
            facts = {"row": 0, "id": f"{number:032x}", "path": path, "uid": uid}
            row = kind(**facts, account=account, base=base, kept=number % 5 == 0)
            journal.record(row)


def _videos_of_names(stream: Served) -> None:
    for name in TEXTS:
        value = base64.b64encode(name.encode("utf-8", "surrogatepass")).decode()
        headers = {
            "tus-resumable": "1.0.0", "upload-length": "9", "upload-metadata": f"name {value}",
            "authorization": f"Bearer {stream.model.token}", "host": "127.0.0.1:9",
        }  # fmt: skip
        path = f"/client/v4/accounts/{stream.model.account}/stream"
        converse(stream.model, Request("POST", path, {"direct_user": "true"}, headers))


def test_no_name_on_stream_or_in_the_journal_does_anything_to_a_terminal(
    shown: Shown, screen: Screen, stream: Served
) -> None:
    _journal_of_names(stream)
    _videos_of_names(stream)
    for command in (
        ["list"],
        ["status"],
        ["cleanup", "--orphans", "--dry-run"],
        ["config", "show"],
    ):
        for mode in ([], ["--json"], ["--ndjson"], ["-q"]):
            code, text = shown(*command, *mode)
            assert code in (0, 7), text
            if mode == ["--json"]:
                _strict(text[text.index("{") : text.rindex("}") + 1])
    videos = stream.videos()
    for video in videos[::13]:
        screen.type("n\n")
        code, text = shown("delete", video["uid"])
        assert (code, "[y/N]" in text) == (2, True)
    for video in videos[3::17]:
        assert shown("get", video["uid"])[0] == 0
        assert shown("wait", "--wait-timeout", "1ms", video["uid"])[0] in (8, 11)
    assert stream.videos() == videos


def test_no_word_of_a_server_does_anything_to_a_terminal(shown: Shown, stream: Served) -> None:
    for number in range(0, len(TEXTS), 4):
        errors = [{"code": 1, "message": text} for text in TEXTS[number : number + 4]]
        body = json.dumps({"success": False, "errors": errors, "result": None}).encode()
        stream.strike(Fault(Answer(400, {"content-type": "application/json"}, body), "GET"))
        code, text = shown("list")
        assert code == 5
        assert "Stream refused" in text


def test_a_log_of_hostile_names_has_one_safe_line_for_each_thing(
    shown: Shown, stream: Served
) -> None:
    names = [name.replace("/", "_") for name in NAMES[:20:3]]
    for number, name in enumerate(names):
        padded_mp4(stream.folder / f"{name}.mp4", 60_000, sparse=False, seed=number)
    code, _ = shown("--log-file", "run.log", "send", "--", *[f"{name}.mp4" for name in names])
    assert code == 0
    text = (stream.folder / "run.log").read_bytes().decode()
    assert_harmless(text)
    assert all(line[:2] == "20" and line[10] == "T" for line in text.splitlines())


# --- whatever a text is --------------------------------------------------------------------------


def _strict(text: str) -> Any:  # noqa: ANN401  any document
    """``text`` as a strict parser reads it: no NaN, no Infinity, nothing that is not ASCII."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    assert text.isascii()
    return json.loads(text, parse_constant=refuse)


def _told(mode: Mode, environ: dict[str, str], text: str, file: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    with Console(out, err, None, environ, mode=mode, verbosity=2, stats=0) as console:
        for event in (
            events.Started(file, 9), events.Retrying(file, text, 1, 2.0), events.Notice(file, text),
            events.CleaningUp(file, "a" * 32, text),
        ):  # fmt: skip
            console(event)
        console.finished(file, text)
        console.problem(Refused(text, text), file)
        console.warning(text)
        console.say(text)
        console.line(text)
        console.table(["X", "Y"], [[text, file], [file, text]])
        console.summary(["X"], [[text]])
        console.event({"message_type": "failed", "file": file, "message": text, text: [file]})
        if mode == "json":
            out.truncate(out.seek(0))
            console.document({"version": 1, "error": {text: [text, file, 1.5]}})
    return out.getvalue(), err.getvalue()


RUNNERS: dict[str, dict[str, str]] = {
    "none": {}, "GitHub": {"GITHUB_ACTIONS": "true"}, "Azure": {"TF_BUILD": "True"},
    "TeamCity": {"TEAMCITY_VERSION": "2026"},
}  # fmt: skip


@pytest.mark.parametrize("runner", RUNNERS)
@settings(max_examples=60, deadline=None)
@given(ANY, ANY, st.sampled_from(["text", "json", "ndjson", "quiet"]))
@example("##vso[x]y", "::error::z", "json")
@example("[red]x[/red] :smile: [link=http://e.vil]y[/link]", "[/]", "text")
def test_whatever_a_text_is_what_leaves_is_safe_and_commands_no_runner(
    runner: str, text: str, file: str, mode: Mode
) -> None:
    out, err = _told(mode, RUNNERS[runner], text, file)
    assert_harmless(out.replace("\t", " ") + err)
    if mode == "json":
        _strict(out)
    if mode == "ndjson":
        lines = [line for line in out.splitlines() if line.startswith("{")]
        assert _strict(lines[-1])["file"] == file
    if runner != "none":
        for line in (out + err).splitlines():
            assert not any(sign in line.lower() for sign in ("##[", "##vso[", "##teamcity["))
            ours = line.startswith(("::error title=cfupload", "::warning title=cfupload"))
            assert ours == line.lstrip().startswith("::")
            assert not ours or runner == "GitHub"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_whatever_a_document_holds_it_is_json_of_one_reading(content: object) -> None:
    for indent in (None, 2):
        _strict(as_json({"result": content}, str, indent))


def test_what_a_server_nests_or_numbers_without_end_is_json_all_the_same() -> None:
    answer = decipher(200, {}, b'{"success": true, "result": {"duration": 1e999}}')
    assert answer.result is None
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    held = {"duration": float("inf"), "size": float("-inf"), "more": deep}
    told = _strict(as_json(held, str))
    assert (told["duration"], told["size"]) == (None, None)


def test_markup_of_rich_is_shown_as_it_is() -> None:
    name = "[bold red]x[/bold red] [link=http://e.vil]:smile:[/link] [/]"
    out, err = _told("text", {}, name, name)
    assert name in out
    assert f"error: {name}" in err


@settings(max_examples=100, deadline=None)
@given(ANY, ANY, ANY.filter(len))
def test_no_name_or_metadata_leaves_the_header_that_it_travels_in(
    name: str, value: str, file: str
) -> None:
    try:
        options = VideoOptions(name=name, meta=(("key", value),)).checked()
    except UsageProblem:
        options = VideoOptions(meta=(("key", value),))
    metadata = options.metadata("1.x.y", file, 120)
    with Wire(api_base="http://127.0.0.1:9", token=None) as wire:
        header = Upload(wire, 9, metadata).creation_headers()["upload-metadata"]
    assert re.fullmatch(r"[a-z0-9_.-]+ [A-Za-z0-9+/=]*(,[a-z0-9_.-]+ [A-Za-z0-9+/=]*)*", header)
    travelling = {pair.partition(" ")[0]: pair.partition(" ")[2] for pair in header.split(",")}
    assert base64.b64decode(travelling["key"]).decode() == re.sub(
        "[\ud800-\udfff]", "\ufffd", value
    )


# --- a CSV for spreadsheets ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"),
        ("  =1", "'  =1"), ("\uff1d1", "'\uff1d1"), ("plain = text", "plain = text"), ("", ""),
    ],
)  # fmt: skip
def test_a_text_is_no_formula(text: str, cell: str) -> None:
    assert no_formula(text) == cell


@settings(max_examples=60, deadline=None)
@given(ANY, ANY, st.sampled_from(NAMES))
@example("=HYPERLINK(1)", "@SUM(A1)", "=1+1")
def test_a_manifest_names_the_file_exactly_and_holds_no_formula(
    tmp_path_factory: pytest.TempPathFactory, text: str, state: str, name: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "m.csv"
    source = str(path.with_name(f"{name.replace('/', '_')}.mp4"))
    manifest = Manifest(path, "target", "{}")
    error = FileProblem(text)
    manifest.record(Result(source, "failed", None, state, exit_code=4, error=error), 1.0, 2.0)
    manifest.close()
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        (line,) = csv.DictReader(file)
    assert line.pop("source") == source
    for cell in line.values():
        assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r")
        assert safe(cell, 1001) == cell
    assert Known(path, "target", "{}").done(source) is None


# --- completion, and the last boundary -----------------------------------------------------------


def test_a_profile_that_a_shell_would_obey_is_not_offered() -> None:
    hostile = ["$(touch evil)", "a;b", "`id`", "a b", "work", "x\ty", "-rf", "\u202eabc", "ci.2"]
    tables = "\n".join(f"[profiles.{json.dumps(name)}]\nlabel = 'x'" for name in hostile)
    Path(os.environ["CFUPLOAD_CONFIG"]).write_text(tables)
    offered = [one.value for one in candidates(everything(), ["--profile", ""])]
    assert offered == ["work", "ci.2"]


def test_meanings_of_uids_are_one_safe_line(stream: Served) -> None:
    _journal_of_names(stream)
    offered = candidates(everything(), ["get", ""])
    assert len(offered) > 20
    for one in offered:
        assert_harmless(one.meaning)
        assert "\n" not in one.meaning


class Broken(Exception):
    """Something that breaks where nothing should."""


@pytest.mark.parametrize("places", [("_command",), ("_command", "emergency_desk"), ("_wanted",)])
def test_an_error_on_the_way_to_tell_of_an_error_is_told_without_a_traceback(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, places: tuple[str, ...]
) -> None:
    def breaks(*_: object) -> None:
        raise Broken("canary-token-0123456789")

    for place in places:
        monkeypatch.setattr(application, place, breaks)
    assert application.run(["list", "--bo\x1b[31mgus"]) == 2
    told = capfd.readouterr().err
    assert told.startswith("error: There is no option --bo\\x1b[31mgus\n  hint: ")
    assert len(told.splitlines()) == 2
    assert "canary" not in told


def test_wrong_usage_that_cannot_be_worded_is_a_bug_in_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> CfuploadError:
        raise Broken("canary-token-0123456789")

    monkeypatch.setattr("cfstream_upload.cli.misuse.misused", breaks)
    assert application.run(["list", "--bogus"]) == 1
    told = capfd.readouterr().err
    assert told.startswith("error: A bug in cfupload: Broken at test_hostile_text.py:")
    assert "canary" not in told

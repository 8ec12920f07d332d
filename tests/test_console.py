from __future__ import annotations

import io
import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cfstream_upload import events
from cfstream_upload.cli.report import Report
from cfstream_upload.console import Console, Mode
from cfstream_upload.errors import FileProblem, LeftoverRemains, NotStarted, UsageProblem
from cfstream_upload.meter import Meter, Phase
from cfstream_upload.result import Result
from cfstream_upload.safetext import Redactor

MB = 1024 * 1024
UID = "a" * 32
ATTEMPT = "c" * 32
CANARY = "canary-token-0123456789"
HOSTILE = "evil\x1b]0;owned\x07\x9b31m\u202e\udcff[bold]:smile:\n::error::x.mp4"
FOUR_LINES = [
    f"Cleaning up failed upload: {UID}",
    f"Cleaned up failed upload from Cloudflare: {UID}",
    f"Cleaned up failed upload from journal: {ATTEMPT}",
    f"Successfully cleaned up failed upload: {UID}",
]
CLEANUP: list[events.Event] = [
    events.CleaningUp("a.mp4", UID, "no more"),
    events.Deleted("a.mp4", UID),
    events.CleanedUp("a.mp4", UID, ATTEMPT),
]
EVERYTHING: list[events.Event] = [
    events.Started("a.mp4", 100 * MB),
    events.Created("a.mp4", UID),
    events.Resumed("a.mp4", UID, 42 * MB, 100 * MB),
    events.Progress("a.mp4", 42 * MB, 50 * MB, 100 * MB),
    events.Retrying("a.mp4", "the connection was cut", 1, 3.0),
    events.Notice("a.mp4", "by the way"),
    events.Confirming("a.mp4", UID),
    *CLEANUP,
]


class Run:
    """A console whose streams are kept: ``out`` and ``err`` give what was written."""

    def __init__(self, mode: Mode = "text", **more: Any) -> None:  # noqa: ANN401
        self._out, self._err = io.StringIO(), io.StringIO()
        environ = more.pop("environ", {})
        more.setdefault("stats", 0)
        self.console = Console(self._out, self._err, None, environ, mode=mode, **more)

    @property
    def out(self) -> str:
        return self._out.getvalue()

    @property
    def err(self) -> str:
        return self._err.getvalue()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


# --- lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["text", "json", "ndjson", "quiet"])
def test_the_four_lines_are_told_in_every_mode(mode: Mode) -> None:
    run = Run(mode)
    for event in CLEANUP:
        run.console(event)
    assert run.err.splitlines() == FOUR_LINES


def test_off_a_terminal_the_log_has_plain_lines_and_stdout_nothing() -> None:
    run = Run()
    for event in EVERYTHING:
        run.console(event)
    run.console.finished("a.mp4", "failed")
    assert run.err.splitlines() == [
        "a.mp4: started, 100 MiB",
        "a.mp4: resumed at 42 % (42.0 MiB of 100 MiB)",
        "a.mp4: retrying in 3 s: the connection was cut",
        "a.mp4: by the way",
        *FOUR_LINES,
        "a.mp4: failed",
    ]
    assert run.out == ""


def test_quiet_says_nothing_more_and_verbose_more() -> None:
    quiet, verbose = Run("quiet", verbosity=2), Run(verbosity=1)
    for event in EVERYTHING:
        quiet.console(event)
        verbose.console(event)
    assert quiet.err.splitlines() == FOUR_LINES
    assert f"a.mp4: created {UID}" in verbose.err
    assert "a.mp4: no more" in verbose.err


def test_a_log_file_takes_the_log_and_stderr_keeps_the_errors(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Run("quiet", log_file=log).console as console:
        for event in EVERYTHING:
            console(event)
    run = Run(log_file=log)
    with run.console as console:
        console(CLEANUP[0])
        console.problem(LeftoverRemains("It remains", "Sweep."))
    lines = [line.split(" ", 1)[1] for line in log.read_text().splitlines()]
    assert "a.mp4: by the way" in lines
    assert lines[-3:] == [FOUR_LINES[0], "error: It remains", "hint: Sweep."]
    assert run.err.splitlines() == ["error: It remains", "  hint: Sweep."]


def test_a_log_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="--log-file"):
        Run(log_file=tmp_path)
    with pytest.raises(UsageProblem, match="CFUPLOAD_OUTPUT_FILE"):
        Run(log_file=tmp_path / "log", output_file=tmp_path / "no" / "such")


def test_now_and_then_a_line_tells_of_progress_even_in_silence() -> None:
    run = Run(stats=0.02)
    with run.console as console:
        console(events.Started("a.mp4", 100 * MB))
        console(events.Created("a.mp4", UID))
        console(events.Progress("a.mp4", 42 * MB, 50 * MB, 100 * MB))
        until(lambda: run.err.count("a.mp4: 42 %, 42.0 MiB of 100 MiB, 8.0 MiB on the way") >= 2)
        console.finished("a.mp4", "done")
        lines = len(run.err.splitlines())
        time.sleep(0.1)
        assert len(run.err.splitlines()) == lines


def test_scripts_that_get_events_get_no_lines_of_progress() -> None:
    run = Run("ndjson", stats=0.01)
    with run.console as console:
        console(events.Started("a.mp4", 100))
        time.sleep(0.1)
    assert run.err.splitlines() == ["a.mp4: started, 100 B"]


def test_a_closed_console_writes_no_more_by_itself() -> None:
    run = Run(stats=0.02)
    with run.console as console:
        console(events.Started("a.mp4", 100))
    threads = [thread.name for thread in threading.enumerate()]
    assert "console" not in threads


def test_progress_itself_writes_no_line() -> None:
    run = Run(stats=60)
    with run.console as console:
        console(events.Started("a.mp4", 100 * MB))
        for sent in range(100):
            console(events.Progress("a.mp4", 0, sent * MB, 100 * MB))
    assert len(run.err.splitlines()) == 1


def test_a_file_below_the_working_folder_is_named_from_there() -> None:
    run = Run()
    run.console(events.Started(str(Path.cwd() / "sub" / "a.mp4"), 1))
    run.console(events.Started("/somewhere/b.mp4", 1))
    assert run.err.splitlines() == [
        f"{Path('sub/a.mp4')}: started, 1 B", "/somewhere/b.mp4: started, 1 B",
    ]  # fmt: skip


def test_a_problem_is_two_lines_whatever_its_words_hold() -> None:
    run = Run(redactor=Redactor([CANARY]))
    run.console.problem(LeftoverRemains(f"{HOSTILE} {CANARY}", f"a\nb {CANARY}"))
    run.console.warning(HOSTILE)
    assert len(run.err.splitlines()) == 3
    assert re.fullmatch(r"[\x20-\x7e\n]*", run.err)
    assert CANARY not in run.err


def test_on_github_actions_an_error_is_annotated_and_a_name_commands_nothing() -> None:
    run = Run(environ={"GITHUB_ACTIONS": "true"})
    run.console.problem(LeftoverRemains("50 % of it\n::stop-commands::x", "Sweep."))
    run.console(events.Notice("", "::add-mask::x"))
    run.console.line("::set-output::x")
    run.console.document({"name": "##[add-mask]x"})
    commands = [line for line in run.err.splitlines() if line.lstrip().startswith("::")]
    assert commands == [r"::error title=cfupload::50 %25 of it\x0a::stop-commands::x  Sweep."]
    assert run.out.startswith("\\::")
    assert "##[" not in run.out
    assert json.loads(run.out.split("\n", 1)[1]) == {"name": "##[add-mask]x"}


# --- data ----------------------------------------------------------------------------------------


def test_a_document_is_ascii_json_for_any_name_and_free_of_secrets() -> None:
    run = Run("json", redactor=Redactor([CANARY, "12345"]))
    content = {"version": 1, "file": HOSTILE + "\x7f", "size": 123456, CANARY: [CANARY, None, 1.5]}
    run.console.document(content)
    assert re.fullmatch(r"[\x20-\x7e\n]*", run.out)
    assert json.loads(run.out) == {
        "version": 1, "file": HOSTILE + "\x7f", "size": 123456, "***": ["***", None, 1.5],
    }  # fmt: skip
    assert r"\udcff" in run.out


def test_events_are_records_that_scripts_know(tmp_path: Path) -> None:
    appended = tmp_path / "events"
    appended.write_text('{"earlier": true}\n')
    run = Run("ndjson", output_file=appended)
    with run.console as console:
        for event in EVERYTHING:
            console(event)
        console.event({"message_type": "summary", "files": 1})
    records = [json.loads(line) for line in run.out.splitlines()]
    assert [record.pop("message_type") for record in records] == [
        "started", "resumed", "progress", "retrying", "cleaning_up", "cleaned_up", "summary",
    ]  # fmt: skip
    assert {record.pop("version") for record in records} == {1}
    for record in records:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("time"))
    assert records[2] == {
        "file": "a.mp4", "uid": UID, "bytes_acknowledged": 42 * MB, "bytes_sent": 50 * MB,
        "total_bytes": 100 * MB, "bytes_per_second": None, "seconds_remaining": None,
    }  # fmt: skip
    assert records[-1] == {"file": None, "files": 1}
    assert appended.read_text() == '{"earlier": true}\n' + run.out


def test_progress_records_come_once_a_second_at_most() -> None:
    ticks = itertools.count(0.0, 0.1)
    run = Run("ndjson", clock=lambda: next(ticks))
    for sent in range(30):
        run.console(events.Progress("a.mp4", 0, sent, 100))
    assert len(run.out.splitlines()) == 3


def test_no_records_are_written_unless_asked_for() -> None:
    run = Run("json")
    for event in EVERYTHING:
        run.console(event)
    run.console.event({"message_type": "summary"})
    assert run.out == ""


def test_a_table_off_a_terminal_has_tabs_and_safe_cells() -> None:
    run = Run()
    run.console.table(["name", "uid", "x"], [[HOSTILE, UID, None], ["a\tb", 7, ""]])
    lines = run.out.splitlines()
    assert [len(line.split("\t")) for line in lines] == [3, 3, 3]
    assert lines[2] == "a\\x09b\t7\t"


def test_a_line_of_data_is_the_line_alone() -> None:
    run = Run("quiet")
    run.console.line(UID)
    assert (run.out, run.err) == (UID + "\n", "")


# --- questions -----------------------------------------------------------------------------------


def test_no_question_is_asked_off_a_terminal() -> None:
    console = Console(io.StringIO(), io.StringIO(), io.StringIO("y\n"), {})
    with pytest.raises(UsageProblem) as refused:
        console.ask("Delete?")
    assert "--yes" in refused.value.hint
    for inp in (None, closed_stream()):
        with pytest.raises(UsageProblem):
            Console(None, None, inp, {}).ask("Delete?")


# --- broken streams ------------------------------------------------------------------------------


def closed_stream() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


def use_everything(console: Console) -> None:
    with console:
        for event in EVERYTHING:
            console(event)
        console.finished("a.mp4", HOSTILE)
        console.line(HOSTILE)
        console.document({"a": HOSTILE})
        console.event({"message_type": "summary"})
        console.table(["a"], [[HOSTILE]])
        console.warning("w")
        console.problem(LeftoverRemains("It remains", "Sweep."))


@pytest.mark.parametrize("progress", [None, True])
@pytest.mark.parametrize("mode", ["text", "json", "ndjson", "quiet"])
def test_closed_or_missing_streams_are_survived(mode: Mode, progress: bool | None) -> None:
    for stream in (None, closed_stream()):
        use_everything(Console(stream, stream, None, {}, mode=mode, progress=progress))


def child_environ() -> dict[str, str]:
    """An environment in which Python buffers its streams, as it does for most people."""
    buffered = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**buffered, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_pipe_that_nobody_reads_changes_no_exit_code() -> None:
    script = (
        "import os, sys\nfrom cfstream_upload.console import Console\n"
        "console = Console(sys.stdout, sys.stderr, sys.stdin, os.environ)\n"
        "[console.line('x' * 1000) for _ in range(300)]\nsys.exit(8)\n"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdout=write,
        stderr=subprocess.PIPE,
        env=child_environ(),
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (8, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_changes_no_exit_code() -> None:
    script = (
        "import os, sys\nfrom cfstream_upload.console import Console\n"
        "console = Console(sys.stdout, sys.stderr, sys.stdin, os.environ)\n"
        "console.line('x')\nsys.exit(8)\n"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script],
            stdout=full,
            stderr=full,
            env=child_environ(),
            check=False,
        )
    assert done.returncode == 8


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8", "latin-1"])
def test_a_stream_of_few_characters_gets_backslashes(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    use_everything(Console(stream, stream, None, {}, progress=True))
    Console(stream, None, None, {}).line("日本 ü")
    assert (
        raw.getvalue()
        .decode(encoding)
        .endswith(
            {"ascii": "\\u65e5\\u672c \\xfc\n", "utf-8": "日本 ü\n"}.get(
                encoding, "\\u65e5\\u672c ü\n"
            )
        )
    )


def test_threads_do_not_mix_their_lines() -> None:
    run = Run()

    def talk(letter: str) -> None:
        for _ in range(100):
            run.console.say(letter * 50)

    threads = [threading.Thread(target=talk, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(run.err.splitlines())) == [letter * 50 for letter in "abcd"]


def test_a_console_without_a_bar_does_not_load_rich() -> None:
    script = (
        "import os, sys\nfrom cfstream_upload import events\n"
        "from cfstream_upload.console import Console\n"
        "console = Console(sys.stdout, sys.stderr, sys.stdin, os.environ)\n"
        "console(events.Started('a', 1)); console.table(['a'], [['b']]); console.close()\n"
        "sys.exit('rich' in sys.modules)\n"
    )
    subprocess.run(
        [sys.executable, "-c", script], env=child_environ(), check=True, capture_output=True
    )


# --- a terminal ----------------------------------------------------------------------------------


class Terminal:
    """A real terminal of some width: ``stream`` writes to it, ``seen`` is all it was sent."""

    def __init__(self, columns: int = 80, encoding: str = "utf-8") -> None:
        import fcntl
        import struct
        import termios

        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.stream = io.TextIOWrapper(
            io.FileIO(slave, "r+"), encoding=encoding, newline="\n", write_through=True
        )
        self._encoding = encoding
        self._bytes = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                block = os.read(self._master, 65536)
            except OSError:
                return
            if not block:
                return
            self._bytes += block

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    @property
    def seen(self) -> str:
        return self._bytes.decode(self._encoding, "replace")

    def hang_up(self) -> None:
        self.stream.close()
        self._reader.join(5)
        os.close(self._master)


@pytest.fixture
def terminals() -> Iterator[Callable[..., Terminal]]:
    if sys.platform == "win32":
        pytest.skip("terminals of POSIX")
    made: list[Terminal] = []

    def make(columns: int = 80, encoding: str = "utf-8") -> Terminal:
        made.append(Terminal(columns, encoding))
        return made[-1]

    yield make
    for terminal in made:
        terminal.hang_up()


MakeTerminal = Callable[..., Terminal]


def drawn(terminal: Terminal, events_: list[events.Event], **environ: str) -> str:
    """What the terminal was sent while ``events_`` were told, the bar drawn after each."""
    with Console(None, terminal.stream, None, {"TERM": "xterm", **environ}) as console:
        for event in events_:
            console(event)
            before = len(terminal.seen)
            until(lambda before=before: len(terminal.seen) > before)  # type: ignore[misc]
    return terminal.seen


def plain(text: str) -> list[str]:
    """The lines in what a terminal was sent, without colours and movements."""
    return [
        line.rstrip() for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text))
    ]


def test_the_bar_shows_both_truths_and_never_100_percent(terminals: MakeTerminal) -> None:
    lines = plain(
        drawn(
            terminals(),
            [
                events.Started("/v/a.mp4", 100 * MB),
                events.Created("/v/a.mp4", UID),
                events.Progress("/v/a.mp4", 20 * MB, 60 * MB, 100 * MB),
                events.Progress("/v/a.mp4", 100 * MB, 100 * MB, 100 * MB),
                events.Confirming("/v/a.mp4", UID),
            ],
        )
    )
    shown = [line for line in lines if line.startswith("a.mp4")]
    assert any(re.fullmatch(r"a\.mp4 ━+╍+─+  20%", line) for line in shown)
    assert "  20.0 MiB of 100 MiB  40.0 MiB on the way" in lines
    assert any("waiting for Stream to confirm" in line for line in lines)
    assert max(int(line[-3:-1]) for line in shown) == 99
    assert not any("100%" in line for line in lines)


def test_the_bar_never_goes_back(terminals: MakeTerminal) -> None:
    text = drawn(
        terminals(),
        [
            events.Started("a.mp4", 100),
            events.Resumed("a.mp4", UID, 30, 100),
            events.Progress("a.mp4", 30, 90, 100),
            events.Retrying("a.mp4", "cut", 1, 0.0),
            events.Progress("a.mp4", 30, 40, 100),
            events.Progress("a.mp4", 20, 20, 100),
        ],
    )
    bars = re.findall(r"a\.mp4 (━*)(╍*)─* +(\d+)%", "\n".join(plain(text)))
    shown = [(len(stored), len(stored + sent), int(percent)) for stored, sent, percent in bars]
    for places in zip(*shown, strict=True):
        assert list(places) == sorted(places)
    assert bars[-1][2] == "30"


def test_the_bar_tells_of_retries_and_rollbacks(terminals: MakeTerminal) -> None:
    lines = plain(
        drawn(
            terminals(),
            [
                events.Started("a.mp4", 100),
                events.Created("a.mp4", UID),
                events.Retrying("a.mp4", "the connection was cut", 1, 30.0),
                events.CleaningUp("a.mp4", UID, "no more tries"),
                events.CleanedUp("a.mp4", UID, ATTEMPT),
            ],
        )
    )
    assert any(line.startswith("  retrying in 30 s: the connection was cut") for line in lines)
    assert FOUR_LINES[0] in lines
    assert FOUR_LINES[3] in lines


@pytest.mark.parametrize("columns", [80, 40, 12, 1])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_hostile_name_does_nothing_to_a_terminal_of_any_width(
    columns: int, encoding: str, terminals: MakeTerminal
) -> None:
    text = drawn(
        terminals(columns, encoding),
        [
            events.Started(f"/v/{HOSTILE}", 100 * MB),
            events.Retrying(f"/v/{HOSTILE}", HOSTILE, 1, 3.0),
            events.CleaningUp(f"/v/{HOSTILE}", UID, HOSTILE),
        ],
    )
    left = re.sub(r"\x1b\[[0-9;]*[mAK]|\x1b\[2K|[\r\n]", "", text)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", left)
    if columns == 80:
        assert "[bold]:smile:" in text
    if columns >= 12:
        rows = [line for line in plain(text) if line.rstrip("%").endswith("0")]
        assert all(len(row) < columns for row in rows)


def test_the_bar_fills_a_wide_terminal(terminals: MakeTerminal) -> None:
    lines = plain(drawn(terminals(200), [events.Started("a.mp4", 100)]))
    assert max(len(line) for line in lines if line.startswith("a.mp4")) == 199


def test_lines_and_data_come_out_whole_beside_the_bar(terminals: MakeTerminal) -> None:
    terminal = terminals()
    with Console(terminal.stream, terminal.stream, None, {"TERM": "xterm"}) as console:
        console(events.Started("a.mp4", 100))
        until(lambda: "a.mp4" in terminal.seen)
        console.line(UID)
        console.warning("take care")
        console.finished("a.mp4", "done")
    until(lambda: "done" in terminal.seen)
    lines = plain(terminal.seen)
    assert UID in lines
    assert "warning: take care" in lines
    assert lines[-2:] == ["a.mp4: done", ""]


@pytest.mark.parametrize(
    ("environ", "no_color"),
    [({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "xterm"}, True)],
)
def test_colour_can_be_refused(
    environ: dict[str, str], no_color: bool, terminals: MakeTerminal
) -> None:
    terminal = terminals()
    with Console(None, terminal.stream, None, environ, no_color=no_color) as console:
        console(events.Started("a.mp4", 100))
        until(lambda: "0%" in terminal.seen)
        console.problem(LeftoverRemains("It remains", "Sweep."))
    until(lambda: "Sweep." in terminal.seen)
    assert not re.search(r"\x1b\[[0-9;]*m", terminal.seen)


def test_a_dumb_terminal_gets_lines_without_any_control(terminals: MakeTerminal) -> None:
    terminal = terminals()
    use_everything(Console(terminal.stream, terminal.stream, None, {"TERM": "dumb"}))
    until(lambda: "Sweep." in terminal.seen)
    assert "\x1b" not in terminal.seen
    assert "a.mp4: resumed at 42 %" in terminal.seen


def test_a_bar_can_be_refused_on_a_terminal(terminals: MakeTerminal) -> None:
    terminal = terminals()
    console = Console(None, terminal.stream, None, {"TERM": "xterm"}, progress=False, stats=0.02)
    with console:
        console(events.Started("a.mp4", 100))
        until(lambda: "a.mp4: 0 %, 0 B of 100 B, starting" in terminal.seen)
    assert "\x1b" not in terminal.seen


def test_the_cursor_is_never_hidden(terminals: MakeTerminal) -> None:
    assert "\x1b[?25l" not in drawn(terminals(), [events.Started("a.mp4", 100)])


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_a_terminal_that_hangs_up_is_survived() -> None:
    master, slave = os.openpty()
    with io.TextIOWrapper(io.FileIO(slave, "w"), encoding="utf-8", write_through=True) as stream:
        console = Console(stream, stream, None, {"TERM": "xterm"})
        console(events.Started("a.mp4", 100))
        os.close(master)
        use_everything(console)


def test_a_bar_that_breaks_leaves_the_lines(
    terminals: MakeTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("rich is poor")

    monkeypatch.setattr("cfstream_upload.bar.Bar.draw", break_down)
    terminal = terminals()
    with Console(None, terminal.stream, None, {"TERM": "xterm"}, stats=0.02) as console:
        console(events.Started("a.mp4", 100))
        until(lambda: "a.mp4: 0 %, 0 B of 100 B, starting" in terminal.seen)
    assert "poor" not in terminal.seen


def test_many_files_do_not_fill_more_than_the_screen(terminals: MakeTerminal) -> None:
    terminal = terminals()
    with Console(None, terminal.stream, None, {"TERM": "xterm"}) as console:
        for number in range(40):
            console(events.Started(f"{number}.mp4", 100))
        until(lambda: "and 18 more" in terminal.seen)


def test_a_table_on_a_terminal_is_aligned_or_one_value_a_line(terminals: MakeTerminal) -> None:
    wide, narrow = terminals(80), terminals(40)
    for terminal in (wide, narrow):
        console = Console(terminal.stream, None, None, {"TERM": "xterm"})
        console.table(
            ["name", "uid", "state"], [["日本.mp4", UID, "ready"], ["b.mp4", UID, "error"]]
        )
    until(lambda: "error" in wide.seen and "error" in narrow.seen)
    assert plain(wide.seen)[:3] == [
        f"name      uid{' ' * 29}  state",
        f"日本.mp4  {UID}  ready",
        f"b.mp4     {UID}  error",
    ]
    assert plain(narrow.seen)[:3] == ["name   日本.mp4", f"uid    {UID}", "state  ready"]


LONG = "/mnt/videos/2026/interview-with-a-very-long-name-camera-{}.mp4"
BATCH = [
    [LONG.format("left"), "uploaded", UID, "1.5 GiB"],
    [LONG.format("日本日本"), "already", UID, "100.0 MiB"],
]


@pytest.mark.parametrize("columns", [80, 40])
def test_the_table_of_a_batch_cuts_names_in_their_middle_and_never_a_uid(
    terminals: MakeTerminal, columns: int
) -> None:
    from rich.cells import cell_len

    terminal = terminals(columns)
    console = Console(None, terminal.stream, None, {"TERM": "xterm"})
    console.summary(["FILE", "OUTCOME", "UID", "SIZE"], BATCH, name=0, spare=2)
    until(lambda: "100.0 MiB" in terminal.seen)
    lines = plain(terminal.seen)[:3]
    assert max(map(cell_len, lines)) == columns
    assert all(re.match(r"inte.*\.\.\..*\.mp4  [ua]", line) for line in lines[1:])
    assert [line.count(UID) for line in lines] == ([0, 1, 1] if columns == 80 else [0, 0, 0])


def test_off_a_terminal_the_table_of_a_batch_is_whole() -> None:
    run = Run()
    run.console.summary(["FILE", "OUTCOME", "UID", "SIZE"], BATCH, name=0, spare=2)
    lines = run.err.splitlines()
    assert [line.split()[0] for line in lines] == ["FILE", BATCH[0][0], BATCH[1][0]]
    assert [line.count(UID) for line in lines] == [0, 1, 1]


def test_of_many_files_those_that_nothing_was_done_for_are_a_number() -> None:
    for verbosity in (0, 1):
        run = Run(verbosity=verbosity)
        desk: Any = SimpleNamespace(
            console=run.console, common=SimpleNamespace(mode="text"), redactor=Redactor()
        )
        report = Report(desk, 1000)
        no = NotStarted("Not started: an earlier file failed", exit_code=4)
        report.add(0, Result("0.mp4", "failed", exit_code=4, error=FileProblem("Bad", "Mend it")))
        for number in range(1, 500):
            report.add(number, Result(f"{number}.mp4", "already", uid=UID, state="ready"))
        for number in range(500, 1000):
            report.add(number, Result(f"{number}.mp4", "skipped", exit_code=4, error=no))
        assert report.conclude() == 4
        lines = run.err.splitlines()
        assert ("7.mp4: already on Stream (ready)" in lines) == bool(verbosity)
        assert ("700.mp4: not started" in lines) == bool(verbosity)
        assert len(lines) == 6 + 999 * verbosity
        assert lines[-1].startswith("1000 files: 499 already, 1 failed, 500 skipped;")
        assert len(run.out.split()) == 499


def test_widths_are_counted_after_the_encoding(terminals: MakeTerminal) -> None:
    terminal = terminals(60, "ascii")
    console = Console(terminal.stream, terminal.stream, None, {"TERM": "xterm"}, progress=True)
    with console:
        console.table(["name", "n"], [["日本", 1], ["abc", 2]])
        console(events.Started("日本日本日本日本日本日本.mp4", 100))
        until(lambda: "0%" in terminal.seen)
    lines = plain(terminal.seen)
    assert lines[:3] == ["name          n", r"\u65e5\u672c  1", "abc           2"]
    assert max(len(line) for line in lines if line.endswith("0%")) < 60


@pytest.mark.parametrize(("typed", "answer"), [("y\n", True), ("Yes\n", True), ("\n", False)])
def test_a_question_on_a_terminal_is_answered(
    typed: str, answer: bool, terminals: MakeTerminal
) -> None:
    terminal = terminals()
    terminal.type(typed)
    with io.TextIOWrapper(io.FileIO(os.dup(terminal.stream.fileno()), "r")) as inp:
        console = Console(None, terminal.stream, inp, {"TERM": "xterm"})
        assert console.ask("Delete \x1b[31mit?") is answer
    until(lambda: r"Delete \x1b[31mit? [y/N]" in terminal.seen)


# --- the meter -----------------------------------------------------------------------------------


def sending(size: int = 1000, *, offset: int = 0) -> Meter:
    meter = Meter("a", size)
    meter.hear(events.Started("a", size), 0.0)
    meter.hear(events.Resumed("a", UID, offset, size), 0.0)
    return meter


def test_speed_counts_only_what_this_run_sent() -> None:
    meter = sending(offset=500)
    for second in range(1, 5):
        meter.hear(events.Progress("a", 500, 500 + 10 * second, 1000), float(second))
    assert meter.speed(4.0) == 10.0
    assert meter.seconds_left(4.0) == 46.0


def test_bytes_that_are_sent_again_give_no_negative_speed() -> None:
    meter = sending()
    meter.hear(events.Progress("a", 0, 300, 1000), 10.0)
    meter.hear(events.Progress("a", 100, 100, 1000), 11.0)
    meter.hear(events.Progress("a", 100, 200, 1000), 12.0)
    assert meter.speed(12.0) == pytest.approx(400 / 12)


def test_an_old_speed_is_forgotten() -> None:
    meter = sending(10_000)
    for second in range(1, 60):
        rate = 100 if second < 30 else 10
        meter.hear(events.Progress("a", 0, meter.sent + rate, 10_000), float(second))
    assert meter.speed(59.0) == pytest.approx(10.0)


def test_a_silence_is_told_after_some_seconds_and_ends_with_the_next_byte() -> None:
    meter = sending()
    meter.hear(events.Progress("a", 0, 100, 1000), 1.0)
    meter.hear(events.Progress("a", 100, 100, 1000), 12.0)
    assert meter.state(5.0) == ""
    assert meter.state(13.0) == "no bytes for 12 s"
    meter.hear(events.Progress("a", 100, 101, 1000), 13.0)
    assert meter.state(13.0) == ""


def test_a_countdown_runs_and_ends() -> None:
    meter = sending()
    meter.hear(events.Retrying("a", "cut", 1, 3.0), 10.0)
    assert meter.state(10.0) == "retrying in 3 s: cut"
    assert meter.state(12.5) == "retrying in 1 s: cut"
    assert meter.state(13.0) == "no bytes for 13 s"


def test_a_countdown_ends_with_the_next_byte() -> None:
    meter = sending()
    meter.hear(events.Retrying("a", "cut", 1, 30.0), 10.0)
    meter.hear(events.Progress("a", 0, 10, 1000), 11.0)
    assert meter.state(11.0) == ""


def test_a_retry_while_deleting_does_not_hide_the_deleting() -> None:
    meter = sending()
    meter.hear(events.CleaningUp("a", UID, "why"), 1.0)
    meter.hear(events.Retrying("a", "cut", 1, 3.0), 1.0)
    assert meter.state(5.0) == "deleting the failed upload (why)"


def test_a_new_video_for_the_file_begins_at_nothing() -> None:
    meter = sending()
    meter.hear(events.Progress("a", 900, 900, 1000), 1.0)
    meter.hear(events.CleanedUp("a", UID, ATTEMPT), 2.0)
    assert meter.phase is Phase.DELETED
    meter.hear(events.Created("a", "b" * 32), 3.0)
    assert (meter.phase, meter.percent, meter.uid) == (Phase.SENDING, 0, "b" * 32)


def test_an_empty_file_divides_by_nothing() -> None:
    meter = sending(0)
    meter.hear(events.Progress("a", 0, 0, 0), 1.0)
    assert (meter.percent, meter.seconds_left(2.0)) == (0, None)

"""Everything that a person or a script reads.

stdout carries data: a table, UIDs, one JSON document, or events as one object a line. stderr (or
the log file) carries the log, stderr alone the bar, warnings and errors. Whatever leaves is made
safe to show and free of secrets. A stream that breaks goes quiet: what is shown never changes what
happens.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TextIO

from cfstream_upload import events
from cfstream_upload.errors import CfuploadError, UsageProblem
from cfstream_upload.github import annotation, obeys_output, on_actions
from cfstream_upload.loglines import Level, log_lines
from cfstream_upload.meter import Meter
from cfstream_upload.ownership import planted
from cfstream_upload.records import VERSION, as_json, described
from cfstream_upload.safetext import Redactor, no_command, safe
from cfstream_upload.streams import Outlet
from cfstream_upload.tables import laid_out
from cfstream_upload.ticker import Ticker

if TYPE_CHECKING:
    from cfstream_upload.bar import Bar

Mode = Literal["text", "json", "ndjson", "quiet"]

_PROGRESS_EVERY = 1.0
_LONGEST_LINE = 2000
_LONGEST_CELL = 200
_WIDE = 300
"""Columns of a table where no terminal is."""
_NO_CURSOR = {"dumb", "unknown"}


class Console:
    """Where a run is told, as an `events.Listener` and by its methods; threads may share it.

    ``progress``: draw a bar; None: where stderr is a terminal. ``stats``: seconds between two
    lines of progress where no bar is drawn, 0 for none. ``log_file`` takes the log lines in place
    of stderr, ``output_file`` the events beside stdout; both are appended to. ``clock`` is
    monotonic seconds. Raises `UsageProblem` where such a file cannot be opened.
    """

    def __init__(
        self,
        out: TextIO | None,
        err: TextIO | None,
        inp: TextIO | None,
        environ: Mapping[str, str],
        *,
        mode: Mode = "text",
        verbosity: int = 0,
        progress: bool | None = None,
        stats: float = 60.0,
        no_color: bool = False,
        log_file: Path | None = None,
        output_file: Path | None = None,
        redactor: Redactor | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redact = redactor or Redactor()
        self._out, self._err, self._in = Outlet(out), Outlet(err), inp
        self._environ = environ
        self._mode, self._verbosity, self._clock = mode, verbosity, clock
        can_move = environ.get("TERM", "") not in _NO_CURSOR
        self._on_actions, self._is_obeyed = on_actions(environ), obeys_output(environ)
        self._color = can_move and not no_color and not environ.get("NO_COLOR")
        wanted = self._err.isatty() and mode != "quiet" if progress is None else progress
        self._files: list[TextIO] = []
        self._log = self._appended(log_file, "--log-file")
        self._events = self._appended(output_file, "CFUPLOAD_OUTPUT_FILE")
        self._here = _working_folder()
        self._progress_told: dict[str, float] = {}
        self._lock = threading.RLock()
        self._ticker = Ticker(
            self._lock,
            clock,
            bar=self._new_bar if wanted and can_move else None,
            stats=0.0 if mode == "ndjson" else stats,
            say=lambda line: self._say(line, Level.USUAL),
            name=self._name,
        )

    def _appended(self, path: Path | None, what: str) -> Outlet | None:
        if path is None:
            return None
        if planted(path):
            self._close_files()
            raise UsageProblem(
                f"{what} {path} was put there by somebody else, where everybody may write",
                "Name another, in a folder of yours.",
            )
        try:
            file = path.open("a", encoding="utf-8")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "not a proper path"
            self._close_files()
            raise UsageProblem(f"{what} {path} cannot be opened: {why}", "Name another.") from None
        self._files.append(file)
        return Outlet(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away, end the thread that draws it, close the files of its own."""
        self._ticker.close()
        self._close_files()

    def _close_files(self) -> None:
        for file in self._files:
            try:
                file.close()
            except (OSError, ValueError):
                continue

    # --- what happens to uploads -----------------------------------------------------------------

    def __call__(self, event: events.Event) -> None:
        """Tell of ``event`` whoever is to hear of it. Never raises for a broken stream."""
        self.hear(event)

    def hear(self, event: events.Event, worker: str | None = None) -> None:
        """As a call does, of what happened at ``worker`` of a cluster."""
        with self._lock:
            now = self._clock()
            meter = self._ticker.hear(event, now)
            self._tell_scripts(event, meter, now, worker)
            self._tell_people(event, worker)

    def batch(self, files: int, size: int) -> None:
        """From here on ``files`` files with ``size`` bytes are sent: show how far all are."""
        self._ticker.batch(files, size)

    def finished(self, file: str, words: str, size: int = 0, *, level: Level = Level.USUAL) -> None:
        """The run of ``file`` is over: its bar goes, ``words`` tell how it ended."""
        with self._lock:
            self._ticker.end(file, size)
            self._progress_told.pop(file, None)
            self._say(f"{self._name(file)}: {words}", level)

    def _tell_people(self, event: events.Event, worker: str | None) -> None:
        name = self._name(event.file)
        if worker and self._verbosity:
            name = f"{name} at {worker}" if name else worker
        for level, line in log_lines(event, name, bar=self._ticker.draws):
            self._say(line, level)

    def _tell_scripts(
        self, event: events.Event, meter: Meter | None, now: float, worker: str | None
    ) -> None:
        if not self.has_scripts:
            return
        if isinstance(event, events.Progress):
            told = self._progress_told.get(event.file)
            if told is not None and now - told < _PROGRESS_EVERY:
                return
            self._progress_told[event.file] = now
        if record := described(event, meter, now):
            self.event({**record, "worker": worker} if worker else record)

    # --- for scripts: stdout ---------------------------------------------------------------------

    def event(self, fields: Mapping[str, object]) -> None:
        """Tell scripts of one thing: ``fields`` with a ``message_type``, and the time of now."""
        if not self.has_scripts:
            return
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        kind = {"version": VERSION, "message_type": fields.get("message_type"), "time": moment}
        line = self._json({**kind, "file": None, **fields}) + "\n"
        with self._lock:
            if self._mode == "ndjson":
                self._write_out(line)
            if self._events is not None:
                self._events.write(line)

    @property
    def has_scripts(self) -> bool:
        """Whether a script hears of events."""
        return self._mode == "ndjson" or self._events is not None

    def document(self, content: object) -> None:
        """Write one JSON document to stdout."""
        self._write_out(self._json(content, indent=2) + "\n")

    @property
    def columns(self) -> int | None:
        """The width of the terminal that stdout is; None where it is none."""
        return self._out.size()[0] if self._out.isatty() else None

    def line(self, text: str) -> None:
        """Write one line of data to stdout."""
        self._write_out(self._clean(text) + "\n")

    def summary(
        self,
        headers: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        name: int | None = None,
        spare: int | None = None,
    ) -> None:
        """Rows for people, on stderr beside the log.

        ``name`` and ``spare`` are the columns that a narrow terminal may cut, and go without.
        """
        if self._mode != "quiet" and self._log is None:
            cells = [[self._cell(str(cell)) for cell in row] for row in rows]
            columns = _WIDE
            width: Callable[[str], int] = len
            if self._err.isatty():
                from rich.cells import cell_len

                columns, width = self._err.size()[0], cell_len
            for line in laid_out(headers, cells, columns, width, name=name, spare=spare):
                self._say(line, Level.USUAL)

    def table(
        self,
        headers: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        name: int | None = None,
    ) -> None:
        """Write rows to stdout: in columns on a terminal, else with tabs between the cells.

        ``name`` is the number of the column that a narrow terminal may cut.
        """
        cells = [["" if cell is None else self._cell(str(cell)) for cell in row] for row in rows]
        if self._out.isatty():
            from rich.cells import cell_len

            lines = laid_out(headers, cells, self._out.size()[0], cell_len, name=name)
        else:
            lines = ["\t".join(row) for row in (headers, *cells)]
        self._write_out("".join(f"{line}\n" for line in lines))

    # --- for people: stderr ----------------------------------------------------------------------

    def problem(self, error: CfuploadError, file: str = "") -> None:
        """What went wrong, with ``file`` or at all, and what to do: two lines, never a traceback.

        On GitHub Actions a third makes it an annotation.
        """
        self._report("error", "31;1", error.message)
        self._report("  hint", "1", error.hint)
        self._annotate("error", f"{error.message}  {error.hint}", file)

    def warning(self, text: str) -> None:
        """Something to know that changes no outcome; on GitHub Actions an annotation too."""
        self._report("warning", "33;1", text)
        self._annotate("warning", text)

    def say(self, text: str) -> None:
        """One line of the log, as usual as those of uploads."""
        with self._lock:
            self._say(text, Level.USUAL)

    def ask(self, question: str, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Whether the person at the terminal says yes; no, once ``stopped``.

        Raises `UsageProblem` where nobody is.
        """
        try:
            present = self._in is not None and self._in.isatty()
        except (OSError, ValueError):
            present = False
        if self._in is None or not (present and self._err.isatty()):
            raise UsageProblem(
                "This needs a yes, and there is no terminal to ask at",
                "To do it without a question: --yes",
            )
        with self._ticker.aside():
            self._err.write(f"{self._clean(question)} [y/N] ")
        try:
            # Looked at in slices: a signal's handler only counts, and would not end a read.
            while not select.select([self._in], [], [], 0.2)[0]:
                if stopped():
                    return False
            answer = self._in.readline()
        except (OSError, ValueError):
            return False
        return answer.strip().lower() in ("y", "yes")

    # --- below -----------------------------------------------------------------------------------

    def _say(self, text: str, level: Level) -> None:
        if self._log is not None:
            if level < Level.VERBOSE or self._verbosity:
                self._log.write(f"{_local_time()} {self._clean(text)}\n")
            return
        if level == Level.ALWAYS or (
            self._mode != "quiet" and (level == Level.USUAL or self._verbosity > 0)
        ):
            line = self._clean(text)
            with self._ticker.aside():
                self._err.write(f"{line}\n")

    def _report(self, label: str, code: str, text: str) -> None:
        line = self._clean(text)
        shown = f"\x1b[{code}m{label}:\x1b[0m" if self._colored(self._err) else f"{label}:"
        with self._ticker.aside():
            self._err.write(f"{shown} {line}\n")
            if self._log is not None:
                self._log.write(f"{_local_time()} {label.strip()}: {line}\n")

    def _annotate(self, level: str, text: str, file: str = "") -> None:
        if self._on_actions:
            line = annotation(level, self._clean(text), self._clean(file))
            with self._ticker.aside():
                self._err.write(f"{line}\n")

    def _write_out(self, text: str) -> None:
        with self._ticker.aside():
            self._out.write(text)

    def _colored(self, outlet: Outlet) -> bool:
        return self._color and outlet.isatty()

    def _clean(self, text: str, limit: int = _LONGEST_LINE) -> str:
        line = safe(self._redact(text), limit)
        return no_command(line) if self._is_obeyed else line

    def _cell(self, text: str) -> str:
        return self._out.fitting(self._clean(text, _LONGEST_CELL))

    def _clean_for_bar(self, text: str) -> str:
        return self._err.fitting(self._clean(text))

    def _json(self, content: object, indent: int | None = None) -> str:
        text = as_json(content, self._redact, indent)
        return text.replace("##", "#\\u0023") if self._is_obeyed else text

    def _name(self, file: str) -> str:
        return file.removeprefix(self._here) if self._here else file

    def _new_bar(self) -> Bar:
        # rich costs 0.1 s: only who draws pays for it.
        from cfstream_upload.bar import Bar

        return Bar(self._err, self._environ, self._clean_for_bar, color=self._colored(self._err))


def _local_time() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _working_folder() -> str:
    try:
        return str(Path.cwd()) + os.sep
    except OSError:
        return ""

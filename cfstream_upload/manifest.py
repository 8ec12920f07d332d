"""The manifest of a batch: a CSV with one line per file, and what need not be done again.

Its columns are ``source`` (the absolute path), ``uid``, ``state``, ``size`` (bytes), ``started``,
``ended`` (RFC 3339), ``outcome``, ``detail``, and ``target``, which tells runs for different
accounts apart without naming them. Each line is on disk before the next file's is begun, so a run
that dies costs nothing but what the journal knows anyway.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cfstream_upload.attempt import is_uid
from cfstream_upload.errors import Busy, UsageProblem
from cfstream_upload.lock import hold
from cfstream_upload.result import Result
from cfstream_upload.statedir import write_private
from cfstream_upload.video import epoch

COLUMNS = ("source", "uid", "state", "size", "started", "ended", "outcome", "detail", "target")
DONE = frozenset({"uploaded", "resumed", "already"})
_LARGEST = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One line, as text; ``size`` is empty where the file could not be opened."""

    source: str
    uid: str = ""
    state: str = ""
    size: str = ""
    started: str = ""
    ended: str = ""
    outcome: str = ""
    detail: str = ""
    target: str = ""

    def covers(self, status: os.stat_result) -> bool:
        """Whether the file with this status was sent already: same size, not written to since."""
        began = epoch(self.started)
        return (
            self.outcome in DONE
            and is_uid(self.uid)
            and self.size == str(status.st_size)
            and began is not None
            and status.st_mtime <= began
        )

    def result(self, path: str) -> Result:
        """What this line says of ``path``, as the outcome of a run that did nothing for it."""
        return Result(path, "already", uid=self.uid, state=self.state or None, size=int(self.size))


def target_of(base: str, account: str) -> str:
    """What stands in ``target`` for an account at an API base."""
    return hashlib.sha256(f"{base}\0{account}".encode()).hexdigest()[:16]


class Manifest:
    """The manifest at ``path``, open for one batch that goes to ``target``."""

    def __init__(self, path: Path, target: str) -> None:
        """Read what is there, and leave one line per file. Raises `UsageProblem`."""
        self.path = path
        self._target = target
        self._lines = _read(path, target)
        try:
            # Written anew: of several lines about one file the last is true.
            _replace(path, _text(self._lines))
            self._file = path.open("ab", buffering=0)
        except (OSError, ValueError) as problem:
            raise _trouble(path, f"cannot be written: {_why(problem)}") from None

    @staticmethod
    @contextmanager
    def lock(state_dir: Path, path: Path) -> Iterator[None]:
        """Keep other processes of this machine from the manifest. Raises `Busy`."""
        name = hashlib.sha256(b"manifest\0" + os.fsencode(path.resolve())).hexdigest()[:32]
        try:
            held = hold(state_dir / "locks", name)
        except Busy:
            raise Busy(f"another process is writing the manifest {path}") from None
        with held:
            yield

    def close(self) -> None:
        """Leave one line per file, and close it. Never raises: every line is there already."""
        self._file.close()
        with suppress(OSError):
            _replace(self.path, _text(self._lines))

    def done(self, path: str) -> Result | None:
        """What an earlier run did for ``path``, if the file is still the same; else None."""
        line = self._lines.get(_source(path))
        try:
            return line.result(path) if line and line.covers(Path(path).stat()) else None
        except (OSError, ValueError):
            return None

    def record(self, result: Result, started: float, ended: float) -> None:
        """Write what became of a file, with epoch seconds. Raises `UsageProblem`."""
        source = _source(result.file)
        line = Line(
            source=source,
            uid=result.uid or "",
            state=result.state or "",
            size="" if result.size is None else str(result.size),
            started=_moment(started),
            ended=_moment(ended),
            outcome=result.outcome,
            detail=_one_line(result.error.message) if result.error else "",
            target=self._target,
        )
        self._lines[source] = line
        try:
            self._file.write(_row(line).encode("utf-8", "surrogateescape"))
            os.fsync(self._file.fileno())
        except OSError as problem:
            raise _trouble(self.path, f"cannot be written: {_why(problem)}") from None


def _read(path: Path, target: str) -> dict[str, Line]:
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _trouble(path, "is no regular file")
            text = file.read(_LARGEST).decode("utf-8-sig", "surrogateescape")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as problem:
        raise _trouble(path, f"cannot be read: {_why(problem)}") from None
    # The last line of a run that died may be torn: the journal knows that file.
    whole = text[: text.rfind("\n") + 1]
    if text and not whole:
        raise _trouble(path, "is no manifest of cfupload")
    try:
        rows = list(csv.reader(io.StringIO(whole, newline=""), strict=True))
    except csv.Error:
        raise _trouble(path, "is no proper CSV") from None
    return _lines_of(path, rows, target) if rows else {}


def _lines_of(path: Path, rows: list[list[str]], target: str) -> dict[str, Line]:
    head = rows[0]
    if not set(COLUMNS) <= set(head):
        raise _trouble(path, "is no manifest of cfupload")
    lines: dict[str, Line] = {}
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(head):
            raise _trouble(path, f"is damaged in record {number}")
        values: Mapping[str, str] = dict(zip(head, row, strict=True))
        line = Line(**{name: values[name] for name in COLUMNS})
        if line.target != target:
            raise UsageProblem(
                f"The manifest {path} is of another account", "Name another file, or move it away."
            )
        if line.size and not line.size.isdecimal():
            line = replace(line, size="")
        lines[line.source] = line
    return lines


def _replace(path: Path, text: str) -> None:
    """Write ``text`` whole or not at all; the mode of a file that is there stays."""
    path = path.resolve()
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    write_private(path, text.encode("utf-8", "surrogateescape"))
    path.chmod(mode)


def _text(lines: Mapping[str, Line]) -> str:
    return _csv(COLUMNS) + "".join(map(_row, lines.values()))


def _row(line: Line) -> str:
    return _csv([getattr(line, name) for name in COLUMNS])


def _csv(cells: tuple[str, ...] | list[str]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _source(path: str) -> str:
    return os.fspath(Path(path).absolute())


def _moment(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _why(problem: OSError | ValueError) -> str:
    return getattr(problem, "strerror", None) or "not a file name"


def _trouble(path: Path, words: str) -> UsageProblem:
    return UsageProblem(f"The manifest {path} {words}", "Name another with --manifest.")

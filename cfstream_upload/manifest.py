"""The manifest of a batch: a CSV with one line per file, and what need not be done again.

Its columns are ``source`` (the absolute path, or the URL without query), ``uid``, ``state``,
``size`` (bytes), ``started``, ``ended`` (RFC 3339), ``outcome``, ``detail``, and what tells whether
a line is about this very file, sent in this way to this place: ``modified`` (nanoseconds),
``options`` and ``target``, both digests. ``source`` is exact and begins as absolute paths and URLs
do; what others wrote (``state``, ``detail``) is safe to show and no formula of a spreadsheet.

Each line is on disk before the next file's is begun, so a run that dies costs nothing but what the
journal knows anyway.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from cfstream_upload.attempt import Identity, is_uid
from cfstream_upload.errors import Busy, UsageProblem
from cfstream_upload.locations import is_url
from cfstream_upload.lock import hold
from cfstream_upload.ownership import planted
from cfstream_upload.result import Result
from cfstream_upload.safetext import no_formula, safe
from cfstream_upload.source import glance
from cfstream_upload.statedir import prepare_folder, write_private

COLUMNS = (
    "source", "uid", "state", "size", "started", "ended", "outcome", "detail",
    "modified", "options", "target",
)  # fmt: skip
_ALIKE = frozenset(map(COLUMNS.index, ("state", "outcome", "detail", "options", "target")))
DONE = frozenset({"uploaded", "resumed", "already"})
_LARGEST = 512 * 1024 * 1024
_LONGEST_CELL = 1000


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
    modified: str = ""
    options: str = ""
    target: str = ""

    def covers(self, seen: Identity, options: str) -> bool:
        """Whether the file that was glanced at was sent already, with these create options."""
        return (
            self.outcome in DONE
            and is_uid(self.uid)
            # Of services that tell no time, a size alone says too little.
            and self.modified != "0"
            and (self.size, self.modified) == (str(seen.size), str(seen.mtime_ns))
            and self.options == options
        )

    def result(self, path: str) -> Result:
        """What this line says of ``path``, as the outcome of a run that did nothing for it."""
        return Result(path, "already", uid=self.uid, size=int(self.size))


def target_of(base: str, account: str) -> str:
    """What stands in ``target`` for an account at an API base."""
    return _digest(f"{base}\0{account}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Known:
    """What the manifest at ``path`` knows of runs to ``target`` with these canonical options."""

    def __init__(self, path: Path, target: str, options: str) -> None:
        """Read what is there; nothing is written. Raises `UsageProblem`."""
        self.path = path
        self._target = target
        self._options = _digest(options)
        self._lines, self._tidy = _read(path, target)

    def done(self, path: str, look: Callable[[str], Identity | None] = glance) -> Result | None:
        """What an earlier run did for ``path``, if the file is still the same; else None.

        ``look`` tells what it is now, without opening it.
        """
        line = self._lines.get(absolute(path))
        if line is None or line.outcome not in DONE or (seen := look(path)) is None:
            return None
        return line.result(path) if line.covers(seen, self._options) else None


class Manifest(Known):
    """The manifest at ``path``, open for one batch; ``redact`` takes secrets out of details."""

    def __init__(
        self, path: Path, target: str, options: str, redact: Callable[[str], str] = str
    ) -> None:
        """Read what is there, and leave one line per file. Raises `UsageProblem`."""
        super().__init__(path, target, options)
        self._redact = redact
        try:
            self._tidy_up()
            self._file = path.open("ab", buffering=0)
        except (OSError, ValueError) as problem:
            raise _trouble(path, f"cannot be written: {_why(problem)}") from None

    @staticmethod
    @contextmanager
    def lock(state_dir: Path, path: Path) -> Iterator[None]:
        """Keep other processes of this machine from the manifest.

        Raises `Busy`, and `JournalProblem` where the state directory cannot be used.
        """
        prepare_folder(state_dir)
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
            self._tidy_up()

    def _tidy_up(self) -> None:
        """One line per file: of several about one file the last is true."""
        if not self._tidy:
            _replace(self.path, _bytes(self._lines))
            self._tidy = True

    def record(self, result: Result, started: float, ended: float) -> None:
        """Write what became of a file, with epoch seconds. Raises `UsageProblem`."""
        source = absolute(result.file)
        line = Line(
            source=source,
            uid=result.uid or "",
            state=_shown(result.state or ""),
            size="" if result.size is None else str(result.size),
            started=_moment(started),
            ended=_moment(ended),
            # What only the wait for it failed on is on Stream.
            outcome="uploaded" if result.waited and result.error else result.outcome,
            detail=_shown(self._redact(result.error.message)) if result.error else "",
            modified="" if result.modified is None else str(result.modified),
            options=self._options,
            target=self._target,
        )
        before = self._lines.get(source)
        was_done = before is not None and before.outcome in DONE
        if result.outcome == "skipped" or (result.size is None and was_done):
            # Nothing became of it, or it is not there just now: what is known stays.
            self._tidy = self._tidy and before is not None
            self._lines.setdefault(source, line)
            return
        self._tidy = self._tidy and before is None
        self._lines[source] = line
        self._append(_row(line))

    def _append(self, data: bytes) -> None:
        try:
            good = os.fstat(self._file.fileno()).st_size
            if self._file.write(data) != len(data):
                # A torn line must not stand before the next one.
                self._file.truncate(good)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError as problem:
            raise _trouble(self.path, f"cannot be written: {_why(problem)}") from None


def _read(path: Path, target: str) -> tuple[dict[str, Line], bool]:
    """The lines by their source, and whether the file holds just these, one for each."""
    if planted(path):
        raise _trouble(path, "was put there by somebody else, where everybody may write")
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _trouble(path, "is no regular file")
            if status.st_size > _LARGEST:
                raise _trouble(path, "is larger than 512 MiB")
            lines = _lines_of(path, file, target)
            file.seek(0)
            return lines, _is_tidy(file, len(lines))
    except FileNotFoundError:
        return {}, False
    except csv.Error:
        raise _trouble(path, "is no proper CSV") from None
    except (OSError, ValueError) as problem:
        raise _trouble(path, f"cannot be read: {_why(problem)}") from None


def _whole_lines(file: BinaryIO) -> Iterator[str]:
    """The lines of ``file`` as they are read: a manifest may be larger than memory is dear.

    The last line of a run that died may be torn, and is left out: the journal knows that file.
    """
    for number, line in enumerate(file):
        if not line.endswith(b"\n"):
            return
        yield line.decode("utf-8" if number else "utf-8-sig", "surrogateescape")


def _is_tidy(file: BinaryIO, records: int) -> bool:
    """Whether there are as many lines as records, all of them whole and none as others end them."""
    count, line = -1, b""
    for line in file:
        count += 1
        if line.endswith(b"\r\n") or (not count and line.startswith(b"\xef\xbb\xbf")):
            return False
    return count == records and line.endswith(b"\n")


def _lines_of(path: Path, file: BinaryIO, target: str) -> dict[str, Line]:
    rows = csv.reader(_whole_lines(file), strict=True)
    head = next(rows, None)
    if head is None:
        if os.fstat(file.fileno()).st_size:
            raise _trouble(path, "is no manifest of cfupload")
        return {}
    if tuple(head) != COLUMNS:
        raise _trouble(path, "is no manifest of cfupload, or has other columns")
    lines: dict[str, Line] = {}
    same: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        if len(row) != len(head):
            raise _trouble(path, f"is damaged in record {number}")
        # What most lines have in common is kept once.
        line = Line(
            *[same.setdefault(text, text) if n in _ALIKE else text for n, text in enumerate(row)]
        )
        if line.target != target:
            raise UsageProblem(
                f"The manifest {path} is of another account", "Name another file, or move it away."
            )
        if line.size and not line.size.isdecimal():
            line = replace(line, size="")
        lines[line.source] = line
    return lines


def _replace(path: Path, content: bytes) -> None:
    """Write ``content`` whole or not at all; the mode of a file that is there stays."""
    path = path.resolve()
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    write_private(path, content)
    path.chmod(mode)


def _bytes(lines: Mapping[str, Line]) -> bytes:
    return b"".join((_csv(COLUMNS), *map(_row, lines.values())))


def _row(line: Line) -> bytes:
    return _csv([getattr(line, name) for name in COLUMNS])


def _csv(cells: Sequence[str]) -> bytes:
    buffer = io.StringIO(newline="")
    # With this line end a carriage return in a name is quoted too.
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    text = buffer.getvalue().removesuffix("\r\n") + "\n"
    return text.encode("utf-8", "surrogateescape")


def absolute(path: str) -> str:
    """``path`` from the root, as `pathlib` writes it; a URL as it is."""
    if is_url(path):
        return path
    if os.sep == "/" == path[:1] and "//" not in path and "/." not in path and path[-1] != "/":
        return path
    return os.fspath(Path(path).absolute())


def _moment(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _shown(text: str) -> str:
    """``text`` of strangers as a cell that is neither a formula nor more than a line."""
    return no_formula(safe(" ".join(text.split()), _LONGEST_CELL))


def _why(problem: OSError | ValueError) -> str:
    return getattr(problem, "strerror", None) or "not a file name"


def _trouble(path: Path, words: str) -> UsageProblem:
    return UsageProblem(f"The manifest {path} {words}", "Name another with --manifest.")

"""What a traced process did to its state directory and said to Stream, read from strace's words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RECORDED = (
    "openat", "mkdir", "pwrite64", "write", "ftruncate", "fsync", "fdatasync",
    "unlink", "rename", "sendto",
)  # fmt: skip
"""Every call with which Python and SQLite change a folder, sync it, or speak to a server."""

_CALL = re.compile(r"\d+ +(\w+)\((.*)\) += (-?\d+)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_OF = re.compile(r"^\d+<([^>]*)>")


@dataclass(frozen=True)
class Call:
    """One system call that succeeded: of a file by its path, or of a socket (no path)."""

    name: str
    path: str
    texts: tuple[bytes, ...]
    flags: str
    numbers: tuple[int, ...]
    result: int


def read(trace: str) -> Iterator[Call]:
    """The calls of the process's own thread that succeeded, in their order."""
    for line in _own_lines(trace):
        match = _CALL.match(line)
        if match is None or int(match[3]) < 0:
            continue
        name, arguments, result = match[1], match[2], int(match[3])
        texts = tuple(_bytes(text) for text in _TEXT.findall(arguments))
        of = _OF.match(arguments)
        path = os.fsdecode(_bytes(of[1])) if of else os.fsdecode(texts[0]) if texts else ""
        rest = _TEXT.sub("", arguments.partition(",")[2])
        numbers = tuple(int(word) for word in re.findall(r"(?<![\w|])\d+\b", rest))
        yield Call(name, path, texts, rest, numbers, result)


def _own_lines(trace: str) -> Iterator[str]:
    """Whole lines of the first thread; strace tears a call that another thread's comes between."""
    own, begun = "", ""
    for line in trace.splitlines():
        pid, _, rest = line.partition(" ")
        own = own or pid
        if pid != own:
            continue
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            begun = line.removesuffix("<unfinished ...>").rstrip()
        elif rest.startswith("<..."):
            yield begun + rest.partition("resumed>")[2].lstrip()
        else:
            yield line


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass(frozen=True)
class Change:
    """One change of a folder: a name given or taken, or bytes of a file.

    Files are numbers, for names come and go. ``cut`` is the new length of a truncated file.
    ``old`` changes were made before the recording and are on the disk.
    """

    names: tuple[tuple[str, int | None], ...] = ()
    file: int = 0
    offset: int = 0
    data: bytes = b""
    cut: int | None = None
    old: bool = False


FOLDER = "."


@dataclass(frozen=True)
class Sync:
    """A file (by its number) or the folder's names (0) are on the disk from here on."""

    file: int
    name: str


@dataclass(frozen=True)
class Said:
    """Bytes given to a socket, or printed."""

    data: bytes
    length: int
    printed: bool = False


Moment = Change | Sync | Said


class Folder:
    """Follows one folder through a recording: which name was which file at each moment.

    Folders below it hold locks, whose content nobody trusts: they are left out.
    """

    def __init__(self, folder: Path, out: str = "out") -> None:
        self._folder = str(folder)
        self._out = "." + out
        self._names: dict[str, int] = {}
        self._ends: dict[int, int] = {}
        self._count = 0

    def found(self, files: dict[str, bytes]) -> Iterator[Moment]:
        """What was there before, and on the disk."""
        for name, content in files.items():
            self._count += 1
            self._names[name] = self._count
            yield Change(names=((name, self._count),), old=True)
            yield Change(file=self._count, data=content, old=True)

    def moments(self, calls: Iterator[Call]) -> Iterator[Moment]:
        for call in calls:
            if call.name == "sendto":
                yield Said(call.texts[0], call.result)
            elif call.name == "write" and call.path.endswith(self._out):
                yield Said(call.texts[0], call.result, printed=True)
            elif call.path == self._folder and call.name in ("fsync", "fdatasync"):
                yield Sync(0, FOLDER)
            elif os.path.dirname(call.path) == self._folder:  # noqa: PTH120  text, not a path
                yield from self._of_file(call, call.path.rpartition("/")[2])

    def _of_file(self, call: Call, name: str) -> Iterator[Moment]:
        match call.name:
            case "openat":
                if "O_CREAT" in call.flags and name not in self._names:
                    self._count += 1
                    self._names[name] = self._count
                    yield Change(names=((name, self._count),))
                assert "O_TRUNC" not in call.flags, call
            case "pwrite64":
                yield self._written(name, call, call.numbers[-1])
            case "write":
                file = self._names[name]
                yield self._written(name, call, self._ends.get(file, 0))
                self._ends[file] = self._ends.get(file, 0) + call.result
            case "ftruncate":
                yield Change(file=self._names[name], cut=call.numbers[-1])
            case "fsync" | "fdatasync":
                yield Sync(self._names[name], name)
            case "unlink":
                del self._names[name]
                yield Change(names=((name, None),))
            case "rename":
                new = os.fsdecode(call.texts[1]).rpartition("/")[2]
                file = self._names[new] = self._names.pop(name)
                yield Change(names=((name, None), (new, file)))

    def _written(self, name: str, call: Call, offset: int) -> Change:
        (data,) = call.texts
        if name.startswith(".reserve."):
            data = data.ljust(call.result, b"\0")  # nothing but room, and nobody reads it
        assert len(data) == call.result, f"the recording keeps too little of {name}"
        return Change(file=self._names[name], offset=offset, data=data)

"""Which files are meant: names, folders, patterns and lists become paths, in a settled order.

Nothing is opened here. A name that leads nowhere stays in: it is that file's own error.
"""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cfstream_upload.errors import FileProblem, UsageProblem

ENDINGS = frozenset(
    """3g2 3gp avi flv gxf lxf m2t m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv qt ts vob webm
    wmv""".split()  # noqa: SIM905  one list of words reads better than thirty literals
)
"""What files in a folder end with to be taken for videos, where no ``--include`` says better."""

LONGEST_LIST = 64 * 1024 * 1024
_MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Rules:
    """What of a folder is meant: patterns of `fnmatch`, against the name or the path below it."""

    recursive: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, below: str) -> bool:
        """Whether a file at ``below``, its path below the folder, is meant."""
        name = os.path.basename(below)
        if _matches(below, self.exclude):
            return False
        if name.startswith("."):
            # Hidden files are for patterns that begin with a dot themselves, as in a shell.
            hidden = (one for one in self.include if os.path.basename(one).startswith("."))
            return _matches(below, hidden)
        if self.include:
            return _matches(below, self.include)
        return name.rpartition(".")[2].lower() in ENDINGS

    def enters(self, below: str) -> bool:
        """Whether a folder at ``below`` is gone into."""
        hidden = os.path.basename(below).startswith(".")
        return self.recursive and not hidden and not _matches(below, self.exclude)


def _matches(below: str, patterns: Iterable[str]) -> bool:
    name, posix = os.path.basename(below), below.replace(os.sep, "/")
    return any(
        fnmatch.fnmatchcase(posix if "/" in pattern.rstrip("/") else name, pattern.rstrip("/"))
        for pattern in patterns
    )


@dataclass
class Selection:
    """``paths`` in order; ``passed_over`` counts what folders held beside them."""

    paths: list[str] = field(default_factory=list)
    passed_over: int = 0
    problems: list[FileProblem] = field(default_factory=list)
    """Folders in folders that could not be read."""


def select(names: Sequence[str], listed: Sequence[str], rules: Rules) -> Selection:
    """The files meant by ``names`` of the command line and by the lines of a list.

    A pattern among ``names`` that is no path itself is expanded, as a shell would. Raises
    `FileProblem` for a folder that cannot be read or holds no video, and for a pattern without a
    match; `UsageProblem` where nothing is named at all.
    """
    if "" in names:
        raise UsageProblem("A file's name is empty", "Is a variable in the command not set?")
    if not names and not listed:
        raise UsageProblem("No file is named", "Like: cfupload send big.mp4")
    found = Selection()
    for name in names:
        if _MAGIC.isdisjoint(name) or os.path.lexists(name):
            _take(name, rules, found)
            continue
        matches = sorted(glob.glob(name, recursive=True))
        if not matches:
            raise FileProblem(f"no file matches {name}", "Check the pattern and the folder.")
        before = len(found.paths)
        for match in matches:
            # Of a matched folder `**` matches the files too.
            if not ("**" in name and os.path.isdir(match)):
                _take(match, rules, found)
        if len(found.paths) == before:
            raise FileProblem(f"no file matches {name}", "Check the pattern and the folder.")
    for name in listed:
        _take(name, rules, found)
    # One name is one file, however often it is named.
    found.paths = list({os.path.normpath(path): path for path in reversed(found.paths)}.values())
    found.paths.reverse()
    return found


def _take(name: str, rules: Rules, found: Selection) -> None:
    if not os.path.isdir(name):
        found.paths.append(name)
        return
    before = len(found.paths)
    for path, wanted in _below(name, rules, found.problems):
        if wanted:
            found.paths.append(path)
        else:
            found.passed_over += 1
    if len(found.paths) == before:
        deeper = "" if rules.recursive else " Folders in it are for -r."
        wanted_here = "what --include names" if rules.include else "a video"
        raise FileProblem(f"no file in this folder is {wanted_here}: {name}", "Check it." + deeper)


def _below(folder: str, rules: Rules, problems: list[FileProblem]) -> Iterator[tuple[str, bool]]:
    """Each file below ``folder``, by name, and whether it is meant; folders after files."""
    pending = [""]
    while pending:
        inner = pending.pop()
        here = os.path.join(folder, inner) if inner else folder
        try:
            with os.scandir(here) as entries:
                there = sorted(
                    # A link to a folder may lead back up: it is never gone into.
                    (os.path.join(inner, one.name), one.is_dir(), one.is_symlink())
                    for one in entries
                )
        except OSError as problem:
            error = FileProblem(
                f"cannot read the folder ({problem.strerror}): {here}", "Check its permissions."
            )
            if not inner:
                raise error from None
            problems.append(error)
            continue
        for below, is_folder, _ in there:
            if not is_folder:
                yield os.path.join(folder, below), rules.takes(below)
        deeper = [
            below
            for below, is_folder, is_link in there
            if is_folder and not is_link and rules.enters(below)
        ]
        pending += reversed(deeper)


def names_in(content: bytes, what: str, *, nul: bool) -> list[str]:
    """The names in a list: one a line, or with ``nul`` one before each NUL.

    Lines may end in CR LF; empty ones are passed over. A name is taken as it stands: no pattern,
    no comment, no quotes. Raises `UsageProblem` where the list is of the other kind or too large.
    """
    if len(content) > LONGEST_LIST:
        raise UsageProblem(f"The list {what} is larger than 64 MiB", "Split it.")
    if nul:
        if content and not content.endswith(b"\0"):
            raise UsageProblem(
                f"The list {what} does not end with NUL", "Like: find … -print0 | cfupload send -0"
            )
        lines = content.split(b"\0")
    else:
        if b"\0" in content:
            raise UsageProblem(f"The list {what} holds NUL characters", "Read it with -0.")
        lines = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    return [os.fsdecode(line) for line in lines if line]


def read_list(path: Path) -> bytes:
    """The bytes of a list. Raises `UsageProblem`."""
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_LIST + 1)
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or "not a file name"
        raise UsageProblem(
            f"The list {path} cannot be read: {why}", "Check --files-from; - is standard input."
        ) from None

"""Which files are meant: names, folders, patterns and lists become paths, in a settled order.

Of a name that is a URL the part that may be secret stays with the `Folders` that read it: what is
selected is what may be shown. Nothing is opened here. A name that leads nowhere stays in: it is
that file's own error.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Protocol

from cfstream_upload.errors import FileProblem, UsageProblem
from cfstream_upload.locations import MAGIC, Location, is_url, located

ENDINGS = frozenset(
    """3g2 3gp avi flv gxf lxf m2t m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv qt ts vob webm
    wmv""".split()  # noqa: SIM905  one list of words reads better than thirty literals
)
"""What files in a folder end with to be taken for videos, where no ``--include`` says better."""

LONGEST_LIST = 64 * 1024 * 1024


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


class Folders(Protocol):
    """Who knows of places beyond this machine."""

    def admit(self, name: str) -> str:
        """``name`` as it is shown. Raises `UsageProblem`."""

    def below(self, folder: Location, *, deep: bool) -> Iterator[tuple[str, str]]:
        """Each file in ``folder``: its name, and its path below. Raises `FileProblem`."""


def select(
    names: Sequence[str], listed: Sequence[str], rules: Rules, folders: Folders
) -> Selection:
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
    for given in names:
        name = folders.admit(given)
        if (where := located(name)) is not None:
            _take_beyond(where, rules, found, folders)
            continue
        if MAGIC.isdisjoint(name) or os.path.lexists(name):
            _take(name, rules, found)
            continue
        before = len(found.paths)
        for match in sorted(glob.glob(name, recursive=True)):
            # Of a matched folder `**` matches the files too.
            if not ("**" in name and os.path.isdir(match)):
                _take(match, rules, found)
        if len(found.paths) == before:
            raise FileProblem(f"no file matches {name}", "Check the pattern and the folder.")
    for given in listed:
        name = folders.admit(given)
        if (where := located(name)) is None:
            _take(name, rules, found)
        elif where.is_folder:
            _take_beyond(where, rules, found, folders)
        else:
            found.paths.append(name)
    # One name is one file, however often it is named.
    found.paths = list({_same(path): path for path in reversed(found.paths)}.values())
    found.paths.reverse()
    return found


def _same(path: str) -> str:
    return path if is_url(path) else os.path.normpath(path)


def _take_beyond(where: Location, rules: Rules, found: Selection, folders: Folders) -> None:
    if where.is_folder and not where.is_pattern:
        before = len(found.paths)
        entered = cache(partial(_entered, rules=rules))
        for name, below in folders.below(where, deep=rules.recursive):
            if rules.takes(below) and entered(below.rpartition("/")[0]):
                found.paths.append(name)
            else:
                found.passed_over += 1
        if len(found.paths) == before:
            raise _nothing_in(where.text, rules)
        return
    if not where.is_pattern:
        found.paths.append(where.text)
        return
    # Listed from the last folder before the pattern begins.
    first = min(where.path.index(letter) for letter in MAGIC if letter in where.path)
    start = where.path.rfind("/", 0, first) + 1
    base = replace(where, text=where.text.removesuffix(where.path[start:]), path=where.path[:start])
    pattern, deep = where.path[start:], "/" in where.path[start:] or "**" in where.path[start:]
    expression = re.compile(glob_expression(pattern))
    matches = [
        name for name, below in folders.below(base, deep=deep) if expression.fullmatch(below)
    ]
    if not matches:
        raise FileProblem(f"no file matches {where.text}", "Check the pattern and the folder.")
    found.paths += matches


def _entered(folder: str, rules: Rules) -> bool:
    """Whether ``folder``, and each on the way to it, is one that is gone into."""
    parts = folder.split("/") if folder else []
    return all(rules.enters("/".join(parts[: count + 1])) for count in range(len(parts)))


def glob_expression(pattern: str) -> str:
    """A pattern of paths as a regular expression: ``*`` ends at a slash, ``**/`` does not."""
    parts: list[str] = []
    for piece in re.split(r"(\*\*/?|\*|\?|\[!?\]?[^\]]*\])", pattern):
        if piece.startswith("**"):
            parts.append("(?:.*/)?" if piece.endswith("/") else ".*")
        elif piece in ("*", "?"):
            parts.append("[^/]*" if piece == "*" else "[^/]")
        elif piece.startswith("[") and piece.endswith("]"):
            inner = piece[1:-1].replace("\\", "\\\\")
            parts.append(f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]")
        else:
            parts.append(re.escape(piece))
    return "".join(parts)


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
        raise _nothing_in(name, rules)


def _nothing_in(name: str, rules: Rules) -> FileProblem:
    deeper = "" if rules.recursive else " Folders in it are for -r."
    wanted_here = "what --include names" if rules.include else "a video"
    return FileProblem(f"no file in this folder is {wanted_here}: {name}", "Check it." + deeper)


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

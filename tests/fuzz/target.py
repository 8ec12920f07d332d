"""What a target is, its corpus, and inputs that come near one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"

_RUNS = re.compile(rb"(.)\1{99,}|(?:(?!(.)\2{99,}).)+", re.DOTALL)
# An escaped backslash comes first: the letter R after it is a letter.
_REPEATED = re.compile(r"\\\\|\\R\{(\S+?| )\*(\d+)\}")


@dataclass(frozen=True)
class Target:
    """One reader of hostile input.

    ``check`` gives it an input and raises AssertionError where what came of it is wrong; any other
    exception is a finding too. ``examples`` are tried in CI, about five seconds of them at most.
    """

    name: str
    inputs: st.SearchStrategy[bytes]
    check: Callable[[bytes], None]
    examples: int


def entries(name: str) -> list[bytes]:
    """The corpus of a target: an input a line, escaped as Python's bytes; ``# `` is a comment."""
    lines = (CORPUS / f"{name}.txt").read_text(encoding="ascii").split("\n")
    return [unescaped(line) for line in lines if line and not line.startswith("# ")]


def escaped(data: bytes) -> str:
    r"""``data`` as a line of a corpus; ``\R{x*500}`` is a run of 500 times ``x``."""
    line = "".join(
        f"\\R{{{_plain(run[1])}*{len(run[0])}}}" if run[1] else _plain(run[0])
        for run in _RUNS.finditer(data)
    )
    return "\\x23" + line[1:] if line.startswith("#") else line


def _plain(data: bytes) -> str:
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


def unescaped(line: str) -> bytes:
    """What `escaped` was given."""
    whole = _REPEATED.sub(lambda m: m[1] * int(m[2]) if m[1] else m[0], line)
    return whole.encode("ascii").decode("unicode_escape").encode("latin-1")


def near(name: str, words: Sequence[str]) -> st.SearchStrategy[bytes]:
    """Entries of the corpus of ``name`` with some edits, in which ``words`` occur often."""
    pieces = st.sampled_from([word.encode("utf-8", "surrogatepass") for word in words])
    pieces |= st.binary(min_size=1, max_size=3)
    edit = st.tuples(st.sampled_from("irdc"), st.integers(0, 1 << 16), st.integers(1, 40), pieces)
    edits = st.lists(edit, max_size=5)
    return st.builds(_edited, st.sampled_from(entries(name)), edits)


def _edited(data: bytes, edits: Sequence[tuple[str, int, int, bytes]]) -> bytes:
    for kind, where, length, piece in edits:
        at = where % (len(data) + 1)
        inserted = {"i": piece, "r": piece, "d": b"", "c": data[at : at + length] * 2}[kind]
        skipped = 0 if kind == "i" else length if kind in "dc" else len(piece)
        data = data[:at] + inserted + data[at + skipped :]
    return data


def wrong(words: str) -> NoReturn:
    """Say what is wrong."""
    raise AssertionError(words)

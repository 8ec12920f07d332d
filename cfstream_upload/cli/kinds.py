"""What a metavar promises: which values are right, and which can be completed.

``TIME`` and ``SIZE`` are parsed, ``delete|keep`` are fixed words, ``FILE`` is a file's name. An
option that is declared with one of these needs no check and no completion of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cfstream_upload.errors import UsageProblem
from cfstream_upload.nearest import did_you_mean

_WORDS = re.compile(r"[a-z][a-z0-9-]*(\|[a-z][a-z0-9-]*)+\Z")
_FOLDED = {"STATE"}
"""Of these the case does not matter."""


def words_of(metavar: str) -> Sequence[str]:
    """The fixed words that a value of this kind is one of; none where any text is right."""
    if _WORDS.match(metavar):
        return metavar.split("|")
    if metavar == "STATE":
        from cfstream_upload.cli.videos import STATES

        return STATES
    return ()


def check(metavar: str, place: str, text: str) -> None:
    """Raise `UsageProblem` where ``text`` is no value of this kind.

    ``place`` is the option, the variable or the argument that it was given by.
    """
    words = words_of(metavar)
    if words and (text.lower() if metavar in _FOLDED else text) not in words:
        named = " or ".join(words) if len(words) < 4 else f"one of {', '.join(words)}"
        raise UsageProblem(f"{place} {text!r} is not {named}", did_you_mean(text, words))
    if metavar in ("TIME", "SIZE"):
        from cfstream_upload.units import parse_size, parse_time

        try:
            (parse_time if metavar == "TIME" else parse_size)(text)
        except UsageProblem as problem:
            raise UsageProblem(f"{place}: {problem.message}", problem.hint) from None

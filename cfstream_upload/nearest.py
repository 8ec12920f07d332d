"""The word that somebody meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable

_MANY = 12
_OTHERS = {
    "upload": "send",
    "put": "send",
    "cp": "send",
    "ls": "list",
    "rm": "delete",
    "show": "get",
}
"""What other tools call it."""


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of ``words`` that ``word`` was probably meant to be, or None."""
    # Imported here: only a mistake needs it.
    from difflib import get_close_matches

    known = {one.lower(): one for one in words}
    if _OTHERS.get(word.lower()) in known:
        return known[_OTHERS[word.lower()]]
    found = get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    if not found:
        found = [one for one in known if len(word) > 2 and one.startswith(word.lower())][:1]
    return known[found[0]] if found else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """A hint for whoever wrote ``word``: the nearest of ``words``, or all of them."""
    known = list(words)
    if meant := nearest(word, known):
        return f"Did you mean {meant}?"
    if not known:
        return "There are none."
    shown = ", ".join(known[:_MANY])
    return f"There are: {shown}{', ...' if len(known) > _MANY else ''}."

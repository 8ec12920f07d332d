"""Faults as people write them: ``PATCH 3 cut=1MB``, ``list lag=5s *``. Pure.

    fault    = who [number] effect modifier*
    who      = a method, any, or one of create, list, look, edit, upload, storage, verify
    effect   = status=CODE | lose | cut[=SIZE] | reset[=SIZE] | hang | stall=TIME | late=TIME
             | gone | expire | lag=TIME | rate=SIZE | drip[=TIME] | 1xx[=TIME]
    modifier = xN | * | p=SHARE | seed=N | after=TIME | acts | retry-after=WORD | body=KIND

Words are parted by spaces, and their case does not matter. docs/emulator-faults.md tells what each
means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from .effects import (
    Answer,
    CutAfter,
    Delay,
    Drip,
    Effect,
    Expire,
    Fault,
    Gone,
    Hang,
    Interim,
    Lag,
    Late,
    LoseReply,
    Rate,
)
from .envelopes import AUTHENTICATION, BAD_REQUEST, NOT_FOUND, STORAGE_CAPACITY, failure
from .faultwords import BadFault, Word, bytes_in, count, seconds_in
from .routes import Kind

Sort = tuple[str | None, Kind | tuple[Kind, ...] | None]

METHODS = ("POST", "PATCH", "HEAD", "GET", "DELETE", "OPTIONS", "PUT")
WHO: dict[str, Sort] = {
    **{method: (method, None) for method in METHODS},
    "any": (None, None),
    "create": ("POST", "videos"),
    "list": ("GET", "videos"),
    "look": ("GET", "video"),
    "edit": ("POST", "video"),
    "upload": (None, "upload"),
    "storage": ("GET", "storage"),
    "verify": ("GET", ("verify-user", "verify-account")),
}
_SHARE = re.compile(r"0?\.[0-9]{1,12}|1(?:\.0{1,12})?")
_NUMBER = re.compile(r"[0-9]{1,7}")
_PLAIN = re.compile(r"[!-~]{1,100}")
_CODES = {401: AUTHENTICATION, 403: AUTHENTICATION, 404: NOT_FOUND, 413: STORAGE_CAPACITY, 429: 971}


def parse_fault(text: str) -> Fault:
    """Read one fault. Raises `BadFault`."""
    words = [Word(found[0], found.start() + 1) for found in re.finditer(r"\S+", text)]
    if not words:
        raise BadFault("a fault is missing, like: PATCH 3 cut=1MB", 1, "")
    who, *rest = words
    method, kind = _who(who)
    nth = 1
    if rest and _NUMBER.fullmatch(rest[0].whole):
        nth = count(rest.pop(0), "a number of requests")
    if not rest:
        column = words[-1].column + len(words[-1].whole) + 1
        raise BadFault("what happens to it is missing", column, "", EFFECTS)
    effect = _effect(rest[0])
    _check_sort(who, effect, rest[0])
    fault = Fault(effect, method, kind, nth, text=" ".join(word.whole for word in words))
    return _modified(fault, rest[0], rest[1:])


def parse_script(text: str) -> list[Fault]:
    """Read a script: a fault a line, ``#`` begins a comment, ``wait TIME`` delays what follows.

    Raises `BadFault` with its line.
    """
    return list(_faults(text))


def _faults(text: str) -> Iterator[Fault]:
    waited = 0.0
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0]
        words = content.split()
        try:
            if words and words[0].lower() == "wait":
                waited += _waiting(content, words)
            elif words:
                fault = parse_fault(content)
                yield replace(fault, after=fault.after + waited)
        except BadFault as bad:
            bad.line = number
            raise


def _waiting(line: str, words: list[str]) -> float:
    column = line.lower().index("wait") + 1
    seconds = seconds_in(words[1]) if len(words) == 2 else None
    if seconds is None:
        raise BadFault("wait needs one time, like: wait 5s", column, words[0])
    return seconds


# --- who -----------------------------------------------------------------------------------------


def _who(word: Word) -> Sort:
    known = {name.lower(): sort for name, sort in WHO.items()}
    if word.whole.lower() not in known:
        raise word.bad(f"{word.whole} is no request", WHO)
    return known[word.whole.lower()]


def _check_sort(who: Word, effect: Effect, word: Word) -> None:
    named = who.whole.lower()
    if isinstance(effect, Gone) and named in ("create", "list", "storage", "verify"):
        raise word.bad(f"gone needs a request that names a video, and {named} names none")
    if isinstance(effect, Lag) and named not in ("list", "get", "any"):
        raise word.bad(f"only lists lag, and {named} is none", ["list"])


# --- effects -------------------------------------------------------------------------------------


def _effect(word: Word) -> Effect:
    make = EFFECTS.get(word.name)
    if make is None:
        raise word.bad(f"{word.name} is nothing that can happen to a request", EFFECTS)
    return make(word)


def _bare(effect: Effect) -> Callable[[Word], Effect]:
    def make(word: Word) -> Effect:
        if word.value is not None:
            raise word.bad(f"{word.name} takes no value")
        return effect

    return make


def _timed(make: Callable[[float], Effect], default: float | None) -> Callable[[Word], Effect]:
    def made(word: Word) -> Effect:
        seconds = default if word.value is None else seconds_in(word.value)
        if seconds is None or seconds <= 0:
            raise word.bad_value("a time, like 10s or 500ms")
        return make(seconds)

    return made


def _cut(*, reset: bool) -> Callable[[Word], Effect]:
    def make(word: Word) -> Effect:
        size = 0 if word.value is None else bytes_in(word.value)
        if size is None:
            raise word.bad_value("a size, like 500K or 1MB")
        return CutAfter(size, reset)

    return make


def _rate(word: Word) -> Effect:
    size = None if word.value is None else bytes_in(word.value)
    if not size:
        raise word.bad_value("bytes a second, like 500K or 10M")
    return Rate(size)


def _status(word: Word) -> Effect:
    if not re.fullmatch(r"[2-5][0-9][0-9]", word.value or ""):
        raise word.bad_value("a status from 200 to 599")
    return _answer(int(word.value or ""), "json" if (word.value or "")[0] == "4" else "html")


EFFECTS: dict[str, Callable[[Word], Effect]] = {
    "status": _status,
    "lose": _bare(LoseReply()),
    "cut": _cut(reset=False),
    "reset": _cut(reset=True),
    "hang": _bare(Hang()),
    "stall": _timed(Delay, None),
    "late": _timed(Late, None),
    "gone": _bare(Gone()),
    "expire": _bare(Expire()),
    "lag": _timed(Lag, None),
    "rate": _rate,
    "drip": _timed(Drip, 1.0),
    "1xx": _timed(Interim, 0.1),
}


def _answer(status: int, body: str) -> Answer:
    """Make a reply: as the API (``json``), as the edge (``html``), or without a body."""
    words = f"{status} {_phrase(status)}".strip()
    if body == "empty" or status < 300 or status == HTTPStatus.NOT_MODIFIED:
        return Answer(status)
    if body == "json":
        reply = failure(status, _CODES.get(status, BAD_REQUEST), _phrase(status) or words)
        return Answer(status, reply.headers, reply.body)
    page = f"<html><head><title>{words}</title></head><body><h1>{words}</h1></body></html>\n"
    return Answer(status, {"content-type": "text/html; charset=UTF-8"}, page.encode())


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


# --- modifiers -----------------------------------------------------------------------------------


def _modified(fault: Fault, effect: Word, words: list[Word]) -> Fault:
    seen: dict[str, Word] = {}
    for word in words:
        name = "times" if word.whole == "*" or _is_times(word) else word.name
        if name in seen:
            raise word.bad(f"{word.whole} is said twice, or against {seen[name].whole}")
        seen[name] = word
        fault = _with(fault, effect, name, word)
    if "seed" in seen and fault.probability is None:
        raise seen["seed"].bad("seed needs p=", ["p"])
    if fault.probability is not None and "times" not in seen:
        return replace(fault, times=None)
    return fault


def _is_times(word: Word) -> bool:
    return re.fullmatch(r"x[0-9]+", word.whole.lower()) is not None


def _with(fault: Fault, effect: Word, name: str, word: Word) -> Fault:
    if name == "times":
        return replace(fault, times=None if word.whole == "*" else count(word, "xN", skip=1))
    if name == "p":
        if not _SHARE.fullmatch(word.value or "") or not float(word.value or ""):
            raise word.bad_value("a probability above 0 and up to 1, like 0.1")
        return replace(fault, probability=float(word.value or ""))
    if name == "seed":
        if not _NUMBER.fullmatch(word.value or ""):
            raise word.bad_value("a whole number")
        return replace(fault, seed=int(word.value or ""))
    if name == "after":
        seconds = None if word.value is None else seconds_in(word.value)
        if seconds is None:
            raise word.bad_value("a time, like 10s or 500ms")
        return replace(fault, after=seconds)
    return replace(fault, effect=_own(fault.effect, effect, name, word))


def _own(made: Effect, effect: Word, name: str, word: Word) -> Effect:
    """Read a modifier that only some effects take."""
    own = _OWN.get(type(made), ())
    if name not in own:
        raise word.bad(f"{word.whole} is nothing that {effect.name} takes", (*MODIFIERS, *own))
    changes: dict[str, Any] = {}
    if name == "acts":
        if word.value is not None:
            raise word.bad("acts takes no value")
        changes["acts"] = True
    elif isinstance(made, Answer) and name == "retry-after":
        if not _PLAIN.fullmatch(word.value or ""):
            raise word.bad_value("what the header is to say, like 5")
        changes["headers"] = {**made.headers, "retry-after": word.value}
    elif isinstance(made, Answer):
        if word.value not in BODIES:
            raise word.bad_value(f"one of {', '.join(BODIES)}")
        answer = _answer(made.status, word.value)
        wait = {k: v for k, v in made.headers.items() if k == "retry-after"}
        changes |= {"headers": {**answer.headers, **wait}, "body": answer.body}
    return replace(made, **changes)


BODIES = ("json", "html", "empty")
MODIFIERS = ("xN", "*", "p", "seed", "after")
_OWN: dict[type, tuple[str, ...]] = {
    Answer: ("acts", "retry-after", "body"),
    Hang: ("acts",),
    Interim: ("acts",),
}

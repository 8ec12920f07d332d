"""What a command and its workers write to each other, as plain data. Pure.

All of it passes the scheduler, so nothing here has a place for a token or an upload URL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict, cast, get_args

from cfstream_upload import events
from cfstream_upload.errors import CfuploadError
from cfstream_upload.result import Result

TOPIC = "cfupload"
"""Of Dask's events: the scheduler keeps the last thousand messages of a topic, and forgets."""

Json = dict[str, Any]
Redact = Callable[[str], str]


class Terms(TypedDict):
    """What a worker must have in common with the command."""

    version: str
    python: str
    dask: str
    journal: str
    """Which journal it is: two that say the same share their rows."""
    target: str
    """A digest of account and API base."""


class Answer(TypedDict):
    """What a worker says of itself; ``problem`` is an error, as `written_error` writes it."""

    worker: str
    terms: Json
    problem: Json | None


class Order(TypedDict):
    """One file to be sent. ``plan`` is what is the same for all of a run, as `post` has it."""

    run: str
    number: int
    path: str
    terms: Terms
    plan: Json
    rate: float | None
    """Bytes a second that the worker may send, all its files together."""
    known: Json | None
    """What a manifest knows was sent."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of an order at ``worker``.

    ``left``: that worker was asked to go, and left the upload to be resumed. ``held``: it was
    asked to begin no more, and did not.
    """

    worker: str
    result: Result
    left: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """A worker began the file of this number."""

    number: int


News = Begun | events.Event
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Begun, *get_args(events.Event))}


def written_order(order: Order) -> bytes:
    """An order, as bytes: Dask would look into a mapping for what else must be computed first."""
    return _packed(order, str)


def read_order(data: bytes) -> Order:
    """What `written_order` wrote."""
    return cast("Order", json.loads(data))


def written_news(news: Sequence[News], redact: Redact) -> bytes:
    """What happened at a worker, in order."""
    return _packed([{"kind": type(one).__name__, **_fields(one)} for one in news], redact)


def read_news(data: bytes) -> Iterator[News]:
    """What `written_news` wrote; kinds that this version does not know are left out."""
    for one in json.loads(data):
        kind = _KINDS.get(one.pop("kind", ""))
        if kind is not None:
            yield kind(**one)


def written_reply(reply: Reply, redact: Redact) -> bytes:
    """A worker's last word on an order."""
    letter = {
        "worker": reply.worker,
        "left": reply.left,
        "held": reply.held,
        "result": written_result(reply.result),
    }
    return _packed(letter, redact)


def read_reply(data: bytes) -> Reply:
    """What `written_reply` wrote."""
    letter = json.loads(data)
    result = replace(read_result(letter["result"]), worker=letter["worker"])
    return Reply(letter["worker"], result, letter["left"], letter["held"])


def written_result(result: Result) -> Json:
    """A result as JSON; its error too."""
    error = None if result.error is None else written_error(result.error)
    return {**_fields(result), "links": dict(result.links), "error": error}


def read_result(letter: Mapping[str, Any]) -> Result:
    """What `written_result` wrote."""
    error = None if letter["error"] is None else read_error(letter["error"])
    return Result(**{**letter, "error": error})


def written_error(error: CfuploadError) -> Json:
    """An error as JSON."""
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "uid": error.uid,
        "exit_code": error.exit_code,
    }


def read_error(letter: Mapping[str, Any]) -> CfuploadError:
    """What `written_error` wrote, of the same class; of the base where that is not known."""
    kind = _families().get(letter["kind"], CfuploadError)
    error = kind.__new__(kind)
    CfuploadError.__init__(error, letter["message"], letter["hint"], uid=letter["uid"])
    error.exit_code = letter["exit_code"]
    return error


def _families() -> dict[str, type[CfuploadError]]:
    found, new = {CfuploadError.__name__: CfuploadError}, [CfuploadError]
    while new:
        below = new.pop().__subclasses__()
        found |= {one.__name__: one for one in below}
        new += below
    return found


def _fields(one: Any) -> Json:  # noqa: ANN401  # any of our dataclasses
    return {field.name: getattr(one, field.name) for field in fields(one)}


def _packed(content: object, redact: Redact) -> bytes:
    # ASCII: names that are no proper text travel as escapes, which Dask's own packing refuses.
    return json.dumps(_mapped(content, redact), separators=(",", ":")).encode("ascii")


def _mapped(content: object, redact: Redact) -> object:
    if isinstance(content, str):
        return redact(content)
    if isinstance(content, Mapping):
        return {key: _mapped(value, redact) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_mapped(one, redact) for one in content]
    return content

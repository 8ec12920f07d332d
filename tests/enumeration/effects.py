"""What can befall a request or a commit, and which of it the client cannot tell apart."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from dying import Death
from faulted import EFFECTS
from inprocess import ACCOUNT, BASE
from simulation.network import Books, Line, as_wire
from simulation.scale import CHUNK
from simulation.story import Disaster
from simulation.world import World

from cfstream_upload.attempt import Attempt, Identity, Patch
from cfstream_upload.emulator.exchange import Request, converse
from cfstream_upload.emulator.model import Stream as Model
from cfstream_upload.source import Source
from cfstream_upload.stream import Stream as Api
from cfstream_upload.tus import Upload
from cfstream_upload.wire import Patience

DEATHS = ("dies before", "dies in the body", "dies after")
NOTHING = "nothing"
AT_A_REQUEST = (*DEATHS, "no connection", "twice", "second reply", *EFFECTS)
AT_A_COMMIT = ("dies before", "dies after", "the commit fails", "the commit fails but is made")
METHODS = ("POST", "HEAD", "PATCH", "GET", "LIST", "DELETE")
SIZE = 3 * CHUNK
MARKER = f"1.{'1d' * 16}.{'0e' * 16}"
# These say nothing of what is known afterwards: words, and how long it took.
_UNTOLD = {"message", "hint", "seconds", "date"}


def at_a_request(method: str, *, all_of_them: bool) -> tuple[str, ...]:
    """The effects to try at a request; one of each class, or all."""
    return AT_A_REQUEST if all_of_them else tuple(one for one in kin(method) if one != NOTHING)


def kin(method: str) -> dict[str, list[str]]:
    """Each effect that stands for others, with those it stands for."""
    found: dict[str, list[str]] = {}
    chosen = _classes(method)
    for effect in (NOTHING, *AT_A_REQUEST):
        found.setdefault(chosen[_told(method, effect)], []).append(effect)
    return found


@cache
def _classes(method: str) -> dict[object, str]:
    classes: dict[object, str] = {}
    for effect in (NOTHING, *AT_A_REQUEST):
        classes.setdefault(_told(method, effect), effect)
    return classes


@cache
def _told(method: str, effect: str) -> object:
    """What the client learns from a request so befallen, and what Stream did of it."""
    world, model = World(), None
    model = Model(account=ACCOUNT, token="t" * 40, now=world.clock.there)
    uid, url = _begun(model)
    line = Line(world, model, Books(), _befallen, {uid: 0})
    world.befall((Disaster(effect, "request"),))
    try:
        outcome = _asked(method, as_wire(line), uid, url)
    except Death:
        return (effect, _done(model, uid))  # each way to die is its own
    return (_shape(outcome, uid), _done(model, uid))


def _befallen(disaster: Disaster) -> None:
    if disaster.what == "dies before":
        raise Death


def _begun(model: Model) -> tuple[str, str]:
    headers = {
        "tus-resumable": "1.0.0", "upload-length": str(SIZE), "upload-metadata": "name eA==",
        "authorization": f"Bearer {model.token}", "host": "127.0.0.1:9",
    }  # fmt: skip
    path = f"/client/v4/accounts/{ACCOUNT}/stream"
    reply = converse(model, Request("POST", path, {"direct_user": "true"}, headers))
    return reply.headers["stream-media-id"], reply.headers["location"]


def _asked(method: str, wire: Any, uid: str, url: str) -> object:  # noqa: ANN401  a Line as a Wire
    api, upload = Api(wire, BASE, ACCOUNT), Upload(wire, SIZE, {"cfupload": MARKER})
    file = Identity(1, 2, SIZE, 3, "s")
    attempt = Attempt(
        id="1d" * 16, host="0e" * 16, label="", base=BASE, account=ACCOUNT, path="x", file=file
    )
    match method:
        case "POST":
            return api.create(upload.creation_headers(), Patience())
        case "LIST":
            return api.find(replace(attempt, uid=uid, since=0.0), Patience)
        case "GET":
            return api.look(uid, Patience())
        case "DELETE":
            return api.delete(uid, Patience())
        case "HEAD":
            return upload.head(url, Patience())
    with Source.open(_scratch()) as source:
        step = Patch(0, CHUNK, last=False)
        return upload.patch(url, step, source, Patience(), lambda n: None, lambda: None)


@cache
def _scratch() -> Path:
    import atexit
    import tempfile

    folder = tempfile.TemporaryDirectory(prefix="cfupload-enumeration-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "bytes"
    path.write_bytes(bytes(SIZE))
    return path


def _shape(outcome: object, uid: str) -> object:
    if not is_dataclass(outcome) or isinstance(outcome, type):
        return "the UID" if outcome == uid else str(outcome)
    said = {
        one.name: _shape(getattr(outcome, one.name), uid)
        for one in fields(outcome)
        if one.name not in _UNTOLD
    }
    if type(outcome).__name__ == "Created":
        said = {}  # a new UID and URL each time
    return (type(outcome).__name__, tuple(sorted(said.items(), key=lambda item: item[0])))


def _done(model: Model, uid: str) -> object:
    record = model._library.record(uid)
    assert record is not None
    return (len(model._library.records()), record.offset, record.deleted is not None)

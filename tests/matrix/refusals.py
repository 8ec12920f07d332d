"""Rows 38 to 48: the upload host answers a HEAD or a PATCH with an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from beside import Beside
from faulted import envelope, html
from inprocess import MIB, Stage, stage
from matrix.between import Acting
from matrix.crashes import SIZE
from matrix.rows import Scene, row
from matrix.scenes import assert_none, assert_one, ends, then, under

from cfstream_upload import events
from cfstream_upload.emulator.exchange import Answered, Exchange, Reply, Request, converse
from cfstream_upload.emulator.faults import Answer, Effect, Fault, Faulty
from cfstream_upload.ending import Policy

CHUNK = 5 * MIB


@dataclass
class Refusing(Beside):
    """A service that refuses the upload requests for which ``refused`` gives an answer."""

    refused: Callable[[Request], Answer | None]
    sent: list[int] = field(default_factory=list)

    def begin(self, request: Request) -> Exchange:
        if request.method in ("PATCH", "HEAD") and (answer := self.refused(request)):
            return Answered(Reply(answer.status, answer.headers, answer.body))
        if request.method == "PATCH":
            self.sent.append(int(request.headers["content-length"]))
        return super().begin(request)


def _play(scene: Scene, name: str) -> tuple[Stage, Path]:
    folder = scene.folder / name
    folder.mkdir()
    current = stage(folder)
    return current, current.file(SIZE)


def _retries(current: Stage) -> list[events.Retrying]:
    return [event for event in current.heard if isinstance(event, events.Retrying)]


def _goes_on(scene: Scene, name: str, fault: Fault) -> None:
    """Under this fault the same upload goes on to its end, once Stream was asked for its offset."""
    current, path = _play(scene, name)
    under(current, fault)
    result = ends(current.send(path), 0)
    methods = current.methods()
    assert methods[fault.nth : fault.nth + 3] == ["PATCH", "HEAD", "PATCH"]
    assert methods.count("POST") == 1
    assert "DELETE" not in methods
    assert_one(current, path, result)
    assert current.open_rows() == []
    assert then(current, path).uid == result.uid


def _gives_up(scene: Scene, name: str, effect: Effect, code: int, *words: str) -> Stage:
    """The second chunk is refused for ever: rolled back, nothing left; later it is sent."""
    current, path = _play(scene, name)
    started = current.clock.now
    under(current, Fault(effect, "PATCH", nth=2, times=None))
    result = ends(current.send(path), code, *words)
    assert result.cleanup == "confirmed"
    assert current.clock.now - started < 900
    assert len(current.calls) < 40
    assert_none(current)
    then(current, path)
    return current


# --- what may pass -------------------------------------------------------------------------------


@row(38, "409 once")
def _conflict(scene: Scene) -> None:
    """A 409: Stream is asked for its offset, and the upload goes on from there."""
    for nth in (1, 2, 3):
        _goes_on(scene, str(nth), Fault(envelope(409), "PATCH", nth=nth))


@row(39, "409 for ever")
def _conflict_for_ever(scene: Scene) -> None:
    """A 409 to every try: 6 after the retries, rolled back, and it says what that means."""
    _gives_up(scene, "409", envelope(409), 6, "HTTP 409", "disagree on what has arrived")


@row(40, "423 for 25 s")
def _locked(scene: Scene) -> None:
    """Stream says for 25 s that the upload is locked: waited for, then it goes on."""
    current, path = _play(scene, "locked")
    ends_at: list[float] = []

    def refused(request: Request) -> Answer | None:
        if request.headers.get("upload-offset") == str(CHUNK) and not ends_at:
            ends_at.append(current.clock.now + 25)
        return envelope(423) if ends_at and current.clock.now < ends_at[0] else None

    current.service = Refusing(current.model, refused)
    result = ends(current.send(path), 0)
    assert ends_at
    assert current.clock.now >= ends_at[0]
    assert current.methods().count("POST") == 1
    assert_one(current, path, result)
    then(current, path)


@row(40, "423 for ever")
def _locked_for_ever(scene: Scene) -> None:
    """Stream says for ever that the upload is locked: 6 after the retries, rolled back."""
    _gives_up(scene, "423", envelope(423), 6, "HTTP 423", "another request holds this upload")


@row(41, "460")
def _checksum(scene: Scene) -> None:
    """A 460 (damaged bytes): sent again from Stream's offset; for ever, 6 and nothing."""
    damaged = Answer(460)
    _goes_on(scene, "once", Fault(damaged, "PATCH", nth=2))
    _gives_up(scene, "for ever", damaged, 6, "HTTP 460", "damaged on the way")


@row(42, "408 to each chunk's first try")
def _timeouts(scene: Scene) -> None:
    """A 408 to the first try of each chunk: each goes at the second; the budget is refilled."""
    current, path = _play(scene, "408")
    seen: set[str] = set()

    def refused(request: Request) -> Answer | None:
        offset = request.headers.get("upload-offset")
        if offset is None or offset in seen:
            return None
        seen.add(offset)
        return envelope(408)

    current.policy = Policy(largest_chunk=CHUNK, retries=1)
    current.service = Refusing(current.model, refused)
    result = ends(current.send(path), 0)
    assert len(seen) == result.retries == 3
    assert_one(current, path, result)
    then(current, path)


@row(48, "429 in mid-upload")
def _limited(scene: Scene) -> None:
    """A 429 in mid-upload: waited for as long as it asks, the wait is shown, then it goes on."""
    limited = envelope(429)
    asks = Answer(429, {**limited.headers, "retry-after": "37"}, limited.body)
    current, path = _play(scene, "429")
    under(current, Fault(asks, "PATCH", nth=2))
    started = current.clock.now
    result = ends(current.send(path), 0)
    assert 37 <= current.clock.now - started < 60
    (told,) = _retries(current)
    assert told.seconds >= 37
    assert "HTTP 429" in told.message
    assert current.methods().count("POST") == 1
    assert_one(current, path, result)
    then(current, path)


# --- credentials ---------------------------------------------------------------------------------

DENIED = Fault(envelope(401, 10000), "GET", times=None)


@row(43, "the token stops working in mid-upload")
def _token_rotated(scene: Scene) -> None:
    """The token is rotated while bytes flow: they need none; 8 at the end, a new one confirms."""
    current, path = _play(scene, "rotated")
    faulty = Faulty(current.model)
    current.service = faulty
    current.service = Acting(current, "PATCH", 2, lambda: faulty.set(DENIED))
    result = ends(current.send(path), 8, "Every byte was sent", "Stream: Edit")
    assert current.open_rows() == ["sent"]
    assert then(current, path).uid == result.uid
    assert not {"POST", "PATCH", "DELETE"} & set(current.methods())


@row(43, "the token stops working and the upload fails")
def _token_rotated_and_failed(scene: Scene) -> None:
    """The upload fails and the token no longer deletes: 7, recorded; with a new token one video."""
    for at, effect in enumerate((envelope(401), envelope(412))):
        current, path = _play(scene, str(at))
        under(current, Fault(effect, "PATCH", nth=2, times=None), DENIED)
        result = ends(current.send(path), 7, "cfupload cleanup")
        assert result.uid == current.model.videos()[0]["uid"]
        assert (current.states(), current.open_rows()) == (["pendingupload"], ["created"])
        assert then(current, path).uid != result.uid
        assert current.open_rows() == []


# --- a dead upload URL ---------------------------------------------------------------------------


def _dies(scene: Scene, name: str, effect: Effect) -> None:
    """The upload URL dies. Once: rolled back and sent anew. For ever: 6, nothing left."""
    current, path = _play(scene, f"{name} pending")
    under(current, Fault(effect, "PATCH", nth=2))
    result = ends(current.send(path), 0)
    assert result.attempts == 2
    methods = current.methods()
    last_post = len(methods) - 1 - methods[::-1].index("POST")
    assert methods.index("GET") < methods.index("DELETE") < last_post
    assert_one(current, path, result)
    assert current.open_rows() == []
    then(current, path)
    current, path = _play(scene, f"{name} for ever")
    under(current, Fault(effect, "PATCH", times=None))
    ends(current.send(path), 6, "upload URL is no longer valid")
    assert_none(current)
    then(current, path)


@row(44, "403 from the upload host")
def _forbidden(scene: Scene) -> None:
    """A 403 from the upload host is no verdict: the video is asked for, rolled back, sent anew."""
    for name, effect in (("json", envelope(403)), ("html", html(403))):
        _dies(scene, name, effect)


def _deleted_by_hand(scene: Scene, gone: str) -> None:
    current, path = _play(scene, f"deleted {gone}")

    def delete() -> None:
        uid = current.model.videos()[0]["uid"]
        headers = {"authorization": f"Bearer {current.model.token}"}
        url = f"/client/v4/accounts/{current.model.account}/stream/{uid}"
        assert converse(current.model, Request("DELETE", url, {}, headers)).status == 200

    current.service = Acting(current, "PATCH", 1, delete, after=True)
    result = ends(current.send(path), 0)
    assert result.attempts == 2
    assert current.methods().count("POST") == 2
    assert_one(current, path, result)
    assert current.open_rows() == []
    then(current, path)


@row(45, "404 at half")
def _not_found(scene: Scene) -> None:
    """A 404 at half: the video is asked for; pending, it is rolled back and sent anew."""
    for name, effect in (("json", envelope(404)), ("html", html(404))):
        _dies(scene, name, effect)


@row(45, "404 at half, and the video is gone")
def _not_found_and_gone(scene: Scene) -> None:
    """Somebody deletes the video in mid-upload: its absence is proven, and the file sent anew."""
    _deleted_by_hand(scene, "404")


@row(46, "410 at half")
def _gone(scene: Scene) -> None:
    """A 410 at half is as little of a verdict as a 404: rolled back and sent anew, one video."""
    _dies(scene, "410", envelope(410))


# --- the size of a chunk -------------------------------------------------------------------------


@row(47, "413 to large chunks")
def _chunks_too_large(scene: Scene) -> None:
    """Something on the way takes at most 6 MiB: chunks are halved until they pass."""
    current, _ = _play(scene, "413")
    path = current.file(36 * MIB, "large.mp4")
    current.policy = Policy()

    def refused(request: Request) -> Answer | None:
        size = int(request.headers.get("content-length", "0"))
        return html(413) if size > 6 * MIB else None

    service = Refusing(current.model, refused)
    current.service = service
    result = ends(current.send(path), 0)
    assert service.sent
    assert max(service.sent) <= 6 * MIB
    assert current.methods().count("POST") == 1
    assert_one(current, path, result)
    then(current, path)


@row(47, "413 to the smallest chunk")
def _every_chunk_too_large(scene: Scene) -> None:
    """Even 5 MiB are refused with 413: 5, rolled back, and the size of the chunk is named."""
    _gives_up(scene, "413", html(413), 5, "size of the chunk")

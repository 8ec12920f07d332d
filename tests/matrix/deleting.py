"""Rows 62 to 68: a rollback that does not get through; `late` has 68 and 69, requests too late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import matrix.late  # noqa: F401  its rows belong here
from beside import Beside
from faulted import envelope, html
from inprocess import Stage
from matrix.parts import staged_part, video
from matrix.rows import Scene, row
from matrix.scenes import assert_none, ends, staged, then, under

from cfstream_upload.emulator.exchange import Exchange, Request
from cfstream_upload.emulator.faults import Answer, CutAfter, Fault, LoseReply
from cfstream_upload.emulator.switches import Switches

REFUSED = Fault(Answer(412), "PATCH", nth=2)
"""The second chunk is refused for good: exit 5, if the rollback gets through."""
EVER = None


def _assert_debt(current: Stage) -> None:
    """The upload is still there, and the journal knows that it must go."""
    assert (current.states(), current.open_rows()) == (["pendingupload"], ["discarding"])


def _left(current: Stage, *faults: Fault) -> None:
    """A rollback that these faults keep from its end: exit 7, a debt, and the words what to run."""
    path = video(current)
    under(current, REFUSED, *faults)
    uid = ends(current.send(path), 7, "could not be removed", "cfupload cleanup").uid
    assert current.model.videos()[0]["uid"] == uid
    _assert_debt(current)
    current.calls.clear()
    # While it stands, nothing is created for this file.
    ends(current.send(path), 7, str(uid))
    assert "POST" not in current.methods()
    _assert_debt(current)
    then(current, path)


def _deletes(current: Stage) -> int:
    return current.methods().count("DELETE")


@row(62, "network down")
def _network_down_before_delete(scene: Scene) -> None:
    """The network dies as the rollback begins: exit 7, UID and command told, a debt in the row."""
    current = staged(scene)
    # The Look that a decision needs still passes; from the DELETE on nothing does.
    _left(
        current,
        Fault(CutAfter(), "DELETE", times=EVER),
        Fault(CutAfter(), "GET", nth=2, times=EVER),
    )


@row(62, "network down before the look")
def _network_down_before_look(scene: Scene) -> None:
    """The network dies before Stream was asked: a wish, no decision, and no DELETE; exit 7."""
    current = staged(scene)
    path = video(current)
    under(current, REFUSED, Fault(CutAfter(), "GET", times=EVER))
    ends(current.send(path), 7, "could not be removed", "cfupload cleanup")
    assert _deletes(current) == 0
    assert (current.states(), current.open_rows()) == (["pendingupload"], ["created"])
    then(current, path)


@row(63, "reply lost")
def _delete_reply_lost(scene: Scene) -> None:
    """The reply to DELETE is lost: Stream is asked until it is gone; exit 6, nothing left."""
    for lost in (1, 3):
        current = staged_part(scene, f"{lost}")
        path = video(current)
        under(
            current,
            Fault(Answer(503), kind="upload", nth=2, times=EVER),
            Fault(LoseReply(), "DELETE", times=lost),
        )
        result = ends(current.send(path), 6)
        assert result.cleanup == "confirmed"
        assert_none(current)
        then(current, path)


@row(64, "200 that does nothing")
def _delete_does_nothing(scene: Scene) -> None:
    """DELETE answers 200 and the upload stays: repeated until it is gone; exit 5, nothing left."""
    for times in (1, 3):
        current = staged_part(scene, f"{times}")
        path = video(current)
        under(current, REFUSED, Fault(Answer(200), "DELETE", times=times))
        ends(current.send(path), 5)
        assert _deletes(current) == times + 1
        assert_none(current)
        then(current, path)


@row(64, "200 that never does anything")
def _delete_never_does_anything(scene: Scene) -> None:
    """Every DELETE answers 200 and the upload stays: exit 7, a debt, after a bounded try."""
    current = staged(scene)
    before = current.clock.now
    _left(current, Fault(Answer(200), "DELETE", times=EVER))
    assert current.clock.now - before < 300


@row(65, "captive portal")
def _captive_portal(scene: Scene) -> None:
    """A portal answers every call with an HTML 404: not taken for gone; exit 7, a debt."""
    current = staged(scene)
    portal = html(404)
    _left(current, Fault(portal, "DELETE", times=EVER), Fault(portal, "GET", nth=2, times=EVER))


@row(65, "captive portal before the video alone")
def _captive_portal_before_the_video(scene: Scene) -> None:
    """The video's calls meet an HTML 404 and a lagging list lacks it: not taken for gone; 7."""
    current = staged(scene, switches=Switches(list_lag=600.0))
    portal = html(404)
    _left(
        current,
        Fault(portal, "DELETE", times=EVER),
        Fault(portal, "GET", "video", nth=2, times=EVER),
    )


@row(65, "captive portal, once")
def _captive_portal_once(scene: Scene) -> None:
    """One DELETE meets an HTML 404: Stream still has the upload, so DELETE again; exit 5."""
    current = staged(scene)
    path = video(current)
    under(current, REFUSED, Fault(html(404), "DELETE"))
    ends(current.send(path), 5)
    assert _deletes(current) == 2
    assert_none(current)
    then(current, path)


@row(66, "wrong account")
def _wrong_account(scene: Scene) -> None:
    """DELETE, GET and list answer 404 with code 7003: proves nothing; exit 7, a debt."""
    current = staged(scene)
    lost = envelope(404, 7003)
    _left(current, Fault(lost, "DELETE", times=EVER), Fault(lost, "GET", nth=2, times=EVER))


@row(66, "wrong account, the list works")
def _wrong_account_on_delete(scene: Scene) -> None:
    """DELETE and GET answer 404 with code 7003, the list still has it: not gone; exit 7."""
    current = staged(scene)
    lost = envelope(404, 7003)
    _left(
        current,
        Fault(lost, "DELETE", times=EVER),
        Fault(lost, "GET", "video", nth=2, times=EVER),
    )


@row(67, "refused for ever")
def _delete_refused(scene: Scene) -> None:
    """DELETE is answered 401, 403, 429 or 5xx for ever: exit 7, a debt; later all is removed."""
    for status in (401, 403, 429, 500, 502, 503, 520):
        current = staged_part(scene, f"{status}")
        _left(current, Fault(envelope(status), "DELETE", times=EVER))


@row(67, "Retry-After")
def _delete_told_to_wait(scene: Scene) -> None:
    """DELETE is answered 429 or 503 with Retry-After: it waits that long; exit 5, nothing left."""
    for status in (429, 503):
        current = staged_part(scene, f"{status}")
        path = video(current)
        seen: list[float] = []
        under(current, REFUSED, Fault(Answer(status, {"retry-after": "20"}), "DELETE"))
        current.service = Watched(current.service, partial(_note, current, seen))
        ends(current.send(path), 5)
        first, second = seen
        assert 20 <= second - first < 25
        assert_none(current)
        then(current, path)


def _note(current: Stage, times: list[float]) -> None:
    times.append(current.clock.now)


@dataclass
class Watched(Beside):
    """A service that does something just before each DELETE."""

    act: Callable[[], object]

    def begin(self, request: Request) -> Exchange:
        if request.method == "DELETE":
            self.act()
        return super().begin(request)


@row(68, "it comes back")
def _gone_and_back_again(scene: Scene) -> None:
    """After a DELETE one GET says 404, yet the list still has it: DELETE again; exit 5."""
    for kind in (None, "video"):
        current = staged_part(scene, f"{kind}")
        path = video(current)
        under(
            current,
            REFUSED,
            Fault(Answer(200), "DELETE"),
            Fault(envelope(404, 10003), "GET", "video", nth=2, times=1 if kind is None else 2),
        )
        ends(current.send(path), 5)
        assert _deletes(current) >= 2
        assert_none(current)
        then(current, path)

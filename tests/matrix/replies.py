"""Rows 49 to 54: replies that are wrong; `badhosts` and `floods` have 55 to 61, on sockets."""

from __future__ import annotations

import matrix.badhosts
import matrix.floods  # noqa: F401  their rows belong here
from faulted import envelope
from inprocess import MIB
from matrix.parts import staged_part, video
from matrix.rows import Scene, row
from matrix.scenes import assert_none, ends, staged, then, under

from cfstream_upload.emulator.faults import Answer, Fault

SERVER_ERRORS = (500, 502, 503, 504, 520, 522, 524)
EVER = None


def _offset(value: str) -> Answer:
    """A 204 that acknowledges this, though nothing of the body was kept."""
    return Answer(204, {"upload-offset": value, "tus-resumable": "1.0.0"})


# --- 49: errors of servers -----------------------------------------------------------------------


@row(49, "once, at each request")
def _server_error_once(scene: Scene) -> None:
    """Any request is answered by a 5xx once: the run goes on and ends with one video, exit 0."""
    for status in SERVER_ERRORS[::3]:
        for method in ("POST", "PATCH", "GET"):
            current = staged_part(scene, f"{status} {method}")
            path = video(current, 6 * MIB)
            under(current, Fault(Answer(status), method))
            ends(current.send(path), 0)
            assert current.methods().count("PATCH") == 2 + (method == "PATCH")
            then(current, path)


@row(49, "three times, HEAD too")
def _server_errors_in_a_row(scene: Scene) -> None:
    """A PATCH and the HEADs after it are answered by 5xx: it waits, and ends with one video."""
    for status in SERVER_ERRORS[1::3]:
        current = staged_part(scene, f"{status}")
        path = video(current)
        under(current, Fault(Answer(status), "PATCH"), Fault(Answer(status), "HEAD", times=3))
        before = current.clock.now
        result = ends(current.send(path), 0)
        assert result.retries == 4
        assert current.clock.now - before > 4
        then(current, path)


@row(49, "for ever")
def _server_error_for_ever(scene: Scene) -> None:
    """The upload host answers 5xx for ever: exit 6, nothing on Stream, no row; later one video."""
    for status in SERVER_ERRORS:
        current = staged_part(scene, f"{status}")
        path = video(current, 6 * MIB)
        under(current, Fault(Answer(status), kind="upload", times=EVER))
        ends(current.send(path), 6, f"HTTP {status}")
        assert current.methods().count("PATCH") + current.methods().count("HEAD") == 9
        assert_none(current)
        then(current, path)


# --- 50: what is no video ------------------------------------------------------------------------


@row(50, "no video")
def _not_a_video(scene: Scene) -> None:
    """Stream says at the last PATCH that this is no video (10059): exit 5, nothing left."""
    current = staged(scene)
    path = video(current)
    under(current, Fault(envelope(400, 10059), "PATCH", nth=3))
    ends(current.send(path), 5, "not a video")
    assert current.methods().count("PATCH") == 3
    assert_none(current)
    then(current, path)


@row(50, "no video, but whole")
def _not_a_video_but_whole(scene: Scene) -> None:
    """The same reply, but Stream has the whole file: it is kept, told and never deleted."""
    current = staged(scene)
    path = video(current)
    refusal = envelope(400, 10059)
    under(current, Fault(Answer(400, refusal.headers, refusal.body, acts=True), "PATCH", nth=3))
    ends(current.send(path), 0)
    assert "DELETE" not in current.methods()
    then(current, path)


# --- 51 to 54: offsets ---------------------------------------------------------------------------


@row(51, "three times")
def _lower_offset(scene: Scene) -> None:
    """A 204 acknowledges less than before, up to three times: HEAD decides, one video, exit 0."""
    for times in (1, 3):
        current = staged_part(scene, f"{times}")
        path = video(current, 24 * MIB)
        under(current, Fault(_offset("0"), "PATCH", nth=3, times=times))
        ends(current.send(path), 0)
        then(current, path)


@row(51, "for ever")
def _lower_offset_for_ever(scene: Scene) -> None:
    """Every 204 acknowledges less than before: exit 6 after the budget, nothing left."""
    current = staged(scene)
    path = video(current, 24 * MIB)
    under(current, Fault(_offset("0"), "PATCH", nth=3, times=EVER))
    ends(current.send(path), 6)
    assert current.methods().count("PATCH") <= 2 + 9
    assert_none(current)
    then(current, path)


@row(52, "bytes that were never sent")
def _offset_beyond_what_was_sent(scene: Scene) -> None:
    """The server acknowledges bytes that never left: exit 5, said so, nothing left."""
    size = 12 * MIB
    for method in ("PATCH", "HEAD"):
        for value in (5 * MIB + 1, size - 1, size, size + 1):
            current = staged_part(scene, f"{method} {value}")
            path = video(current, size)
            lost = [Fault(Answer(500), "PATCH")] if method == "HEAD" else []
            under(current, *lost, Fault(_offset(str(value)), method, "upload"))
            ends(current.send(path), 5, "claims bytes that were never sent")
            assert_none(current)
            then(current, path)


NO_OFFSETS = ("-1", "+5242880", "1_000", "5242880, 5242880", "0x10", "1e6", " ", "", "9" * 31)
"""Two headers of one name reach the program joined by a comma; digits beyond ASCII: `badhosts`."""


@row(53, "once")
def _malformed_offset(scene: Scene) -> None:
    """``Upload-Offset`` is no plain number: HEAD tells the truth, one video, nothing sent twice."""
    for acts in (False, True):
        for number, value in enumerate(NO_OFFSETS):
            current = staged_part(scene, f"{acts} {number}")
            path = video(current, 6 * MIB)
            odd = Answer(204, {"upload-offset": value}, acts=acts)
            under(current, Fault(odd, "PATCH"))
            ends(current.send(path), 0)
            assert current.methods()[:3] == ["POST", "PATCH", "HEAD"]
            sent = [call.offset for call in current.calls if call.method == "PATCH"]
            assert sent == ([0, 5 * MIB] if acts else [0, 0, 5 * MIB])
            then(current, path)


@row(53, "for ever")
def _malformed_offset_for_ever(scene: Scene) -> None:
    """No reply ever has a proper ``Upload-Offset``: exit 6, nothing left, no endless loop."""
    for number, value in enumerate(NO_OFFSETS):
        current = staged_part(scene, f"{number}")
        path = video(current, 6 * MIB)
        under(current, Fault(Answer(204, {"upload-offset": value}), kind="upload", times=EVER))
        ends(current.send(path), 6, "no proper Upload-Offset")
        assert len(current.calls) < 25
        assert_none(current)
        then(current, path)


@row(54, "it never moves")
def _offset_never_moves(scene: Scene) -> None:
    """Every chunk is taken and none is kept: exit 6 within ten minutes and nine tries."""
    for value in (0, 5 * MIB):
        current = staged_part(scene, f"{value}")
        path = video(current)
        nth = 1 + value // (5 * MIB)
        under(current, Fault(_offset(str(value)), "PATCH", nth=nth, times=EVER))
        before = current.clock.now
        ends(current.send(path), 6, "does not get on")
        assert current.clock.now - before < 660
        assert current.methods().count("PATCH") <= nth + 9
        assert_none(current)
        then(current, path)

"""Faults around the service: what the client sees, and what Stream did meanwhile."""

from __future__ import annotations

import httpx
import pytest

from cfstream_upload.emulator.exchange import ConnectionCut, NoReply
from cfstream_upload.emulator.faults import Answer, CutAfter, Delay, Fault, Faulty, Hang, LoseReply
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.server import running
from emulator.driving import BLOCK, CHUNK, Driver, in_process, over_http, video_bytes


@pytest.fixture
def faulty(stream: Stream) -> Faulty:
    return Faulty(stream)


@pytest.fixture
def harmed(faulty: Faulty) -> Driver:
    return in_process(faulty)


def test_an_answer_replaces_streams_own_and_nothing_is_done(
    faulty: Faulty, harmed: Driver, stream: Stream
) -> None:
    faulty.set(Fault(Answer(502, {"content-type": "text/html"}, b"<html>"), "POST", "videos"))
    reply = harmed.post(10)
    assert (reply.status, reply.body) == (502, b"<html>")
    assert reply.headers == {"content-type": "text/html"}
    assert stream.videos() == []


def test_an_answer_that_acts_hides_what_was_done(
    faulty: Faulty, harmed: Driver, stream: Stream
) -> None:
    faulty.set(Fault(Answer(500, acts=True), "POST", "videos"))
    assert harmed.post(10).status == 500
    assert len(stream.videos()) == 1


def test_an_answer_in_the_middle_of_a_body_leaves_the_blocks_before_it(
    faulty: Faulty, harmed: Driver
) -> None:
    upload = harmed.create(3 * CHUNK)
    faulty.set(Fault(Answer(408, body_bytes=2 * BLOCK + 9), "PATCH"))
    assert harmed.patch(upload, 0, video_bytes(CHUNK)).status == 408
    assert harmed.offset(upload) == 2 * BLOCK


def test_a_lost_reply_is_a_cut_after_the_deed(
    faulty: Faulty, harmed: Driver, stream: Stream
) -> None:
    faulty.set(Fault(LoseReply(), "POST", "videos"))
    with pytest.raises(ConnectionCut):
        harmed.post(10)
    assert len(stream.videos()) == 1


@pytest.mark.parametrize(("cut", "kept"), [(0, 0), (BLOCK + 1, BLOCK), (10 * CHUNK, 20 * BLOCK)])
def test_a_connection_is_cut_after_so_many_bytes(
    faulty: Faulty, harmed: Driver, cut: int, kept: int
) -> None:
    upload = harmed.create(3 * CHUNK)
    faulty.set(Fault(CutAfter(cut), "PATCH", "upload"))
    with pytest.raises(ConnectionCut):
        harmed.patch(upload, 0, video_bytes(CHUNK))
    assert harmed.offset(upload) == kept


@pytest.mark.parametrize("acts", [True, False])
def test_a_hanging_request_is_acted_upon_or_not(
    faulty: Faulty, harmed: Driver, stream: Stream, acts: bool
) -> None:
    uid = harmed.create(10).uid
    faulty.set(Fault(Hang(acts=acts), "DELETE"))
    with pytest.raises(NoReply):
        harmed.delete(uid)
    assert len(stream.videos()) == (0 if acts else 1)


def test_a_delay_is_told_to_the_face_and_changes_nothing(faulty: Faulty, harmed: Driver) -> None:
    faulty.set(Fault(Delay(7.0), "GET"))
    reply = harmed.api("GET")
    assert (reply.status, reply.after) == (200, 7.0)


@pytest.mark.parametrize(
    ("nth", "times", "expected"),
    [(1, 1, "fooo"), (2, 1, "ofoo"), (2, 2, "offo"), (3, None, "ooff"), (1, None, "ffff")],
)
def test_a_fault_strikes_the_requests_it_was_set_for(
    faulty: Faulty, harmed: Driver, nth: int, times: int | None, expected: str
) -> None:
    faulty.set(Fault(Answer(503), "GET", "videos", nth, times))
    seen = ""
    for _ in range(4):
        assert harmed.storage()["videoCount"] == 0
        seen += "f" if harmed.api("GET").status == 503 else "o"
    assert seen == expected


def test_the_first_of_several_faults_counts_and_all_can_be_removed(
    faulty: Faulty, harmed: Driver
) -> None:
    faulty.set(Fault(Answer(503), times=None))
    faulty.set(Fault(Answer(502), times=None))
    assert harmed.api("GET").status == 503
    faulty.clear()
    assert harmed.api("GET").status == 200


def test_over_a_socket_a_cut_is_a_disconnect_and_a_hang_is_a_timeout(
    faulty: Faulty, stream: Stream
) -> None:
    with running(faulty) as endpoint, httpx.Client(trust_env=False, timeout=2) as client:
        driver = over_http(endpoint, client)
        upload = driver.create(3 * CHUNK)
        faulty.set(Fault(LoseReply(), "PATCH"))
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            driver.patch(upload, 0, video_bytes(CHUNK))
        assert driver.offset(upload) == CHUNK
        faulty.set(Fault(CutAfter(BLOCK), "PATCH"))
        with pytest.raises(httpx.TransportError):
            driver.patch(upload, CHUNK, video_bytes(CHUNK))
        assert driver.offset(upload) == CHUNK + BLOCK
        faulty.set(Fault(Hang(), "GET"))
        with pytest.raises(httpx.ReadTimeout):
            driver.api("GET")
        faulty.set(Fault(Delay(0.1), "GET"))
        assert driver.listed() == [upload.uid]

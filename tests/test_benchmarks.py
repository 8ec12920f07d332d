"""The arithmetic behind the figures: the line, what the server counts, the goals, the pages."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import trustme
from benchmarks.account import Account, Fault, decoded
from benchmarks.bench import gaps, paced, wasted
from benchmarks.clients import HERE
from benchmarks.connections import Secrets, Secured
from benchmarks.goals import judged
from benchmarks.line import INITIAL, Link, Window, seconds
from benchmarks.measuring import MIB, Taken, medians
from benchmarks.pages import page
from benchmarks.serving import lined, server

from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.server import running

MEGABIT = 125e3


def _moved(size: int, round_trip: float, rate: float) -> float:
    """Seconds until ``size`` bytes are acknowledged, played step by step through the model."""
    window, link, at = Window(round_trip), Link(rate), 2 * round_trip / 2
    flying: list[tuple[float, int]] = []
    while size or flying:
        if size and (room := min(window.room(at), size, 65_536)):
            window.sent(room, at)
            flying.append((link.carry(room, at) + round_trip, room))
            size -= room
            continue
        at, count = flying.pop(0)
        window.acknowledged(count)
    return at


@pytest.mark.parametrize(("size", "trip"), [(100_000, 0.2), (64 * MIB, 0.08), (512 * MIB, 0.2)])
def test_the_line_takes_the_computed_time(size: int, trip: float) -> None:
    expected = seconds(size, trip, 1000 * MEGABIT)
    assert _moved(size, trip, 1000 * MEGABIT) == pytest.approx(expected, rel=0.03)


def test_a_window_doubles_each_round_trip_in_which_it_was_the_limit() -> None:
    window = Window(0.1)
    for expected in (INITIAL, 2 * INITIAL, 4 * INITIAL):
        assert window.room(0.0) == expected
        window.sent(expected, 0.0)
        assert window.room(0.0) == 0
        window.acknowledged(expected)


def test_a_window_that_was_not_needed_does_not_grow() -> None:
    window = Window(0.1)
    window.sent(1000, 0.0)
    window.acknowledged(1000)
    assert window.size == INITIAL


def test_a_connection_starts_again_after_an_idle_timeout_and_not_before() -> None:
    window = Window(0.1, size=50 * INITIAL, last=10.0)
    assert window.room(10.29) == 50 * INITIAL
    assert window.room(10.31) == INITIAL


def test_connections_share_the_rate_of_the_line() -> None:
    link = Link(1000.0)
    assert link.carry(500, 5.0) == 5.5
    assert link.carry(500, 5.0) == 6.0
    assert link.queued(5.8) == pytest.approx(0.2)


def test_a_transfer_over_the_lining_process_takes_the_computed_time(tmp_path: Path) -> None:
    size, trip = 3 * MIB, 0.06
    with server(tmp_path, secure=False) as near, lined(near, 1000 * trip, 40 * MEGABIT) as far:
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", far.port)) as sock:
            head = f"PATCH /sink HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
            sock.sendall(head.encode() + bytes(size))
            ahead = time.monotonic() - started
            assert sock.recv(1000).startswith(b"HTTP/1.1 204")
        took = time.monotonic() - started
        assert near.child.ask("came")["came"] == size
    expected = seconds(size, trip, 40 * MEGABIT)
    # No upper bound: a busy machine makes anything late. It is never early, nor is the sender.
    assert took > 0.98 * expected
    assert ahead > 0.5 * expected


def test_the_server_skips_the_records_of_a_body_and_reads_what_follows(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    certificate.configure_cert(context)
    secrets = Secrets(context, tmp_path / "keys")
    ours, theirs = socket.socketpair()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    answers: list[bytes] = []

    def send() -> None:
        with trusting.wrap_socket(theirs, server_hostname="127.0.0.1") as tls:
            tls.sendall(b"head")
            tls.sendall(bytes(3_000_000))
            tls.sendall(b"next")
            answers.append(tls.recv(100))

    sender = threading.Thread(target=send)
    sender.start()
    with ours:
        connection = Secured(ours, context, secrets)
        assert connection.read() == b"head"
        left = 3_000_000
        while left:
            left -= connection.skip(left)
        assert connection.read() == b"next"
        connection.write(b"answer")
        sender.join()
    secrets.close()
    assert answers == [b"answer"]


def test_only_bytes_that_the_server_had_kept_count_as_sent_twice() -> None:
    def patch(offset: int, kept: int, came: int) -> dict[str, object]:
        return {"method": "PATCH", "offset": offset, "kept": kept, "came": came}

    assert wasted([patch(0, 0, 10), patch(10, 10, 5)]) == 0
    assert wasted([patch(10, 15, 20), patch(10, 15, 3)]) == 5 + 3


def test_gaps_are_what_lies_between_patches() -> None:
    asked = [
        {"method": "POST", "began": 0.0, "ended": 0.0},
        {"method": "PATCH", "began": 1.0, "ended": 2.0},
        {"method": "PATCH", "began": 2.5, "ended": 4.0},
    ]
    assert gaps(asked) == (0.5, 3.0)


def test_a_limit_is_judged_over_all_and_by_the_second() -> None:
    moments = [(index / 8, 125) for index in range(33)]
    assert paced(moments, 1000.0) == {"seconds": 4.0, "off": 0.0, "each_second": [1, 1, 1, 1]}


def test_faults_meet_the_patches_that_they_are_for() -> None:
    account = Account()
    account.ordered({"do": "reset", "faults": [{"numbers": [2]}, {"numbers": [4], "status": 408}]})
    met = [account.fault() for _ in range(4)]
    assert met == [None, Fault(numbers=(2,)), None, Fault(numbers=(4,), status=408)]


def test_metadata_is_decoded_as_stream_shows_it() -> None:
    assert decoded("name YS5tcDQ=,requiresignedurls") == {"name": "a.mp4", "requiresignedurls": ""}


def _taken(wall: float) -> Taken:
    return Taken(wall, wall / 2, 50.0)


def test_one_slow_run_does_not_change_a_median() -> None:
    found = medians([_taken(1.0), _taken(9.0), _taken(1.2)])
    assert (found["wall"], found["wall_least"], found["wall_most"]) == (1.2, 1.0, 9.0)


def _whole(ours: float) -> dict[str, object]:
    names = {"cfupload": ours, "curl": 2.0, "tuspy": 4.0}
    return {"gib": 2.0, **{name: medians([_taken(wall)]) for name, wall in names.items()}}


def test_goals_are_met_missed_or_not_measured() -> None:
    found = {one.what: one for one in judged({"whole": _whole(2.4)})}
    assert found["2 GiB over TLS, wall, to curl"].figure == "1.20 x"
    assert found["2 GiB over TLS, wall, to curl"].met is True
    assert found["2 GiB over TLS, wall, to tuspy"].met is False
    assert found["2 GiB over TLS, wall, to tus-js-client"].met is None
    assert found["journal per upload"].met is None


def test_a_page_is_made_of_whatever_was_measured() -> None:
    settings = {"command": "it", "quick": True, "date": "2026-01-01", "load": "0.1", "floor": 20}
    figures = {
        "whole": {**_whole(2.4), "tus-js-client": {"missing": "node or npm is not here"}},
        "journal": {"failed": "no disk"},
    }
    made = page({"settings": settings, "machine": {"Python": "3.x"}, "figures": figures})
    assert "| 2 GiB, TLS | tus-js-client | node or npm is not here |" in made
    assert "- journal failed: no disk" in made


def test_what_the_sender_of_ingest_says_it_sent_is_what_the_embedded_stream_has() -> None:
    stream = Stream()
    with running(stream) as endpoint:
        ended = subprocess.run(
            [sys.executable, "-P", HERE / "tus_sender.py", str(endpoint.port),
             str(5 * MIB + 3), "3", "keep"],
            env={**os.environ, **endpoint.environment},
            capture_output=True, check=True, text=True,
        )  # fmt: skip
    digests = json.loads(ended.stdout)["digests"]
    assert len(set(digests.values())) == 3
    assert digests == {uid: stream.sha256(uid) for uid in digests}


@pytest.mark.parametrize(("disk", "met"), [(900, False), (390, True)])
def test_the_embedded_stream_is_judged_by_its_slowest_size_and_by_the_disk(
    disk: int, met: bool
) -> None:
    sizes = {
        "2 GiB": {"mb_s": 700, "peak": 35.0, "disk": 900},
        "8 GiB": {"mb_s": 400, "peak": 36.0, "disk": disk},
    }
    crowd = {"whole": 50, "uploads": 50, "peak": 44.0}
    found = {one.what: one for one in judged({"ingest": sizes, "crowd": crowd})}
    verdicts = [one.met for name, one in found.items() if "embedded Stream" in name]
    assert verdicts == [met, True, True]

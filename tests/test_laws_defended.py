"""Clauses of the laws whose loss no other test noticed; `python -m tests.laws` takes them away."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from beside import Before, before
from dying import Death, Dying
from inprocess import MIB, Stage, Waiting, stage
from laws.disturbed import (
    Counting,
    Stubborn,
    change_row,
    dies,
    later,
    owing,
    repeated,
    settings,
)
from mp4 import padded_mp4
from scripted import POLICY, created, sent
from served import COMMAND, Served

from cfstream_upload import events
from cfstream_upload.after import after
from cfstream_upload.attempt import PENDING, Attempt
from cfstream_upload.attempt import Stage as Reached
from cfstream_upload.emulator.exchange import Exchange, Request
from cfstream_upload.emulator.faults import Answer, Fault, Faulty, Hang, LoseReply
from cfstream_upload.emulator.switches import Switches
from cfstream_upload.errors import TroubleOutlasted
from cfstream_upload.interruption import SLICE, Interruption, signals_as
from cfstream_upload.journal import Journal
from cfstream_upload.outcome import Seen
from cfstream_upload.patience import SLICE as WIRE_SLICE
from cfstream_upload.removing import remove
from cfstream_upload.sending import Sending, Wishes
from cfstream_upload.session import Session

HOUR = 3600.0
NO_DELETE = Fault(Answer(502), "DELETE", times=None)


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path)


@pytest.fixture
def video(scene: Stage) -> Path:
    return padded_mp4(scene.folder / "big.mp4", 11 * MIB, sparse=True)


# --- laws 1 to 3 ----------------------------------------------------------------------------------


def test_both_videos_of_a_lost_and_repeated_create_go_in_the_same_run(
    scene: Stage, video: Path
) -> None:
    scene.service = Faulty(scene.model, [Fault(LoseReply(), "POST")])
    repeated(scene)
    assert scene.send(video).exit_code == 0
    assert scene.states() == ["queued"]


def test_the_twin_of_a_video_that_was_told_goes_with_the_next_run(
    scene: Stage, video: Path
) -> None:
    repeated(scene)
    told = scene.send(video)
    scene.clock.now += 60
    assert scene.send(video).uid == told.uid
    assert scene.states() == ["ready"]


def test_a_marker_is_watched_for_a_day_of_streams_clock(scene: Stage, video: Path) -> None:
    def watched() -> int:
        scene.send(video)
        with scene.session() as session:
            return len(session.journal.watches(session.settings.base, session.settings.account))

    counts = []
    for hours in (0, 23, 7):
        scene.clock.now += hours * HOUR
        counts.append(watched())
    assert counts == [1, 1, 0]


def test_a_full_account_is_freed_of_a_create_that_surfaced_since(tmp_path: Path) -> None:
    scene = stage(tmp_path, minutes_limit=3, switches=Switches(list_lag=30.0))
    dies(scene, scene.file(6 * MIB), 1)
    before(scene, "POST", 1, lambda: later(scene))
    assert scene.send(scene.file(6 * MIB, "other.mp4", seed=1)).exit_code == 0
    assert scene.states() == ["queued"]


def test_each_create_of_a_file_has_a_marker_of_its_own(scene: Stage, video: Path) -> None:
    scene.service = Faulty(scene.model, [Fault(Answer(500), "POST", times=None)])
    assert scene.send(video).exit_code == 7
    with scene.session() as session:
        assert len({row.id for row in session.rows()}) == 2


def test_one_request_is_in_flight(
    scene: Stage, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[Counting] = []
    original = Stage.session

    def session(self: Stage, interruption: Interruption | None = None) -> object:
        made = original(self, interruption)
        counted.append(Counting(made.wire._transport))
        made.wire._transport = counted[-1]
        return made

    monkeypatch.setattr(Stage, "session", session)
    scene.service = Faulty(scene.model, [Fault(LoseReply(), "PATCH", nth=2)])
    assert scene.send(video).exit_code == 0
    assert [one.most for one in counted] == [1]


# --- law 4: the file is one file ------------------------------------------------------------------


@pytest.mark.parametrize("part", ["device", "inode", "size", "mtime_ns", "samples"])
def test_an_upload_of_another_file_is_not_resumed(scene: Stage, video: Path, part: str) -> None:
    dies(scene, video, 3)

    def other(row: Attempt) -> Attempt:
        old = getattr(row.file, part)
        new: dict[str, Any] = {part: old[::-1] if isinstance(old, str) else old + 1}
        return replace(row, file=replace(row.file, **new))

    change_row(scene, other)
    result = scene.send(video)
    assert (result.exit_code, result.outcome, result.resumed_from) == (0, "uploaded", 0)
    assert len(scene.states()) == 1


def test_an_older_version_that_is_found_whole_is_its_own_receipt(scene: Stage, video: Path) -> None:
    dies(scene, video, 4)
    (old,) = (str(one["uid"]) for one in scene.model.videos())
    os.utime(video, (1, 1))
    new = scene.send(video)
    assert (new.exit_code, len(scene.states())) == (0, 2)
    assert new.uid != old
    with scene.session() as session:
        assert {row.uid for row in session.rows() if row.stage is Reached.STORED} == {old, new.uid}


# --- laws 6 to 8 ----------------------------------------------------------------------------------


def test_a_wish_is_on_disk_before_anything_is_asked(scene: Stage, video: Path) -> None:
    wishes: list[str] = []

    def look() -> None:
        with scene.session() as session:
            wishes.extend(row.doomed for row in session.rows())

    scene.service = Faulty(scene.model, [Fault(Answer(412), "PATCH", nth=2, times=None)])
    before(scene, "GET", 1, look)
    scene.send(video)
    assert wishes == ["refused"]


def test_what_was_told_is_not_deleted_even_past_its_expiry() -> None:
    told = sent(told=True).knows(dead=True)
    past = Seen(PENDING, told.marker, expiry=5.0, date=6.0)
    assert after(told, past, POLICY, 1000.0).stage is Reached.SENT


def test_a_kept_upload_of_an_older_version_is_left_alone(scene: Stage, video: Path) -> None:
    scene.policy = replace(scene.policy, keep_failed=True)
    scene.service = Faulty(scene.model, [Fault(Answer(502), "PATCH", nth=2, times=None)])
    assert scene.send(video).cleanup == "kept"
    scene.service = scene.model
    os.utime(video, (1, 1))
    assert scene.send(video).exit_code == 0
    assert scene.states() == ["pendingupload", "queued"]
    assert "DELETE" not in scene.methods()


def test_a_success_that_leaves_a_debt_says_so(scene: Stage, video: Path) -> None:
    scene.service = Faulty(scene.model, [NO_DELETE])
    owing(scene)
    assert scene.send(video).exit_code == 0
    told = [one.message for one in scene.heard if isinstance(one, events.Notice)]
    assert told == ["1 failed upload(s) wait to be removed: cfupload cleanup"]


def test_a_debt_that_cannot_be_paid_changes_no_success(scene: Stage, video: Path) -> None:
    scene.opened = Stubborn.open
    owing(scene)
    assert scene.send(video).exit_code == 0


def test_a_delete_that_is_only_promised_is_no_delete(scene: Stage, video: Path) -> None:
    uid = scene.send(video).uid
    scene.service = Faulty(scene.model, [Fault(Answer(200), "DELETE", times=None)])
    with scene.session() as session, pytest.raises(TroubleOutlasted):
        remove(session, str(uid))
    assert scene.send(video).outcome == "already"


def test_status_exits_7_while_a_debt_stands(tmp_path: Path) -> None:
    with closing(Journal.open(tmp_path / "state")) as journal:
        journal.record(created(row=0, doomed="trouble"))
    ended = subprocess.run([*COMMAND, "status"], capture_output=True, timeout=60, check=False)
    assert ended.returncode == 7


# --- laws 9 to 11 ---------------------------------------------------------------------------------


def test_an_interrupted_second_video_is_finished_before_the_first_is_told(
    scene: Stage, video: Path
) -> None:
    first = scene.send(video)
    scene.service = Dying(scene.model, 4, "after")
    with pytest.raises(Death):
        scene.send(video, Wishes(again=True))
    scene.service = scene.model
    result = scene.send(video)
    assert result.outcome in ("resumed", "uploaded")
    assert result.uid != first.uid
    assert "pendingupload" not in scene.states()


def test_a_pause_ends_soon_after_a_signal() -> None:
    interruption = Interruption()
    timer = threading.Timer(0.05, interruption.stop)
    started = time.monotonic()
    timer.start()
    interruption.pause(30, 0)
    timer.join()
    assert time.monotonic() - started < 5
    assert max(SLICE, WIRE_SLICE) <= 0.5


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_is_counted_and_ends_nothing_itself(name: str) -> None:
    number, interruption = signal.Signals[name], Interruption()
    before = signal.signal(number, lambda *_: None)
    try:
        with signals_as(interruption):
            os.kill(os.getpid(), number)
        assert interruption.count == 1
        os.kill(os.getpid(), number)
        assert interruption.count == 1
    finally:
        signal.signal(number, before)


def test_no_create_leaves_after_a_signal(scene: Stage, video: Path) -> None:
    """The signal comes while a create that had no connection waits for its next try."""
    waiting = Waiting(scene.clock)

    class Unreached(Before):
        def begin(self, request: Request) -> Exchange:
            super().begin(request)
            raise httpx.ConnectError("no connection")

    scene.service = Unreached(scene.service, "POST", 1, lambda _: waiting.stop())
    assert scene.send(video, interruption=waiting).exit_code == 130
    assert scene.methods().count("POST") == 1


def test_a_create_under_way_has_five_seconds_to_be_answered(stream: Served) -> None:
    stream.strike(Fault(Hang(), "POST"))
    interruption, ended = Interruption(), list[int]()
    path = stream.file(size=6 * MIB)

    def run() -> None:
        with Session(settings(stream), interruption=interruption) as session:
            ended.append(Sending(session, str(path), Wishes()).run().exit_code)

    thread = threading.Thread(target=run)
    thread.start()
    stream.wait_until(lambda: "POST" in stream.methods())
    interruption.stop()
    thread.join(1.0)
    assert ended == []
    assert interruption._first_at is not None
    interruption._first_at -= 5  # as if five seconds had passed
    thread.join(20)
    assert ended == [7]


def test_the_last_acknowledgement_is_recorded_before_a_signal_is_obeyed(
    scene: Stage, video: Path
) -> None:
    waiting = Waiting(scene.clock)
    before(scene, "PATCH", 3, waiting.stop)
    assert scene.send(video, interruption=waiting).exit_code == 8
    assert scene.open_rows() == ["sent"]


def test_creates_that_are_lost_every_time_end_after_three(scene: Stage, video: Path) -> None:
    scene.service = Faulty(scene.model, [Fault(LoseReply(), "POST", times=6)])
    assert scene.send(video).exit_code != 0
    assert scene.methods().count("POST") == 3
    assert (scene.states(), scene.open_rows()) == ([], [])

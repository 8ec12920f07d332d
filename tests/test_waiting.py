"""``--wait`` and ``cfupload wait``: how far a video is to get, and what ends the wait."""

from __future__ import annotations

import itertools
import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from inprocess import MIB, Stage, Waiting, stage
from served import Ended, Served, served

from cfstream_upload import events
from cfstream_upload.cli.app import run
from cfstream_upload.emulator.exchange import Request, converse
from cfstream_upload.emulator.faults import Answer, Fault, Faulty
from cfstream_upload.emulator.videos import Pace
from cfstream_upload.errors import CfuploadError
from cfstream_upload.loglines import Level, log_lines
from cfstream_upload.meter import Meter
from cfstream_upload.result import Result
from cfstream_upload.sending import Sending, Wishes
from cfstream_upload.video import Video
from cfstream_upload.waiting import Goal, Until, Vigil, wait_for_sent

SLOW = Pace(encoding_after=5, playable_after=10, ready_after=30, complete_after=90)
DENIED = Answer(
    403, {"content-type": "application/json"},
    b'{"success": false, "errors": [{"code": 10000, "message": "Authentication error"}]}',
)  # fmt: skip
NO_ACCOUNT = Answer(
    404, {"content-type": "application/json"},
    b'{"success": false, "errors": [{"code": 7003, "message": "Could not route"}]}',
)  # fmt: skip

Ran = Callable[..., Ended]
T = TypeVar("T")


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path, pace=SLOW)


@pytest.fixture
def video(scene: Stage) -> Path:
    return scene.file(1 * MIB)


def _sent(scene: Stage, video: Path, until: Until, seconds: float = 1800.0) -> Result:
    return scene.send(video, Wishes(wait=Goal(until, seconds)))


def _heard(scene: Stage, kind: type[T]) -> list[T]:
    return [event for event in scene.heard if isinstance(event, kind)]


# --- send --wait ---------------------------------------------------------------------------------


def test_wait_ready_ends_when_every_quality_is_encoded(scene: Stage, video: Path) -> None:
    begun = scene.clock.now
    result = _sent(scene, video, "ready")
    assert (result.exit_code, result.outcome, result.state) == (0, "uploaded", "ready")
    # Stream says ready after 30 s, and 100 % after 90.
    assert 90 <= scene.clock.now - begun < 115
    (ready,) = _heard(scene, events.Ready)
    assert (ready.uid, ready.percent) == (result.uid, 100.0)
    states = [event.state for event in _heard(scene, events.Waiting) if event.news]
    assert states[:2] == ["queued", "inprogress"]
    assert "ready" in states


def test_wait_playable_ends_when_stream_can_play_it(scene: Stage, video: Path) -> None:
    begun = scene.clock.now
    result = _sent(scene, video, "playable")
    assert (result.exit_code, result.state) == (0, "inprogress")
    assert 10 <= scene.clock.now - begun < 20


def test_the_default_is_stored_and_asks_no_more(scene: Stage, video: Path) -> None:
    result = scene.send(video)
    assert (result.exit_code, result.state) == (0, "queued")
    assert scene.methods() == ["POST", "PATCH", "GET"]
    assert not _heard(scene, events.Uploaded)


def test_the_deadline_is_8_and_the_video_stays_as_the_receipt(scene: Stage, video: Path) -> None:
    result = _sent(scene, video, "ready", 20)
    assert result.error
    assert (result.exit_code, result.outcome, result.state) == (8, "failed", "inprogress")
    assert result.error.message.startswith(f"The video {result.uid} is not ready after 2")
    assert f"cfupload wait {result.uid}" in result.error.hint
    assert result.error.uid == result.uid
    with scene.session() as session:
        ((row),) = session.rows()
    assert (row.uid, row.told, row.doomed) == (result.uid, True, "")
    again = _sent(scene, video, "ready")
    assert (again.exit_code, again.outcome, again.uid) == (0, "already", result.uid)
    assert "DELETE" not in scene.methods()


def test_a_processing_error_is_11_with_streams_code_and_text(scene: Stage, video: Path) -> None:
    def spoil(event: events.Event) -> None:
        if isinstance(event, events.Uploaded):
            scene.model.fail(event.uid, "ERR_NON_VIDEO")

    with scene.session() as session:
        session.tell = spoil
        result = Sending(session, str(video), Wishes(wait=Goal("ready"))).run()
    assert (result.exit_code, result.state, result.cleanup) == (11, "error", "none")
    assert "ERR_NON_VIDEO: The file was not recognized" in str(result.error)
    assert "DELETE" not in scene.methods()
    # The next run finds the receipt, and says why as well.
    later = scene.send(video)
    assert later.exit_code == 11
    assert "ERR_NON_VIDEO" in str(later.error)


def test_interrupted_after_the_last_byte_is_8_and_deletes_nothing(
    scene: Stage, video: Path
) -> None:
    interruption = Waiting(scene.clock)

    def stop(event: events.Event) -> None:
        if isinstance(event, events.Waiting):
            interruption.stop(signal.SIGTERM)

    with scene.session(interruption) as session:
        session.tell = stop
        result = Sending(session, str(video), Wishes(wait=Goal("ready"))).run()
    assert (result.exit_code, result.outcome) == (8, "interrupted")
    assert "DELETE" not in scene.methods()
    assert scene.states() != ["pendingupload"]


def test_the_lock_is_free_while_it_waits(scene: Stage, video: Path) -> None:
    others: list[Result] = []

    def send_too(event: events.Event) -> None:
        if isinstance(event, events.Uploaded):
            others.append(scene.send(video))

    with scene.session() as session:
        session.tell = send_too
        assert Sending(session, str(video), Wishes(wait=Goal("ready"))).run().exit_code == 0
    assert [(other.exit_code, other.outcome) for other in others] == [(0, "already")]


def test_refused_credentials_after_the_last_byte_are_8(scene: Stage, video: Path) -> None:
    scene.service = Faulty(scene.model, [Fault(DENIED, "GET", nth=2, times=None)])
    result = _sent(scene, video, "ready")
    assert result.exit_code == 8
    assert result.error
    assert "Authentication error" in result.error.message
    assert scene.methods().count("GET") == 2


def test_a_video_that_is_gone_after_it_was_told_is_8_and_not_sent_again(
    scene: Stage, video: Path
) -> None:
    uid = scene.send(video).uid
    _delete(scene, uid)
    with scene.session() as session, pytest.raises(CfuploadError) as caught:
        wait_for_sent(_vigil(scene, session, str(uid)))
    assert caught.value.exit_code == 8
    assert "--again" in caught.value.hint


# --- how it waits --------------------------------------------------------------------------------


def _delete(scene: Stage, uid: str | None) -> None:
    path = f"/client/v4/accounts/{scene.model.account}/stream/{uid}"
    headers = {"authorization": f"Bearer {scene.model.token}"}
    assert converse(scene.model, Request("DELETE", path, {}, headers)).status == 200


def _vigil(scene: Stage, session: object, uid: str, goal: Goal | None = None) -> Vigil:
    clock = scene.clock
    return Vigil(session, uid, goal or Goal("ready"), clock=clock, chance=lambda: 0.5)  # type: ignore[arg-type]


def _waited(scene: Stage, uid: str, goal: Goal, *faults: Fault) -> tuple[Video, list[float]]:
    """The video, and when each call was made, in seconds from the first."""
    times: list[float] = []
    faulty = Faulty(scene.model, faults)

    class Timed:
        account, token = faulty.account, faulty.token

        def begin(self, request: Request) -> object:
            times.append(scene.clock.now)
            return faulty.begin(request)

    scene.service = Timed()  # type: ignore[assignment]
    with scene.session() as session:
        try:
            found = _vigil(scene, session, uid, goal).wait()
        finally:
            scene.service = scene.model
            scene.calls.clear()
    return found, [moment - times[0] for moment in times]


def test_it_asks_after_a_second_and_then_less_and_less_often(scene: Stage, video: Path) -> None:
    uid = str(scene.send(video).uid)
    _, times = _waited(scene, uid, Goal("ready"))
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps[0] == pytest.approx(1.0)
    assert gaps == sorted(gaps)
    assert len(times) < 15


def test_retry_after_is_honoured(scene: Stage, video: Path) -> None:
    uid = str(scene.send(video).uid)
    busy = Fault(Answer(429, {"retry-after": "120"}), "GET", nth=2)
    _, times = _waited(scene, uid, Goal("ready"), busy)
    assert times[2] - times[1] == pytest.approx(120)
    assert [event.seconds for event in _heard(scene, events.Retrying)] == [120]


def test_a_retry_after_beyond_the_deadline_ends_the_wait(scene: Stage, video: Path) -> None:
    uid = str(scene.send(video).uid)
    busy = Fault(Answer(429, {"retry-after": "300"}), "GET")
    with pytest.raises(
        CfuploadError, match="it was not seen, then: Asking for the video: HTTP 429"
    ):
        _waited(scene, uid, Goal("ready", 60), busy)


def test_transient_trouble_is_borne_until_the_deadline(scene: Stage, video: Path) -> None:
    uid = str(scene.send(video).uid)
    found, times = _waited(scene, uid, Goal("ready"), Fault(Answer(502), "GET", times=3))
    assert found.encoded
    assert len(times) > 4
    begun = scene.clock.now
    with pytest.raises(CfuploadError) as caught:
        _waited(scene, uid, Goal("ready", 300), Fault(Answer(502), "GET", times=None))
    assert caught.value.exit_code == 8
    assert scene.clock.now - begun == pytest.approx(300, abs=1)


def test_refused_credentials_are_not_borne(scene: Stage, video: Path) -> None:
    uid = str(scene.send(video).uid)
    begun = scene.clock.now
    with pytest.raises(CfuploadError) as caught:
        _waited(scene, uid, Goal("ready"), Fault(DENIED, "GET", times=None))
    assert (caught.value.exit_code, scene.clock.now) == (3, begun)


def test_one_stale_404_is_no_verdict(scene: Stage, video: Path) -> None:
    uid = str(scene.send(video).uid)
    stale = Fault(
        Answer(404, {}, b'{"success": false, "errors": [{"code": 10003}]}'), "GET", "video", times=3
    )
    found, _ = _waited(scene, uid, Goal("ready"), stale)
    assert found.uid == uid


def test_absence_is_two_404s_some_seconds_apart_and_a_list_without_it(scene: Stage) -> None:
    begun = scene.clock.now
    with pytest.raises(CfuploadError) as caught:
        _waited(scene, "ab" * 16, Goal("ready"))
    assert caught.value.exit_code == 5
    assert scene.clock.now - begun == pytest.approx(scene.policy.proof_gap)


def test_a_404_for_every_call_of_the_account_proves_nothing(scene: Stage, video: Path) -> None:
    uid = str(scene.send(video).uid)
    with pytest.raises(CfuploadError, match="Stream refused") as caught:
        _waited(scene, uid, Goal("ready"), Fault(NO_ACCOUNT, "GET", times=None))
    assert caught.value.exit_code == 3


# --- cfupload wait UID ---------------------------------------------------------------------------


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Videos that are playable after a second and are never ready."""
    pace = Pace(encoding_after=0.1, playable_after=0.8, ready_after=3600)
    with served(tmp_path, pace=pace) as here:
        for name, value in here.environment.items():
            monkeypatch.setenv(name, value)
        yield here


@pytest.fixture
def ran(slow: Served, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ran:
    monkeypatch.chdir(slow.folder)
    slow.file(size=100_000)

    def command(*arguments: str) -> Ended:
        capfd.readouterr()
        code = run(list(arguments))
        told = capfd.readouterr()
        return Ended(code, told.out, told.err)

    return command


def test_send_wait_tells_the_uid_once_and_in_quiet_mode_alone(ran: Ran) -> None:
    ended = ran("send", "--wait", "playable", "-q", "big.mp4")
    assert (ended.code, ended.err) == (0, "")
    uid = ended.out.strip()
    assert ended.out == f"{uid}\n"
    late = ran("send", "--wait", "ready", "--wait-timeout", "100ms", "-q", "big.mp4")
    # The video is there, whatever the wait came to: a script can go on with its UID.
    assert (late.code, late.out) == (8, f"{uid}\n")
    assert f"cfupload wait {uid}" in late.err


def test_scripts_hear_uploaded_when_it_is_stored_and_ready_when_it_is(ran: Ran) -> None:
    lines = ran("send", "--wait", "playable", "--ndjson", "big.mp4").out.splitlines()
    told = [json.loads(line) for line in lines]
    assert [one["message_type"] for one in told][-3:] == ["uploaded", "ready", "summary"]
    uploaded, ready = told[-3], told[-2]
    assert (uploaded["uid"], ready["state"]) == (ready["uid"], "inprogress")
    assert uploaded["time"] < ready["time"]
    assert ready["file"] == "big.mp4"
    late = ran("send", "--wait", "ready", "--wait-timeout", "100ms", "--ndjson", "big.mp4")
    kinds = [json.loads(line)["message_type"] for line in late.out.splitlines()]
    assert kinds == ["uploaded", "failed", "summary"]


def test_what_a_manifest_tells_of_as_stored_is_waited_for(ran: Ran) -> None:
    assert ran("send", "--manifest", "m.csv", "-q", "big.mp4").code == 0
    late = ran("send", "--manifest", "m.csv", "--wait", "playable", "--ndjson", "big.mp4")
    kinds = [json.loads(line)["message_type"] for line in late.out.splitlines()]
    assert kinds == ["uploaded", "ready", "summary"]
    assert ",inprogress," in Path("m.csv").read_text()


def test_wait_uid_in_every_mode(ran: Ran, slow: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = ran("send", "-q", "big.mp4").out.strip()
    monkeypatch.setenv("CFUPLOAD_WAIT", "playable")
    ended = ran("wait", "--json", uid)
    assert ended.code == 0
    assert ended.document["error"] is None
    assert ended.document["videos"][0]["readyToStream"] is True
    assert ran("wait", "-q", uid).out == f"{uid}\n"
    assert f"uid           {uid}" in ran("wait", uid).out
    (ready,) = [json.loads(line) for line in ran("wait", "--ndjson", uid).out.splitlines()]
    assert (ready["message_type"], ready["uid"], ready["file"]) == ("ready", uid, None)


def test_wait_uid_in_json_on_failure_too(ran: Ran, slow: Served) -> None:
    uid = ran("send", "-q", "big.mp4").out.strip()
    late = ran("wait", "--wait-timeout", "0s", "--json", uid)
    assert late.code == 8
    assert late.document["videos"][0]["uid"] == uid
    assert (late.document["error"]["code"], late.document["error"]["uid"]) == (8, uid)
    absent = ran("wait", "--json", "ab" * 16)
    assert (absent.code, absent.document["videos"]) == (5, [])
    slow.model.fail(uid, "ERR_UNKNOWN")
    assert ran("wait", "--wait", "redy", uid).code == 2
    assert "Did you mean ready?" in ran("send", "--wait", "redy", "big.mp4").err
    assert "'soon' is no time" in ran("send", "--wait-timeout", "soon", "big.mp4").err


def test_a_signal_ends_the_wait_within_half_a_second(ran: Ran, slow: Served) -> None:
    # Told to wait for a minute, it is asleep when the signal comes.
    slow.strike(Fault(Answer(429, {"retry-after": "60"}), "GET", nth=2, times=None))
    process = slow.start("send", "--wait", "ready", "--ndjson", "big.mp4")
    assert process.stdout
    while b'"retrying"' not in process.stdout.readline():
        pass
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    took = time.monotonic() - asked
    assert process.returncode == 8, err
    # Half a second to notice it, and the rest for a busy machine to end a process.
    assert took < 10
    assert json.loads(out.splitlines()[-1])["exit_code"] == 8
    assert slow.states() != ["pendingupload"]


# --- what people see -----------------------------------------------------------------------------


def test_people_see_how_far_it_is_and_only_news_make_a_line() -> None:
    waiting = events.Waiting("a.mp4", "ab" * 16, "inprogress", 39.4, "ready", news=True)
    assert log_lines(waiting, "a.mp4", bar=True) == [
        (Level.USUAL, "a.mp4: inprogress, 39 % encoded, waiting until all of it is encoded")
    ]
    ((level, _),) = log_lines(replace(waiting, news=False), "a.mp4", bar=False)
    assert level is Level.VERBOSE
    nameless = events.Ready("", "ab" * 16, "ready", 100.0, "ready", 61.0)
    assert log_lines(nameless, "", bar=True) == [(Level.USUAL, f"{'ab' * 16}: ready after 1m01s")]
    meter = Meter("a.mp4", 100)
    meter.hear(events.Reading("a.mp4", 50, 100), 0.0)
    assert meter.state(0.0) == "reading the whole file first, 50 %"
    meter.hear(waiting, 0.0)
    assert "39 %" in meter.state(0.0)
    # The bar never says 100 % before Stream did.
    assert meter.percent < 100

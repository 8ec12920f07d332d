"""One file from its path to its result: what runs before left, and what the exit code says."""

from __future__ import annotations

import json
import os
import sqlite3
from base64 import b64encode
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from beside import before
from dying import Death, Dying, MortalJournal
from inprocess import MIB, Stage, Waiting, stage

from cfstream_upload.after import after
from cfstream_upload.attempt import Attempt, Identity
from cfstream_upload.attempt import Stage as Reached
from cfstream_upload.batch import Batch
from cfstream_upload.emulator.exchange import Request, converse
from cfstream_upload.emulator.faults import Answer, Fault, Faulty, LoseReply
from cfstream_upload.emulator.switches import Switches
from cfstream_upload.emulator.timestamps import http_date
from cfstream_upload.errors import JournalProblem
from cfstream_upload.journal import Journal
from cfstream_upload.outcome import Seen
from cfstream_upload.result import Result
from cfstream_upload.sending import Wishes
from cfstream_upload.video import VideoOptions

HTML_404 = Answer(404, {"content-type": "text/html"}, b"<html>")
UNSENDABLE = Fault(Answer(412), "PATCH", times=None)
NO_DELETE = Fault(Answer(502), "DELETE", times=None)
HOUR = 3600.0


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path)


@pytest.fixture
def video(scene: Stage) -> Path:
    return scene.file(11 * MIB)


def _under(scene: Stage, *faults: Fault) -> None:
    scene.service = Faulty(scene.model, faults)


def _clear(scene: Stage) -> None:
    scene.service = scene.model
    scene.calls.clear()


def _dies(scene: Stage, video: Path, nth: int) -> None:
    scene.service = Dying(scene.model, nth, "after")
    with pytest.raises(Death):
        scene.send(video)
    _clear(scene)


def _delete(scene: Stage, uid: str | None) -> None:
    """Somebody deletes a video by hand."""
    path = f"/client/v4/accounts/{scene.model.account}/stream/{uid}"
    headers = {"authorization": f"Bearer {scene.model.token}"}
    assert converse(scene.model, Request("DELETE", path, {}, headers)).status == 200


# --- creating (laws 1 and 2) ---------------------------------------------------------------------


def test_the_row_is_on_disk_before_the_create_leaves(scene: Stage, video: Path) -> None:
    stages: list[str] = []

    def look() -> None:
        with closing(Journal.open(scene.folder / scene.state)) as journal:
            stages.extend(row.stage.value for row in journal.rows())

    before(scene, "POST", 1, look)
    assert scene.send(video).exit_code == 0
    assert stages == ["intended"]


def test_uid_and_url_are_on_disk_before_the_first_byte_leaves(scene: Stage, video: Path) -> None:
    known: list[tuple[str, bool, bool]] = []

    def look() -> None:
        with closing(Journal.open(scene.folder / scene.state)) as journal:
            known.extend((r.stage.value, r.uid is not None, bool(r.url)) for r in journal.rows())

    before(scene, "PATCH", 1, look)
    scene.send(video)
    assert known == [("created", True, True)]


def test_a_lost_create_is_found_deleted_and_the_file_sent(scene: Stage, video: Path) -> None:
    _under(scene, Fault(LoseReply(), "POST"))
    result = scene.send(video)
    assert (result.exit_code, result.attempts) == (0, 2)
    assert len(scene.states()) == 1
    assert scene.open_rows() == []


def test_a_create_that_stays_unanswered_ends_after_two(scene: Stage, video: Path) -> None:
    _under(scene, Fault(Answer(500), "POST", times=None))
    assert scene.send(video).exit_code == 7
    assert scene.methods().count("POST") == 2
    assert scene.open_rows() == ["intended", "intended"]
    _clear(scene)
    assert scene.send(video).exit_code == 7
    assert "POST" not in scene.methods()
    scene.clock.now += 25 * HOUR
    assert scene.send(video).exit_code == 0
    assert scene.open_rows() == []


def test_a_create_that_surfaces_after_success_is_discarded_by_the_next_run(
    tmp_path: Path,
) -> None:
    scene = stage(tmp_path, switches=Switches(list_lag=15.0))
    video = scene.file(11 * MIB)
    _under(scene, Fault(LoseReply(), "POST"))
    told = scene.send(video)
    assert told.exit_code == 0
    assert scene.states().count("pendingupload") == 1
    _clear(scene)
    scene.clock.now += 60
    assert scene.send(video).uid == told.uid
    assert scene.states() == ["ready"]


def test_a_full_account_is_freed_of_what_lost_creates_reserved(tmp_path: Path) -> None:
    scene = stage(tmp_path, minutes_limit=3)
    video = scene.file(11 * MIB)
    _dies(scene, video, 1)
    other = scene.file(11 * MIB, "other.mp4", seed=1)
    assert scene.send(other).exit_code == 0
    assert len(scene.states()) == 1


# --- the file (law 4) ----------------------------------------------------------------------------


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_file_that_changes_while_it_is_sent_is_rolled_back(
    scene: Stage, video: Path, nth: int
) -> None:
    before(scene, "PATCH", nth, lambda: os.utime(video, (1, 1)))
    result = scene.send(video)
    assert (result.exit_code, result.cleanup) == (4, "confirmed")
    assert (scene.states(), scene.open_rows()) == ([], [])


def test_a_changed_file_is_not_resumed(scene: Stage, video: Path) -> None:
    _dies(scene, video, 3)
    os.utime(video, (1, 1))
    result = scene.send(video)
    assert (result.exit_code, result.outcome) == (0, "uploaded")
    assert len(scene.states()) == 1


def test_other_options_are_not_resumed(scene: Stage, video: Path) -> None:
    _dies(scene, video, 3)
    result = scene.send(video, Wishes(VideoOptions(require_signed_urls=True)))
    assert (result.exit_code, result.outcome) == (0, "uploaded")
    assert len(scene.states()) == 1


def test_a_newer_version_of_a_file_is_a_second_video(scene: Stage, video: Path) -> None:
    scene.send(video)
    os.utime(video, (1, 1))
    assert scene.send(video).outcome == "uploaded"
    assert len(scene.states()) == 2


# --- debts (law 8) -------------------------------------------------------------------------------


def test_a_debt_with_a_uid_blocks_its_file_until_it_is_paid(scene: Stage, video: Path) -> None:
    _under(scene, UNSENDABLE, NO_DELETE)
    assert scene.send(video).exit_code == 7
    _under(scene, NO_DELETE)
    scene.calls.clear()
    assert scene.send(video).exit_code == 7
    assert "POST" not in scene.methods()
    _clear(scene)
    assert scene.send(video).exit_code == 0
    assert len(scene.states()) == 1


def test_an_expired_debt_no_longer_blocks_its_file(scene: Stage, video: Path) -> None:
    _under(scene, UNSENDABLE, NO_DELETE)
    assert scene.send(video).exit_code == 7
    scene.clock.now += 25 * HOUR
    dated = Answer(502, {"date": http_date(scene.clock.now)})
    _under(scene, Fault(dated, "DELETE", times=None))
    assert scene.send(video).exit_code == 0


def test_another_files_debt_only_warns(scene: Stage, video: Path) -> None:
    _under(scene, UNSENDABLE, NO_DELETE)
    scene.send(video)
    _under(scene, NO_DELETE)
    assert scene.send(scene.file(11 * MIB, "other.mp4", seed=1)).exit_code == 0


def test_a_run_that_fails_and_owes_exits_7_whatever_failed(scene: Stage, video: Path) -> None:
    """Refused for good would be 5, but an unanswered create of this file still stands."""
    _dies(scene, video, 1)
    _delete(scene, str(scene.model.videos()[0]["uid"]))
    refusal = {"success": False, "errors": [{"code": 10005, "message": "no"}], "messages": None}
    _under(scene, Fault(Answer(400, {}, json.dumps(refusal).encode()), "POST"))
    result = scene.send(video)
    assert (result.exit_code, result.cleanup) == (7, "pending")
    assert scene.open_rows() == ["intended"]


def test_a_404_in_html_is_no_proof_of_a_delete(scene: Stage, video: Path) -> None:
    _under(scene, UNSENDABLE, Fault(HTML_404, "GET", nth=2, times=None))
    assert scene.send(video).exit_code == 7
    assert scene.open_rows() == ["discarding"]


# --- receipts (law 9) ----------------------------------------------------------------------------


def test_told_is_on_disk_before_it_is_told(scene: Stage, video: Path) -> None:
    uid = scene.send(video).uid
    with scene.session() as session:
        assert [(row.uid, row.told) for row in session.rows()] == [(uid, True)]


def test_a_receipt_that_was_never_told_is_told_now(scene: Stage, video: Path) -> None:
    uid = scene.send(video).uid
    with scene.session() as session:
        session.journal.record(replace(session.rows()[0], told=False))
    assert scene.send(video).outcome == "already"
    with scene.session() as session:
        assert [(row.uid, row.told) for row in session.rows()] == [(uid, True)]


def test_again_makes_a_second_video_and_its_receipt_is_the_newer(scene: Stage, video: Path) -> None:
    first = scene.send(video).uid
    second = scene.send(video, Wishes(again=True)).uid
    assert first != second
    assert scene.send(video).uid == second


def test_other_options_for_a_file_already_sent_are_refused(scene: Stage, video: Path) -> None:
    uid = scene.send(video).uid
    result = scene.send(video, Wishes(VideoOptions(require_signed_urls=True)))
    assert (result.exit_code, result.uid) == (2, uid)
    assert "--require-signed-urls" in str(result.error)


@pytest.mark.parametrize("nth", [4, 5, 6])
def test_a_video_that_vanished_is_sent_once_more_only_on_purpose(
    scene: Stage, video: Path, nth: int
) -> None:
    """Deleted by hand after the last byte, after the Look, or after it was told."""
    try:
        _dies(scene, video, nth)
    except pytest.fail.Exception:
        _clear(scene)
    _delete(scene, str(scene.model.videos()[0]["uid"]))
    if nth > 4:
        result = scene.send(video)
        assert result.exit_code == 8
        assert "--again" in (result.error.hint if result.error else "")
        assert "POST" not in scene.methods()
    assert scene.send(video, Wishes(again=True)).exit_code == 0
    assert len(scene.states()) == 1
    assert scene.send(video).outcome == "already"


def test_a_video_that_stream_cannot_process_is_kept_once_told(
    scene: Stage, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = scene.send(video).uid
    monkeypatch.setattr("cfstream_upload.emulator.videos.state_of", lambda *_: "error")
    result = scene.send(video)
    assert (result.exit_code, result.uid) == (11, uid)
    assert "DELETE" not in scene.methods()


# --- the journal and signals ---------------------------------------------------------------------


class Failing(Journal):
    """A journal in which every commit from the ``nth`` on fails."""

    nth, seen = 0, 0

    def _commit(self, *statements: tuple[str, tuple[object, ...]]) -> sqlite3.Cursor:
        self.seen += 1
        if self.seen >= self.nth:
            raise JournalProblem("no room", "make room")
        return super()._commit(*statements)


def test_a_journal_that_fails_tells_what_is_left(scene: Stage, video: Path) -> None:
    """10 before a UID exists, 7 with it, 8 after the last byte; then one clean run."""
    codes: list[int] = []
    for nth in range(1, 12):
        scene.state = f"state {nth}"

        def opened(folder: Path, nth: int = nth) -> Journal:
            journal = Failing.open(folder)
            assert isinstance(journal, Failing)
            journal.nth = nth
            return journal

        scene.opened = opened
        result = scene.send(video)
        codes.append(result.exit_code)
        assert result.uid is not None or result.exit_code == 10
        scene.opened = Journal.open
        assert scene.send(video).exit_code == 0
        assert scene.states().count("pendingupload") == 0
        assert len(scene.states()) == nth
        if result.exit_code == 0:
            break
    assert codes == sorted(codes, key=[10, 7, 8, 0].index)
    assert set(codes) == {10, 7, 8, 0}


@pytest.mark.parametrize("signum", [2, 15])
def test_a_signal_rolls_back(scene: Stage, video: Path, signum: int) -> None:
    waiting = Waiting(scene.clock)
    before(scene, "PATCH", 2, lambda: waiting.stop(signum))
    began = scene.clock.now
    result = scene.send(video, interruption=waiting)
    assert (result.exit_code, result.outcome) == (128 + signum, "interrupted")
    assert (scene.states(), scene.open_rows()) == ([], [])
    assert scene.clock.now - began < 8


def test_a_second_signal_leaves_the_debt(scene: Stage, video: Path) -> None:
    waiting = Waiting(scene.clock)

    def twice() -> None:
        waiting.stop()
        waiting.stop()

    before(scene, "PATCH", 2, twice)
    assert scene.send(video, interruption=waiting).exit_code == 7
    _clear(scene)
    assert scene.send(video).exit_code == 0
    assert len(scene.states()) == 1


def test_a_signal_after_the_last_byte_exits_8_and_the_next_run_0(scene: Stage, video: Path) -> None:
    waiting = Waiting(scene.clock)
    _under(scene, Fault(Answer(502), "GET", times=1))
    before(scene, "GET", 1, waiting.stop)
    result = scene.send(video, interruption=waiting)
    assert result.exit_code == 8
    _clear(scene)
    assert scene.send(video).exit_code == 0
    assert "DELETE" not in scene.methods()


# --- what an attacker found ----------------------------------------------------------------------


def _interrupted_before(scene: Stage, path: Path, method: str, *more: Path) -> list[Result]:
    """Send files; the signal comes with the first request of ``method``."""
    interruption = Waiting(scene.clock)
    before(scene, method, 1, interruption.stop)
    with scene.session(interruption) as session:
        batch = Batch(session, [str(path), *map(str, more)], Wishes())
        return [result for _, result in batch.run()]


def test_a_signal_while_watched_markers_are_looked_for_is_an_interruption(
    scene: Stage, video: Path
) -> None:
    assert scene.send(video).exit_code == 0
    other = scene.file(6 * MIB, "other.mp4", seed=1)
    (result,) = _interrupted_before(scene, other, "GET")
    assert result.exit_code == 130
    assert scene.states() == ["queued"]


def test_a_file_that_was_not_sent_for_a_signal_does_not_count_as_success(
    scene: Stage, video: Path
) -> None:
    other = scene.file(6 * MIB, "other.mp4", seed=1)
    results = _interrupted_before(scene, video, "PATCH", other)
    assert [result.exit_code for result in results] == [130, 130]
    assert [result.outcome for result in results] == ["interrupted", "skipped"]
    assert scene.states() == []


def test_a_second_video_that_was_never_told_is_told_and_not_made_again(
    scene: Stage, video: Path
) -> None:
    scene.send(video)

    def opened(folder: Path) -> Journal:
        journal = MortalJournal.open(folder)
        assert isinstance(journal, MortalJournal)
        journal.nth = 6
        return journal

    scene.opened = opened
    with pytest.raises(Death):
        scene.send(video, Wishes(again=True))
    scene.opened = Journal.open
    assert len(scene.states()) == 2
    assert scene.send(video, Wishes(again=True)).exit_code == 0
    assert len(scene.states()) == 2


def test_a_receipt_with_the_same_options_comes_before_a_newer_one(
    scene: Stage, video: Path
) -> None:
    first = scene.send(video)
    scene.send(video, Wishes(VideoOptions(name="x"), again=True))
    assert scene.send(video).uid == first.uid


def test_an_unprocessed_video_that_was_kept_is_never_deleted(scene: Stage) -> None:
    policy = replace(scene.policy, keep_unprocessed=True)
    attempt = Attempt("1a" * 16, "2b" * 16, "", "b", "3c" * 16, "f", Identity(1, 2, 3, 4, ""))
    created = replace(attempt, stage=Reached.CREATED, uid="4d" * 16, url="u", tail=True, row=1)
    kept = after(created, Seen("error", created.marker), policy, 1.0)
    assert (kept.stage, kept.told, kept.doomed) == (Reached.STORED, True, "")


def test_the_marker_of_a_refused_create_is_watched(scene: Stage, video: Path) -> None:
    """A proxy may have repeated it: the first made a video, the second was refused."""
    refused = b'{"success":false,"errors":[{"code":10005,"message":"Bad Request"}]}'
    headers = {"content-type": "application/json"}
    _under(scene, Fault(Answer(400, headers, refused, acts=True), "POST"))
    assert scene.send(video).exit_code == 5
    assert scene.states() == ["pendingupload"]
    _clear(scene)
    assert scene.send(video).exit_code == 0
    assert scene.states() == ["queued"]


def test_the_twin_of_an_older_versions_upload_goes_too(scene: Stage, video: Path) -> None:
    _under(scene, Fault(Answer(502), "GET", times=None))
    assert scene.send(video).exit_code == 8
    _clear(scene)
    with scene.session() as session:
        (row,) = session.rows()
    twin = _repeated_create(scene, row)
    scene.file(12 * MIB, seed=1)
    newer = scene.send(video)
    again = scene.send(video)
    assert (newer.exit_code, again.uid) == (0, newer.uid)
    assert {str(one["uid"]) for one in scene.model.videos()} == {row.uid, newer.uid}
    assert twin not in {row.uid, newer.uid}


def _repeated_create(scene: Stage, row: Attempt) -> str:
    """What a proxy does that sends a create once more."""
    headers = {
        "tus-resumable": "1.0.0", "upload-length": str(row.file.size),
        "upload-metadata": f"cfupload {b64encode(row.marker.encode()).decode()}",
        "authorization": f"Bearer {scene.model.token}", "host": "127.0.0.1:9",
    }  # fmt: skip
    path = f"/client/v4/accounts/{row.account}/stream"
    request = Request("POST", path, {"direct_user": "true"}, headers)
    return converse(scene.model, request).headers["stream-media-id"]


def test_a_signal_before_an_interrupted_upload_is_reached_leaves_it_and_says_so(
    scene: Stage, video: Path
) -> None:
    # A create that never left, then a killed upload; the watch of the first ends in the third run.
    scene.service = Dying(scene.model, 1, "before")
    with pytest.raises(Death):
        scene.send(video)
    _dies(scene, video, 7)
    scene.clock.now += 27 * HOUR
    interruption = Waiting(scene.clock)
    with scene.session(interruption) as session:
        forget = session.journal.remove

        def interrupted(attempt: Attempt, *, watch: bool = True) -> None:
            interruption.stop()
            forget(attempt, watch=watch)

        session.journal.remove = interrupted  # type: ignore[method-assign]  # a signal at a commit
        ((_, ended),) = Batch(session, [str(video)], Wishes()).run()
    assert scene.open_rows() == ["created"]
    assert ended.exit_code == 7
    assert "cleanup --orphans" in (ended.error.hint if ended.error else "")
    assert scene.send(video).exit_code == 0
    assert scene.open_rows() == []

"""What `cleanup` discards, and above all what it leaves alone."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from dying import Death, Dying
from inprocess import ACCOUNT, BASE, MIB, Stage, Waiting, stage

from cfstream_upload.emulator.exchange import Request, converse
from cfstream_upload.emulator.faults import Answer, Fault, Faulty, LoseReply
from cfstream_upload.emulator.switches import Switches
from cfstream_upload.ending import Policy
from cfstream_upload.errors import Busy, NoSuchVideo, UsageProblem
from cfstream_upload.sending import Wishes
from cfstream_upload.sweeping import Choice, Swept, forget, plan, sweep

HOUR = 3600.0
OTHER_HOST = "0f" * 16
VIDEOS = f"/client/v4/accounts/{ACCOUNT}/stream"
DOWN = Fault(Answer(502), "DELETE", times=None)


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path)


@pytest.fixture
def video(scene: Stage) -> Path:
    return scene.file(11 * MIB)


def _cleanup(scene: Stage, choice: Choice | None = None) -> list[Swept]:
    with scene.session() as session:
        return list(sweep(session, plan(session, choice or Choice()), choice or Choice()))


def _outcomes(swept: list[Swept]) -> list[str]:
    return [one.outcome for one in swept]


def _whys(scene: Stage, choice: Choice) -> list[tuple[str, bool]]:
    with scene.session() as session:
        return [(item.why, item.due) for item in plan(session, choice)]


def _dies(scene: Stage, video: Path, nth: int = 3, label: str = "") -> None:
    scene.service = Dying(scene.model, nth, "after")
    with pytest.raises(Death):
        scene.send(video, Wishes(label=label))
    scene.service = scene.model


def _uids(scene: Stage) -> list[str]:
    return [str(video["uid"]) for video in scene.model.videos()]


def _create(scene: Stage, marker: str | None, length: int = 9) -> str:
    """A video that another program, or this one long ago, made."""
    metadata = "name eA=="
    if marker is not None:
        metadata = f"cfupload {b64encode(marker.encode()).decode()},{metadata}"
    headers = {
        "tus-resumable": "1.0.0", "upload-length": str(length), "upload-metadata": metadata,
        "authorization": f"Bearer {scene.model.token}", "host": "127.0.0.1:9",
    }  # fmt: skip
    request = Request("POST", VIDEOS, {"direct_user": "true"}, headers)
    return converse(scene.model, request).headers["stream-media-id"]


def _orphan(scene: Stage, host: str | None = None, label: str = "") -> str:
    """A pending video with a marker of this directory (or ``host``) that no row knows."""
    with scene.session() as session:
        own = session.journal.host
    tail = f".{label}" if label else ""
    return _create(scene, f"1.{uuid4().hex}.{host or own}{tail}")


# --- debts ---------------------------------------------------------------------------------------


def _debt(scene: Stage, video: Path) -> str:
    """A failed upload whose delete did not work."""
    refused = Fault(Answer(412), "PATCH", times=None)
    scene.service = Faulty(scene.model, [refused, DOWN])
    result = scene.send(video)
    scene.service = scene.model
    assert (result.exit_code, result.cleanup) == (7, "pending")
    return str(result.uid)


def test_cleanup_pays_a_debt(scene: Stage, video: Path) -> None:
    _debt(scene, video)
    assert _outcomes(_cleanup(scene)) == ["discarded"]
    assert (_uids(scene), scene.open_rows()) == ([], [])


def test_a_death_at_the_end_of_a_watch_leaves_a_debt_that_is_paid(
    scene: Stage, video: Path
) -> None:
    scene.service = Dying(scene.model, 1, "before")
    with pytest.raises(Death):
        scene.send(video)
    scene.service = scene.model

    def dies(*_: object, **__: object) -> None:
        raise Death

    with scene.session() as session:
        journal = session.journal
        (row,) = session.rows()
        journal.record(replace(row, since=scene.clock.now - 25 * HOUR))
        vars(journal)["remove"] = dies
        with pytest.raises(Death):
            list(sweep(session, plan(session, Choice()), Choice()))
    assert scene.open_rows() == ["intended"]
    _cleanup(scene)
    assert scene.open_rows() == []


def test_what_was_kept_since_the_plan_is_not_discarded(scene: Stage, video: Path) -> None:
    _dies(scene, video)
    with scene.session() as session:
        items = plan(session, Choice(orphans=True))
        (row,) = session.rows()
        session.journal.record(replace(row, kept=True))
        assert _outcomes(list(sweep(session, items, Choice(orphans=True)))) == ["busy"]
    assert len(_uids(scene)) == 1


def test_the_twins_of_a_lost_create_all_go_in_one_cleanup(scene: Stage, video: Path) -> None:
    _dies(scene, video, nth=1)
    with scene.session() as session:
        (row,) = session.rows()
    _create(scene, row.marker)
    assert _outcomes(_cleanup(scene)) == ["discarded", "discarded"]
    assert (_uids(scene), scene.open_rows()) == ([], [])


def test_a_debt_that_cannot_be_paid_stays(scene: Stage, video: Path) -> None:
    uid = _debt(scene, video)
    scene.service = Faulty(scene.model, [DOWN])
    assert _outcomes(_cleanup(scene)) == ["left"]
    assert (_uids(scene), scene.open_rows()) == ([uid], ["discarding"])


def test_a_doomed_upload_that_became_whole_is_kept_as_the_video(scene: Stage, video: Path) -> None:
    """Its last chunk arrived although nobody heard of it."""
    down = Fault(Answer(502), "GET", times=None)
    lost = Fault(LoseReply(), "PATCH", nth=3, times=1)
    late = Fault(Answer(502), "HEAD", times=None)
    scene.service = Faulty(scene.model, [lost, late, down])
    assert scene.send(video).exit_code == 7
    scene.service = scene.model
    assert _outcomes(_cleanup(scene)) == ["whole"]
    assert scene.send(video).outcome == "already"
    assert "DELETE" not in scene.methods()


def test_an_unanswered_create_is_looked_for_and_watched(scene: Stage, video: Path) -> None:
    _dies(scene, video, nth=1)
    scene.service = Faulty(scene.model, [Fault(Answer(200, body=b"<html>"), "GET", times=None)])
    assert _outcomes(_cleanup(scene)) == ["watched"]
    scene.service = scene.model
    assert _outcomes(_cleanup(scene)) == ["discarded"]
    assert _uids(scene) == []


def test_a_lost_create_is_found_hours_later_though_the_first_list_fails(
    scene: Stage, video: Path
) -> None:
    """The Date of a failing reply says nothing of when the video was made."""
    _dies(scene, video, nth=1)
    scene.clock.now += 3 * HOUR
    date = {"date": "Fri, 15 Jan 2027 11:00:00 GMT"}
    scene.service = Faulty(scene.model, [Fault(Answer(500, date), "GET", times=1)])
    assert _outcomes(_cleanup(scene)) == ["discarded"]
    assert (_uids(scene), scene.open_rows()) == ([], [])


def test_a_lost_create_that_is_listed_late_is_found_by_the_next_send(
    tmp_path: Path,
) -> None:
    scene = stage(tmp_path, switches=Switches(list_lag=20.0))
    video = scene.file(11 * MIB)
    _dies(scene, video, nth=1)
    assert scene.send(video).exit_code == 0
    assert scene.open_rows() == ["intended"]
    scene.clock.now += 2 * HOUR
    assert scene.send(video).outcome == "already"
    assert scene.states() == ["ready"]
    assert scene.open_rows() == []


def test_a_debt_is_written_off_without_asking(scene: Stage, video: Path) -> None:
    uid = _debt(scene, video)
    scene.calls.clear()
    with scene.session() as session:
        assert forget(session, uid).uid == uid
    assert (scene.calls, scene.open_rows()) == ([], [])


def test_a_debt_that_was_written_off_no_longer_blocks_its_file(scene: Stage, video: Path) -> None:
    uid = _debt(scene, video)
    scene.service = Faulty(scene.model, [DOWN])
    assert scene.send(video).exit_code == 7
    with scene.session() as session:
        forget(session, uid)
    assert scene.send(video).exit_code == 0


def test_only_debts_are_written_off(scene: Stage, video: Path) -> None:
    uid = str(scene.send(video).uid)
    with scene.session() as session, pytest.raises(UsageProblem):
        forget(session, uid)


def test_a_debt_that_is_being_paid_is_not_written_off(scene: Stage, video: Path) -> None:
    uid = _debt(scene, video)
    with scene.session() as session, session.lock_of(session.rows()[0]), pytest.raises(Busy):
        forget(session, uid)


# --- orphans with a row --------------------------------------------------------------------------


def test_plain_cleanup_leaves_an_interrupted_upload(scene: Stage, video: Path) -> None:
    _dies(scene, video)
    assert _cleanup(scene) == []
    assert scene.send(video).outcome == "resumed"


def test_orphans_discards_an_interrupted_upload(scene: Stage, video: Path) -> None:
    _dies(scene, video)
    assert _outcomes(_cleanup(scene, Choice(orphans=True))) == ["discarded"]
    assert (_uids(scene), scene.open_rows()) == ([], [])


def test_an_upload_whose_lock_is_held_is_skipped(scene: Stage, video: Path) -> None:
    _dies(scene, video)
    with scene.session() as session, session.lock_of(session.rows()[0]):
        assert _outcomes(_cleanup(scene, Choice(orphans=True))) == ["busy"]
    assert scene.states() == ["pendingupload"]


def test_an_upload_that_starts_between_plan_and_sweep_is_skipped(scene: Stage, video: Path) -> None:
    _dies(scene, video)
    choice = Choice(orphans=True)
    with scene.session() as session:
        items = plan(session, choice)
        with session.lock_of(session.rows()[0]):
            assert _outcomes(list(sweep(session, items, choice))) == ["busy"]


def test_an_upload_that_is_finished_between_plan_and_sweep_is_whole(
    scene: Stage, video: Path
) -> None:
    _dies(scene, video)
    choice = Choice(orphans=True)
    with scene.session() as session:
        items = plan(session, choice)
        assert scene.send(video).exit_code == 0
        assert _outcomes(list(sweep(session, items, choice))) == ["whole"]
    assert len(_uids(scene)) == 1


def _kept(scene: Stage, video: Path) -> str:
    scene.policy = Policy(largest_chunk=5 * MIB, keep_failed=True)
    scene.service = Faulty(scene.model, [Fault(Answer(502), "PATCH", nth=2, times=None)])
    result = scene.send(video)
    scene.service = scene.model
    assert (result.exit_code, result.cleanup) == (6, "kept")
    return str(result.uid)


def test_a_kept_upload_is_left_alone(scene: Stage, video: Path) -> None:
    uid = _kept(scene, video)
    assert _cleanup(scene, Choice(orphans=True)) == []
    assert _uids(scene) == [uid]
    assert scene.send(video).outcome == "resumed"


def test_a_kept_upload_that_is_named_goes(scene: Stage, video: Path) -> None:
    uid = _kept(scene, video)
    assert _outcomes(_cleanup(scene, Choice(uids=(uid,)))) == ["discarded"]
    assert _uids(scene) == []


def test_a_video_that_was_told_is_no_orphan(scene: Stage, video: Path) -> None:
    uid = str(scene.send(video).uid)
    assert _cleanup(scene, Choice(orphans=True, errors=True)) == []
    with pytest.raises(NoSuchVideo):
        _cleanup(scene, Choice(uids=(uid,)))
    assert _uids(scene) == [uid]


def test_a_label_limits_which_interrupted_uploads_go(scene: Stage, video: Path) -> None:
    _dies(scene, video, label="run-1")
    assert _cleanup(scene, Choice(orphans=True, label="run-2")) == []
    assert _outcomes(_cleanup(scene, Choice(orphans=True, label="run-1"))) == ["discarded"]


def test_a_sent_upload_whose_tail_was_lost_is_discarded_not_a_bug(
    scene: Stage, video: Path
) -> None:
    _dies(scene, video, nth=5)
    assert scene.open_rows() == ["sent"]
    with scene.session() as session:
        row = session.rows()[0]
        session.journal.remove(row, watch=False)
        pending = _create(scene, row.marker, row.file.size)
        url = f"{BASE.partition('/client')[0]}/tus/{pending}?tusv2=true"
        session.journal.record(replace(row, row=0, uid=pending, url=url))
    _cleanup(scene, Choice(orphans=True))
    assert pending not in _uids(scene)
    assert not any("Unexpected" in str(event) for event in scene.heard)


# --- orphans without a row -----------------------------------------------------------------------


@pytest.mark.parametrize(("hours", "left"), [(0, True), (23.9, True), (24.9, True), (25.1, False)])
def test_a_video_without_a_row_goes_an_hour_after_its_expiry(
    scene: Stage, hours: float, left: bool
) -> None:
    uid = _orphan(scene)
    scene.clock.now += hours * HOUR
    _cleanup(scene, Choice(orphans=True))
    assert (uid in _uids(scene)) is left


def test_min_age_only_lengthens_a_wait(scene: Stage) -> None:
    uid = _orphan(scene)
    _cleanup(scene, Choice(orphans=True, min_age=0.001))
    assert _uids(scene) == [uid]
    scene.clock.now += 26 * HOUR
    _cleanup(scene, Choice(orphans=True, min_age=48 * HOUR))
    assert _uids(scene) == [uid]
    scene.clock.now += 30 * HOUR
    _cleanup(scene, Choice(orphans=True, min_age=48 * HOUR))
    assert _uids(scene) == []


def test_this_machines_clock_says_nothing_about_expiry(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = _orphan(scene)
    monkeypatch.setattr("time.time", lambda: scene.clock.now + 1e7)
    _cleanup(scene, Choice(orphans=True))
    assert _uids(scene) == [uid]


def test_a_named_video_with_a_marker_goes_at_once(scene: Stage) -> None:
    uid = _orphan(scene)
    assert _outcomes(_cleanup(scene, Choice(uids=(uid,)))) == ["discarded"]
    assert _uids(scene) == []


@pytest.mark.parametrize("marker", [None, "x", "2.aa.bb", "1.short.host"])
def test_a_video_without_the_marker_is_never_touched(scene: Stage, marker: str | None) -> None:
    uid = _create(scene, marker)
    scene.clock.now += 100 * HOUR
    everything = Choice(orphans=True, foreign=True, errors=True)
    assert _cleanup(scene, everything) == []
    with pytest.raises(NoSuchVideo):
        _cleanup(scene, Choice(uids=(uid,)))
    assert _uids(scene) == [uid]


def test_another_machines_video_goes_only_if_asked_for_and_expired(scene: Stage) -> None:
    uid = _orphan(scene, OTHER_HOST)
    scene.clock.now += 26 * HOUR
    assert _cleanup(scene, Choice(orphans=True)) == []
    assert _outcomes(_cleanup(scene, Choice(orphans=True, foreign=True))) == ["discarded"]
    fresh = _orphan(scene, OTHER_HOST)
    assert _outcomes(_cleanup(scene, Choice(orphans=True, foreign=True))) == ["waiting"]
    assert _uids(scene) == [fresh]
    assert uid != fresh


def test_with_a_host_id_of_the_users_a_video_without_a_row_is_foreign(scene: Stage) -> None:
    uid = _orphan(scene)
    scene.host_id = "0e" * 16
    scene.clock.now += 26 * HOUR
    assert _cleanup(scene, Choice(orphans=True)) == []
    assert _uids(scene) == [uid]


def test_a_label_that_has_ended_goes_before_its_expiry(scene: Stage) -> None:
    uid, other = _orphan(scene, OTHER_HOST, "run-1"), _orphan(scene, OTHER_HOST, "run-10")
    assert _cleanup(scene, Choice(orphans=True, label="run-1")) == []
    ended = Choice(orphans=True, label="run-1", ended=True)
    assert _outcomes(_cleanup(scene, ended)) == ["discarded"]
    assert uid not in _uids(scene)
    assert _uids(scene) == [other]


def test_a_video_that_becomes_whole_before_its_delete_stays(scene: Stage, video: Path) -> None:
    """The Look is repeated before each DELETE: the plan may be minutes old."""
    _dies(scene, video)
    uid = _uids(scene)[0]
    scene.state, choice = "elsewhere", Choice(uids=(uid,))
    with scene.session() as session:
        items = plan(session, choice)
        request = Request(
            "PATCH", f"/tus/{uid}", {},
            {
                "tus-resumable": "1.0.0", "upload-offset": str(10 * MIB),
                "content-type": "application/offset+octet-stream", "content-length": str(MIB),
            },
            [video.read_bytes()[10 * MIB :]],
        )  # fmt: skip
        assert converse(scene.model, request).status == 204
        assert _outcomes(list(sweep(session, items, choice))) == ["whole"]
    assert _uids(scene) == [uid]


def test_max_delete_ends_a_sweep(scene: Stage) -> None:
    uids = [_orphan(scene), _orphan(scene), _orphan(scene)]
    scene.clock.now += 26 * HOUR
    choice = Choice(orphans=True, max_delete=2)
    assert _outcomes(_cleanup(scene, choice)) == ["discarded", "discarded", "left"]
    assert _uids(scene) == uids[2:]


def test_videos_of_one_marker_go_one_after_the_other(scene: Stage) -> None:
    """A create that a proxy repeated, and whose journal was lost."""
    marker = f"1.{'5a' * 16}.{OTHER_HOST}"
    _create(scene, marker)
    _create(scene, marker)
    scene.clock.now += 26 * HOUR
    _cleanup(scene, Choice(orphans=True, foreign=True))
    assert (_uids(scene), scene.open_rows()) == ([], [])


def test_a_signal_ends_a_sweep(scene: Stage) -> None:
    _orphan(scene)
    scene.clock.now += 26 * HOUR
    waiting = Waiting(scene.clock)
    choice = Choice(orphans=True)
    with scene.session(waiting) as session:
        items = plan(session, choice)
        waiting.stop()
        assert _outcomes(list(sweep(session, items, choice))) == ["left"]
    assert len(_uids(scene)) == 1


def test_a_plan_changes_nothing(scene: Stage, video: Path) -> None:
    _debt(scene, video)
    _orphan(scene)
    scene.clock.now += 26 * HOUR
    scene.calls.clear()
    assert [due for _, due in _whys(scene, Choice(orphans=True))] == [True, True]
    assert set(scene.methods()) <= {"GET"}
    assert len(_uids(scene)) == 2


@pytest.mark.parametrize("choose", [lambda: Choice(orphans=True), Choice])
def test_a_second_video_of_one_create_goes(
    scene: Stage, video: Path, choose: Callable[[], Choice]
) -> None:
    """A proxy repeated the POST: the marker is that of a receipt, the UID is not."""
    told = scene.send(video).uid
    with scene.session() as session:
        marker = session.rows()[0].marker
    twin = _create(scene, marker)
    _cleanup(scene, choose())
    scene.send(video)
    assert _uids(scene) == [told]
    assert twin not in _uids(scene)


def test_a_row_that_begins_while_a_plan_is_made_is_no_stranger(
    scene: Stage, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two looks at the journal another process records its create."""
    _dies(scene, video)
    with scene.session() as session:
        monkeypatch.setattr(session.journal, "unsettled", lambda *_: [])
        assert plan(session, Choice(orphans=True)) == []

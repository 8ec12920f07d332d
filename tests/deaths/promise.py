"""What must hold of a process that ended or died, and after the next clean run."""

from __future__ import annotations

import re
from collections.abc import Sequence

from faulted import Case

from cfstream_upload.journal import Journal

from .account import Account, Asked
from .dying_process import Ended

_UID = re.compile(r"^[0-9a-f]{32}$", re.MULTILINE)
WATCHED_FOR = 25 * 3600


def check_death(case: Case, asked: Sequence[Asked], ended: Ended, *, sending: bool) -> None:
    """What the process told, it keeps to; it sent no acknowledged byte again."""
    if sending:
        case.told |= set(_UID.findall(ended.out))
    _check_requests(case, asked)
    if not ended.killed:
        _check_exit(case, ended)
        if ended.code == 10:
            # What an earlier run left cannot be known; this one added nothing to it.
            assert not {one.method for one in asked} & {"POST", "PATCH"}, ended


def _check_requests(case: Case, asked: Sequence[Asked]) -> None:
    for one in asked:
        if one.method == "PATCH":
            assert one.offset == one.known, f"an acknowledged byte was sent again: {one}"
        if one.method == "DELETE":
            uid = one.path.rpartition("/")[2]
            assert uid not in case.told, "what was told was deleted"
            assert uid not in case.strangers, "a stranger's video was deleted"


def _check_exit(case: Case, ended: Ended) -> None:
    """The exit code says the truth about Stream and the journal."""
    code = ended.code
    assert code in (0, 2, 3, 4, 5, 6, 7, 8, 10, 130, 143), ended
    assert "Traceback" not in ended.err, ended
    assert "bug" not in ended.err.lower(), ended
    states = case.ours()
    whole = [uid for uid, state in states.items() if state != "pendingupload"]
    assert len(whole) <= 1, states
    rows = _rows(case)
    if code in (2, 3, 4, 5, 6, 130, 143):
        assert not states, (ended, states)
    if code in (2, 3, 4, 5, 6, 130, 143):
        assert not rows, (ended, rows)
    if code == 7:
        assert rows, ended
    if code == 8:
        assert whole, (ended, states)


def _rows(case: Case) -> list[str]:
    return case.stage.open_rows()


def check_arrival(case: Case, *, cleanup: bool) -> None:
    """A clean run: one video, whole, nothing pending, nothing owed, nothing sent twice."""
    stage = case.stage
    assert isinstance(stage, Account)
    stage.service, stage.opened = stage.model, Journal.open
    stage.clock.now += 60
    known = set(case.ours())
    stage.calls.clear()
    if cleanup:
        case.sweep()
    result = case.send()
    if result.exit_code == 7:
        # Law 2: not a third create while two are unanswered; their watch ends after a day.
        assert stage.open_rows() == ["intended", "intended"], result
        stage.clock.now += WATCHED_FOR
        result = case.send()
    assert result.exit_code == 0, result
    assert result.uid is not None
    _check_economy(case, known)
    states = case.ours()
    assert list(states) == [result.uid], (result, states, case.told)
    assert states[result.uid] in ("queued", "inprogress", "ready")
    assert stage.model.sha256(result.uid) == case.digest
    # Unanswered creates are watched, and for nothing else may a row stay open (law 2).
    assert set(stage.open_rows()) <= {"intended"}, stage.open_rows()
    assert case.told == {result.uid}, "another video was told"
    assert {str(video["uid"]) for video in stage.model.videos()} >= set(case.strangers)


def _check_economy(case: Case, known: set[str]) -> None:
    opened: set[str] = set()
    for call in case.stage.calls:
        uid = call.path.rpartition("/")[2]
        if call.method == "PATCH":
            assert call.status == 204, call
            assert uid in opened or uid not in known, "a resumed upload opened with PATCH"
        if call.method == "HEAD":
            opened.add(uid)
        if call.method == "DELETE":
            assert uid not in case.told, "what was told was deleted"
            assert uid not in case.strangers, "a stranger's video was deleted"
    assert case.stage.methods().count("POST") <= 1

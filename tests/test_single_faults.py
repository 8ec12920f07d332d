"""Every single fault at every request and every commit of a run, then a clean run: one video."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import pytest
from dying import Death, Dying, MortalJournal
from faulted import EFFECTS, Case, html
from inprocess import ACCOUNT, MIB, stage
from mp4 import padded_mp4

from cfstream_upload.emulator.exchange import Request, converse
from cfstream_upload.emulator.faults import (
    Effect,
    Fault,
    Faulty,
)
from cfstream_upload.journal import Journal
from cfstream_upload.result import Result

SIZE = 11 * MIB
VIDEOS = f"/client/v4/accounts/{ACCOUNT}/stream"


QUICK = ("lose", "cut in the body", "html 200", "html 404", "403", "404", "500")


# --- the runs under attack -----------------------------------------------------------------------


def _fresh(case: Case) -> None:
    """Nothing happened before."""


def _interrupted(case: Case) -> None:
    case.dies(3, "after")


def _last_reply_lost(case: Case) -> None:
    case.dies(4, "after")


def _create_lost(case: Case) -> None:
    case.dies(1, "after")


def _run_send(case: Case) -> Result | None:
    return case.send()


def _run_rolled_back(case: Case) -> Result | None:
    """The file cannot be sent: the second chunk is refused for good."""
    case.stage.service = Faulty(case.stage.service, [Fault(html(412), "PATCH", "upload", 2)])
    return case.send()


def _run_sweep(case: Case) -> Result | None:
    case.sweep()
    return None


Run = Callable[[Case], Result | None]
HISTORIES: dict[str, tuple[Callable[[Case], None], Run]] = {
    "fresh": (_fresh, _run_send),
    "resumed": (_interrupted, _run_send),
    "rolled back": (_fresh, _run_rolled_back),
    "swept": (_interrupted, _run_sweep),
    "create lost": (_create_lost, _run_send),
    "create lost, swept": (_create_lost, _run_sweep),
    "last reply lost": (_last_reply_lost, _run_send),
    "last reply lost, swept": (_last_reply_lost, _run_sweep),
}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = padded_mp4(tmp_path_factory.mktemp("video") / "big.mp4", SIZE, sparse=False)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def cases(tmp_path: Path, video: tuple[Path, str]) -> Callable[[], Case]:
    count = 0

    def make() -> Case:
        nonlocal count
        count += 1
        folder = tmp_path / str(count)
        folder.mkdir()
        case = Case(stage(folder), *video)
        for metadata in ("name eA==", "cfupload eA==,name eA=="):
            headers = {
                "tus-resumable": "1.0.0", "upload-length": "9", "upload-metadata": metadata,
                "authorization": f"Bearer {case.stage.model.token}", "host": "127.0.0.1:9",
            }  # fmt: skip
            request = Request("POST", VIDEOS, {"direct_user": "true"}, headers)
            case.strangers.append(converse(case.stage.model, request).headers["stream-media-id"])
        return case

    return make


# --- what must hold ------------------------------------------------------------------------------


def _check_promise(case: Case, result: Result | None) -> None:
    """What an exit code says of what is left on Stream and in the journal."""
    states = case.ours()
    whole = [uid for uid, state in states.items() if state != "pendingupload"]
    assert len(whole) <= 1
    code = result.exit_code if result else None
    rows = case.stage.open_rows()
    if code == 0:
        assert whole == [result.uid if result else None]
    if code in (2, 3, 4, 5, 6, 130):
        assert (set(states) - case.told, rows) == (set(), []), result
    if code == 7:
        assert rows, result
    assert code != 1, result


def _check_arrival(case: Case, *, cleanup: bool) -> None:
    """A clean run: one video, whole, nothing pending, nothing owed, nothing sent twice."""
    current = case.stage
    current.service = current.model
    current.opened = Journal.open
    current.clock.now += 60
    known = set(case.ours())
    current.calls.clear()
    if cleanup:
        case.sweep()
    result = case.send()
    if result.exit_code == 7:
        # Law 2: not a third create while two are unanswered; their watch ends after a day.
        assert current.open_rows() == ["intended", "intended"], result
        current.clock.now += 25 * 3600
        result = case.send()
    assert result.exit_code == 0, result
    _check_economy(case, known)
    states = case.ours()
    assert result.uid is not None
    assert list(states) == [result.uid], result
    assert states[result.uid] in ("queued", "inprogress", "ready")
    assert current.model.sha256(result.uid) == case.digest
    # Unanswered creates are watched, and for nothing else may a row stay open (law 2).
    assert set(current.open_rows()) <= {"intended"}
    assert len(current.open_rows()) <= 2
    deleted = {call.path.rpartition("/")[2] for call in current.calls if call.method == "DELETE"}
    assert not deleted & (case.told | set(case.strangers))
    assert {str(v["uid"]) for v in current.model.videos()} >= set(case.strangers)
    _check_days_later(case, result)


def _check_days_later(case: Case, result: Result) -> None:
    case.stage.clock.now += 30 * 3600
    case.stage.calls.clear()
    again = case.send()
    assert (again.exit_code, again.outcome, again.uid) == (0, "already", result.uid)
    assert case.stage.open_rows() == []
    assert not {"POST", "PATCH", "DELETE"} & set(case.stage.methods())


def _check_economy(case: Case, known: set[str]) -> None:
    opened: set[str] = set()
    for call in case.stage.calls:
        uid = call.path.rpartition("/")[2]
        if call.method == "PATCH":
            assert call.status == 204
            assert uid in opened or uid not in known, "a resumed upload opened with PATCH"
        if call.method == "HEAD":
            opened.add(uid)
    assert case.stage.methods().count("POST") <= 1


def _is_sampled(*key: object) -> bool:
    return crc32(repr(key).encode()) % 6 == 0


def _struck(case: Case, run: Run, nth: int, times: int | None, effect: Effect) -> bool:
    """Whether the fault was reached at all."""
    before = len(case.stage.calls)
    case.stage.service = Faulty(case.stage.model, [Fault(effect, nth=nth, times=times)])
    result = run(case)
    _check_promise(case, result)
    return len(case.stage.calls) - before >= nth


def _every_fault(cases: Callable[[], Case], history: str, effect: str, *, sampled: bool) -> None:
    prepare, run = HISTORIES[history]
    for times in (1, 3, None):
        for cleanup in (False, True):
            nth, reached = 0, True
            while reached:
                nth += 1
                if sampled and not _is_sampled(history, effect, times, cleanup, nth):
                    reached = nth < 12
                    continue
                case = cases()
                prepare(case)
                reached = _struck(case, run, nth, times, EFFECTS[effect])
                _check_arrival(case, cleanup=cleanup)


@pytest.mark.parametrize("effect", QUICK)
@pytest.mark.parametrize("history", HISTORIES)
def test_one_fault_at_some_requests_still_ends_in_one_video(
    history: str, effect: str, cases: Callable[[], Case]
) -> None:
    _every_fault(cases, history, effect, sampled=True)


@pytest.mark.slow
@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.timeout(600)
def test_one_fault_at_every_request_still_ends_in_one_video(
    history: str, effect: str, cases: Callable[[], Case]
) -> None:
    _every_fault(cases, history, effect, sampled=False)


@pytest.mark.parametrize("when", ["before", "in its body", "after"])
@pytest.mark.parametrize("history", HISTORIES)
def test_a_death_at_every_request_still_ends_in_one_video(
    history: str, when: str, cases: Callable[[], Case]
) -> None:
    prepare, run = HISTORIES[history]
    for nth in range(1, 40):
        case = cases()
        prepare(case)
        dying = Dying(case.stage.model, nth, when)
        case.stage.service = dying
        with suppress(Death):
            run(case)
        if dying.seen < nth:
            return
        _check_arrival(case, cleanup=nth % 2 == 0)
    raise AssertionError("the run never ends")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("history", HISTORIES)
def test_a_death_at_every_commit_still_ends_in_one_video(
    history: str, after: bool, cases: Callable[[], Case]
) -> None:
    prepare, run = HISTORIES[history]
    for nth in range(1, 40):
        case = cases()
        prepare(case)
        journals: list[MortalJournal] = []

        def opened(
            folder: Path, nth: int = nth, journals: list[MortalJournal] = journals
        ) -> Journal:
            journal = MortalJournal.open(folder)
            assert isinstance(journal, MortalJournal)
            journal.nth, journal.after = nth, after
            journals.append(journal)
            return journal

        case.stage.opened = opened
        with suppress(Death):
            run(case)
        if journals[0].seen < nth:
            return
        _check_arrival(case, cleanup=nth % 2 == 0)
    raise AssertionError("the run never ends")

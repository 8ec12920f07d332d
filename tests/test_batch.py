"""Many files: side by side, in order, one failing alone, and when no more are started."""

from __future__ import annotations

import gc
import shutil
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from inprocess import MIB, Stage, Waiting, stage

from cfstream_upload import events
from cfstream_upload.batch import Batch
from cfstream_upload.emulator.exchange import Exchange, Request
from cfstream_upload.emulator.faults import Answer, Fault, Faulty
from cfstream_upload.errors import JournalProblem
from cfstream_upload.rehearsal import rehearse
from cfstream_upload.result import Result
from cfstream_upload.sending import Sending, Wishes
from cfstream_upload.throttle import Throttle
from cfstream_upload.video import VideoOptions

REFUSED = Answer(400, body=b'{"success": false, "errors": [{"code": 10005, "message": "no"}]}')
OPEN_FILES = Path("/proc/self/fd")


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path)


def some(scene: Stage, count: int, size: int = 60_000) -> list[str]:
    return [str(scene.file(size, f"{number}.mp4", seed=number)) for number in range(count)]


def run(scene: Stage, paths: list[str], jobs: int = 2, **more: bool) -> list[Result]:
    with scene.session() as session:
        batch = Batch(session, paths, Wishes(), jobs, **more)  # type: ignore[arg-type]  # passed through
        return [result for _, result in sorted(batch.run(), key=lambda pair: pair[0])]


class Meeting:
    """A service whose creates wait until so many are under way at once."""

    def __init__(self, scene: Stage, count: int) -> None:
        self._inner = scene.model
        self._barrier = threading.Barrier(count)
        self.account, self.token = scene.model.account, scene.model.token

    def begin(self, request: Request) -> Exchange:
        if request.method == "POST":
            self._barrier.wait(timeout=20)
        return self._inner.begin(request)


class Crowd:
    """A service that counts how many uploads are under way at once."""

    def __init__(self, scene: Stage) -> None:
        self._inner = scene.model
        self.account, self.token = scene.model.account, scene.model.token
        self.created: list[str] = []
        self.at_once = 0

    def begin(self, request: Request) -> Exchange:
        if request.method == "POST":
            states = [str(video["status"]["state"]) for video in self._inner.videos()]  # type: ignore[index]  # the API's own shape
            self.at_once = max(self.at_once, 1 + states.count("pendingupload"))
        return self._inner.begin(request)


def test_two_jobs_send_two_files_at_once(scene: Stage) -> None:
    paths = some(scene, 4)
    scene.service = Meeting(scene, 2)
    assert [result.outcome for result in run(scene, paths)] == ["uploaded"] * 4


def test_no_more_than_jobs_files_are_sent_at_once(scene: Stage) -> None:
    crowd = Crowd(scene)
    scene.service = crowd
    run(scene, some(scene, 12), jobs=3)
    assert 1 <= crowd.at_once <= 3


def test_each_file_becomes_one_video_and_has_one_result(scene: Stage) -> None:
    paths = some(scene, 9)
    results = run(scene, paths, jobs=4)
    assert [result.file for result in results] == paths
    assert len({result.uid for result in results}) == 9
    assert scene.states() == ["queued"] * 9
    assert scene.methods().count("POST") == 9


def test_files_side_by_side_cost_no_request_more_than_one_by_one(scene: Stage) -> None:
    run(scene, some(scene, 8), jobs=4)
    assert sorted(scene.methods()) == sorted(["POST", "PATCH", "GET"] * 8)


def test_a_file_beside_others_is_not_told_of_as_a_leftover(scene: Stage) -> None:
    scene.service = Meeting(scene, 2)
    run(scene, some(scene, 6))
    assert not [event for event in scene.heard if "wait to be removed" in str(event)]


def test_links_and_repeated_names_are_sent_one_after_the_other(scene: Stage) -> None:
    (path,) = some(scene, 1, 3 * MIB)
    link = Path(path).with_name("link.mp4")
    link.hardlink_to(path)
    soft = Path(path).with_name("soft.mp4")
    soft.symlink_to(path)
    results = run(scene, [path, str(link), str(soft), path], jobs=4)
    assert [result.outcome for result in results] == ["uploaded", "already", "already", "already"]
    assert len({result.uid for result in results}) == 1


def test_copies_are_sent_one_after_the_other_where_the_existing_is_looked_for(
    scene: Stage,
) -> None:
    (path,) = some(scene, 1)
    copies = [str(shutil.copy(path, scene.folder / f"copy-{number}.mp4")) for number in range(3)]
    with scene.session() as session:
        wishes = Wishes(skip_existing=True)
        results = dict(Batch(session, [path, *copies], wishes, 4).run())
    assert len({result.uid for result in results.values()}) == 1
    assert len(scene.states()) == 1


def test_one_failing_file_stops_no_other(scene: Stage) -> None:
    paths = some(scene, 4)
    Path(paths[1]).write_bytes(b"no video")
    assert [result.exit_code for result in run(scene, paths)] == [0, 4, 0, 0]


def test_fail_fast_starts_no_more_and_says_so(scene: Stage) -> None:
    paths = some(scene, 4)
    Path(paths[1]).write_bytes(b"no video")
    results = run(scene, paths, jobs=1, fail_fast=True)
    assert [result.outcome for result in results] == ["uploaded", "failed", "skipped", "skipped"]
    assert {result.exit_code for result in results[1:]} == {4}
    assert "--fail-fast" in str(results[2].error)
    assert scene.methods().count("POST") == 1


def test_fail_fast_lets_those_in_flight_finish(scene: Stage) -> None:
    paths = some(scene, 5)
    # Both creates are under way at once; one of them is refused for good.
    meeting = Meeting(scene, 2)
    scene.service = Faulty(meeting, [Fault(REFUSED, "POST")])
    results = run(scene, paths, fail_fast=True)
    outcomes = [result.outcome for result in results]
    assert outcomes.count("skipped") >= 2
    assert "pendingupload" not in scene.states()
    assert outcomes.count("uploaded") == len(scene.states())


def test_refused_credentials_start_no_more_files(scene: Stage) -> None:
    refused = Answer(403, body=b'{"success": false, "errors": [{"code": 10000}]}')
    scene.service = Faulty(scene.model, [Fault(refused, "POST", times=None)])
    results = run(scene, some(scene, 20), jobs=1)
    assert {result.exit_code for result in results} == {3}
    assert [result.outcome for result in results] == ["failed"] + ["skipped"] * 19
    assert scene.methods().count("POST") == 1


def test_a_journal_that_cannot_be_used_starts_no_more_files(scene: Stage) -> None:
    paths = some(scene, 3)
    with scene.session() as session:
        session.__dict__.pop("room")
        session.__dict__.pop("journal").close()
        (session.settings.state_dir / "journal.db").write_bytes(b"no journal")
        results = [result for _, result in Batch(session, paths, Wishes(), 2).run()]
    assert {result.exit_code for result in results} == {JournalProblem.exit_code}
    assert scene.methods() == []


def test_a_signal_rolls_back_what_runs_and_begins_nothing_more(scene: Stage) -> None:
    interruption = Waiting(scene.clock)

    class Stopping(Crowd):
        def begin(self, request: Request) -> Exchange:
            # Once: a second signal would cut the rollback short.
            if request.method == "PATCH" and once.acquire(blocking=False):
                interruption.stop()
            return super().begin(request)

    once = threading.Lock()
    scene.service = Stopping(scene)
    paths = some(scene, 6, 12 * MIB)
    with scene.session(interruption) as session:
        results = [result for _, result in Batch(session, paths, Wishes(), 2).run()]
    assert {result.exit_code for result in results} <= {130, 8, 0}
    assert [result.outcome for result in results].count("skipped") >= 3
    assert "pendingupload" not in scene.states()


def test_a_bug_in_one_file_is_that_files_failure(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = some(scene, 3)
    honest = Sending.run

    def broken(sending: Sending) -> Result:
        if sending.path == paths[1]:
            raise ZeroDivisionError("token=secret")
        return honest(sending)

    monkeypatch.setattr(Sending, "run", broken)
    results = run(scene, paths)
    assert [result.exit_code for result in results] == [0, 1, 0]
    assert "secret" not in str(results[1].error)


def test_whoever_stops_listening_leaves_no_thread_behind(scene: Stage) -> None:
    with scene.session() as session:
        going = Batch(session, some(scene, 6), Wishes(), 2).run()
        next(going)
        going.close()  # type: ignore[attr-defined]  # a generator
        names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("send-")]
    assert "pendingupload" not in scene.states()


def test_a_machine_without_room_for_threads_sends_one_after_the_other(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    paths = some(scene, 3)
    monkeypatch.setattr(threading.Thread, "start", full)
    assert [result.outcome for result in run(scene, paths)] == ["uploaded"] * 3


def _open_files() -> int:
    gc.collect()  # what earlier tests left open and unused is not counted
    return sum(1 for _ in OPEN_FILES.iterdir())


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="counts descriptors in /proc")
def test_many_small_files_neither_grow_memory_nor_leak_descriptors(scene: Stage) -> None:
    source = scene.file(60_000, "first.mp4")
    content = source.read_bytes()
    paths = []
    for number in range(160):
        path = scene.folder / f"{number}.mp4"
        path.write_bytes(content)
        paths.append(str(path))
    scene.heard = _Deaf()
    run(scene, paths[:30])
    before = _open_files()
    tracemalloc.start()
    try:
        run(scene, paths[30:60])
        first = tracemalloc.get_traced_memory()[0]
        run(scene, paths[60:160])
        last = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert _open_files() == before
    # The embedded Stream lives in this process, and holds what it was sent: 60 kB a file.
    assert (last - first) / 100 < 60_000 + 12_000


class _Deaf(list[events.Event]):
    def append(self, item: events.Event) -> None:
        return None


# --- rehearsals ----------------------------------------------------------------------------------


def plan(scene: Stage, path: str, wishes: Wishes | None = None) -> Result:
    with scene.session() as session:
        return rehearse(session, path, wishes or Wishes())


def test_a_rehearsal_says_what_would_be_uploaded_and_asks_nobody(scene: Stage) -> None:
    (path,) = some(scene, 1, 3 * MIB)
    result = plan(scene, path)
    assert (result.outcome, result.exit_code) == ("skipped", 0)
    assert result.plan == "would upload 3.0 MiB, reserving 2m00s of storage"
    assert scene.methods() == []


def test_a_rehearsal_knows_what_was_sent_and_with_which_options(scene: Stage) -> None:
    (path,) = some(scene, 1)
    uid = scene.send(Path(path)).uid
    scene.calls.clear()
    assert plan(scene, path).plan == f"already sent as {uid}"
    other = plan(scene, path, Wishes(VideoOptions(name="other")))
    assert (other.exit_code, other.uid) == (2, uid)
    assert (plan(scene, path, Wishes(again=True)).plan or "").startswith("would upload")
    assert scene.methods() == []


def test_a_rehearsal_fails_as_the_upload_would(scene: Stage) -> None:
    assert plan(scene, str(scene.folder / "none.mp4")).exit_code == 4
    (scene.folder / "no.mp4").write_bytes(b"no video")
    assert plan(scene, str(scene.folder / "no.mp4")).exit_code == 4


def test_a_rehearsal_tells_of_an_upload_that_would_be_resumed(scene: Stage) -> None:
    path = scene.file(12 * MIB)
    scene.policy = type(scene.policy)(largest_chunk=5 * MIB, retries=0, keep_failed=True)
    scene.service = Faulty(scene.model, [Fault(Answer(503), "PATCH", nth=2, times=None)])
    assert scene.send(path).cleanup == "kept"
    assert (plan(scene, str(path)).plan or "").startswith("would resume at about 5.0 MiB")


def test_a_file_that_is_being_sent_is_busy_in_a_rehearsal_too(scene: Stage) -> None:
    (path,) = some(scene, 1)
    scene.send(Path(path))
    codes: list[int] = []

    class Peeking(Crowd):
        def begin(self, request: Request) -> Exchange:
            codes.append(plan(scene, path).exit_code)
            return super().begin(request)

    scene.service = Peeking(scene)
    with scene.session() as session:
        list(Batch(session, [path], Wishes()).run())
    assert set(codes) == {9}


# --- a limit on the line -------------------------------------------------------------------------


class Slept:
    """A clock that only sleeping moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("time.sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    return Slept(monkeypatch)


def test_the_limit_holds_over_ten_seconds(slept: Callable[[], float]) -> None:
    throttle = Throttle(1_000_000, slept)
    block = throttle.block(256 * 1024)
    sent = 0
    while slept() < 110.0:
        throttle.wait(block, lambda: False)
        sent += block
    assert sent == pytest.approx(10_000_000, rel=0.03)


def test_a_pause_is_not_made_up_for_by_a_burst(slept: Callable[[], float]) -> None:
    throttle = Throttle(1_000, slept)
    throttle.wait(1_000, lambda: False)
    slept.__dict__["now"] += 60
    throttle.wait(1_000, lambda: False)
    began = slept()
    throttle.wait(1_000, lambda: False)
    assert slept() - began == pytest.approx(1.0)


def test_a_wait_for_the_line_ends_when_it_is_given_up(slept: Callable[[], float]) -> None:
    throttle = Throttle(10, slept)
    throttle.wait(1_000, lambda: False)
    began = slept()
    throttle.wait(1_000, lambda: slept() >= began + 0.4)
    assert slept() - began == pytest.approx(0.4)


def test_an_upload_under_a_limit_is_slowed_to_it(scene: Stage, slept: Callable[[], float]) -> None:
    path = scene.file(6 * MIB)
    began = slept()
    with scene.session() as session:
        session.room.throttle = Throttle(MIB, slept)
        (pair,) = Batch(session, [str(path)], Wishes()).run()
    assert pair[1].outcome == "uploaded"
    assert slept() - began == pytest.approx(6.0, rel=0.05)

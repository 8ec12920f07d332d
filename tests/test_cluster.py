"""What a fleet is made of, without one: letters, places, terms, and the ends of one file."""

from __future__ import annotations

import asyncio
import os
import platform
import queue
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest
from inprocess import stage
from scripted import created
from served import Ended, Served

from cfstream_upload import errors, events
from cfstream_upload.cli.app import run
from cfstream_upload.cluster import letters
from cfstream_upload.cluster.batching import ClusterBatch
from cfstream_upload.cluster.behind import left_behind
from cfstream_upload.cluster.flight import BUSY_FOR, MOST_LOST, Flight, is_passing, trouble_of
from cfstream_upload.cluster.letters import Begun, Order, Reply, Terms
from cfstream_upload.cluster.outbox import Outbox
from cfstream_upload.cluster.place import Place, place_of
from cfstream_upload.cluster.post import Plan, Post, own_session
from cfstream_upload.cluster.terms import answer_with, judge, terms_of
from cfstream_upload.cluster.workers import environment_of
from cfstream_upload.ending import Policy
from cfstream_upload.errors import (
    Busy,
    CfuploadError,
    ConfigProblem,
    FileProblem,
    Interrupted,
    TroubleOutlasted,
)
from cfstream_upload.interruption import Interruption
from cfstream_upload.onefile import Wishes
from cfstream_upload.result import Result
from cfstream_upload.safetext import Redactor
from cfstream_upload.video import VideoOptions
from cfstream_upload.waiting import Goal

UID = "0123456789abcdef" * 2
ODD = "a\udcff\u202e\n.mp4"
TERMS = Terms(version="1", python="3.11", dask="2026.8", journal="j", target="t")
FILLED = {"int": 7, "float": 1.5, "str": ODD, "bool": True, "float | None": None}


def filled(kind: type[Any]) -> Any:  # noqa: ANN401  # any event
    given = {field.name: FILLED.get(str(field.type), {"file": ODD}) for field in fields(kind)}
    return kind(**given)


def families() -> list[type[CfuploadError]]:
    return [
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, CfuploadError)
    ]


# --- letters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", get_args(events.Event), ids=lambda kind: kind.__name__)
def test_an_event_arrives_as_it_was(kind: type[Any]) -> None:
    event = filled(kind)
    assert list(letters.read_news(letters.written_news([event, Begun(3)], str))) == [
        event,
        Begun(3),
    ]


@pytest.mark.parametrize("kind", families(), ids=lambda kind: kind.__name__)
def test_an_error_arrives_as_it_was(kind: type[CfuploadError]) -> None:
    more: dict[str, Any] = {"exit_code": 9} if kind is errors.NotStarted else {}
    error = kind("message", "hint", **more)
    error.uid = UID
    result = Result(ODD, "failed", exit_code=error.exit_code, error=error, links={"hls": None})
    reply = letters.read_reply(letters.written_reply(Reply("ann", result, left=True), str))
    told = reply.result.error
    assert type(told) is kind
    for name in ("message", "hint", "uid", "exit_code"):
        assert getattr(told, name) == getattr(error, name)
    assert (reply.result.file, reply.result.worker, reply.left) == (ODD, "ann", True)


def test_a_letter_holds_no_secret_that_its_worker_knows() -> None:
    redact = Redactor(["hunter2hunter2"])
    words = "refused: hunter2hunter2"
    news = letters.written_news([events.Notice("", words)], redact)
    result = Result("a", "failed", exit_code=1, error=CfuploadError(words, words))
    reply = letters.written_reply(Reply("ann", result), redact)
    assert b"hunter2" not in news + reply


def test_news_of_a_kind_that_is_not_known_are_left_out() -> None:
    assert not list(letters.read_news(b'[{"kind": "Tomorrow", "file": "a"}]'))


# --- the outbox ----------------------------------------------------------------------------------


def test_overtaken_progress_stays_at_home_and_the_order_is_kept() -> None:
    posted: list[bytes] = []
    outbox = Outbox(posted.append, str)
    told: list[letters.News] = [events.Started("a", 9), events.Created("a", UID)]
    for event in told:
        outbox.tell(event)  # type: ignore[arg-type]  # events alone
    for sent in range(9):
        outbox.tell(events.Progress("a", 0, sent, 9))
        outbox.tell(events.Progress("b", 0, sent, 9))
    outbox.tell(events.Confirming("a", UID))
    outbox.flush()
    assert len(posted) == 1
    assert list(letters.read_news(posted[0])) == [
        *told, events.Progress("a", 0, 8, 9), events.Progress("b", 0, 8, 9),
        events.Confirming("a", UID),
    ]  # fmt: skip


def test_news_leave_by_themselves_within_half_a_second() -> None:
    posted: list[bytes] = []
    Outbox(posted.append, str).tell(events.Notice("", "hello"))
    ends = time.monotonic() + 5
    while not posted and time.monotonic() < ends:
        time.sleep(0.01)
    assert posted


@pytest.mark.parametrize(
    ("greeting", "exit_code", "words"),
    [
        (b"", 6, "cannot be reached"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", 3, "cannot be talked to"),
    ],
)
def test_what_is_no_scheduler_is_told_soon(
    greeting: bytes, exit_code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatch = pytest.importorskip("cfstream_upload.cluster.dispatch")
    monkeypatch.setattr(dispatch, "GREETED_WITHIN", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        greeter = threading.Thread(target=_greet, args=(other, greeting), daemon=True)
        greeter.start()
        link = dispatch.Dispatch(
            Place(address=f"tcp://127.0.0.1:{port}"), "r", queue.SimpleQueue(), Interruption(), 1.0
        )
        with pytest.raises(CfuploadError, match=words) as caught:
            link.start()
    assert caught.value.exit_code == exit_code


def _greet(server: socket.socket, words: bytes) -> None:
    kept = []
    with suppress(OSError):
        while True:
            kept.append(server.accept()[0])
            kept[-1].sendall(words)


# --- which cluster, and who fits -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("tcp://scheduler:8786", Place("tcp://scheduler:8786")),
        ("tls://10.0.0.7:8786", Place("tls://10.0.0.7:8786")),
        ("tcp://[::1]:8786", Place("tcp://[::1]:8786")),
        ("local:4", Place(workers=4)),
    ],
)
def test_a_cluster_is_an_address_or_a_number_of_workers(text: str, place: Place) -> None:
    assert place_of(text) == place
    assert str(place) == text


@pytest.mark.parametrize(
    "text",
    ["scheduler:8786", "tcp://host", "tcp://host:0", "tcp://host:99999", "local:0", "local:65",
     "local", "http://host:8786", "tcp://a:1/../b", "inproc://x:1", "tcp://user@host:1"],
)  # fmt: skip
def test_what_names_no_cluster_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["send", "--cluster", text, "a.mp4"]) == 2
    assert "tcp://scheduler:8786" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"version": "2"}, "has cfupload 2"),
        ({"python": "3.12"}, "has Python 3.12"),
        ({"dask": "2026.9"}, "has Dask.distributed 2026.9"),
        ({"target": "u"}, "another account"),
        ({"journal": "k"}, "a journal of its own"),
    ],
)
def test_a_worker_that_does_not_fit_is_named(changed: dict[str, str], words: str) -> None:
    good = answer_with("ann", TERMS, None)
    odd = answer_with("bob", {**TERMS, **changed}, None)
    judge(TERMS, {"tcp://1": good})
    with pytest.raises(ConfigProblem, match=words) as refused:
        judge(TERMS, {"tcp://1": good, "tcp://2": odd})
    assert refused.value.message.startswith("The worker bob ")


def test_a_worker_without_cfupload_is_named() -> None:
    missing = ModuleNotFoundError("No module named 'cfstream_upload'")
    with pytest.raises(ConfigProblem, match="tcp://1 has no cfupload") as refused:
        judge(TERMS, {"tcp://1": missing})
    assert "pip install" in refused.value.hint


def test_what_is_wrong_at_a_worker_is_to_be_mended_there() -> None:
    problem = errors.JournalProblem("The journal is damaged", "Run: cfupload cleanup --rebuild")
    with pytest.raises(errors.JournalProblem, match="worker ann cannot send: The journal") as told:
        judge(TERMS, {"tcp://1": answer_with("ann", TERMS, problem)})
    assert told.value.hint == "On that machine: Run: cfupload cleanup --rebuild"


# --- at a worker ---------------------------------------------------------------------------------


def order(path: Path, **changed: str) -> Order:
    with own_session() as session:
        terms = terms_of(session)
    plan = Plan(Wishes(), Policy(), 60.0, 10.0, 1200).written()
    wanted = cast("Terms", {**terms, **changed})
    return Order(run="r", number=0, path=str(path), terms=wanted, plan=plan, rate=None, known=None)


@pytest.mark.parametrize("key", ["version", "dask", "target", "journal"])
def test_a_worker_that_came_later_refuses_what_it_does_not_fit(stream: Served, key: str) -> None:
    odd = order(stream.folder / "a.mp4", **{key: "other"})
    odd["plan"] = odd["plan"] if key in ("target", "journal") else {}
    with pytest.raises(ConfigProblem, match="worker ann"):
        Post.opened(odd, "ann", lambda news: None)


def test_a_worker_that_dask_closes_leaves_what_it_sends_and_waits_for_it(stream: Served) -> None:
    task = pytest.importorskip("cfstream_upload.cluster.task", reason="needs the extra 'fleet'")
    worker = SimpleNamespace(name=3, plugins={})
    answer = asyncio.run(task.probe(dask_worker=worker))
    assert (answer["worker"], answer["problem"]) == ("local-3", None)
    path = stream.file("closing.mp4", 12 << 20)
    stream.proxy.limit_rate(6 << 20)
    given, up = order(path), stream.proxy.bytes_up
    post = task._posts["r"] = Post.opened(given, "ann", lambda news: None)
    post.running = 1
    ended: list[bytes] = []

    def work() -> None:
        ended.append(post.send(given))
        post.running = 0

    threading.Thread(target=work).start()
    stream.wait_until(lambda: stream.proxy.bytes_up - up > 6 << 20)
    (plugin,) = worker.plugins.values()
    asyncio.run(plugin.teardown(worker=worker))
    assert letters.read_reply(ended[0]).left
    assert stream.states() == ["pendingupload"]
    # Dask may still hand it what waited there: that is for others, and not begun.
    assert task._posts["r"] is post
    late = letters.read_reply(post.send(order(stream.file("late.mp4", 1 << 20))))
    assert (late.result.outcome, late.left) == ("skipped", True)
    stream.proxy.limit_rate(None)
    task.dismiss("r")
    assert not task._posts
    second = Post.opened(given, "bob", lambda news: None)
    done = letters.read_reply(second.send(given))
    second.close()
    assert (done.result.outcome, done.result.error) == ("resumed", None)
    assert stream.whole(path)
    assert stream.methods().count("POST") == 1


def test_a_worker_has_one_name_in_the_status_of_the_fleet_and_in_events(
    stream: Served, ran: Callable[..., Ended], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_JOURNAL", database)
    given = order(stream.folder / "a.mp4")
    first = Post.opened(given, "tcp://h:1", lambda news: None)
    first.session.told(events.Started("a.mp4", 1))
    first.close()
    second = Post.opened(given, "n\0", lambda news: None)
    second.session.told(events.Started("a.mp4", 1))
    stream.wait_until(lambda: "n?" in ran("fleet", "status").out)
    told = ran("fleet", "status", "--json").document["workers"]
    shown = ran("fleet", "status").out
    second.close()
    here = (platform.node(), os.getpid())
    assert [(one["worker"], one["host"], one["pid"]) for one in told] == [
        ("tcp://h:1", *here), ("n?", *here)
    ]  # fmt: skip
    assert f"n? ({platform.node()})\trunning\t-\t0\t0\t0 %\ta.mp4\n" in shown


def test_a_worker_that_was_told_to_stop_begins_nothing(stream: Served) -> None:
    path = stream.file("never.mp4", 1 << 20)
    post = Post.opened(given := order(path), "ann", lambda news: None)
    post.halt(0, 0, hold=True)
    assert letters.read_reply(post.send(given)).held
    post.halt(1, signal.SIGTERM, hold=True)
    stopped = letters.read_reply(post.send(given)).result
    post.close()
    assert (stopped.outcome, stopped.exit_code) == ("skipped", 143)
    assert not stream.methods()


def test_workers_of_our_own_get_the_settings_of_the_command(
    stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_session() as session:
        ours = session.settings
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "ab" * 16)
    monkeypatch.setenv("CFUPLOAD_TOKEN_COMMAND", "false")
    for name, value in environment_of(ours).items():
        monkeypatch.setenv(name, value)
    with own_session() as session:
        assert session.settings == ours


# --- one file, and what may happen to it ---------------------------------------------------------


def flight() -> Flight:
    return Flight((0, "a.mp4"), deque(), "/v/a.mp4")


def failed(error: CfuploadError, *, left: bool = False) -> Reply:
    return Reply("ann", Result("/v/a.mp4", "failed", exit_code=error.exit_code, error=error), left)


def test_a_video_that_this_run_made_was_uploaded_whoever_says_already() -> None:
    one = flight()
    one.hear(events.Created("/v/a.mp4", UID))
    told = one.result(Reply("bob", Result("/v/a.mp4", "already", uid=UID, size=9)))
    assert (told.file, told.outcome, told.sent) == ("a.mp4", "uploaded", 9)
    assert flight().result(Reply("b", Result("x", "already", uid=UID))).outcome == "already"


def test_a_lost_workers_lock_is_waited_for_and_a_strangers_is_not() -> None:
    busy = failed(Busy("another process is sending this file"))
    assert flight().goes_again(busy, 0.0) is None
    one = flight()
    one.begun_at("ann")
    one.begun_at("bob")
    assert one.goes_again(busy, 100.0)
    assert one.goes_again(busy, 100.0 + BUSY_FOR - 1)
    assert one.goes_again(busy, 100.0 + BUSY_FOR + 1) is None


def test_a_file_that_kills_its_workers_is_given_up_unless_it_gets_on() -> None:
    one = flight()
    for _ in range(3):
        assert all(one.crashed() is not None for _ in range(MOST_LOST))
        one.hear(events.Progress("/v/a.mp4", 1 + one._high, 9, 99))
    tries = [one.crashed() for _ in range(MOST_LOST + 1)]
    assert tries[-1] is None


def test_a_source_that_a_worker_may_not_read_is_told_with_the_worker() -> None:
    problem = FileProblem("no credentials for s3: s3://b/a.mp4", "Set AWS_PROFILE.")
    one = Flight((0, "s3://b/a.mp4"), deque(), "s3://b/a.mp4")
    told = one.result(failed(problem)).error
    assert isinstance(told, FileProblem)
    assert told.message.endswith("(at the worker ann)")
    assert told.hint == problem.hint
    assert flight().result(failed(problem)).error is problem


def test_what_a_worker_kept_for_others_is_left_behind_unless_keeping_was_asked_for(
    tmp_path: Path,
) -> None:
    scene = stage(tmp_path)
    why = TroubleOutlasted("The scheduler is gone")
    with scene.session() as session:
        ours = {"base": session.settings.base, "account": session.settings.account}
        kept = session.journal.record(created(row=0, path="/v/a.mp4", kept=True, **ours))
        one = flight()
        one.begun_at("ann")
        result = left_behind(session, one, why)
        assert (result.exit_code, result.uid) == (7, kept.uid)
        session.policy = replace(session.policy, keep_failed=True)
        assert left_behind(session, one, why).exit_code == 6


def test_a_worker_that_left_its_file_gives_it_to_another() -> None:
    assert flight().goes_again(failed(Interrupted("x", signum=15), left=True), 0.0) == 0.0
    done = Reply("ann", Result("/v/a.mp4", "uploaded", uid=UID), left=True)
    assert flight().goes_again(done, 0.0) is None


def test_what_dask_says_becomes_an_error_of_ours() -> None:
    killed = type("KilledWorker", (Exception,), {})("9")
    assert is_passing(killed)
    assert trouble_of(killed, "a").exit_code == 6
    assert trouble_of(ModuleNotFoundError("x"), "a").exit_code == 3
    assert trouble_of(ConnectionError("x"), "a").exit_code == 6
    assert not is_passing(ValueError("x"))


@pytest.mark.parametrize(("most", "with_dask"), [(None, 4), (3, 3), (9, 4)])
def test_two_tasks_for_each_thread_are_with_dask_and_no_more_than_jobs(
    stream: Served, most: int | None, with_dask: int
) -> None:
    del stream  # its account
    given: list[str] = []
    link: Any = SimpleNamespace(submit=lambda key, order: given.append(order["path"]))
    paths = [f"/v/{number}.mp4" for number in range(1000)]
    with own_session() as session:
        batch = ClusterBatch(session, paths, Wishes(), cluster=Place(workers=1), most=most)
        batch._counted(1, 2)
        waiting = deque(map(deque, batch._lanes()))
        batch._launch(link, TERMS, {}, waiting)
        batch._launch(link, TERMS, {}, waiting)
    assert given == paths[:with_dask]


# --- the command, where there is nobody ----------------------------------------------------------


def test_a_scheduler_that_is_not_there_is_6_and_says_so(
    stream: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    path = stream.file("a.mp4", 1 << 20)
    code = run(["send", "--cluster", "tcp://127.0.0.1:1", "--connect-timeout", "1s", str(path)])
    told = capsys.readouterr().err.splitlines()
    assert code == 6
    assert told[0] == "error: The scheduler tcp://127.0.0.1:1 cannot be reached"
    assert len(told) == 2
    assert not stream.methods()


def test_without_the_extra_the_command_says_how_to_get_it(
    stream: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [one for one in sys.modules if one.startswith("cfstream_upload.cluster.dispatch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run(["send", "--cluster", "local:1", str(stream.file("a.mp4", 1 << 20))]) == 3
    assert "pip install 'cfstream-upload[fleet]'" in capsys.readouterr().err


def test_a_plan_and_its_order_are_read_back_as_they_were() -> None:
    options = VideoOptions(name=ODD, meta=(("k", "v"), ("l", "w")), allowed_origins=("a.b",))
    wishes = Wishes(options, "x", skip_existing=True, wait=Goal("ready", 7.0))
    plan = Plan(wishes, Policy(retries=3, find_pauses=(0.0, 1.0)), 1.0, 2.0, 5)
    given = Order(
        run="r", number=3, path=ODD, terms=TERMS, plan=plan.written(), rate=1.5, known=None
    )
    read = letters.read_order(letters.written_order(given))
    assert Plan.read(read["plan"]) == plan
    assert (read["path"], read["rate"], read["terms"]) == (ODD, 1.5, TERMS)


def test_a_worker_that_died_while_it_was_asked_stops_nobody() -> None:
    judge(TERMS, {"tcp://127.0.0.1:1": ConnectionResetError()})
    with pytest.raises(ConfigProblem):
        judge(TERMS, {"tcp://127.0.0.1:1": RuntimeError()})

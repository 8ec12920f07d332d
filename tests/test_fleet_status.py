"""``cfupload fleet status``: what workers tell, and what rows and locks say."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from scripted import created, sent
from served import Ended, Served

from cfstream_upload import events
from cfstream_upload.attempt import Stage
from cfstream_upload.batch import Batch
from cfstream_upload.fleet import presence as presence_module
from cfstream_upload.fleet import statements
from cfstream_upload.fleet.journal import FleetJournal, Trust
from cfstream_upload.fleet.presence import Presence
from cfstream_upload.fleet.status import in_all, worker_of
from cfstream_upload.result import Result


@pytest.fixture
def shared(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CFUPLOAD_JOURNAL", database)
    return database


def _seen(ran: Callable[..., Ended]) -> Any:  # noqa: ANN401  a document
    return ran("fleet", "status", "--json").document


def test_a_worker_is_seen_with_what_it_sent(
    stream: Served, ran: Callable[..., Ended], shared: str
) -> None:
    stream.file("one.mp4", size=400_000)
    stream.file("two.mp4", size=400_000)
    assert ran("send", "one.mp4", "two.mp4", "--label", "night").code == 0
    told = _seen(ran)
    (worker,) = told["workers"]
    assert worker["worker"].endswith(f":{os.getpid()}")
    assert (worker["condition"], worker["done"], worker["failed"]) == ("ended", 2, 0)
    assert worker["acknowledged"] == worker["planned_bytes"] == worker["done_bytes"] == 800_000
    assert told["fleet"]["receipts"] == 2
    assert told["fleet"]["bytes_left"] == 0


def test_a_failed_file_is_counted_as_failed(
    stream: Served, ran: Callable[..., Ended], shared: str
) -> None:
    (stream.folder / "no.mp4").write_text("no video")
    stream.file("one.mp4", size=400_000)
    assert ran("send", "one.mp4", "no.mp4").code == 4
    (worker,) = _seen(ran)["workers"]
    assert (worker["done"], worker["failed"]) == (1, 1)


def test_a_file_that_others_have_is_passed_by_and_one_that_was_sent_is_already_there(
    stream: Served, ran: Callable[..., Ended], shared: str, tmp_path: Path
) -> None:
    from cfstream_upload.lock import key_of

    home = stream.environment
    stream.file("one.mp4", size=400_000)
    assert [ran("send", "one.mp4").code for _ in range(2)] == [0, 0]
    journal = FleetJournal.open(shared, Trust(tmp_path))
    (row,) = journal.rows()
    theirs = stream.file("two.mp4", size=400_000)
    named = journal.named(row.file, str(theirs))
    base, account = home["CLOUDFLARE_API_BASE_URL"], home["CLOUDFLARE_ACCOUNT_ID"]
    with journal.lock(key_of(base, account, named.device, named.inode)):
        assert ran("send", "two.mp4").code == 9
    journal.close()
    fleet = _seen(ran)["fleet"]
    counted = [fleet[name] for name in ("done", "already", "passed", "failed")]
    assert counted == [1, 1, 1, 0]
    words = "Files within the last hour: 1 sent, 1 already there, 1 passed by, 0 failed."
    assert words in ran("fleet", "status").out


def test_a_worker_that_finds_all_its_files_sent_is_counted_too(
    shared: str, ran: Callable[..., Ended], tmp_path: Path
) -> None:
    journal = FleetJournal.open(shared, Trust(tmp_path))
    presence = Presence(journal.link, "", "1")
    presence.finished(Result("/v/a.mp4", "already", uid="ab" * 16, size=9))
    presence.close()
    journal.close()
    assert _seen(ran)["fleet"]["already"] == 1


def test_what_is_running_interrupted_kept_and_a_debt_is_told_by_rows_and_locks(
    stream: Served, ran: Callable[..., Ended], shared: str, tmp_path: Path
) -> None:
    from cfstream_upload.lock import key_of

    home = stream.environment
    base, account = home["CLOUDFLARE_API_BASE_URL"], home["CLOUDFLARE_ACCOUNT_ID"]
    journal = FleetJournal.open(shared, Trust(tmp_path))
    of: dict[str, Any] = {"row": 0, "base": base, "account": account}
    first = journal.record(created(**of))
    journal.record(created(**{**of, "uid": "1a" * 16, "file": _other(5)}))
    journal.record(created(**{**of, "uid": "1b" * 16, "file": _other(6), "kept": True}))
    journal.record(created(**{**of, "uid": "1c" * 16, "file": _other(7), "doomed": "trouble"}))
    journal.record(sent(**{**of, "uid": "1d" * 16, "file": _other(8), "stage": Stage.STORED}))
    key = key_of(base, account, first.file.device, first.file.inode)
    with journal.lock(key):
        ended = ran("fleet", "status", "--json")
    journal.close()
    assert ended.code == 7, ended.out
    fleet = ended.document["fleet"]
    counted = [fleet[name] for name in ("running", "interrupted", "kept", "debts", "receipts")]
    assert counted == [1, 1, 1, 1, 1]
    assert ended.code == 7


def _other(inode: int) -> Any:  # noqa: ANN401
    from dataclasses import replace

    return replace(created().file, inode=inode)


def test_a_worker_that_is_silent_is_lost_and_has_no_speed(
    stream: Served, ran: Callable[..., Ended], shared: str
) -> None:
    stream.file("one.mp4", size=400_000)
    assert ran("send", "one.mp4").code == 0
    with psycopg.connect(shared, autocommit=True) as connection:
        connection.execute(
            "UPDATE cfupload.workers SET ended = NULL, speed = 9, seen = now() - interval '20 s'"
        )
    told = _seen(ran)
    (worker,) = told["workers"]
    assert (worker["condition"], worker["speed"]) == ("lost", 0)
    assert 19 < worker["seen"] < 60
    assert told["fleet"]["workers"] == 0
    shown = ran("fleet", "status").out
    assert f"Lost within the last hour: 1 ({worker['worker']} silent for " in shown
    assert "WORKER" not in shown


def test_a_worker_tells_its_files_and_speed_while_it_sends(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = FleetJournal.open(database, Trust(tmp_path))
    now = [0.0]
    # Its thread says one word at the beginning: one that came late would hide a newer one.
    monkeypatch.setattr(presence_module, "EVERY", 3600.0)
    presence = Presence(journal.link, "l", "1", lambda: now[0])
    presence.plan(2, 3000)
    while not journal.ask(statements.WORKERS):
        time.sleep(0.01)
    presence.dashboard = "http://d"
    presence.hear(events.Started("a\x1b\udcff.mp4", 1000))
    presence.hear(events.Created("a\x1b\udcff.mp4", "1a" * 16))
    presence.hear(events.Progress("a\x1b\udcff.mp4", 0, 0, 1000))
    presence._say()
    now[0] = 2.0
    presence.hear(events.Progress("a\x1b\udcff.mp4", 500, 600, 1000))
    presence._say()
    (worker,) = [worker_of(row) for row in journal.ask(statements.WORKERS)]
    (file,) = worker.files
    assert (file["acknowledged"], file["size"], file["uid"]) == (500, 1000, "1a" * 16)
    assert worker.speed == pytest.approx(300, rel=0.01)
    whole = in_all([worker], [], {}, 0)
    assert whole.bytes_left == 2400
    assert whole.seconds_left == pytest.approx(8, rel=0.01)
    assert whole.dashboard == "http://d"
    presence.finished(Result("a\x1b\udcff.mp4", "uploaded", size=1000))
    presence.close()
    (worker,) = [worker_of(row) for row in journal.ask(statements.WORKERS)]
    assert (worker.condition, worker.files, worker.done_bytes) == ("ended", (), 1000)
    journal.close()


def test_the_command_that_leads_a_cluster_is_no_worker(
    stream: Served,
    ran: Callable[..., Ended],
    shared: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[Any, str]] = []

    class Led(Batch):
        def run(self) -> Iterator[tuple[int, Result]]:
            stream.wait_until(lambda: "leads" in ran("fleet", "status").out)
            seen.append((_seen(ran), ran("fleet", "status").out))
            yield from super().run()

    # Who sends is of no account here: a cluster of our own takes seconds to come.
    monkeypatch.setattr(
        "cfstream_upload.cluster.batching.ClusterBatch",
        lambda session, paths, wishes, **_: Led(session, paths, wishes),
    )
    stream.file("one.mp4", size=400_000)
    assert ran("send", "one.mp4", "--cluster", "local:1").code == 0
    ((told, shown),) = seen
    assert [(one["role"], one["condition"]) for one in told["workers"]] == [("leads", "running")]
    assert (told["fleet"]["workers"], told["fleet"]["leaders"]) == (0, 1)
    assert "\tleads\t" in shown
    assert "In all: 0 workers," in shown


def test_without_a_shared_journal_there_is_no_fleet(
    stream: Served, ran: Callable[..., Ended]
) -> None:
    ended = ran("fleet", "status", "--json")
    assert ended.code == 2
    assert ended.document["workers"] == []
    assert "CFUPLOAD_JOURNAL" in ended.document["error"]["hint"]


def test_people_see_a_line_for_each_worker_and_one_for_all(
    stream: Served, ran: Callable[..., Ended], shared: str
) -> None:
    stream.file("one.mp4", size=400_000)
    assert ran("send", "one.mp4").code == 0
    ended = ran("fleet", "status")
    assert ended.code == 0
    assert "Ended within the last hour: 1." in ended.out
    assert "In all: 0 workers, 0 uploads running" in ended.out
    assert "1 receipt," in ended.out

"""What a fleet does now: its workers as they told, its rows and locks as they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cfstream_upload.attempt import Attempt
from cfstream_upload.fleet import statements
from cfstream_upload.fleet.holding import number_of
from cfstream_upload.fleet.journal import FleetJournal
from cfstream_upload.session import Session

LOST_AFTER = 15.0
"""Seconds without a word after which a worker that did not say goodbye is taken for lost."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One process, as it last told. Sizes are bytes, times seconds by the server's clock.

    ``worker`` is what Dask and the events call it, ``host:pid`` where Dask has nothing to do with
    it. ``role``: sends, or leads, where others send for it. ``condition``: running, ended or lost.
    ``done``, ``already`` (found sent), ``passed`` (others have them, or it was asked to stop) and
    ``failed`` count files; ``planned_*`` are of the batch that it was given, ``done_bytes`` what
    of them is over.
    """

    worker: str
    host: str
    pid: int
    role: str
    label: str
    release: str
    condition: str
    seen: float
    age: float
    files: tuple[Mapping[str, Any], ...]
    speed: float
    acknowledged: int
    done: int
    already: int
    passed: int
    failed: int
    planned_files: int
    planned_bytes: int
    done_bytes: int
    dashboard: str

    def document(self) -> dict[str, Any]:
        """As programs are told."""
        return {
            **asdict(self),
            "files": [dict(one) for one in self.files],
            "dashboard": self.dashboard or None,
            "seen": round(self.seen, 1),
            "age": round(self.age, 1),
            "speed": round(self.speed, 1),
        }


@dataclass(frozen=True, slots=True)
class Whole:
    """The fleet in all; ``seconds_left`` is None where it cannot be told.

    ``workers`` send and ``leaders`` have others send; both are those that run now.
    ``running``, ``interrupted``, ``kept`` and ``debts`` count rows that are no receipts.
    """

    workers: int
    leaders: int
    running: int
    interrupted: int
    kept: int
    debts: int
    receipts: int
    done: int
    already: int
    passed: int
    failed: int
    speed: float
    bytes_left: int
    seconds_left: float | None
    dashboard: str | None

    def document(self) -> dict[str, Any]:
        """As programs are told."""
        return asdict(self)


def worker_of(row: Sequence[Any]) -> Worker:
    """What a row of `statements.WORKERS` says."""
    (_, host, pid, label, release, files, acknowledged, speed, done, failed) = row[:10]
    (
        planned_files,
        planned_bytes,
        done_bytes,
        dashboard,
        name,
        leads,
        already,
        passed,
        over,
        seen,
        age,
    ) = row[10:]
    known = json.loads(files) if isinstance(files, str) else files
    silent = seen > LOST_AFTER
    return Worker(
        worker=name or f"{host}:{pid}",
        host=host,
        pid=pid,
        role="leads" if leads else "sends",
        label=label,
        release=release,
        condition="ended" if over else "lost" if silent else "running",
        seen=max(0.0, seen),
        age=age,
        files=tuple(one for one in known if isinstance(one, dict)),
        speed=0.0 if over or silent else speed,
        acknowledged=acknowledged,
        done=done,
        already=already,
        passed=passed,
        failed=failed,
        planned_files=planned_files,
        planned_bytes=planned_bytes,
        done_bytes=done_bytes,
        dashboard=dashboard,
    )


def in_all(
    workers: Sequence[Worker], rows: Sequence[Attempt], held: Mapping[int, bool], receipts: int
) -> Whole:
    """The sum of it. ``held`` tells of each row's number whether somebody holds its lock."""
    conditions = Counter(_condition(row, held.get(row.row, False)) for row in rows)
    living = [one for one in workers if one.condition == "running"]
    speed = sum(one.speed for one in living)
    begun = sum(int(file.get("sent") or 0) for one in living for file in one.files)
    planned = sum(max(0, one.planned_bytes - one.done_bytes) for one in living)
    left = max(0, planned - begun)
    return Whole(
        workers=sum(one.role == "sends" for one in living),
        leaders=sum(one.role == "leads" for one in living),
        running=conditions["running"],
        interrupted=conditions["interrupted"],
        kept=conditions["kept"],
        debts=conditions["debt"],
        receipts=receipts,
        done=sum(one.done for one in workers),
        already=sum(one.already for one in workers),
        passed=sum(one.passed for one in workers),
        failed=sum(one.failed for one in workers),
        speed=round(speed, 1),
        bytes_left=left,
        seconds_left=round(left / speed, 1) if speed > 0 else None,
        dashboard=next((one.dashboard for one in living if one.dashboard), None),
    )


def _condition(row: Attempt, held: bool) -> str:
    if held:
        return "running"
    if row.is_debt:
        return "debt"
    return "kept" if row.kept else "interrupted"


def seen(session: Session) -> tuple[list[Worker], Whole]:
    """What the journal of ``session`` tells of its fleet. Raises `JournalProblem`."""
    journal = session.journal
    assert isinstance(journal, FleetJournal)
    settings = session.settings
    account = {"base": settings.base, "account": settings.account}
    workers = [worker_of(row) for row in journal.ask(statements.WORKERS)]
    held = {int(row[0]) for row in journal.ask(statements.HELD)}
    rows = journal.unfinished(**account)
    ((receipts,),) = journal.ask(statements.RECEIPTS, account)
    running = {row.row: number_of(session.key(row)) % (1 << 64) in held for row in rows}
    return workers, in_all(workers, rows, running, receipts)

"""``cfupload fleet``: what all machines on one journal do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cfstream_upload.cli.commands import App
from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.everywhere import keeping_everywhere, with_everywhere
from cfstream_upload.errors import UsageProblem

MOST_NAMED = 2
"""Lost workers that are named."""

if TYPE_CHECKING:
    from cfstream_upload.fleet.status import Whole, Worker


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = App(
        name="fleet",
        help="""Many machines on one journal (docs/fleet.md).

        Examples:

        cfupload fleet status

        cfupload fleet status --json
        """,
    )
    group.callback()(keeping_everywhere())
    group.command("status")(with_everywhere(status))
    app.add_typer(group)


def status(desk: Desk) -> int:
    """Show what each worker does, and the fleet in all; exits 7 while a debt stands.

    A worker is a process that sends with the same journal; a cluster's command leads it. One that
    was not heard of for 15 s and did not say goodbye is lost: its files are for others.

    Examples:

        cfupload fleet status

        cfupload fleet status --json
    """
    from cfstream_upload.documents import document
    from cfstream_upload.fleet.status import seen

    with desk.session(need_account=False) as session:
        if session.settings.journal is None:
            raise UsageProblem(
                "A journal in a file is of one machine: there is no fleet",
                "Set CFUPLOAD_JOURNAL=postgresql://... (this machine's own: cfupload status)",
            )
        workers, whole = seen(session)
    if desk.common.mode == "json":
        told = document("workers", [one.document() for one in workers])
        desk.console.document({**told, "fleet": whole.document()})
    elif desk.common.mode == "ndjson":
        for one in workers:
            desk.console.event({"message_type": "worker", **one.document()})
        desk.console.event({"message_type": "fleet", **whole.document()})
    elif desk.common.mode == "quiet":
        for one in workers:
            desk.console.line(one.worker)
    else:
        _shown(desk, workers, whole)
    if whole.debts:
        desk.console.warning(f"{whole.debts} failed upload(s) wait to be removed: cfupload cleanup")
    return 7 if whole.debts else 0


def _shown(desk: Desk, workers: list[Worker], whole: Whole) -> None:
    here = [one for one in workers if one.condition == "running"]
    lost = [one for one in workers if one.condition == "lost"]
    ended = len(workers) - len(here) - len(lost)
    if here:
        desk.console.table(
            ["WORKER", "IS", "SPEED", "SENT", "FAILED", "AT", "OF"],
            [_row(one) for one in here],
            name=6,
        )
        desk.console.line("")
    if ended:
        desk.console.line(f"Ended within the last hour: {ended}.")
    if lost:
        desk.console.line(_lost(lost))
        if whole.interrupted or whole.kept:
            desk.console.line("The same send goes on with what they left.")
    for line in _lines(whole):
        desk.console.line(line)


def _row(worker: Worker) -> list[str]:
    """Of one that runs."""
    from cfstream_upload.units import human_size

    return [
        _called(worker),
        "leads" if worker.role == "leads" else "running",
        f"{human_size(worker.speed)}/s" if worker.speed else "-",
        *(("-", "-") if worker.role == "leads" else (str(worker.done), str(worker.failed))),
        *_now(worker),
    ]


def _called(worker: Worker) -> str:
    """Its name as the events have it; beside one of Dask's, which may be anything, its machine."""
    if "://" in worker.worker or worker.worker == f"{worker.host}:{worker.pid}":
        return worker.worker
    return f"{worker.worker} ({worker.host})"


def _lost(lost: list[Worker]) -> str:
    from cfstream_upload.units import human_time

    lost = sorted(lost, key=lambda one: one.seen)
    names = [f"{_called(one)} silent for {human_time(one.seen)}" for one in lost[:MOST_NAMED]]
    names += [f"{len(lost) - MOST_NAMED} more"] if len(lost) > MOST_NAMED else []
    return f"Lost within the last hour: {len(lost)} ({', '.join(names)})."


def _now(worker: Worker) -> tuple[str, str]:
    """How far it is with the first of its files, which that is, and how many others there are."""
    if worker.role == "leads":
        return "-", _counted(worker.planned_files, "file")
    if not worker.files:
        return "-", "-"
    file = worker.files[0]
    size = int(file.get("size") or 0)
    share = f"{100 * int(file.get('sent') or 0) // size} %" if size else "-"
    name = str(file.get("file", "")).rpartition("/")[2]
    more = f", {len(worker.files) - 1} more" if len(worker.files) > 1 else ""
    return share, f"{name}{more}"


def _lines(whole: Whole) -> list[str]:
    from cfstream_upload.units import human_size, human_time

    left = "" if whole.seconds_left is None else f", {human_time(whole.seconds_left)} left"
    now = (
        f"{_counted(whole.workers, 'worker')}, "
        f"{_counted(whole.running, 'upload')} running, {human_size(whole.speed)}/s"
    )
    rows = f"{whole.interrupted} interrupted, {whole.kept} kept, {_counted(whole.debts, 'debt')}"
    files = f"{whole.done} sent, {whole.already} already there, {whole.passed} passed by"
    lines = [
        f"In all: {now}.",
        *([f"Still to send: {human_size(whole.bytes_left)}{left}."] if whole.bytes_left else []),
        f"Files within the last hour: {files}, {whole.failed} failed.",
        f"The journal: {_counted(whole.receipts, 'receipt')}, {rows}.",
    ]
    if whole.dashboard:
        lines.append(f"Dask's dashboard: {whole.dashboard}")
    return lines


def _counted(number: int, one: str) -> str:
    return f"{number} {one if number == 1 else f'{one}s'}"

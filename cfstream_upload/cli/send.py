"""``cfupload send``: files in, one video each out."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from cfstream_upload.cli.arriving import Arriving
from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.everywhere import with_everywhere
from cfstream_upload.cli.report import Report
from cfstream_upload.cli.sendoptions import (
    JOBS,
    Failing,
    Line,
    Many,
    calls_of,
    checked_label,
    policy_of,
    throttle_of,
)
from cfstream_upload.cli.videofields import VideoFields
from cfstream_upload.errors import CfuploadError, Interrupted, NotStarted, UsageProblem

if TYPE_CHECKING:
    from cfstream_upload.batch import Batch
    from cfstream_upload.cluster.place import Place
    from cfstream_upload.manifest import Manifest
    from cfstream_upload.sending import Wishes
    from cfstream_upload.session import Session


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("send")(with_everywhere(send))


def send(
    desk: Desk,
    fields: VideoFields,
    many: Many,
    arriving: Arriving,
    failing: Failing,
    line: Line,
    files: Annotated[
        # Text, and as it was typed: an empty name is no name for the folder here.
        list[str] | None,
        typer.Argument(metavar="FILE|DIR|GLOB|URL...", readable=False, help="Videos to upload."),
    ] = None,
) -> int:
    """Upload files, each as exactly one video.

    What was interrupted is resumed; a file that was sent already prints its UID. Read from s3://,
    gs://, https://, http:// and sftp:// URLs too, without a copy here.

    Examples:

        cfupload send big.mp4

        cfupload send --json --name "Launch" --meta team=red launch.mov

        cfupload send -r -j 4 --manifest sent.csv recordings

        cfupload send s3://bucket/talks/big.mp4 https://example.org/b.mp4
    """
    from cfstream_upload.interruption import Interruption, signals_as
    from cfstream_upload.sending import Wishes
    from cfstream_upload.stores import Stores
    from cfstream_upload.units import parse_time

    cluster = many.place()
    options = fields.options()
    goal, skip_existing = arriving.goal(), arriving.skips_existing(again=failing.again)
    policy, throttle = policy_of(failing, line), throttle_of(line)
    label, calls = checked_label(failing.label), calls_of(line)
    with Stores(desk.redactor) as stores:
        selection = many.selection(files or [], stores)
        paths = selection.paths
        if len(paths) > 1 and fields.name is not None:
            raise UsageProblem(
                "--name is for one file", f"Leave it out: there are {len(paths)} files."
            )
        if selection.passed_over:
            words = f"{selection.passed_over} other files in folders were passed over"
            desk.console.say(f"{words} (--include says which are meant)")
        interruption = Interruption()
        report = Report(desk, len(paths))
        for problem in selection.problems:
            report.failed(problem)
        with (
            signals_as(interruption),
            desk.session(
                policy=policy,
                interruption=interruption,
                read_label=True,
                stall=parse_time(line.stall_timeout),
                connect_timeout=parse_time(line.connect_timeout),
                throttle=throttle,
                calls=calls,
                stores=stores,
            ) as session,
        ):
            label = label or session.settings.label
            wishes = Wishes(options, label, failing.again, skip_existing, goal)
            if many.dry_run:
                _rehearse(session, paths, wishes, many, report)
            else:
                _send(session, paths, wishes, many, report, cluster)
        return report.conclude()


def _rehearse(
    session: Session, paths: list[str], wishes: Wishes, many: Many, report: Report
) -> None:
    from cfstream_upload.manifest import Known, target_of
    from cfstream_upload.rehearsal import rehearse

    known = None
    if many.manifest is not None and not wishes.again:
        settings = session.settings
        target = target_of(settings.base, settings.account)
        known = Known(many.manifest, target, wishes.options.canonical())
    for number, path in enumerate(paths):
        if session.interruption.count:
            report.failed(Interrupted("Interrupted", signum=session.interruption.signum))
            return
        done = known.done(path, session.stores.glance) if known else None
        if done is not None:
            plan = f"already sent as {done.uid}, says the manifest"
            report.add(number, replace(done, outcome="skipped", plan=plan))
        else:
            report.add(number, rehearse(session, path, wishes))


def _send(
    session: Session,
    paths: list[str],
    wishes: Wishes,
    many: Many,
    report: Report,
    cluster: Place | None,
) -> None:
    if len(paths) > 1:
        sizes = (session.stores.listed_size(path) for path in paths)
        report.desk.console.batch(len(paths), sum(size for size in sizes if size))
    if many.manifest is None:
        _send_all(session, paths, wishes, many, report, None, cluster)
        return
    from cfstream_upload.manifest import Manifest, target_of

    settings = session.settings
    target = target_of(settings.base, settings.account)
    with (
        Manifest.lock(settings.state_dir, many.manifest),
        closing(
            Manifest(many.manifest, target, wishes.options.canonical(), report.desk.redactor)
        ) as manifest,
    ):
        _send_all(session, paths, wishes, many, report, manifest, cluster)


def _send_all(
    session: Session,
    paths: list[str],
    wishes: Wishes,
    many: Many,
    report: Report,
    manifest: Manifest | None,
    cluster: Place | None,
) -> None:
    from cfstream_upload.planning import planned

    plan = planned(session, paths, wishes, manifest)
    left = plan.left
    if session.settings.journal is not None and session.company is not None:
        sizes = (session.stores.listed_size(paths[number]) for number in left)
        total = sum(size for size in sizes if size)
        session.company.plan(len(left), total, leads=cluster is not None)
    for number, done in plan.done:
        report.add(number, done)
    begun: dict[int, float] = {}
    batch = _batch(session, [paths[number] for number in left], wishes, many, report, cluster)
    batch.known = plan.known
    batch.starting = lambda place: begun.__setitem__(place, time.time())
    for place, result in batch.run():
        report.dashboard = batch.dashboard
        report.add(left[place], result)
        if manifest is None:
            continue
        try:
            manifest.record(result, begun.get(place, time.time()), time.time())
        except CfuploadError as problem:
            report.failed(problem)
            words = "Not started: the manifest cannot be written"
            batch.stop(NotStarted(words, exit_code=problem.exit_code))


def _batch(
    session: Session,
    paths: list[str],
    wishes: Wishes,
    many: Many,
    report: Report,
    cluster: Place | None,
) -> Batch:
    """Who sends ``paths``: threads of this process, or the workers of ``cluster``."""
    from cfstream_upload.batch import Batch

    if cluster is None:
        return Batch(session, paths, wishes, many.jobs or JOBS, many.fail_fast)
    from cfstream_upload.cluster.batching import ClusterBatch
    from cfstream_upload.cluster.workers import environment_of

    return ClusterBatch(
        session, paths, wishes, fail_fast=many.fail_fast, cluster=cluster, most=many.jobs,
        hear=report.desk.console.hear, environment=environment_of(session.settings),
    )  # fmt: skip

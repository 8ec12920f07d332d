"""Rows 111 to 120: bugs at any line, upgrades, crowded accounts, what happens after success."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from faulted import Case
from inprocess import ACCOUNT, MIB, Stage
from matrix import anyline
from matrix import compound as compound  # registers row 120
from matrix import crowds as crowds  # registers rows 115 and 119
from matrix.here import open_rows, ran, then_here
from matrix.injected import Injector
from matrix.oldjournals import COLUMNS, VERSION_1, rows_of, write_version_1
from matrix.rows import Scene, row
from matrix.scenes import (
    assert_none,
    calm,
    dies,
    digest,
    ends,
    on_sockets,
    staged,
    then,
)

from cfstream_upload.emulator.exchange import Request, converse
from cfstream_upload.emulator.videos import Pace
from cfstream_upload.journal import Journal
from cfstream_upload.journalfile import SCHEMA_VERSION
from cfstream_upload.sending import Wishes
from cfstream_upload.sweeping import Choice, plan

SIZE = 12 * MIB
VIDEOS = f"/client/v4/accounts/{ACCOUNT}/stream"


# --- 111 to 113: bugs ----------------------------------------------------------------------------


def _sampled(scene: Scene, name: str, one_in: int) -> None:
    assert anyline.swept(scene.folder, name, one_in) > 2


@row(111, "fresh")
def _bug_in_a_fresh_upload(scene: Scene) -> None:
    """An exception at a line of ours once a UID is on disk: rolled back or resumed, remembered."""
    _sampled(scene, "fresh", 60)


@row(111, "resumed")
def _bug_in_a_resumed_upload(scene: Scene) -> None:
    """The same in a run that resumes."""
    _sampled(scene, "resumed", 120)


@row(111, "rolled back")
def _bug_in_a_rollback(scene: Scene) -> None:
    """The same in a run that rolls back."""
    _sampled(scene, "rolled back", 120)


@row(111, "swept")
def _bug_in_a_sweep(scene: Scene) -> None:
    """The same in `cleanup --orphans`."""
    _sampled(scene, "swept", 100)


@row(111, "sent before")
def _bug_in_a_second_send(scene: Scene) -> None:
    """The same in a run that finds its file sent."""
    _sampled(scene, "sent before", 90)


@row(111, "in words")
def _bug_in_words(scene: Scene) -> None:
    """The command says of such a bug where it is, in one line without a traceback: exit 1."""
    stream = on_sockets(scene)
    path = stream.file(size=6 * MIB)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"canary {stream.model.token}")

    # Before anything is known, and when all is stored and only the word is missing.
    for place in ("transfer.Carriage._learn", "onefile.OneFile._told"):
        with scene.monkeypatch.context() as patched:
            patched.setattr(f"cfstream_upload.{place}", broken)
            ended = ran(scene, stream, "send", path.name)
        assert ended.code == 1, ended.err
        errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
        assert re.fullmatch(r"error: A bug in cfupload: RuntimeError at \w+\.py:\d+", errors[0])
        assert "canary" not in ended.err
    then_here(scene, stream, path)


@row(112, "while deleting")
def _interrupt_while_deleting(scene: Scene) -> None:
    """KeyboardInterrupt at lines of a rollback: its row stays, the next run ends in one video."""
    flow = replace(anyline.FLOWS["rolled back"], wanted="stage = 'discarding'")
    sweep = anyline.Sweep(scene.folder, flow, KeyboardInterrupt)
    passed = sweep.lines()
    chosen = [line for line in sorted(passed) if anyline.is_sampled("112", line, 90)]
    assert len(chosen) > 1
    for line in chosen:
        sweep.strike(line, 1)


@row(112, "the row")
def _decision_survives(scene: Scene) -> None:
    """KeyboardInterrupt right before the DELETE: the row says discarding, and the upload goes."""
    flow = replace(anyline.FLOWS["rolled back"], wanted="stage = 'discarding'")
    sweep = anyline.Sweep(scene.folder, flow, KeyboardInterrupt)
    case = sweep._case()
    line = next(line for line in sweep.lines() if line[0] == "stream.py")
    assert sweep._ran(case, Injector(line, 1, KeyboardInterrupt)) is None
    assert case.stage.open_rows() == ["discarding"]
    assert case.stage.states() == ["pendingupload"]
    anyline.assert_arrives(case)


SEGFAULT = """
import ctypes
from cfstream_upload import tus
patch, left = tus.Upload.patch, [2]
def dies(self, *arguments, **named):
    left[0] -= 1
    if not left[0]:
        ctypes.string_at(0)
    return patch(self, *arguments, **named)
tus.Upload.patch = dies
from cfstream_upload.cli import main
main()
"""


@row(113, "null pointer")
def _segfault(scene: Scene) -> None:
    """The interpreter dies in C amid the upload: the row stays, the next run resumes."""
    stream = on_sockets(scene)
    path = stream.file(size=12 * MIB)
    command = [sys.executable, "-P", "-c", SEGFAULT, "send", "--chunk-size", "5M", path.name]
    ended = subprocess.run(command, cwd=stream.folder, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGSEGV, ended.stderr
    assert stream.states() == ["pendingupload"]
    assert open_rows(scene) == ["created"]
    upload = then_here(scene, stream, path)
    assert upload["outcome"] == "resumed"
    assert upload["resumed_from"] >= 5 * MIB


# --- 114: an upgrade -----------------------------------------------------------------------------


@row(114, "version 1, resumed")
def _upgraded_between(scene: Scene) -> None:
    """An upgrade between a crash and the next run: old rows are read, the upload is resumed."""
    current = staged(scene)
    path = current.file(SIZE)
    dies(current, path, 3, "after")
    old = _as_released(current)
    result = then(current, path)
    assert (result.uid, result.outcome) == (old[0]["uid"], "resumed")
    calm(current)
    _as_released(current)
    assert ends(current.send(path), 0).outcome == "already"


def _as_released(current: Stage) -> list[dict[str, object]]:
    """Put the rows into a journal as version 1 wrote it, in place of the present one."""
    folder = current.folder / current.state
    rows = rows_of(folder)
    folder.rename(folder.with_name(f"newer-{len(list(current.folder.iterdir()))}"))
    write_version_1(folder, rows)
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


@row(114, "every version")
def _every_version_is_frozen(scene: Scene) -> None:
    """The journal's schema changes: then its version does too, and the older one is kept here."""
    journal = Journal.open(scene.folder / "state")
    sql = {one for (one,) in journal._db.execute("SELECT sql FROM sqlite_schema") if one}
    journal.close()
    frozen = {_plain(one) for one in VERSION_1.split(";") if "CREATE" in one}
    assert SCHEMA_VERSION == 1
    assert {_plain(one) for one in sql if "sqlite_sequence" not in one} == frozen


def _plain(sql: str) -> str:
    return " ".join(re.sub(r"--.*", "", sql).split())


# --- 116 to 118: after success -------------------------------------------------------------------


@row(116, "by hand")
def _deleted_by_hand(scene: Scene) -> None:
    """The reported video was deleted by hand: exit 8, nothing is sent; `--again` sends it anew."""
    current = staged(scene)
    path = current.file(SIZE)
    first = ends(current.send(path), 0)
    headers = {"authorization": f"Bearer {current.model.token}"}
    converse(current.model, Request("DELETE", f"{VIDEOS}/{first.uid}", {}, headers))
    calm(current)
    current.clock.now += 60
    for _ in range(2):
        result = ends(current.send(path), 8, str(first.uid), "no longer there", "--again")
        assert result.uid == first.uid
    assert not {"POST", "PATCH", "DELETE"} & set(current.methods())
    again = ends(current.send(path, Wishes(again=True)), 0)
    assert again.uid != first.uid
    assert then(current, path).uid == again.uid


@contextmanager
def _every_video_is(scene: Scene, state: str) -> Iterator[None]:
    with scene.monkeypatch.context() as patched:
        patched.setattr("cfstream_upload.emulator.videos.state_of", lambda *_: state)
        yield


@row(117, "told")
def _fails_processing_after_told(scene: Scene) -> None:
    """A reported video fails processing: exit 11, and it is kept, by cleanup too."""
    current = staged(scene)
    path = current.file(SIZE)
    first = ends(current.send(path), 0)
    with _every_video_is(scene, "error"):
        result = ends(current.send(path), 11, "could not process it", f"get {first.uid}")
        assert result.uid == first.uid
        case = Case(current, path, digest(path))
        assert case.sweep() == []
        with current.session() as session:
            assert plan(session, Choice(orphans=True, errors=True)) == []
    assert "DELETE" not in current.methods()
    assert then(current, path).uid == first.uid


@row(117, "never told")
def _fails_processing_before_told(scene: Scene) -> None:
    """It fails processing before its UID was told: discarded, exit 5 with the reason."""
    current = staged(scene)
    path = current.file(SIZE)
    dies(current, path, 4, "after")  # the last PATCH arrived, and nobody heard of it
    with _every_video_is(scene, "error"):
        result = ends(current.send(path), 5)
    assert result.cleanup == "confirmed"
    assert_none(current)
    then(current, path)


@row(118, "days")
def _stays_queued(scene: Scene) -> None:
    """The video stays queued for days: sent is sent, exit 0 each time, and nothing deletes it."""
    current = staged(scene, pace=Pace(encoding_after=1e9, ready_after=2e9))
    path = current.file(SIZE)
    first = ends(current.send(path), 0)
    assert first.state == "queued"
    for _ in range(3):
        current.clock.now += 26 * 3600
        result = ends(current.send(path), 0)
        assert (result.uid, result.state, result.outcome) == (first.uid, "queued", "already")
        assert Case(current, path, digest(path)).sweep() == []
    assert "DELETE" not in current.methods()
    assert (current.states(), current.open_rows()) == (["queued"], [])
    then(current, path)

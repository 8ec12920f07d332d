"""What others wrote into the account: a marker or a number of theirs spoils no journal."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from inprocess import Stage, stage

from cfstream_upload.attempt import read_marker
from cfstream_upload.journal import Journal
from cfstream_upload.rebuilding import rebuild_journal
from cfstream_upload.sweeping import Choice, plan, sweep
from cfstream_upload.video import video_of

LABELS = ["two words", "x\x1b[2J", "a\nb", "x" * 500, "../..", "é", "\x00"]
OURS = "1" * 32


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path)


def _host(current: Stage) -> str:
    with current.session() as session:
        return session.journal.host


@pytest.mark.parametrize("label", LABELS)
def test_a_marker_with_a_label_that_nobody_could_give_is_none(label: str) -> None:
    assert read_marker(f"1.{OURS}.{OURS}.{label}") is None
    assert read_marker(f"1.{OURS}.{OURS}.nightly-7") is not None


def test_markers_that_others_forged_leave_a_journal_that_opens(scene: Stage) -> None:
    host = _host(scene)
    pending = [scene.theirs(f"1.{OURS}.{host}.{label}", whole=False) for label in LABELS]
    whole = [scene.theirs(f"1.{OURS}.{host}.{label}", whole=True) for label in LABELS]
    twins = [scene.theirs(f"1.{OURS}.{host}", whole=True) for _ in range(2)]
    choice = Choice(orphans=True, foreign=True)
    with scene.session() as session:
        # The command opens it only after the old one was moved aside.
        vars(session).pop("journal").close()
        rebuilt = rebuild_journal(session)
    scene.clock.now += 10 * 86_400
    with scene.session() as session:
        assert list(sweep(session, plan(session, choice), choice)) == []
    assert sorted(row.uid or "" for row in rebuilt) == sorted(twins)
    with closing(Journal.open(scene.folder / scene.state)) as journal:
        assert len(journal.rows()) == len(twins)
    assert {video["uid"] for video in scene.model.videos()} == {*pending, *whole, *twins}


@pytest.mark.parametrize("size", [10**30, -(10**30), -1, True, 1e300, "9", None, [9]])
def test_a_size_that_no_file_has_is_none(size: Any) -> None:  # noqa: ANN401  # whatever JSON holds
    text = json.dumps({"uid": OURS, "status": {"state": "ready"}, "size": size})
    video = video_of(json.loads(text))
    assert video is not None
    assert video.size is None

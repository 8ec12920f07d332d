"""Rounds: two commands started together on one file, and what must be true after them."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mp4 import padded_mp4
from served import MIB, Served

from cfstream_upload.attempt import Stage
from cfstream_upload.emulator.faults import Fault, Hang
from cfstream_upload.journal import Journal

from .nursery import Child, Ended, Nursery, Order

SEND = ("send", "--json")
CLEANUP = ("cleanup", "--orphans", "--yes", "--json")
SMALL = 600_000


@dataclass
class Ground:
    """One account and one machine, on which many rounds are played."""

    stream: Served
    nursery: Nursery
    chance: random.Random
    told: dict[str, str] = field(default_factory=dict)
    """File to UID: what was ever told stays."""
    count: int = 0

    @property
    def is_slow(self) -> bool:
        """Every fourth round the first takes so long that the second must meet it."""
        return self.count % 4 == 0

    def round(self) -> Round:
        self.count += 1
        folder = self.stream.folder / f"round-{self.count}"
        (folder / "below").mkdir(parents=True)
        size = 2 * MIB if self.is_slow else self.chance.choice((100_000, SMALL, 2 * MIB))
        path = padded_mp4(folder / f"{self.count}.mp4", size, sparse=False, seed=self.count)
        # Every third round is the very first of its state directory, too.
        state = self.stream.folder / f"state-{self.count // 3}"
        return Round(self, path, state)


@dataclass
class Round:
    """A file, its other names, and the state directory of those who send it."""

    ground: Ground
    path: Path
    state: Path

    @property
    def link(self) -> str:
        link = self.path.with_name(f"hard-{self.path.name}")
        if not link.exists():
            link.hardlink_to(self.path)
        return link.name

    @property
    def symlink(self) -> str:
        link = self.path.with_name(f"soft-{self.path.name}")
        if not link.is_symlink():
            link.symlink_to(self.path.name)
        return link.name

    def order(self, *arguments: str, folder: str = ".", **environment: str) -> Order:
        everything = {
            **os.environ,
            **self.ground.stream.environment,
            "CFUPLOAD_STATE_DIR": str(self.state),
            "CFUPLOAD_CONFIG": str(self.ground.stream.folder / "config.toml"),
            **environment,
        }
        return Order(arguments, self.path.parent / folder, everything)

    def start(self, *arguments: str, **environment: str) -> Child:
        (child,) = self.ground.nursery.start(self.order(*arguments, **environment))
        return child

    def run(self, *arguments: str, **environment: str) -> Ended:
        return self.start(*arguments, **environment).wait()

    # --- what was there before -------------------------------------------------------------------

    def sending(self, *options: str, rate: int = 3 * MIB) -> Child:
        """A run in the middle of its PATCH, on a slow line that stays slow."""
        stream = self.ground.stream
        stream.proxy.limit_rate(rate)
        begun = stream.proxy.bytes_up
        child = self.start(*SEND, *options, self.path.name)
        # A part that Stream keeps where the file is large enough, and never the whole.
        some = min(self.path.stat().st_size // 2, 300_000)
        stream.wait_until(lambda: stream.proxy.bytes_up > begun + some)
        return child

    def dies(self, child: Child) -> None:
        child.kill()
        # What it left in the sockets dies with it, or the file might yet become whole.
        self.ground.stream.proxy.break_connections()
        child.wait()
        self.ground.stream.proxy.limit_rate(None)

    def killed(self) -> None:
        """A run died with some bytes on Stream: an interrupted row and a pending video."""
        self.dies(self.sending())

    def unanswered(self) -> None:
        """A run died before its create was answered: an intended row, a video nobody knows."""
        stream = self.ground.stream
        stream.strike(Fault(Hang(acts=True), "POST"))
        before = len(stream.videos())
        child = self.start(*SEND, self.path.name)
        stream.wait_until(lambda: len(stream.videos()) > before)
        child.kill()
        child.wait()
        stream.faulty.clear()

    # --- what must be after it -------------------------------------------------------------------

    def videos(self) -> list[Any]:
        """What Stream has of this file, by the marker of its rows or by its name."""
        names = {f"{kind}{self.path.name}" for kind in ("", "hard-", "soft-")}
        uids = {row.uid for row in self._rows()}
        return [
            video
            for video in self.ground.stream.videos()
            if video["uid"] in uids or video["meta"]["name"] in names
        ]

    def _rows(self) -> list[Any]:
        inode = self.path.stat().st_ino
        with closing(Journal.open(self.state)) as journal:
            return [row for row in journal.rows() if row.file.inode == inode]

    def check(self, told: Sequence[str]) -> None:
        """One whole video of this file, the one that was told; no open row; nothing else harmed."""
        stream = self.ground.stream
        videos = self.videos()
        assert [video["uid"] for video in videos] == sorted(set(told))
        (video,) = videos
        assert video["status"]["state"] != "pendingupload"
        assert stream.model.sha256(video["uid"]) == _digest(self.path)
        assert [row.stage for row in self._rows()] == [Stage.STORED]
        self.ground.told[str(self.path)] = video["uid"]
        there = {video["uid"] for video in stream.videos()}
        assert set(self.ground.told.values()) <= there


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def outcome(ended: Ended) -> str:
    """A word for how a command ended. Raises what no command of these may end with."""
    if ended.code == -9:
        return "killed"
    if ended.code == 9:
        return "busy"
    assert ended.code == 0, (ended.code, ended.err)
    document = ended.document
    if "swept" in document:
        return "+".join(sorted(row["outcome"] for row in document["swept"])) or "nothing"
    (upload,) = document["uploads"]
    return "sent" if upload["outcome"] in ("uploaded", "resumed") else str(upload["outcome"])


def told_by(ended: Ended) -> str | None:
    if ended.code != 0 or "uploads" not in ended.document:
        return None
    uid: str = ended.document["uploads"][0]["uid"]
    return uid

"""What must hold when it is over: of each file one video, whole, and nothing else."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cfstream_upload.emulator.model import Stream


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def states(model: Stream) -> list[tuple[str, str]]:
    """Every video's UID and state."""
    videos: Any = model.videos()
    return [(video["uid"], video["status"]["state"]) for video in videos]


def broken(model: Stream, digests: Sequence[str], open_rows: Sequence[object]) -> list[str]:
    """What does not hold, in words; empty when the promise was kept."""
    found = states(model)
    pending = [uid for uid, state in found if state == "pendingupload"]
    there = Counter(model.sha256(uid) for uid, state in found if state != "pendingupload")
    wanted = Counter(digests)
    told = [
        (len(pending), "videos are pending"),
        ((wanted - there).total(), "files have no whole video"),
        ((there - wanted).total(), "videos are one too many, or other bytes"),
        (len(open_rows), "rows of the journal are open"),
    ]
    return [f"{count} {words}" for count, words in told if count]

"""What is sent from elsewhere, in one process: the command on a URL, and what came of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from inprocess import MIB, Stage
from mp4 import padded_mp4

from cfstream_upload.interruption import Interruption
from cfstream_upload.result import Result
from cfstream_upload.sending import Sending, Wishes


def video(folder: Path, size: int = 11 * MIB, seed: int = 0) -> bytes:
    return padded_mp4(folder / f"{seed}.mp4", size, sparse=False, seed=seed).read_bytes()


def send(
    scene: Stage, url: str, wishes: Wishes | None = None, stop: Interruption | None = None
) -> Result:
    with scene.session(stop) as session:
        return Sending(session, session.stores.admit(url), wishes or Wishes()).run()


def is_whole(scene: Stage, uid: str | None, data: bytes) -> bool:
    return scene.model.sha256(str(uid)) == hashlib.sha256(data).hexdigest()

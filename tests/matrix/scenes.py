"""What the checks of the fault matrix share: where a fault is set up, and what must hold after."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from dying import Death, Dying
from inprocess import Stage, stage
from matrix.rows import Scene
from served import Served

from cfstream_upload.config import Settings, resolve
from cfstream_upload.emulator.faults import Fault, Faulty
from cfstream_upload.journal import Journal
from cfstream_upload.result import Result
from cfstream_upload.sending import send

DAY = 24 * 3600.0


# --- in one process, with time that only the test moves ------------------------------------------


def staged(scene: Scene, **service: object) -> Stage:
    """A fresh embedded Stream, state directory and clock; ``service`` are options of the model."""
    return stage(scene.folder, **service)


def under(current: Stage, *faults: Fault) -> None:
    """From here on these faults strike, and none of earlier ones."""
    current.service = Faulty(current.model, faults)


def calm(current: Stage) -> None:
    """No faults from here on, and no call remembered."""
    current.service = current.model
    current.opened = Journal.open
    current.calls.clear()


def dies(current: Stage, path: Path, nth: int, when: str) -> None:
    """A run that dies at its ``nth`` request: ``before`` it, ``in its body`` or ``after`` it."""
    current.service = Dying(current.service, nth, when)
    with pytest.raises(Death):
        current.send(path)
    calm(current)


def ends(result: Result, code: int, *words: str) -> Result:
    """The result has this exit code, and its message or hint has these words."""
    said = f"{result.error.message} {result.error.hint}" if result.error else ""
    assert result.exit_code == code, (result, said)
    for word in words:
        assert word in said, said
    return result


def then(current: Stage, path: Path, *, waits: float = 60.0) -> Result:
    """One later fault-free run: exactly one whole video, nothing pending, no open row.

    An unanswered create's row may stay, watched (law 2).
    """
    calm(current)
    current.clock.now += waits
    result = ends(current.send(path), 0)
    assert_one(current, path, result)
    assert set(current.open_rows()) <= {"intended"}, current.open_rows()
    return result


def assert_one(current: Stage, path: Path, result: Result) -> None:
    """Exactly one video, the one that was told, past pending, with the bytes of ``path``."""
    (video,) = current.model.videos()
    assert video["uid"] == result.uid
    assert current.states()[0] in ("queued", "inprogress", "ready")
    assert current.model.sha256(str(result.uid)) == digest(path)


def assert_none(current: Stage) -> None:
    """Nothing on Stream, and no open row."""
    assert (current.states(), current.open_rows()) == ([], [])


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- on real sockets, with real processes --------------------------------------------------------


def on_sockets(scene: Scene) -> Served:
    """The embedded Stream on real sockets behind a proxy; the command's environment points there.

    Uploads pass the proxy, API calls do not.
    """
    found: Served = scene.request.getfixturevalue("stream")
    return found


def served_rows() -> list[str]:
    """The stages of the open rows; cheaper than a whole ``cfupload status``."""
    with closing(Journal.open(_settings().state_dir)) as journal:
        return [row.stage.value for row in journal.rows() if row.stage.value != "stored"]


def then_served(stream: Served, path: Path) -> dict[str, Any]:
    """As `then`, on the sockets, by the package's own ``send``; its line of ``--json``."""
    stream.faulty.clear()
    stream.proxy.limit_rate(None)
    stream.proxy.stall(False)
    stream.proxy.swallow_replies(False)
    stream.proxy.revive()
    upload = send(path, _settings()).document()
    assert stream.whole(path)
    assert upload["uid"] == stream.videos()[0]["uid"]
    assert set(served_rows()) <= {"intended"}
    return upload


def _settings() -> Settings:
    return resolve({}, os.environ)

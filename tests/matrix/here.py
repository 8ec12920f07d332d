"""The command in this process, on real sockets: quicker than starting one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matrix.rows import Scene
from served import Ended, Served

from cfstream_upload.cli.app import run
from cfstream_upload.journal import Journal


def ran(scene: Scene, stream: Served, *arguments: str, **environment: str) -> Ended:
    """Run ``cfupload`` to its end in the test's folder, with these variables more."""
    capture = scene.request.getfixturevalue("capfd")
    capture.readouterr()
    with scene.monkeypatch.context() as patched:
        patched.chdir(stream.folder)
        for name, value in environment.items():
            patched.setenv(name, value)
        code = run(list(arguments))
    told = capture.readouterr()
    assert "Traceback" not in told.err
    return Ended(code, told.out, told.err)


def open_rows(scene: Scene) -> list[str]:
    """The stages of the journal's rows but for receipts."""
    journal = Journal.open(scene.folder / "state")
    try:
        return [row.stage.value for row in journal.rows() if row.stage.value != "stored"]
    finally:
        journal.close()


def then_here(scene: Scene, stream: Served, path: Path, **environment: str) -> Any:  # noqa: ANN401  # the command's own document
    """One later fault-free run: exactly one whole video, no open row (but a watched create)."""
    stream.faulty.clear()
    stream.proxy.revive()
    ended = ran(scene, stream, "send", "--json", path.name, **environment)
    assert ended.code == 0, ended.err
    assert stream.whole(path)
    upload = ended.document["uploads"][0]
    assert upload["uid"] == stream.videos()[0]["uid"]
    assert set(open_rows(scene)) <= {"intended"}
    return upload

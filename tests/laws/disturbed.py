"""What is done to a run so that one clause of a law is all that saves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from beside import Before
from dying import Death, Dying
from inprocess import Stage
from served import Served

from cfstream_upload.attempt import Attempt
from cfstream_upload.config import Secret, Settings
from cfstream_upload.emulator.exchange import Request, converse
from cfstream_upload.entry import stray
from cfstream_upload.errors import JournalProblem
from cfstream_upload.journal import Journal


def repeated(scene: Stage) -> None:
    """A proxy sends the first create twice; the client hears of the second."""
    scene.service = Before(scene.service, "POST", 1, lambda request: converse(scene.model, request))


class Counting(httpx.BaseTransport):
    """Counts the requests that are under way at the same time."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner, self._now, self.most = inner, 0, 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            return self._inner.handle_request(request)
        finally:
            self._now -= 1


class Stubborn(Journal):
    """A journal that cannot be written once a leftover is to be judged."""

    def record(self, attempt: Attempt, *, watch: bool = False) -> Attempt:
        if attempt.doomed and attempt.row:
            raise JournalProblem("no room")
        return super().record(attempt, watch=watch)


def owing(scene: Stage) -> None:
    """Just before the video is confirmed, a leftover of the same file comes to the journal."""

    def add(request: Request) -> None:
        post = replace(request, method="POST", query={"direct_user": "true"})
        with scene.session() as session:
            (row,) = session.rows()
            post = replace(post, path=request.path.rpartition("/")[0], headers={
                **request.headers, "tus-resumable": "1.0.0", "upload-length": "9",
                "upload-metadata": "name eA==",
            })  # fmt: skip
            uid = converse(scene.model, post).headers["stream-media-id"]
            session.journal.record(stray(row, uid))

    scene.service = Before(scene.service, "GET", 1, add)


def settings(stream: Served) -> Settings:
    return Settings(
        base=stream.environment["CLOUDFLARE_API_BASE_URL"],
        account=stream.model.account,
        token=Secret(stream.model.token),
        state_dir=stream.folder / "state",
        label="",
        host_id=None,
        ca_cert=None,
        proxy=None,
    )


def dies(scene: Stage, video: Path, nth: int) -> None:
    scene.service = Dying(scene.model, nth, "after")
    with pytest.raises(Death):
        scene.send(video)
    scene.service = scene.model
    scene.calls.clear()


def later(scene: Stage) -> None:
    scene.clock.now += 60


def change_row(scene: Stage, change: Callable[[Attempt], Attempt]) -> None:
    with scene.session() as session:
        session.journal.record(change(session.rows()[0]))

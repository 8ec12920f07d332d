"""Faults by name, and a file under attack: what may be done to a run and what is left after it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dying import Death, Dying
from inprocess import Stage

from cfstream_upload.emulator.faults import Answer, CutAfter, Effect, Hang, LoseReply
from cfstream_upload.errors import ConfigProblem, TroubleOutlasted
from cfstream_upload.result import Result
from cfstream_upload.sweeping import Choice, Swept, plan, sweep


def envelope(status: int, code: int = 10005) -> Answer:
    error = {"code": code, "message": "no"}
    body = {"success": False, "errors": [error], "messages": None, "result": None}
    return Answer(status, {"content-type": "application/json"}, json.dumps(body).encode())


def html(status: int) -> Answer:
    return Answer(status, {"content-type": "text/html"}, b"<html><body>hello</body></html>")


def elsewhere(status: int, *, acts: bool = False) -> Answer:
    """A reply that leads to a host that is not Stream's."""
    headers = {"location": "https://evil.example/tus/x", "stream-media-id": "e" * 32}
    return Answer(status, headers, acts=acts)


STATUSES = (
    400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 415, 422, 423, 425, 429, 460,
    500, 501, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530,
)  # fmt: skip
EFFECTS: dict[str, Effect] = {
    "lose": LoseReply(),
    "cut": CutAfter(0),
    "cut in the body": CutAfter(700_000),
    "hang": Hang(),
    "act and hang": Hang(acts=True),
    "html 200": html(200),
    "html 403": html(403),
    "html 404": html(404),
    "html 502": html(502),
    "html 502 but acts": Answer(502, {"content-type": "text/html"}, b"<html>", acts=True),
    "html 200 but acts": Answer(200, {"content-type": "text/html"}, b"<html>", acts=True),
    **{str(status): envelope(status) for status in STATUSES},
    "empty 200": Answer(200),
    "empty 204": Answer(204),
    "empty 201 but acts": Answer(201, acts=True),
    "201 elsewhere": elsewhere(201),
    "201 elsewhere but acts": elsewhere(201, acts=True),
    **{f"{status} elsewhere": elsewhere(status) for status in (301, 302, 303, 307, 308)},
    "429 for an hour": Answer(429, {"retry-after": "3600"}),
    "7003": envelope(404, 7003),
    "10059": envelope(400, 10059),
    "10011": envelope(413, 10011),
}


@dataclass
class Case:
    """A stage with strangers' videos on it, and the file that must become one video."""

    stage: Stage
    path: Path
    digest: str
    strangers: list[str] = field(default_factory=list)
    told: set[str] = field(default_factory=set)

    def heard(self, result: Result) -> Result:
        if result.uid and result.exit_code == 0:
            self.told.add(result.uid)
        return result

    def send(self) -> Result:
        return self.heard(self.stage.send(self.path))

    def sweep(self) -> list[Swept]:
        with self.stage.session() as session:
            choice = Choice(orphans=True)
            try:
                return list(sweep(session, plan(session, choice), choice))
            except (ConfigProblem, TroubleOutlasted):
                return []  # the list cannot be had: nothing is planned

    def dies(self, nth: int, when: str) -> None:
        self.stage.service = Dying(self.stage.model, nth, when)
        with pytest.raises(Death):
            self.stage.send(self.path)
        self.stage.service = self.stage.model

    def ours(self) -> dict[str, str]:
        """UID to state of every video but the strangers'."""
        videos = self.stage.model.videos()
        states = {str(v["uid"]): str(v["status"]["state"]) for v in videos}  # type: ignore[index]  # the API's own shape
        return {uid: state for uid, state in states.items() if uid not in self.strangers}

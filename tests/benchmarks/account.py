"""The account of the discarding server: uploads as numbers, what was asked, faults to come."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import uuid4

ACCOUNT = "0" * 32
STREAM = f"/client/v4/accounts/{ACCOUNT}/stream"
SINK = "/sink"
"""A PATCH here makes its own upload: for curl, which creates nothing."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """Harm to the PATCHes of these numbers, counted from 1.

    After ``share`` of the body the connection is reset (``status`` 0) or the status is answered
    with Stream's error ``code``. With ``keep`` unset the bytes of that PATCH are forgotten.
    """

    numbers: tuple[int, ...] = ()
    share: float = 0.5
    status: int = 0
    code: int = 0
    keep: bool = True

    def meets(self, number: int) -> bool:
        """Whether the PATCH of this number is harmed."""
        return number in self.numbers


@dataclass
class Asked:
    """One request: of a PATCH also its bytes, and when its first and last came (monotonic s)."""

    method: str
    kind: str
    status: int = 0
    offset: int = 0
    kept: int = 0
    length: int = 0
    came: int = 0
    began: float = 0.0
    ended: float = 0.0


@dataclass
class Upload:
    """One video that is being uploaded."""

    uid: str
    length: int
    meta: Json
    offset: int = 0

    @property
    def video(self) -> Json:
        """As Stream shows it."""
        state = "queued" if self.offset == self.length else "pendingupload"
        return {
            "uid": self.uid,
            "created": "2026-01-01T00:00:00Z",
            "uploadExpiry": "2100-01-01T00:00:00Z",
            "meta": self.meta,
            "size": self.offset,
            "status": {"state": state},
        }


@dataclass
class Account:
    """All that the server knows; threads share it."""

    uploads: dict[str, Upload] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    faults: tuple[Fault, ...] = ()
    patches: int = 0
    came: int = 0
    moments: list[tuple[float, int]] | None = None
    rate: float | None = None
    """Bytes a second that are taken of each body: as if each sender had a line of its own."""
    turn: threading.Lock = field(default_factory=threading.Lock)

    def count(self, number: int) -> None:
        """So many bytes of a body came just now."""
        with self.turn:
            self.came += number
            if self.moments is not None:
                self.moments.append((time.monotonic(), number))

    def creates(self, length: int, metadata: str) -> Upload:
        """A new upload."""
        upload = Upload(uuid4().hex, length, decoded(metadata))
        with self.turn:
            self.uploads[upload.uid] = upload
        return upload

    def fault(self) -> Fault | None:
        """Count a PATCH; what harms it."""
        with self.turn:
            self.patches += 1
            return next((fault for fault in self.faults if fault.meets(self.patches)), None)

    def ordered(self, order: Json) -> Json:
        """What the benchmark wants of the server; its answer."""
        match order["do"]:
            case "reset":
                with self.turn:
                    self.uploads.clear()
                    self.asked.clear()
                    self.patches = self.came = 0
                    named = (dict(fault) for fault in order.get("faults", ()))
                    self.faults = tuple(
                        Fault(**{**fault, "numbers": tuple(fault.get("numbers", ()))})
                        for fault in named
                    )
                    self.moments = [] if order.get("moments") else None
                    self.rate = order.get("rate")
                return {}
            case "told":
                with self.turn:
                    asked = [asdict(one) for one in self.asked]
                return {"asked": asked, "moments": self.moments, "came": self.came}
            case "came":
                return {"came": self.came}
        raise ValueError(order["do"])


def decoded(metadata: str) -> Json:
    """An ``Upload-Metadata`` header as Stream's ``meta``."""
    meta: Json = {}
    for pair in metadata.split(","):
        key, _, value = pair.strip().partition(" ")
        with contextlib.suppress(ValueError):
            meta[key] = base64.b64decode(value).decode("utf-8", "replace")
    return meta


def envelope(result: object, *, code: int = 0, text: str = "") -> bytes:
    """A reply's body as Stream forms it; with a ``code`` a refusal."""
    errors = [{"code": code, "message": text}] if code else []
    document = {"success": not code, "errors": errors, "messages": [], "result": result}
    return json.dumps(document).encode()

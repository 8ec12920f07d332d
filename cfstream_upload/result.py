"""What became of one file, as every output shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cfstream_upload.errors import CfuploadError

_NO_LINKS: Mapping[str, str | None] = {}
"""One for all: a batch may have 100,000 results."""


@dataclass(frozen=True, slots=True)
class Result:
    """One file's end. ``size`` and ``sent`` are bytes, ``seconds`` wall time.

    ``outcome``: uploaded, resumed, already, failed, interrupted or skipped. ``cleanup``: none,
    confirmed, pending or kept. ``error`` is set where ``exit_code`` is not 0. ``waited``: the video
    was sent, recorded and told of, and then waited for, whatever came of that.
    """

    file: str
    outcome: str
    uid: str | None = None
    state: str | None = None
    size: int | None = None
    sent: int = 0
    resumed_from: int = 0
    attempts: int = 0
    retries: int = 0
    seconds: float = 0.0
    cleanup: str = "none"
    exit_code: int = 0
    error: CfuploadError | None = None
    links: Mapping[str, str | None] = field(default_factory=lambda: _NO_LINKS)
    plan: str | None = None
    """Of a dry run: what would be done."""
    waited: bool = False
    modified: int | None = None
    """The file's modification time when it was opened, nanoseconds; None where it was not."""
    worker: str | None = None
    """Of a cluster: who sent it, or tried."""

    def document(self) -> dict[str, Any]:
        """This result as the JSON of ``send --json`` shows it."""
        shown: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                "file", "outcome", "uid", "state", "size", "sent", "resumed_from",
                "attempts", "retries", "seconds", "cleanup", "exit_code",
            )
        }  # fmt: skip
        shown["error"] = None if self.error is None else error_document(self.error)
        for name in ("preview", "thumbnail", "hls", "dash"):
            shown[name] = self.links.get(name)
        for name in ("plan", "worker"):
            if getattr(self, name) is not None:
                shown[name] = getattr(self, name)
        return shown


def error_document(error: CfuploadError) -> dict[str, Any]:
    """An error as JSON shows it."""
    return {
        "code": error.exit_code,
        "message": error.message,
        "hint": error.hint,
        "uid": error.uid,
    }


def summary(results: list[Result], seconds: float, exit_code: int) -> dict[str, Any]:
    """The totals of a run."""
    done = [result.outcome for result in results]
    return {
        "files": len(results),
        "uploaded": done.count("uploaded") + done.count("resumed"),
        "already": done.count("already"),
        "failed": done.count("failed") + done.count("interrupted"),
        "skipped": done.count("skipped"),
        "bytes": sum(result.sent for result in results),
        "seconds": round(seconds, 3),
        "exit_code": exit_code,
    }

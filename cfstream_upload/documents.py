"""The JSON documents of ``--json`` as commands share them. Pure.

Each has a schema in ``schemas/``; it is the same on success and on failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cfstream_upload.errors import CfuploadError
from cfstream_upload.result import error_document, summary

VERSION = 1

KEYS: Mapping[str, str] = {
    "send": "uploads",
    "list": "videos",
    "get": "videos",
    "wait": "videos",
    "delete": "videos",
    "status": "journal",
    "cleanup": "swept",
    "config": "settings",
    "doctor": "checks",
    "fleet": "workers",
    "demo": "acts",
    "emulator": "emulator",
}
"""What each command's document holds beside ``version`` and ``error``."""


def document(key: str, content: object, error: CfuploadError | None = None) -> dict[str, Any]:
    """One command's document: ``content`` under ``key``."""
    told = None if error is None else error_document(error)
    return {"version": VERSION, key: content, "error": told}


def failure(command: str, error: CfuploadError) -> dict[str, Any]:
    """The document of ``command`` that has nothing to tell but ``error``.

    Without a command that is known it is ``version`` and ``error`` alone.
    """
    key = KEYS.get(command)
    if key is None:
        return {"version": VERSION, "error": error_document(error)}
    content: Sequence[object] | None = None if key == "emulator" else []
    told = document(key, content, error)
    if key == "workers":
        told["fleet"] = None
    if key == "uploads":
        told["summary"] = summary([], 0.0, error.exit_code)
    return told

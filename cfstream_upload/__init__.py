"""Upload large videos to Cloudflare Stream: one video per file, nothing left when it fails.

``send`` is all that most programs need; docs/python.md has examples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cfstream_upload import errors, events
    from cfstream_upload.calling import settings
    from cfstream_upload.config import Settings
    from cfstream_upload.ending import Policy
    from cfstream_upload.errors import CfuploadError
    from cfstream_upload.interruption import Interruption
    from cfstream_upload.result import Result
    from cfstream_upload.sending import send
    from cfstream_upload.video import VideoOptions
    from cfstream_upload.waiting import Goal

__all__ = [
    "CfuploadError",
    "Goal",
    "Interruption",
    "Policy",
    "Result",
    "Settings",
    "VideoOptions",
    "__version__",
    "errors",
    "events",
    "send",
    "settings",
]

__version__ = "0.1.0"

_HOMES = {
    "CfuploadError": "errors",
    "Goal": "waiting",
    "Interruption": "interruption",
    "Policy": "ending",
    "Result": "result",
    "Settings": "config",
    "VideoOptions": "video",
    "errors": "",
    "events": "",
    "send": "sending",
    "settings": "calling",
}


if not TYPE_CHECKING:
    # For type checkers a function of this name would make every misspelt name a good one.
    def __getattr__(name: str) -> object:
        # Lazy: `cfupload --version` must not pay for the HTTP stack that only sending needs.
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(f"{__name__}.{_HOMES[name] or name}")
        return getattr(module, name) if _HOMES[name] else module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

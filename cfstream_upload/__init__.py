"""Upload large videos to Cloudflare Stream: one video per file, nothing left when it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cfstream_upload.sending import send

__all__ = ["__version__", "send"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # Lazy: `cfupload --version` must not pay for the HTTP stack that only sending needs.
    if name == "send":
        from cfstream_upload.sending import send

        return send
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""What ``--cluster`` names: a scheduler, or workers on this machine. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cfstream_upload.errors import ExtraMissing, UsageProblem

MOST_WORKERS = 64
_SCHEDULER = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})\Z")
_LOCAL = re.compile(r"local:([0-9]{1,3})\Z")
_LIKE = "Like tcp://scheduler:8786, tls://scheduler:8786, or local:4 for this machine."


@dataclass(frozen=True, slots=True)
class Place:
    """A scheduler's ``address``, or as many ``workers`` of our own on this machine."""

    address: str = ""
    workers: int = 0

    def __str__(self) -> str:
        """As it is typed."""
        return self.address or f"local:{self.workers}"


def place_of(text: str) -> Place:
    """What ``text`` names. Raises `UsageProblem`."""
    if found := _LOCAL.match(text):
        workers = int(found[1])
        if not 1 <= workers <= MOST_WORKERS:
            raise UsageProblem(
                f"--cluster {text}: no more than {MOST_WORKERS} workers, and one at least", _LIKE
            )
        return Place(workers=workers)
    found = _SCHEDULER.match(text)
    if found is None or not 0 < int(found[3]) < 65536:
        raise UsageProblem(f"--cluster {text!r} names no scheduler", _LIKE)
    return Place(address=text)


def without_dask(missing: ImportError) -> ExtraMissing:
    """Why no cluster can be used here."""
    return ExtraMissing(
        f"--cluster needs the extra 'fleet' ({missing})",
        "Run: pip install 'cfstream-upload[fleet]'",
    )

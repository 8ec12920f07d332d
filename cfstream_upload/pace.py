"""How long to wait, and how large the next chunk is. Pure: chance and durations are parameters.

Sizes are bytes, times seconds. Stream wants every chunk but the last between 5 MiB and 200 MiB and
a multiple of 256 KiB (Cloudflare's docs, "Resumable and large files (tus)").
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

UNIT = 256 * KIB
SMALLEST = 5 * MIB
LARGEST = 200 * MIB
FIRST = 16 * MIB

AIM = 10.0
"""Seconds of line that one chunk should take: what a cut can cost."""

BACKOFF_CAP = 64.0
RETRY_AFTER_CAP = 600.0


def legal(size: float, largest: int = LARGEST) -> int:
    """``size`` rounded down to Stream's unit and kept within its limits and ``largest``."""
    top = max(SMALLEST, min(LARGEST, largest))
    return max(SMALLEST, min(top, int(size))) // UNIT * UNIT


def grown(chunk: int, length: int, seconds: float, largest: int = LARGEST) -> int:
    """The next chunk after ``length`` bytes took ``seconds``: what the line moves in AIM seconds.

    At most four times the last one, for one lucky burst says little about a line. A short last
    piece says nothing and changes nothing.
    """
    if length < SMALLEST:
        return chunk
    aimed = length / max(seconds, 1e-3) * AIM
    return legal(min(aimed, 4 * chunk), largest)


def halved(chunk: int) -> int:
    """The next chunk after a cut or a 408: a shorter wager on a line that breaks."""
    return legal(chunk / 2)


def wait(spent: int, retry_after: float | None, chance: float) -> float:
    """Seconds before the next try, after ``spent`` failures in a row without progress.

    Half of it is chance (``chance`` is uniform in [0, 1)): 0.5 to 1 s after the first failure,
    doubling to 64 s. Never at once: a server that has not noticed a cut yet would tell an offset
    below what it is about to keep. ``Retry-After`` is a lower bound, believed up to ten minutes.
    """
    ceiling = min(BACKOFF_CAP, 2.0 ** max(0, min(spent, 16) - 1)) if spent else 0.0
    asked = min(max(retry_after or 0.0, 0.0), RETRY_AFTER_CAP)
    return max(asked, (0.5 + chance / 2) * ceiling)

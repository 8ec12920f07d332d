"""What the thread of the cluster tells the run that it works for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """A worker's letter about what happens there."""

    worker: str
    news: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """Order ``number`` ended with a reply, or with what Dask says instead."""

    number: int
    reply: bytes | None
    trouble: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker is gone, and with it what was under way there: keys of orders."""

    worker: str
    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Strength:
    """How many workers there are now, and how many files they take at once."""

    workers: int
    slots: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The scheduler is gone."""


News = Told | Ended | Lost | Strength | Gone

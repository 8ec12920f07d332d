"""A fault that is set, and how many requests it has seen."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .effects import Fault, Gone, Lag
from .faultspelling import spelled
from .routes import Route


@dataclass(frozen=True)
class Standing:
    """A fault that is set: ``seen`` requests were of its sort, of them ``struck`` were struck.

    ``left`` is how many more it will strike, None: any number.
    """

    id: int
    text: str
    struck: int
    seen: int
    left: int | None


class Armed:
    """A fault, and how many requests it has seen."""

    def __init__(self, fault: Fault, number: int, since: float) -> None:
        self.fault = fault
        self.id = number
        self.text = fault.text or spelled(fault)
        self.seen = 0
        self.struck = 0
        self.ended_token = False
        self._spent = 0
        self._since = since
        self._dice = None if fault.probability is None else random.Random(fault.seed)

    def standing(self) -> Standing:
        """Give what somebody may know of it."""
        times = self.fault.times
        left = None if times is None else max(0, times - self._spent)
        return Standing(self.id, self.text, self.struck, self.seen, left)

    def strikes(self, method: str, route: Route, now: float) -> bool:
        """Count a request if it is of the right sort, and say whether it is struck."""
        fault = self.fault
        if now < self._since or not _is_of_sort(fault, method, route):
            return False
        self.seen += 1
        if self.seen < fault.nth or (fault.times is not None and self._spent >= fault.times):
            return False
        if self._dice is not None and self._dice.random() >= (fault.probability or 0.0):
            return False
        self._spent += 1
        return True


def _is_of_sort(fault: Fault, method: str, route: Route) -> bool:
    kinds = fault.kind if isinstance(fault.kind, tuple) else (fault.kind,)
    if fault.method not in (None, method) or not (kinds == (None,) or route.kind in kinds):
        return False
    if isinstance(fault.effect, Gone):
        return bool(route.uid)
    return not isinstance(fault.effect, Lag) or (method, route.kind) == ("GET", "videos")


def names_upload(route: Route) -> bool:
    """Whether this is an upload URL, of which the UID is a part."""
    return bool(route.uid) and (route.kind == "upload" or route.account is None)

"""``cleanup`` at a terminal, with somebody who takes his time to answer."""

from __future__ import annotations

import os
import select
import time
from dataclasses import replace

from .nursery import Child, Ended
from .rounds import Round


class Question:
    """A terminal with a ``cleanup --orphans`` that asks; close it."""

    def __init__(self, one: Round) -> None:
        self._one = one
        self._ours, self._theirs = os.openpty()
        self._child: Child | None = None
        self.shown = ""
        """What stdout carried before the document."""

    def wait_for_it(self, seconds: float = 30.0) -> None:
        """Start the command and return once it has asked."""
        order = self._one.order("cleanup", "--orphans", "--json")
        order = replace(order, terminal=os.ttyname(self._theirs))
        (self._child,) = self._one.ground.nursery.start(order)
        ends = time.monotonic() + seconds
        shown = b""
        while b"[y/N]" not in shown:
            assert time.monotonic() < ends, shown
            if select.select([self._ours], [], [], 0.05)[0]:
                shown += os.read(self._ours, 4096)

    def answer(self, text: str) -> Ended:
        """Answer, and wait for the end of the command."""
        assert self._child is not None
        os.write(self._ours, text.encode() + b"\n")
        ended = self._child.wait()
        # The plan was shown before the question, in the same stdout.
        self.shown, brace, document = ended.out.partition("{")
        return replace(ended, out=brace + document)

    def close(self) -> None:
        os.close(self._ours)
        os.close(self._theirs)

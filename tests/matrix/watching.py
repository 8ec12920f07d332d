"""What may happen in the middle of a run: something before a request, a cleanup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inprocess import Stage

from cfstream_upload.emulator.exchange import Exchange, Request, Service
from cfstream_upload.errors import ConfigProblem, TroubleOutlasted
from cfstream_upload.sweeping import Choice, plan, sweep


@dataclass
class _Watching:
    service: Service
    method: str
    left: int
    act: Callable[[], object]

    @property
    def account(self) -> str:
        return self.service.account

    @property
    def token(self) -> str:
        return self.service.token

    def begin(self, request: Request) -> Exchange:
        self.left -= request.method == self.method
        if self.left == 0:
            self.left = -1  # what it does may ask for such a request too
            self.act()
        return self.service.begin(request)


def before(current: Stage, method: str, nth: int, act: Callable[[], object]) -> None:
    """Do something just before the ``nth`` request of this method is served."""
    current.service = _Watching(current.service, method, nth, act)


def sweeps(current: Stage) -> list[str]:
    """The outcomes of ``cleanup --orphans``; none where the list cannot be had."""
    choice = Choice(orphans=True)
    with current.session() as session:
        try:
            return [one.outcome for one in sweep(session, plan(session, choice), choice)]
        except (ConfigProblem, TroubleOutlasted):
            return []

"""Services before another one, which do something besides what that does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cfstream_upload.emulator.exchange import Exchange, Request, Service

if TYPE_CHECKING:
    from inprocess import Stage


@dataclass
class Beside:
    """Passes every request on to ``service``."""

    service: Service

    @property
    def account(self) -> str:
        return self.service.account

    @property
    def token(self) -> str:
        return self.service.token

    def begin(self, request: Request) -> Exchange:
        return self.service.begin(request)


@dataclass
class Before(Beside):
    """Calls ``act`` just before a request of ``method``: the next one where ``left`` is 1."""

    method: str
    left: int
    act: Callable[[Request], object]

    def begin(self, request: Request) -> Exchange:
        self.left -= request.method == self.method
        if self.left == 0:
            self.left = -1  # what it does may ask for such a request too
            self.act(request)
        return super().begin(request)


def before(current: Stage, method: str, nth: int, act: Callable[[], object]) -> None:
    """Do something just before the ``nth`` request of this method is served."""
    current.service = Before(current.service, method, nth, lambda _: act())

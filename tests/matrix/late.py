"""Rows 68 and 69: a request that reaches Stream when its client has long given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from inprocess import Stage
from matrix.parts import staged_part, video
from matrix.rows import Scene, row
from matrix.scenes import assert_none, ends, staged, then

from cfstream_upload.emulator.exchange import Exchange, NoReply, Reply, Request, converse
from cfstream_upload.emulator.model import Stream as Model


class LatePatch:
    """A service that gets the ``nth`` PATCH only after its client gave up, when told to."""

    def __init__(self, model: Model, nth: int) -> None:
        self._model, self._left = model, nth
        self.late: Request | None = None
        self.delivered: list[Reply] = []
        self.before: dict[str, Callable[[], None]] = {}
        self.after: dict[str, Callable[[], None]] = {}

    @property
    def account(self) -> str:
        return self._model.account

    @property
    def token(self) -> str:
        return self._model.token

    def begin(self, request: Request) -> Exchange:
        self._left -= request.method == "PATCH"
        if request.method == "PATCH" and self._left == 0:
            return _Withheld(self, request)
        if self.late is not None and (act := self.before.pop(request.method, None)):
            act()
        exchange = self._model.begin(request)
        if self.late is not None and (act := self.after.pop(request.method, None)):
            return _Followed(exchange, act)
        return exchange

    def deliver(self) -> None:
        """The PATCH reaches Stream now."""
        assert self.late is not None
        self.delivered.append(converse(self._model, self.late))


class _Withheld:
    def __init__(self, service: LatePatch, request: Request) -> None:
        self._service, self._request = service, request
        self._blocks: list[bytes] = []

    def write(self, block: bytes) -> None:
        self._blocks.append(bytes(block))

    def finish(self) -> Reply:
        self._service.late = replace(self._request, body=self._blocks)
        raise NoReply

    def cut(self) -> None:
        """Nothing reached Stream."""


class _Followed:
    def __init__(self, inner: Exchange, act: Callable[[], None]) -> None:
        self._inner, self._act = inner, act

    def write(self, block: bytes) -> None:
        self._inner.write(block)

    def finish(self) -> Reply:
        reply = self._inner.finish()
        self._act()
        return reply

    def cut(self) -> None:
        self._inner.cut()


def _late(current: Stage, nth: int) -> LatePatch:
    """A run without retries whose ``nth`` PATCH hangs in the network."""
    current.policy = replace(current.policy, retries=0)
    service = LatePatch(current.model, nth)
    current.service = service
    return service


@row(68, "late PATCH")
def _late_patch_after_delete(scene: Scene) -> None:
    """A PATCH lands after the DELETE: the upload stays gone; exit 6, nothing left."""
    for nth in (2, 3):
        current = staged_part(scene, f"{nth}")
        path = video(current)
        service = _late(current, nth)
        service.after["DELETE"] = service.deliver
        ends(current.send(path), 6)
        assert [reply.status for reply in service.delivered] == [404]
        assert_none(current)
        then(current, path)


@row(69, "whole at the last moment")
def _whole_before_the_decision(scene: Scene) -> None:
    """The last PATCH lands between the look and the DELETE: deleted and never told, then one."""
    current = staged(scene)
    path = video(current)
    service = _late(current, 3)
    states: list[str] = []

    def lands() -> None:
        service.deliver()
        states.extend(current.states())

    service.before["DELETE"] = lands
    result = ends(current.send(path), 6)
    assert (states, result.cleanup) == (["queued"], "confirmed")
    assert_none(current)
    with current.session() as session:
        assert session.rows() == []
    then(current, path)


@row(69, "whole before HEAD")
def _whole_before_head(scene: Scene) -> None:
    """The last PATCH lands after a look said pending: HEAD finds it whole; kept, no DELETE."""
    current = staged(scene)
    path = video(current)
    service = _late(current, 3)
    service.after["GET"] = service.deliver
    result = ends(current.send(path), 0)
    assert "DELETE" not in current.methods()
    assert then(current, path).uid == result.uid

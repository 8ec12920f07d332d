"""Rows 77 and 78: this machine's clock jumps. Nothing that matters may look at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import pytest
from beside import before
from inprocess import MIB
from matrix.parts import staged_part, video
from matrix.rows import Scene, row
from matrix.scenes import DAY, dies, ends, then, under
from matrix.watching import sweeps

from cfstream_upload.emulator.faults import Answer, Fault
from cfstream_upload.emulator.timestamps import http_date
from cfstream_upload.interruption import Interruption

TEN_YEARS = 3652 * DAY
JUMPS = (TEN_YEARS, -TEN_YEARS)


class _Clock:
    """This machine's wall clock, set wrong: for `time.time` and the `datetime` of ``envelope``."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.off = 0.0
        real = time.time

        class Wrong(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # UTC only
                del tz
                return datetime.fromtimestamp(real() + self.off, UTC)

        patch.setattr(time, "time", lambda: real() + self.off)
        patch.setattr("cfstream_upload.envelope.datetime", Wrong)


@contextmanager
def _wrong() -> Iterator[_Clock]:
    with pytest.MonkeyPatch.context() as patch:
        yield _Clock(patch)


@row(77, "at the start")
def _clock_wrong_from_the_start(scene: Scene) -> None:
    """The clock is ten years off: exit 0, one video; the next run knows it."""
    for jump in JUMPS:
        current = staged_part(scene, jump)
        path = video(current, 6 * MIB)
        with _wrong() as clock:
            clock.off = jump
            told = ends(current.send(path), 0).uid
            assert current.send(path).outcome == "already"
        assert then(current, path).uid == told


@row(77, "in the middle")
def _clock_jumps_in_mid_upload(scene: Scene) -> None:
    """The clock jumps ten years while bytes flow and while it waits: exit 0, one video."""
    for jump in JUMPS:
        current = staged_part(scene, jump)
        path = video(current)
        with _wrong() as clock:
            under(current, Fault(Answer(503), "PATCH", nth=2, times=3))
            before(current, "PATCH", 2, partial(setattr, clock, "off", jump))
            began = current.clock.now
            ends(current.send(path), 0)
            assert current.clock.now - began < 60
        assert "DELETE" not in current.methods()
        then(current, path)


@row(77, "between runs")
def _clock_jumps_between_runs(scene: Scene) -> None:
    """The clock jumps between a crash and the next run: resumed, nothing removed; one video."""
    for jump in JUMPS:
        for nth in (1, 3, 4):
            current = staged_part(scene, f"{jump} {nth}")
            path = video(current)
            dies(current, path, nth, "after")
            with _wrong() as clock:
                clock.off = jump
                result = ends(current.send(path), 0)
            if nth > 1:
                assert not {"POST", "DELETE"} & set(current.methods())
            if nth == 3:
                assert result.resumed_from == 10 * MIB
            then(current, path)


@row(77, "cleanup")
def _clock_jumps_before_cleanup(scene: Scene) -> None:
    """Years ahead by this clock alone: cleanup removes no upload that may still be running."""
    for jump in JUMPS:
        current = staged_part(scene, jump)
        path = video(current)
        dies(current, path, 3, "after")
        with current.session() as session:  # its row is lost: only Stream's clock may decide
            for known in session.rows():
                session.journal.remove(known, watch=False)
        with _wrong() as clock:
            clock.off = jump
            assert sweeps(current) == ["waiting"]
            assert current.states() == ["pendingupload"]
            current.clock.now += 26 * 3600  # now by Stream's clock
            assert sweeps(current) == ["discarded"]
        then(current, path)


@row(78, "during a real wait")
def _clock_jumps_during_a_wait(scene: Scene) -> None:
    """The clock jumps ten years in a Retry-After wait: it lasts as long as it was to last."""
    for jump in JUMPS:
        current = staged_part(scene, jump)
        path = video(current, 6 * MIB)
        with _wrong() as clock:
            under(current, Fault(Answer(429, {"retry-after": "1"}), "PATCH"))
            waits = _Jumping(clock, jump)
            began = time.monotonic()
            ends(current.send(path, interruption=waits), 0)
            assert waits.lengths[0] >= 1
            assert 1 <= time.monotonic() - began < 30
        then(current, path)


class _Jumping(Interruption):
    """Real waits, in which the clock jumps."""

    def __init__(self, clock: _Clock, jump: float) -> None:
        super().__init__()
        self._clock, self._jump = clock, jump
        self.lengths: list[float] = []

    def pause(self, seconds: float, heard: int) -> None:
        self.lengths.append(seconds)
        jump = threading.Timer(0.2, setattr, (self._clock, "off", self._jump))
        jump.start()
        super().pause(seconds, heard)
        jump.join()


@row(78, "a date in Retry-After")
def _date_in_retry_after(scene: Scene) -> None:
    """Retry-After is a date, and this clock is ten years off: never more than ten minutes' wait."""
    for jump in JUMPS:
        current = staged_part(scene, jump)
        path = video(current, 6 * MIB)
        with _wrong() as clock:
            date = http_date(time.time() + 5)
            clock.off = jump
            under(current, Fault(Answer(503, {"retry-after": date}), "PATCH"))
            began = current.clock.now
            ends(current.send(path), 0)
            waited = current.clock.now - began
            assert 0.5 <= waited < 5 if jump > 0 else 600 <= waited < 610
        then(current, path)

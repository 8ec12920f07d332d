"""What moves while uploads run: a bar that is drawn anew all the time, or a line now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cfstream_upload import events
from cfstream_upload.loglines import progress_line, totals_line
from cfstream_upload.meter import Meter, Totals

if TYPE_CHECKING:
    from cfstream_upload.bar import Bar

_REDRAW_EVERY = 0.2


class Ticker:
    """How far all that runs has got, shown by a thread of its own. All is done under ``lock``.

    ``bar`` makes the bar, None where none is to be drawn; ``say`` writes a line where none is, each
    ``stats`` seconds, 0 for never, and ``name`` is what it calls a file. ``clock`` is monotonic
    seconds.
    """

    def __init__(
        self,
        lock: threading.RLock,
        clock: Callable[[], float],
        *,
        bar: Callable[[], Bar] | None,
        stats: float,
        say: Callable[[str], None],
        name: Callable[[str], str],
    ) -> None:
        self._lock, self._clock = lock, clock
        self._new_bar, self._stats, self._say, self._name = bar, stats, say, name
        self._bar: Bar | None = None
        self._running: dict[str, Meter] = {}
        self._totals: Totals | None = None
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def draws(self) -> bool:
        """Whether a bar is drawn, or would be."""
        return self._new_bar is not None

    def hear(self, event: events.Event, now: float) -> Meter | None:
        """Take in what happened to a file; how far that is, while it runs."""
        if isinstance(event, events.Started | events.Resumed | events.Reading):
            self._running.setdefault(event.file, Meter(event.file, event.size))
            self._start()
        meter = self._running.get(event.file)
        if meter is not None:
            meter.hear(event, now)
        return meter

    def batch(self, files: int, size: int) -> None:
        """So many files of so many bytes in all are sent."""
        self._totals = Totals(files, size)

    def end(self, file: str, size: int) -> None:
        """``file`` runs no more."""
        self._running.pop(file, None)
        if self._totals is not None:
            self._totals.end(size)

    def close(self) -> None:
        """Take the bar away, and end the thread."""
        self._closed.set()
        with self._lock:
            self._erase()
            self._running.clear()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """The bar is away while others write."""
        with self._lock:
            drawn = self._bar is not None
            self._erase()
            yield
            if drawn:
                self._draw()

    # --- the thread ------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is None and (self.draws or self._stats > 0):
            thread = threading.Thread(target=self._tick, name="console", daemon=True)
            # Without one more thread there is no moving bar, and the upload goes on.
            with suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def _tick(self) -> None:
        # Read anew each time: a bar that broke leaves the lines to do its work.
        while (every := _REDRAW_EVERY if self.draws else self._stats) > 0:
            if self._closed.wait(every):
                return
            with self._lock:
                if self.draws:
                    self._draw()
                else:
                    self._say_progress()

    def _say_progress(self) -> None:
        now = self._clock()
        if self._totals is not None:
            self._say(totals_line(self._totals, self._running.values(), now))
            return
        for meter in self._running.values():
            self._say(progress_line(self._name(meter.file), meter, now))

    def _draw(self) -> None:
        if self._new_bar is None:
            return
        try:
            if self._bar is None:
                self._bar = self._new_bar()
            self._bar.draw(list(self._running.values()), self._clock(), self._totals)
        except Exception:  # noqa: BLE001  whatever breaks in a picture, the upload goes on
            self._new_bar = self._bar = None

    def _erase(self) -> None:
        if self._bar is None:
            return
        try:
            self._bar.erase()
        except Exception:  # noqa: BLE001  as above
            self._new_bar = self._bar = None

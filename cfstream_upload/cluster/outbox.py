"""What a worker tells of its uploads: a few letters a second, however much happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from cfstream_upload.cluster.letters import Begun, News, Redact, written_news
from cfstream_upload.events import Event, Progress, Reading

EVERY = 0.25
"""Seconds between two letters."""


class Outbox:
    """News of all files of one run at this worker; threads share it.

    The order of a file's events is kept. Progress that a newer one has overtaken is left out.
    ``post`` sends a letter, and may lose it.
    """

    def __init__(self, post: Callable[[bytes], None], redact: Redact) -> None:
        self._post, self._redact = post, redact
        self._turn = threading.Lock()
        self._news: list[News] = []
        self._last: dict[str, int] = {}
        self._timer: threading.Timer | None = None

    def tell(self, event: Event) -> None:
        """Take in an event; it leaves within a quarter of a second."""
        with self._turn:
            at = self._last.get(event.file)
            last = None if at is None else self._news[at]
            if isinstance(event, Progress | Reading) and type(last) is type(event):
                self._news[self._last[event.file]] = event
                return
            self._last[event.file] = len(self._news)
            self._news.append(event)
            self._wind_up()

    def begun(self, number: int) -> None:
        """Say at once that the file of this number was begun: a worker may die soon after."""
        with self._turn:
            self._news.append(Begun(number))
        self.flush()

    def flush(self) -> None:
        """Send what was not sent yet."""
        with self._turn:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            news, self._news, self._last = self._news, [], {}
            if news:
                # Under the lock: letters leave in the order of what they tell.
                self._post(written_news(news, self._redact))

    def _wind_up(self) -> None:
        if self._timer is None:
            timer = threading.Timer(EVERY, self.flush)
            timer.daemon = True
            # Without one more thread the next letter, or the last, takes this along.
            with suppress(RuntimeError):
                timer.start()
                self._timer = timer

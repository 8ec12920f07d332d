"""Sending from a Python program: settings from arguments, and an upload aside from its caller.

The upload runs in a thread of its own. What a signal throws into the calling thread, Ctrl-C above
all, or what the caller's own listener raises, so never lands in the middle of a commit: it asks the
upload to stop, waits until that is rolled back, and goes on its way then.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import pairwise

from cfstream_upload import config
from cfstream_upload.config import Settings
from cfstream_upload.errors import Interrupted
from cfstream_upload.events import Event, Listener, Progress, Reading
from cfstream_upload.interruption import SLICE, Interruption
from cfstream_upload.result import Result
from cfstream_upload.safetext import safe

Work = Callable[[Interruption, Listener], Result]
"""An upload that heeds an interruption and tells of itself."""


def settings(
    *,
    api_token: str | None = None,
    account_id: str | None = None,
    state_dir: str | os.PathLike[str] | None = None,
    api_base_url: str | None = None,
    label: str | None = None,
    host_id: str | None = None,
    ca_cert: str | os.PathLike[str] | None = None,
    proxy: str | None = None,
    journal: str | None = None,
    place: str | None = None,
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The account to send to: what is given here, and the rest as the command finds it.

    That is the environment (or ``environ``) and the config file. The names are those of the config
    file; ``profile`` names one of its profiles. Raises `ConfigProblem` for what is missing or
    wrong. No secret shows in what is returned.
    """
    named: dict[str, str | os.PathLike[str] | None] = {
        "api_token": api_token,
        "account_id": account_id,
        "state_dir": state_dir,
        "api_base_url": api_base_url,
        "label": label,
        "host_id": host_id,
        "ca_cert": ca_cert,
        "proxy": proxy,
        "journal": journal,
        "place": place,
    }
    given = {name: os.fspath(value) for name, value in named.items() if value is not None}
    flags = {"profile": profile}
    return config.resolve(flags, os.environ if environ is None else environ, given=given)


def carried_aside(work: Work, listener: Listener | None, interruption: Interruption) -> Result:
    """Do ``work`` in a thread of its own; what it returned, or raises what it raised.

    ``listener`` hears events in the calling thread; a `Progress` or `Reading` that a newer one
    has overtaken is left out. What is raised in the calling thread meanwhile is raised once the
    work has stopped, with a note that says what became of it. A second exception gives the
    rollback up, a third leaves the work alone.
    """
    aside = _Aside(work, listener, interruption)
    try:
        aside.start()
        aside.listen()
    except BaseException as error:
        aside.leave()
        error.add_note(aside.ending())
        raise
    return aside.result()


class _Aside:
    """Work in a thread, and what its caller hears of it.

    Neither locks nor ``join`` are waited for: an exception in the middle of those leaves them in a
    state that nobody can tell. A `SimpleQueue` is whole at any time.
    """

    def __init__(self, work: Work, listener: Listener | None, interruption: Interruption) -> None:
        self._work = work
        self._listener = listener
        self._theirs = interruption
        self._heard = 0
        # Our own: what ends this upload is no reason to end others of the same caller.
        self._ours = Interruption()
        self._news: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._begun = self._over = False
        self._result: Result | None = None
        self._error: BaseException | None = None

    def start(self) -> None:
        self._heed()
        # A daemon: an impatient third Ctrl-C leaves, and the journal is ready for any death.
        threading.Thread(target=self._run, name="cfupload-send", daemon=True).start()

    def _run(self) -> None:
        self._begun = True
        try:
            self._result = self._work(self._ours, self._news.put if self._listener else _unheard)
        except BaseException as error:  # noqa: BLE001  raised again in the calling thread
            self._error = error
        finally:
            self._over = True
            self._news.put(None)

    def listen(self) -> None:
        """Pass on what happens, until it is over."""
        while not (self._over and self._news.empty()):
            self._heed()
            for event in self._fresh():
                if self._listener:
                    self._listener(event)

    def _heed(self) -> None:
        while self._heard < self._theirs.count:
            self._heard += 1
            self._ours.stop(self._theirs.signum)

    def _fresh(self) -> list[Event]:
        """What was not heard yet; waits a little for the first."""
        found: list[Event | None] = []
        with suppress(queue.Empty):
            found.append(self._news.get(timeout=SLICE))
            while True:
                found.append(self._news.get_nowait())
        events = [event for event in found if event is not None]
        overtaken = {
            number
            for number, (one, next_one) in enumerate(pairwise(events))
            if isinstance(one, Progress | Reading) and type(one) is type(next_one)
        }
        return [event for number, event in enumerate(events) if number not in overtaken]

    def leave(self) -> None:
        """Have the work stopped and wait for it; who insists twice waits no longer."""
        self._listener = None
        for _ in range(2):
            self._ours.stop()
            if not self._begun:
                # If it begins at all, it finds that it is not wanted.
                return
            # The first exception is the one that is raised in the end.
            with suppress(BaseException):
                self.listen()
                return

    def ending(self) -> str:
        """What became of the work, for whoever reads a traceback."""
        if not self._begun:
            return "cfupload: nothing was sent"
        if not self._over:
            return "cfupload: the upload was left as it was; see: cfupload status"
        result, error = self._result, self._error
        if result is None:
            return f"cfupload: the upload ended with {type(error).__name__}"
        words = f"cfupload: {safe(result.file)}: "
        if result.error is None:
            return f"{words}it was sent all the same, as {result.uid}"
        if isinstance(result.error, Interrupted):
            return f"{words}rolled back, nothing is left on Stream"
        return words + safe(f"{result.error.message}. {result.error.hint}")

    def result(self) -> Result:
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result


def _unheard(_: Event) -> None:
    return None

"""Machines that share a journal: each has a state directory of its own, and sends in a thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from served import Served

from cfstream_upload import calling, events
from cfstream_upload.ending import Policy
from cfstream_upload.errors import CfuploadError
from cfstream_upload.interruption import Interruption
from cfstream_upload.result import Result
from cfstream_upload.sending import send


@dataclass
class Machine:
    """One of them; ``url`` leads to the journal, perhaps through a proxy."""

    stream: Served
    url: str
    name: str
    heard: list[events.Event] = field(default_factory=list)
    interruption: Interruption = field(default_factory=Interruption)
    policy: Policy = field(default_factory=Policy)
    result: Result | None = None
    error: BaseException | None = None
    _thread: threading.Thread | None = None

    def send(self, path: Path) -> Result:
        """Send a file to its end."""
        settings = calling.settings(
            state_dir=self.stream.folder / self.name,
            journal=self.url,
            environ=self.stream.environment,
        )
        return send(
            path,
            settings,
            policy=self.policy,
            on_event=self.heard.append,
            interruption=self.interruption,
        )

    def start(self, path: Path) -> None:
        """Begin to send it, and go on."""

        def work() -> None:
            try:
                self.result = self.send(path)
            except BaseException as error:  # noqa: BLE001  looked at by the test
                self.error = error

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def ended(self, seconds: float = 60) -> int:
        """Wait for what was begun; its exit code."""
        assert self._thread is not None
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "it goes on and on"
        if self.error is None:
            assert self.result is not None
            return self.result.exit_code
        if not isinstance(self.error, CfuploadError):
            raise self.error
        return self.error.exit_code

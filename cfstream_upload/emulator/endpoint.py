"""Where a served emulator can be reached, and who may use it."""

from __future__ import annotations

from dataclasses import dataclass, field

# Beside Stream's own paths; it tells our emulator from a stranger on the same port.
IDENTITY_PATH = "/emulator"


class ExtraMissing(Exception):
    """The server's libraries are not installed; the model alone needs none."""


class DidNotStart(Exception):
    """An emulator process did not answer in time; the text ends with its log's last line."""


@dataclass(frozen=True)
class Endpoint:
    """A served emulator: ``base_url`` as a client of Stream wants it, ``pid`` its process.

    The token is the emulator's own, never a person's, and still not shown.
    """

    base_url: str
    account: str
    token: str = field(repr=False)
    pid: int
    port: int

"""Where a served emulator can be reached, and who may use it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

# Beside Stream's own paths; it tells our emulator from a stranger on the same port.
IDENTITY_PATH = "/emulator"
# Answers 200 to anybody as soon as requests are taken: for health checks.
READY_PATH = "/emulator/ready"


# A question that only who knows the token can answer; the token itself is not sent.
NONCE_HEADER = "emulator-nonce"


class ExtraMissing(Exception):
    """The server's libraries are not installed; the model alone needs none."""


class DidNotStart(Exception):
    """An emulator process did not answer in time; the text ends with its log's last line."""


class DataFolderUnusable(Exception):
    """A folder cannot be an emulator's: ``message`` says why, ``hint`` what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


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

    def proof(self, nonce: str) -> str:
        """Answer to ``nonce``: that this is the process ``pid``, which knows the token."""
        words = f"{nonce} {self.account} {self.pid} {self.port}"
        return hmac.new(self.token.encode(), words.encode(), hashlib.sha256).hexdigest()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that clients read: ours, and those of Cloudflare's own SDKs."""
        return {
            "CLOUDFLARE_API_BASE_URL": self.base_url,
            "CLOUDFLARE_BASE_URL": self.base_url,
            "CLOUDFLARE_ACCOUNT_ID": self.account,
            "CLOUDFLARE_API_TOKEN": self.token,
        }

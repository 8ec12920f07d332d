"""The questions that `doctor` asks of Cloudflare: reads, and one edit of a video that cannot be.

No method here creates or deletes anything. Each takes ten seconds at most.
"""

from __future__ import annotations

import secrets
import time

from cfstream_upload.apichecks import Heard
from cfstream_upload.envelope import decipher
from cfstream_upload.wire import Lost, NotSent, Patience, Wire, WireError

MOST_PENDING = 1000
"""The longest list that Stream gives in one reply."""

SECONDS = 10.0
_LIST_BYTES = 16 * 1024 * 1024


class Enquiry:
    """Questions about one token and account; ``account`` may be empty for `as_user` alone."""

    def __init__(self, wire: Wire, base: str, account: str) -> None:
        self._wire = wire
        self._base = base
        self._account = f"/accounts/{account}"

    def as_user(self) -> Heard:
        """Verify the token as a user's; also the first call of all."""
        return self._asked("GET", "/user/tokens/verify")

    def as_account(self) -> Heard:
        """Verify the token as one that the account owns."""
        return self._asked("GET", f"{self._account}/tokens/verify")

    def listed(self) -> Heard:
        """List one video."""
        return self._asked("GET", f"{self._account}/stream?limit=1")

    def edited(self) -> Heard:
        """Change nothing of a video that does not exist: its UID is 128 bits of chance."""
        uid = secrets.token_hex(16)
        return self._asked("POST", f"{self._account}/stream/{uid}", b"{}")

    def usage(self) -> Heard:
        """Ask how much storage is used."""
        return self._asked("GET", f"{self._account}/stream/storage-usage")

    def pending(self) -> Heard:
        """List the unfinished uploads, the oldest `MOST_PENDING` of them."""
        query = f"status=pendingupload&asc=true&limit={MOST_PENDING}"
        return self._asked("GET", f"{self._account}/stream?{query}")

    def _asked(self, method: str, path: str, body: bytes | None = None) -> Heard:
        headers = {"accept": "application/json"}
        if body is not None:
            headers |= {"content-type": "application/json", "content-length": str(len(body))}
        started = time.monotonic()
        answer, reason, words = None, "", ""
        try:
            reply = self._wire.request(
                method,
                self._base + path,
                headers=headers,
                body=None if body is None else iter((body,)),
                patience=Patience(SECONDS, SECONDS),
                max_body=_LIST_BYTES,
            )
        except WireError as error:
            reason = error.reason if isinstance(error, NotSent | Lost) else ""
            words = str(error)
        else:
            answer = decipher(reply.status, reply.headers, reply.body, reply.redact)
        return Heard(answer, time.monotonic() - started, time.time(), reason, words)

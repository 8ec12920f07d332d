"""The embedded Stream for the tests of other programs, as fixtures of pytest.

In a ``conftest.py``::

    pytest_plugins = ["cfstream_upload.testing"]

Then a test that takes ``fresh_cloudflare_stream`` has an account without videos and faults;
one that takes ``cloudflare_stream`` has what the tests before it left. Both are the same server,
one per test process, in a thread: it starts in milliseconds, ends with the tests, and its videos,
digests and faults are at hand without asking over HTTP. It listens on 127.0.0.1, on a free port,
so that workers of pytest-xdist do not meet. Uploads that were created without ``direct_user`` have
their URL on a second port, and need the token there, as on Cloudflare's own host for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from cfstream_upload.emulator.exchange import Exchange, Request
from cfstream_upload.emulator.faults import (
    Answer,
    CutAfter,
    Delay,
    Fault,
    Faulty,
    Hang,
    LoseReply,
)
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.switches import Switches
from cfstream_upload.emulator.videos import Pace

if TYPE_CHECKING:
    from cfstream_upload.emulator.stage import Stage

__all__ = [
    "Answer",
    "CloudflareStream",
    "CutAfter",
    "Delay",
    "Fault",
    "Hang",
    "LoseReply",
    "Pace",
    "Switches",
    "cloudflare_stream",
    "fresh_cloudflare_stream",
]


class _Stage:
    """A service that is another one after each reset, at the same address."""

    def __init__(self) -> None:
        self.stream = Stream()
        self.account = self.stream.account
        self.token = self.stream.token

    def begin(self, request: Request) -> Exchange:
        return self.stream.begin(request)

    def replace(self, **options: Any) -> None:  # noqa: ANN401  # those of Stream
        self.stream = Stream(account=self.account, token=self.token, **options)


@dataclass(frozen=True)
class CloudflareStream:
    """A running Stream: ``base_url`` as a client wants it, the account id, and the API token.

    ``faults`` takes faults (``faults.set(Fault(LoseReply(), "POST"))``) and forgets them
    (``faults.clear()``).
    """

    base_url: str
    account: str
    token: str = field(repr=False)
    faults: Faulty = field(repr=False)
    _stage: _Stage = field(repr=False)
    _served: Stage = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a client in a subprocess reads, Cloudflare's own SDKs included."""
        return self._served.endpoint.environment

    def videos(self) -> list[dict[str, Any]]:
        """Give every video, the oldest first, as the Video API shows it."""
        return self._stage.stream.videos()

    def sha256(self, uid: str) -> str:
        """Give the digest of the bytes that Stream has of a video; `KeyError`: no such video."""
        return self._stage.stream.sha256(uid)

    def fail(self, uid: str, reason: str = "ERR_MALFORMED_VIDEO") -> None:
        """Let the encoding of a video end in ``error``, with this ``errorReasonCode``."""
        self._stage.stream.fail(uid, reason)

    def strike(self, *faults: str) -> None:
        """Set faults as ``--fault`` takes them (docs/emulator-faults.md), like ``PATCH 1 cut=1MB``.

        Raises `cfstream_upload.emulator.faultwords.BadFault`, a `ValueError`, with the place.
        """
        self._served.strike(*faults)

    def reset(
        self,
        *,
        switches: Switches | None = None,
        pace: Pace | None = None,
        minutes_limit: int = 100_000,
        rate_limit: int | None = None,
    ) -> None:
        """Forget all videos and faults; account, token and address stay.

        ``switches`` are what is unknown of the real service, ``pace`` how fast videos become
        ready, ``minutes_limit`` the storage bought, ``rate_limit`` the calls in five minutes.
        """
        self.faults.clear()
        self._stage.replace(
            switches=switches, pace=pace, minutes_limit=minutes_limit, rate_limit=rate_limit
        )


@pytest.fixture(scope="session")
def cloudflare_stream() -> Iterator[CloudflareStream]:
    """Serve one embedded Stream to all tests; what one test leaves, the next one finds."""
    try:
        from cfstream_upload.emulator.stage import staged
    except ImportError as missing:
        pytest.fail(
            f"The embedded Stream needs the extra 'emulator' ({missing.name} is missing)."
            " Run: pip install 'cfstream-upload[emulator]'",
            pytrace=False,
        )
    stage = _Stage()
    with staged(stage, with_token_port=True) as served:
        endpoint = served.endpoint
        yield CloudflareStream(
            endpoint.base_url, endpoint.account, endpoint.token, served.faulty, stage, served
        )


@pytest.fixture
def fresh_cloudflare_stream(cloudflare_stream: CloudflareStream) -> Iterator[CloudflareStream]:
    """Give an account without videos and without faults, and leave none behind."""
    cloudflare_stream.reset()
    yield cloudflare_stream
    # Faults of this test must not strike what another one finds.
    cloudflare_stream.reset()

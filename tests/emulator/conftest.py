"""Fixtures for the embedded Stream: a clock that stands still, and both of its faces."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from cfstream_upload.emulator.exchange import Exchange, Request
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.server import running
from emulator.driving import ACCOUNT, TOKEN, Clock, Driver, in_process, over_http, uids


class Stage:
    """A service that is another one for each test, so that one server serves them all."""

    account = ACCOUNT
    token = TOKEN

    def __init__(self) -> None:
        self.service = Stream(account=ACCOUNT, token=TOKEN)

    def begin(self, request: Request) -> Exchange:
        return self.service.begin(request)


@pytest.fixture(scope="session")
def stage() -> Stage:
    return Stage()


@pytest.fixture(scope="session")
def served(stage: Stage) -> Iterator[Driver]:
    with running(stage) as endpoint, httpx.Client(trust_env=False) as client:
        yield over_http(endpoint, client)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stream(clock: Clock) -> Stream:
    return Stream(account=ACCOUNT, token=TOKEN, now=clock, new_uid=uids())


@pytest.fixture
def driver(stream: Stream) -> Driver:
    return in_process(stream)


@pytest.fixture(params=["in-process", "served"])
def either(request: pytest.FixtureRequest, stream: Stream, stage: Stage, served: Driver) -> Driver:
    """The same service, called directly or over real sockets."""
    stage.service = stream
    return in_process(stream) if request.param == "in-process" else served

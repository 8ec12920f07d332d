"""The server of a shared journal is a standby for a while: as when another takes over from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from machines import Machine
from postgres import Postgres
from served import MIB, Served

from cfstream_upload import events
from cfstream_upload.errors import JournalProblem


@pytest.fixture
def standing_by(server: Postgres) -> Iterator[Postgres]:
    """A server that is a primary again in the end, for those who come after."""
    yield server
    if server.run("SELECT pg_is_in_recovery()") == [(True,)]:
        server.promote()


def test_a_standby_is_waited_for_by_who_was_sending_and_refuses_who_would_begin(
    stream: Served, standing_by: Postgres, database: str
) -> None:
    server = standing_by
    stream.proxy.limit_rate(3 * MIB)
    path = stream.file(size=12 * MIB)
    first, second = Machine(stream, database, "first"), Machine(stream, database, "second")
    first.start(path)
    stream.wait_until(lambda: "PATCH" in stream.methods())
    server.stand_by()
    stream.wait_until(
        lambda: any(isinstance(e, events.Retrying) and "standby" in e.message for e in first.heard)
    )
    stream.proxy.limit_rate(None)
    asked = len(stream.methods())
    with pytest.raises(JournalProblem, match="is a standby") as refused:
        second.send(stream.file(name="other.mp4", size=MIB))
    assert (refused.value.exit_code, len(stream.methods())) == (10, asked)
    server.promote()
    assert first.ended() == 0, first.error
    assert stream.methods().count("POST") == 1
    assert stream.whole(path)

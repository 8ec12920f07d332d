"""The lock of a file as a contract: what a journal's lock does, whatever the journal is made of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cfstream_upload.errors import Busy
from cfstream_upload.fleet import statements
from cfstream_upload.fleet.holding import number_of
from cfstream_upload.fleet.journal import FleetJournal, Trust
from cfstream_upload.journal import Journal
from cfstream_upload.ledger import Ledger
from cfstream_upload.lock import key_of

BASE = "https://api.cloudflare.com/client/v4"
KEY, OTHER = key_of(BASE, "a" * 32, 1, 2), key_of(BASE, "a" * 32, 1, 3)

HOLDER = """
import sys
from pathlib import Path
folder, url, key = sys.argv[1:]
if url:
    from cfstream_upload.fleet.journal import FleetJournal, Trust
    journal = FleetJournal.open(url, Trust(Path(folder)))
else:
    from cfstream_upload.journal import Journal
    journal = Journal.open(Path(folder))
with journal.lock(key):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Of a shared journal, "" for one of this machine."""
    return "" if request.param == "sqlite" else str(request.getfixturevalue("database"))


@pytest.fixture
def opening(url: str, tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    """Opens the journal; what each locks, no other has."""
    journals: list[Ledger] = []

    def open_it() -> Ledger:
        folder = tmp_path / "state"
        journals.append(FleetJournal.open(url, Trust(folder)) if url else Journal.open(folder))
        return journals[-1]

    yield open_it
    for journal in journals:
        journal.close()


def is_free(journal: Ledger, key: str = KEY) -> bool:
    try:
        journal.lock(key).release()
    except Busy:
        return False
    return True


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.02)


def test_a_lock_has_one_holder_until_he_lets_go(opening: Callable[[], Ledger]) -> None:
    one, other = opening(), opening()
    with one.lock(KEY) as lock:
        assert not is_free(other)
        assert is_free(other, OTHER)
        with pytest.raises(Busy, match="this process is already sending"):
            one.lock(KEY)
        assert one.stands(KEY)
        lock.release()
        assert is_free(other)
        with one.lock(KEY):
            lock.release()  # once more: it frees nothing of who came after
            assert not is_free(other)
    assert is_free(other)


def test_another_thread_of_the_same_process_is_busy(opening: Callable[[], Ledger]) -> None:
    journal, found = opening(), list[bool]()
    with journal.lock(KEY):
        thread = threading.Thread(target=lambda: found.append(is_free(journal)))
        thread.start()
        thread.join()
    assert found == [False]


def test_a_shared_journal_that_is_closed_holds_no_lock(database: str, tmp_path: Path) -> None:
    one, other = (FleetJournal.open(database, Trust(tmp_path / "state")) for _ in range(2))
    one.lock(KEY)
    taken = other.taken()
    assert (taken(KEY), taken(OTHER)) == (True, False)
    one.close()
    until(lambda: is_free(other))  # the server frees it when it gets to it
    other.close()


def test_a_stopped_holder_keeps_the_lock_and_a_killed_one_frees_it(
    opening: Callable[[], Ledger], url: str, tmp_path: Path
) -> None:
    journal = opening()
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "state"), url, KEY]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            with pytest.raises(Busy, match=rf"another process \(.*{process.pid}\) is sending"):
                journal.lock(KEY)
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)
            assert not is_free(journal)
            process.kill()
            process.wait()
            until(lambda: is_free(journal))
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def test_a_key_has_a_number_of_its_own_that_is_not_the_gates() -> None:
    keys = [key_of(BASE, account * 32, n, m) for account in "ab" for n in (1, 2) for m in (1, 2)]
    numbers = {number_of(key) for key in keys}
    assert len(numbers) == len(keys)
    assert all(-(2**63) <= number < 2**63 for number in numbers)
    assert not numbers & {statements.GATE, statements.MIGRATING}
    # All of the first 64 bits count, the sign among them.
    assert number_of("80" + "0" * 30) == -(2**63)
    assert number_of("0" * 15 + "1" + "f" * 16) == 1

"""Two processes and one file: whoever comes second refuses, waits or finds the same video.

The suite plays `ROUNDS` of each pairing, every fourth on a line so slow that the two must meet;
``python -m tests.twins --rounds 200`` plays more.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from mp4 import padded_mp4
from served import COMMAND, MIB, Served
from twins.nursery import Nursery
from twins.pairings import DYING, EITHER_SENDS, PAIRINGS, Pairing, play
from twins.question import Question
from twins.rounds import CLEANUP, SEND, Ground, Round, outcome, told_by

from cfstream_upload.emulator.faults import Delay, Fault
from cfstream_upload.journal import Journal

ROUNDS = 8
FIRST_OPENS = 50
DEATHS = 12
LOCKS = """
import sqlite3, sys
sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute("BEGIN IMMEDIATE")
"""


@pytest.fixture
def ground(stream: Served, nursery: Nursery, request: pytest.FixtureRequest) -> Ground:
    return Ground(stream, nursery, random.Random(request.node.name))


@pytest.fixture
def one(ground: Ground) -> Round:
    """A round with a file of 6 MiB: two seconds on the slow line."""
    one = ground.round()
    padded_mp4(one.path, 6 * MIB, sparse=False, seed=7)
    return one


def ends_well(one: Round, *told: str | None) -> None:
    """The next send ends with one whole video, and it is the one that was told before."""
    one.ground.stream.proxy.limit_rate(None)
    again = one.run(*SEND, one.path.name)
    assert again.code == 0, again.err
    one.check([uid for uid in (*told, told_by(again)) if uid])


# --- started at the same instant -----------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("pairing", PAIRINGS, ids=lambda pairing: pairing.name)
def test_two_that_start_together_end_with_one_whole_video(ground: Ground, pairing: Pairing) -> None:
    ends = play(ground, pairing, ROUNDS)
    print(pairing.name, dict(ends))
    assert ends.total() == ROUNDS
    if pairing.allowed == EITHER_SENDS:
        # They did meet: what only ever came one after the other would prove nothing.
        assert sum(count for pair, count in ends.items() if "busy" in pair) >= ROUNDS // 4


@pytest.mark.parametrize("other", ["./big.mp4", "hard-link.mp4", "symlink.mp4", "absolute"])
def test_two_commands_from_the_shell_end_with_one_whole_video(stream: Served, other: str) -> None:
    path = stream.file(size=6 * MIB)
    path.with_name("hard-link.mp4").hardlink_to(path)
    path.with_name("symlink.mp4").symlink_to(path)
    stream.proxy.limit_rate(8 * MIB)
    names = [path.name, str(path) if other == "absolute" else other]
    both = [
        subprocess.Popen([*COMMAND, "send", "-q", name], cwd=stream.folder, stdout=subprocess.PIPE)
        for name in names
    ]
    told = {out.decode().strip() for out in (process.communicate()[0] for process in both) if out}
    assert sorted(process.returncode for process in both) in ([0, 9], [0, 0])
    assert told == {stream.videos()[0]["uid"]}
    assert stream.whole(path)
    assert stream.methods().count("POST") == 1


def test_first_commands_of_a_state_directory_agree_on_one_journal(
    tmp_path: Path, ground: Ground
) -> None:
    for number in range(FIRST_OPENS):
        state = tmp_path / f"first-{number}"
        one = Round(ground, tmp_path / "none", state)
        ended = [
            child.wait()
            for child in ground.nursery.start(*[one.order("open the journal") for _ in range(3)])
        ]
        assert [each.code for each in ended] == [0] * 3, ended
        hosts = {each.out for each in ended}
        assert hosts == {(state / "host.id").read_text()}
        names = {path.name for path in state.iterdir()}
        assert names == {"host.id", "journal.db", "journal.id", "reserve"}


# --- a sender that stands still ------------------------------------------------------------------


def test_a_sender_that_was_stopped_is_left_alone_and_goes_on(one: Round) -> None:
    sender = one.sending("--stall-timeout", "500ms", "--connect-timeout", "500ms")
    sender.kill(signal.SIGSTOP)
    stopped = time.monotonic()
    one.ground.stream.ledger.asked.clear()
    assert outcome(one.run(*CLEANUP)) == "busy"
    assert outcome(one.run(*SEND, one.link)) == "busy"
    time.sleep(max(0.0, stopped + 1.0 - time.monotonic()))
    assert set(one.ground.stream.methods()) <= {"GET"}
    sender.kill(signal.SIGCONT)
    one.ground.stream.proxy.limit_rate(None)
    ended = sender.wait()
    assert outcome(ended) == "sent"
    ends_well(one, told_by(ended))
    assert "POST" not in one.ground.stream.methods()


def test_a_sender_stopped_beyond_its_whole_budget_leaves_one_video_or_none(one: Round) -> None:
    sender = one.sending("--stall-timeout", "500ms", "--retry-max-time", "500ms")
    sender.kill(signal.SIGSTOP)
    stopped = time.monotonic()
    assert outcome(one.run(*CLEANUP)) == "busy"
    time.sleep(max(0.0, stopped + 1.0 - time.monotonic()))
    sender.kill(signal.SIGCONT)
    one.ground.stream.proxy.limit_rate(None)
    ended = sender.wait()
    assert ended.code in (0, 6), ended.err
    assert len(one.videos()) == (ended.code == 0)
    ends_well(one, told_by(ended))


# --- the lock file goes away ---------------------------------------------------------------------


@pytest.mark.parametrize("what", ["the lock files", "the folder of locks"])
def test_a_lock_that_was_deleted_while_held_lets_nobody_in(one: Round, what: str) -> None:
    sender = one.sending()
    locks = one.state / "locks"
    for command in ((*SEND, one.path.name), (*SEND, one.link), CLEANUP, ("status", "--json")):
        # Each finds it deleted anew: the one before made a lock file of its own.
        for file in locks.iterdir():
            file.unlink()
        if what == "the folder of locks":
            locks.rmdir()
        ended = one.run(*command)
        if command[0] == "status":
            assert [row["condition"] for row in ended.document["journal"]] == ["running"]
        else:
            assert outcome(ended) == "busy"
    one.ground.stream.proxy.limit_rate(None)
    ended = sender.wait()
    assert outcome(ended) == "sent"
    assert one.ground.stream.methods().count("POST") == 1
    ends_well(one, told_by(ended))


# --- two state directories, one host id ----------------------------------------------------------


def test_another_state_directory_with_the_same_host_id_deletes_nothing(one: Round) -> None:
    stream, shared = one.ground.stream, {"CFUPLOAD_HOST_ID": "5" * 32}
    other = {**shared, "CFUPLOAD_STATE_DIR": str(stream.folder / "other-state")}
    stream.proxy.limit_rate(3 * MIB)
    sender = one.start(*SEND, one.path.name, **shared)
    stream.wait_until(lambda: stream.proxy.bytes_up > MIB)
    assert outcome(one.run(*CLEANUP, **other)) == "nothing"
    assert outcome(one.run(*CLEANUP, "--foreign", **other)) == "waiting"
    assert outcome(one.run(*SEND, one.path.name, **other)) == "busy"
    one.dies(sender)
    assert outcome(one.run(*CLEANUP, **other)) == "nothing"
    swept = one.run(*CLEANUP, "--foreign", **other)
    assert outcome(swept) == "waiting"
    assert "may still be uploading elsewhere for 25.0 h" in swept.out
    assert stream.states() == ["pendingupload"]
    again = one.run(*SEND, one.path.name, **shared)
    assert again.document["uploads"][0]["outcome"] == "resumed"
    one.check([told_by(again) or ""])


# --- a sender that dies while another comes or waits ---------------------------------------------


@pytest.mark.long
def test_a_sender_that_dies_as_another_command_starts_leaves_one_video(ground: Ground) -> None:
    ends = play(ground, DYING, DEATHS)
    print(DYING.name, dict(ends))
    assert sum(count for pair, count in ends.items() if pair[0] == "killed") >= DEATHS // 3


@pytest.fixture
def question(one: Round) -> Iterator[Question]:
    with closing(Question(one)) as question:
        yield question


def test_a_sender_that_begins_at_the_question_is_not_deleted(
    one: Round, question: Question
) -> None:
    one.killed()
    question.wait_for_it()
    sender = one.sending()
    swept = question.answer("y")
    one.ground.stream.proxy.limit_rate(None)
    assert outcome(swept) == "busy"
    ended = sender.wait()
    assert outcome(ended) == "sent"
    ends_well(one, told_by(ended))


def test_a_sender_that_begins_and_dies_at_the_question_leaves_one_video(
    one: Round, question: Question
) -> None:
    one.killed()
    question.wait_for_it()
    one.dies(one.sending())
    assert outcome(question.answer("y")) == "discarded"
    assert one.videos() == []
    ends_well(one)


def test_a_sender_that_ends_at_the_question_keeps_its_video(one: Round, question: Question) -> None:
    one.killed()
    question.wait_for_it()
    ended = one.run(*SEND, one.path.name)
    assert outcome(question.answer("y")) == "whole"
    ends_well(one, told_by(ended))


def test_a_sender_that_lived_when_the_question_was_made_is_not_in_the_plan(
    one: Round, question: Question
) -> None:
    leftover = one.ground.round()
    leftover.state = one.state
    leftover.killed()
    sender = one.sending()
    question.wait_for_it()
    one.dies(sender)
    assert outcome(question.answer("y")) == "busy+discarded"
    assert [video["status"]["state"] for video in one.videos()] == ["pendingupload"]
    ends_well(one)


# --- weak points ---------------------------------------------------------------------------------


def test_a_question_leaves_stdout_to_the_document(one: Round, question: Question) -> None:
    one.killed()
    question.wait_for_it()
    question.answer("y")
    assert question.shown == ""


def test_rebuild_beside_a_living_sender_refuses(one: Round) -> None:
    sender = one.sending()
    (one.state / "journal.db").unlink()
    rebuilt = one.run("cleanup", "--rebuild", "--yes")
    one.dies(sender)
    assert rebuilt.code == 9, rebuilt.err


def test_the_send_of_one_file_deletes_no_interrupted_upload_of_another(
    one: Round, ground: Ground
) -> None:
    other = ground.round()
    other.state = one.state
    stream = ground.stream
    stream.strike(Fault(Delay(0.5), "POST"))
    stream.proxy.limit_rate(3 * MIB)
    sender = one.start(*SEND, one.path.name)
    # The other one reads the row while the create is under way: that is nobody's lost one.
    stream.wait_until(lambda: len(stream.videos()) == 1)
    beside = other.start(*SEND, other.path.name)
    stream.wait_until(lambda: stream.proxy.bytes_up > MIB)
    assert "DELETE" not in stream.methods()
    one.dies(sender)
    assert outcome(beside.wait()) == "sent"
    again = one.run(*SEND, one.path.name)
    # Resumed, and that is called "uploaded" where nothing of it had been kept: no third create.
    assert again.document["uploads"][0]["outcome"] in ("resumed", "uploaded")
    assert stream.methods().count("POST") == 2
    one.check([told_by(again) or ""])


def test_a_second_journal_of_one_process_does_not_unlock_the_first(tmp_path: Path) -> None:
    state = tmp_path / "state"
    Journal.open(state).close()
    path = state / "journal.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as first:
        first.execute("BEGIN IMMEDIATE")
        Journal.open(state).close()
        locked = subprocess.run(
            [sys.executable, "-c", LOCKS, path], capture_output=True, text=True, check=False
        )
    assert "database is locked" in locked.stderr


def test_threads_that_open_the_first_journal_together_all_get_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        for number in range(100):
            start = threading.Barrier(6)
            folder = tmp_path / f"first-{number}"

            def opens(start: threading.Barrier = start, folder: Path = folder) -> str:
                start.wait()
                with closing(Journal.open(folder)) as journal:
                    return journal.host

            hosts = {each.result() for each in [pool.submit(opens) for _ in range(6)]}
            assert len(hosts) == 1

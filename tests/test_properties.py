"""Random histories against the pure core: whatever the world answers, the laws hold."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st
from scripted import (
    MIB,
    NO,
    SIZE,
    TWIN,
    UID,
    URL,
    Ride,
    Round,
    created,
    intended,
    sent,
    stray,
)

from cfstream_upload.attempt import (
    ERROR,
    PENDING,
    Attempt,
    Create,
    Delete,
    Failure,
    Find,
    Head,
    Look,
    Patch,
    Reason,
    Stage,
    Step,
    Verdict,
)
from cfstream_upload.ending import Policy
from cfstream_upload.outcome import (
    Absent,
    Acked,
    Created,
    Deleted,
    Denied,
    FileFault,
    Found,
    NotMade,
    NotSent,
    Offset,
    Outcome,
    Refusal,
    Seen,
    Stop,
    TooLarge,
    Trouble,
    Unanswered,
    UrlDead,
)

DENIED = Failure(Reason.DENIED, "no such token")
QUOTA = Failure(Reason.QUOTA, "full")
CHANGED = Failure(Reason.CHANGED, "the file changed")
OFFSETS = [*range(0, SIZE + 1, MIB), SIZE + 1, 1]
WINDOW = 40
EXPIRY, BEFORE, LATER = 50_000.0, 10.0, 200_000.0
STARTS = [
    intended(),
    intended().knows(asked=True),
    created(),
    created(offset=5 * MIB),
    created(tail=True, offset=10 * MIB),
    created(doomed="trouble"),
    created(doomed="interrupted", tail=True),
    created(stage=Stage.DISCARDING, doomed="trouble"),
    created(stage=Stage.DISCARDING, doomed="processing", tail=True, offset=SIZE),
    sent(),
    sent(told=True),
    sent(stage=Stage.STORED),
    sent(stage=Stage.STORED, told=True),
    stray(),
    stray(stage=Stage.DISCARDING),
]
POLICIES = [
    Policy(largest_chunk=5 * MIB),
    Policy(largest_chunk=5 * MIB, keep_failed=True),
    Policy(largest_chunk=5 * MIB, keep_unprocessed=True),
    Policy(largest_chunk=5 * MIB, retries=0),
    Policy(largest_chunk=5 * MIB, retries=1_000_000, retry_max_time=1e9),
]


def _answers(attempt: Attempt, step: Step) -> list[Outcome]:
    """Everything that the world may say to a step; the liars' words too."""
    trouble: list[Outcome] = [Trouble("cut", cut=True), Trouble("busy", retry_after=30.0)]
    match step:
        case Create():
            made: list[Outcome] = [Created(UID, URL, date=BEFORE), NotSent("no connection")]
            refused: list[Outcome] = [NotMade(NO), NotMade(QUOTA), NotMade(DENIED)]
            return [*made, *refused, Unanswered("lost"), Unanswered("busy", 5.0, BEFORE)]
        case Find():
            found: list[Outcome] = [
                Found((), listed=False, date=BEFORE),
                Found((), listed=True, date=BEFORE),
                Found((UID,), listed=True),
                Found((UID, TWIN), listed=True),
                Found((), listed=False, date=LATER),
            ]
            return [*found, *trouble, Denied(DENIED)]
        case Head():
            offsets: list[Outcome] = [Offset(offset) for offset in OFFSETS]
            return [*offsets, *trouble, UrlDead(404), Refusal(NO), Refusal(NO, final=True)]
        case Patch(start, length, _):
            handed = start + length
            acked: list[Outcome] = [Acked(offset, length, 1.0, handed) for offset in OFFSETS]
            local: list[Outcome] = [FileFault(CHANGED), TooLarge("413"), UrlDead(403)]
            return [*acked, *acked[-3:], *trouble, *local, Refusal(NO), Refusal(NO, final=True)]
        case Look():
            seen: list[Outcome] = [
                Seen(state, marker, EXPIRY, date)
                for state in (PENDING, "queued", "ready", ERROR)
                for marker, date in ((attempt.marker, BEFORE), (None, BEFORE), ("1.x", BEFORE))
            ]
            late = Seen(PENDING, attempt.marker, EXPIRY, LATER)
            return [*seen, late, Absent(BEFORE), Absent(BEFORE), *trouble, Denied(DENIED)]
        case Delete():
            return [Deleted(), Deleted(), *trouble, Denied(DENIED)]
        case _:
            raise AssertionError(step)


def _drive(start: Attempt, policy: Policy, script: Sequence[int]) -> tuple[Ride, Verdict]:
    ride = Ride(start, policy)
    stops = 0

    def choose(attempt: Attempt, step: Step) -> Outcome:
        nonlocal stops
        word = script[len(ride.rounds) % len(script)]
        if word % 101 == 100 and stops < 2:
            stops += 1
            return Stop(2, hard=stops == 2)
        answers = _answers(attempt, step)
        return answers[word % len(answers)]

    return ride, ride.drive(choose)


# --- the laws, as they show from outside ---------------------------------------------------------


def _last_look(rounds: list[Round]) -> int | None:
    looks = [n for n, one in enumerate(rounds) if isinstance(one.outcome, Seen | Absent)]
    return looks[-1] if looks else None


def _is_fresh_decision(rounds: list[Round]) -> bool:
    """Law 6: a Look said that it may go, nothing was sent since, and HEAD where it must."""
    last = _last_look(rounds)
    before = rounds[-1].before
    if last is None or not isinstance(seen := rounds[last].outcome, Seen):
        return False
    if seen.state not in (PENDING, ERROR):
        return False
    if any(isinstance(one.step, Patch) for one in rounds[last:]):
        return False
    if not before.tail or before.url is None or seen.state == ERROR:
        return True
    short = isinstance(said := rounds[-1].outcome, Offset) and said.offset < SIZE
    expired = seen.date is not None and seen.date > EXPIRY and before.now.dead
    return short or expired


def _is_proof_of_absence(rounds: list[Round]) -> bool:
    """Law 7: Absent, an innocent list, Absent; and nobody saw the video in between."""
    told = [one for one in rounds if isinstance(one.outcome, Absent | Seen | Found | Deleted)]
    if len(told) < 3:
        return False
    first, between, last = (one.outcome for one in told[-3:])
    listed = isinstance(between, Found) and between.listed
    return isinstance(first, Absent) and isinstance(last, Absent) and not listed


def _check(rounds: list[Round]) -> None:
    one = rounds[-1]
    was, now = one.before.stage, one.after.stage
    if now is Stage.DISCARDING and was is not now:
        assert _is_fresh_decision(rounds), rounds[-4:]
        assert not one.before.told
        if was is Stage.SENT:
            seen = one.outcome
            assert isinstance(seen, Seen)
            expired = one.before.now.dead and seen.date is not None and seen.date > EXPIRY
            assert seen.state == ERROR or expired
    if was is Stage.DISCARDING:
        assert now in (Stage.DISCARDING, Stage.GONE)
    if was is Stage.STORED:
        assert now is Stage.STORED
    if now is Stage.GONE and one.before.uid is not None:
        assert _is_proof_of_absence(rounds), rounds[-4:]
        assert was in (Stage.CREATED, Stage.DISCARDING)
    if isinstance(one.step, Delete):
        assert was is Stage.DISCARDING
    if isinstance(one.step, Patch):
        assert one.before.now.certain
        assert not one.before.doomed
        assert one.before.tail or not one.step.last
    if isinstance(one.step, Create):
        assert not any(isinstance(r.outcome, Unanswered) for r in rounds[:-1])


def _check_end(ride: Ride, verdict: Verdict) -> None:
    end = ride.attempt
    assert (verdict is Verdict.GONE) == (end.stage is Stage.GONE)
    if verdict is Verdict.NOTHING:
        assert end.stage is Stage.INTENDED
        assert not isinstance(ride.rounds[-1].outcome, Unanswered)
    if verdict is Verdict.STORED:
        assert end.stage is Stage.STORED
    if verdict is Verdict.KEPT:
        assert end.kept
        assert not end.doomed
    if end.stage is Stage.DISCARDING:
        assert verdict is Verdict.LEFT
    if end.stage is Stage.SENT:
        assert verdict in (Verdict.UNCONFIRMED, Verdict.VANISHED)
        assert not end.doomed


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(STARTS),
    st.sampled_from(POLICIES[:4]),
    st.lists(st.integers(0, 100_000), min_size=1, max_size=60),
)
def test_every_history_ends_and_keeps_the_laws(
    start: Attempt, policy: Policy, script: list[int]
) -> None:
    ride, verdict = _drive(start, policy, script)
    for number in range(1, len(ride.rounds) + 1):
        _check(ride.rounds[max(0, number - WINDOW) : number])
    _check_end(ride, verdict)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(STARTS), st.lists(st.integers(0, 100_000), min_size=1, max_size=6))
def test_a_world_that_repeats_itself_is_left(start: Attempt, script: list[int]) -> None:
    _drive(start, POLICIES[0], script)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(STARTS), st.integers(0, 100_000))
@example(created(), 0)
def test_a_deadline_for_deleting_ends_it_whatever_retries_allow(start: Attempt, word: int) -> None:
    ride = Ride(start.knows(until=1060.0), POLICIES[4])
    if start.doomed or start.stage is Stage.DISCARDING:
        ride.drive(lambda attempt, step: Trouble("down"))
        assert ride.at < 1070


def test_a_tail_that_is_lost_every_time_spends_the_budget() -> None:
    """Stream acknowledges the last byte, then says pending and less: again and again."""
    ride = Ride(created(tail=True, offset=10 * MIB))

    def choose(attempt: Attempt, step: Step) -> Outcome:
        if isinstance(step, Look):
            return Seen(PENDING, attempt.marker)
        if isinstance(step, Head):
            return Offset(10 * MIB)
        if isinstance(step, Patch):
            return Acked(step.offset + step.length, step.length, 1.0, step.offset + step.length)
        return Trouble("down")

    assert ride.drive(choose, most=300) is Verdict.LEFT
    assert ride.steps.count("Patch") <= 10

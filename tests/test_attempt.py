"""Tables of what is known, what is asked next, and what is known then; a test for each law."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted import (
    MIB,
    NO,
    POLICY,
    SIZE,
    TWIN,
    UID,
    URL,
    Ride,
    created,
    intended,
    sent,
    stray,
)

from cfstream_upload.after import DAY, after
from cfstream_upload.attempt import (
    ERROR,
    PENDING,
    Attempt,
    Create,
    Delete,
    Done,
    Failure,
    Find,
    Head,
    Look,
    Patch,
    Reason,
    Stage,
    Step,
    Verdict,
    braced,
    is_label,
    next_step,
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

CHANGED = Failure(Reason.CHANGED, "the file changed")
DENIED = Failure(Reason.DENIED, "no such token")
QUOTA = Failure(Reason.QUOTA, "full")
MINE = intended().marker
GONE = (Absent(), Found((), listed=False), Absent())
"""What proves absence (law 7)."""


def seen(
    state: str = PENDING,
    marker: str | None = MINE,
    expiry: float | None = None,
    date: float | None = None,
) -> Seen:
    return Seen(state, marker, expiry, date)


def on_its_way(offset: int = 0, **facts: object) -> Attempt:
    """Created by this very process."""
    return created(offset=offset, **facts).knows(certain=True, handed=offset, high=offset)


DISCARDING = created(stage=Stage.DISCARDING, doomed="trouble")


@pytest.mark.parametrize(
    ("attempt", "step"),
    [
        (intended(), Create()),
        (intended().knows(asked=True), Find()),
        (created(), Head()),
        (on_its_way(), Patch(0, 5 * MIB, last=False)),
        (on_its_way(10 * MIB), Patch(10 * MIB, 2 * MIB, last=True)),
        (created().knows(dead=True), Look()),
        (created(url=None), Look()),
        (created().knows(absent=1), Find()),
        (created().knows(absent=1, unlisted=True), Look()),
        (created(doomed="trouble"), Look()),
        (on_its_way(doomed="trouble"), Look()),
        (created(doomed="trouble", tail=True), Look()),
        (created(doomed="trouble", tail=True).knows(state=PENDING), Head()),
        (created(doomed="trouble", tail=True).knows(state=PENDING, headed=True), Look()),
        (created(doomed="trouble").knows(absent=1), Find()),
        (DISCARDING, Delete()),
        (DISCARDING.knows(deleted=True), Look()),
        (DISCARDING.knows(deleted=True, absent=1), Find()),
        (DISCARDING.knows(deleted=True, absent=1, unlisted=True), Look()),
        (sent(), Look()),
        (sent().knows(state=PENDING), Head()),
        (sent(url=None).knows(state=PENDING), Look()),
        (sent().knows(state=PENDING, headed=True), Look()),
        (sent().knows(absent=1), Find()),
        (sent(stage=Stage.STORED), Look()),
        (created(stage=Stage.GONE), Done(Verdict.GONE)),
        (created().knows(verdict=Verdict.LEFT), Done(Verdict.LEFT)),
    ],
)
def test_the_next_step_is_the_first_thing_that_is_missing(attempt: Attempt, step: Step) -> None:
    assert next_step(attempt) == step


Facts = dict[str, object]


@pytest.mark.parametrize(
    ("known", "outcome", "facts", "now"),
    [
        # Create
        (intended(), Created(UID, URL, 5.0),
         {"stage": Stage.CREATED, "uid": UID, "url": URL, "since": 5.0},
         {"certain": True, "handed": 0, "asked": False}),
        (intended(), NotMade(NO), {}, {"verdict": Verdict.NOTHING, "asked": False}),
        (intended(), NotSent("x"), {}, {"asked": False, "spent": 1, "verdict": None}),
        (intended(), Unanswered("x", 9.0, 5.0), {"since": 5.0},
         {"asked": True, "verdict": None, "retry_after": 9.0}),
        (intended(), Stop(2), {}, {"verdict": Verdict.NOTHING}),
        # Find
        (intended().knows(asked=True), Found((), listed=False), {}, {"finds": 1, "pause": 2.0}),
        (intended().knows(asked=True, finds=3), Found((), listed=False), {},
         {"verdict": Verdict.UNANSWERED}),
        (intended().knows(asked=True), Found((UID, TWIN), listed=False),
         {"stage": Stage.CREATED, "uid": UID, "url": None, "doomed": "stray"},
         {"twins": (TWIN,), "verdict": None}),
        (intended().knows(asked=True), Denied(DENIED), {}, {"verdict": Verdict.UNANSWERED}),
        (intended().knows(asked=True), Stop(2), {}, {"verdict": Verdict.UNANSWERED}),
        # Head and Patch
        (created(), Offset(5 * MIB), {"offset": 5 * MIB}, {"certain": True, "spent": 0}),
        (created(tail=True), Offset(SIZE), {"stage": Stage.SENT, "offset": SIZE}, {}),
        (created(), Offset(SIZE), {"doomed": "refused"}, {}),
        (created(tail=True), Offset(SIZE + 1), {"doomed": "refused"}, {}),
        (on_its_way(), Acked(5 * MIB, 5 * MIB, 1.0, 5 * MIB), {"offset": 5 * MIB}, {"spent": 0}),
        (on_its_way(), Acked(6 * MIB, 5 * MIB, 1.0, 5 * MIB), {"doomed": "refused"}, {}),
        (on_its_way(5 * MIB), Acked(5 * MIB, 5 * MIB, 1.0, 10 * MIB), {}, {"spent": 1}),
        (on_its_way(5 * MIB), Acked(MIB, 5 * MIB, 1.0, 10 * MIB), {"offset": MIB}, {"spent": 1}),
        (on_its_way(10 * MIB, tail=True), Acked(SIZE, 2 * MIB, 1.0, SIZE),
         {"stage": Stage.SENT}, {}),
        (on_its_way(), Trouble("cut", cut=True, handed=MIB), {},
         {"certain": False, "spent": 1, "handed": MIB}),
        (on_its_way(), TooLarge("413"), {"doomed": "refused"}, {}),
        (on_its_way().knows(chunk=20 * MIB), TooLarge("413"), {"doomed": ""},
         {"chunk": 10 * MIB, "certain": False}),
        (on_its_way(), Refusal(NO), {"doomed": ""}, {"refusals": 1, "certain": False}),
        (on_its_way().knows(refusals=1), Refusal(NO), {"doomed": "refused"}, {}),
        (on_its_way(), Refusal(NO, final=True), {"doomed": "refused"}, {}),
        (on_its_way(), UrlDead(404), {"doomed": ""}, {"dead": True, "certain": False}),
        (on_its_way(), FileFault(CHANGED), {"doomed": "changed"}, {}),
        (on_its_way(), Stop(2), {"doomed": "interrupted"}, {"until": 1008.0, "verdict": None}),
        (on_its_way(), Stop(2, hard=True), {"doomed": "interrupted"}, {"verdict": Verdict.LEFT}),
        (on_its_way(), Denied(DENIED), {"doomed": "denied"}, {"verdict": Verdict.LEFT}),
        # Look
        (created().knows(dead=True), seen("queued"), {"stage": Stage.SENT}, {}),
        (created().knows(dead=True), seen(),
         {"stage": Stage.DISCARDING, "doomed": "expired"}, {}),
        (created(tail=True).knows(dead=True), seen(), {"stage": Stage.CREATED, "doomed": ""},
         {"verdict": None, "waiting_since": 1000.0}),
        (created(tail=True).knows(dead=True), seen(expiry=5.0, date=6.0),
         {"stage": Stage.DISCARDING}, {}),
        (created(doomed="trouble"), seen(), {"stage": Stage.DISCARDING}, {}),
        (created(doomed="trouble"), seen("ready"), {"stage": Stage.SENT, "doomed": ""}, {}),
        (created(doomed="trouble", tail=True), seen(), {"stage": Stage.CREATED}, {}),
        (created(doomed="trouble", tail=True), seen(ERROR), {"stage": Stage.DISCARDING}, {}),
        (sent(), seen("inprogress"), {"stage": Stage.STORED}, {"verdict": Verdict.STORED}),
        (sent(), seen(), {"stage": Stage.SENT}, {"verdict": None, "state": PENDING}),
        (sent(), seen(ERROR), {"stage": Stage.DISCARDING, "doomed": "processing"}, {}),
        (sent(told=True), seen(ERROR), {"stage": Stage.STORED}, {"verdict": Verdict.UNPROCESSED}),
        (sent().knows(dead=True), seen(expiry=5.0, date=6.0),
         {"stage": Stage.DISCARDING, "doomed": "expired"}, {}),
        (sent(), Denied(DENIED), {}, {"verdict": Verdict.UNCONFIRMED}),
        (sent(), Stop(2), {}, {"verdict": Verdict.UNCONFIRMED}),
        (sent(stage=Stage.STORED), seen("ready"), {}, {"verdict": Verdict.STORED}),
        (sent(stage=Stage.STORED), seen(ERROR), {}, {"verdict": Verdict.UNPROCESSED}),
        (sent(stage=Stage.STORED), Denied(DENIED), {}, {"verdict": Verdict.UNREACHED}),
        (DISCARDING, seen("ready"), {"stage": Stage.DISCARDING}, {"deleted": False, "spent": 1}),
        # HEAD that was asked to learn whether it is whole
        (created(doomed="trouble", tail=True).knows(state=PENDING), Offset(MIB),
         {"stage": Stage.DISCARDING}, {}),
        (created(doomed="trouble", tail=True).knows(state=PENDING), Offset(SIZE),
         {"stage": Stage.SENT, "doomed": ""}, {}),
        (created(doomed="trouble", tail=True).knows(state=PENDING), UrlDead(404),
         {"stage": Stage.CREATED}, {"verdict": None}),
        (sent().knows(state=PENDING), Offset(10 * MIB),
         {"stage": Stage.CREATED, "offset": 10 * MIB}, {"spent": 1, "certain": True}),
        (sent().knows(state=PENDING), Offset(SIZE), {"stage": Stage.SENT}, {"verdict": None}),
        (sent().knows(state=PENDING), UrlDead(410), {"stage": Stage.SENT}, {"verdict": None}),
        # Delete
        (DISCARDING, Deleted(), {"stage": Stage.DISCARDING}, {"deleted": True}),
        (DISCARDING, Denied(DENIED), {"stage": Stage.DISCARDING}, {"verdict": Verdict.LEFT}),
        (DISCARDING, Trouble("x"), {"stage": Stage.DISCARDING}, {"deleted": False, "spent": 1}),
        (DISCARDING, Absent(), {"stage": Stage.DISCARDING}, {"absent": 1}),
    ],
)  # fmt: skip
def test_what_is_known_after(known: Attempt, outcome: Outcome, facts: Facts, now: Facts) -> None:
    then = after(known, outcome, POLICY, 1000.0)
    assert {name: getattr(then, name) for name in facts} == facts
    assert {name: getattr(then.now, name) for name in now} == now


# --- law 1: a POST is never repeated blindly -----------------------------------------------------


def test_an_unanswered_create_is_looked_for_and_not_repeated() -> None:
    ride = Ride(intended())
    ride.play(Unanswered("lost"), *[Found((), listed=False)] * 4)
    assert ride.steps == ["Create", "Find", "Find", "Find", "Find"]
    assert ride.attempt.now.verdict is Verdict.UNANSWERED
    assert ride.at - 1000.0 >= 10


def test_what_was_never_sent_may_be_repeated() -> None:
    ride = Ride(intended())
    ride.play(NotSent("x"), NotSent("x"), Created(UID, URL))
    assert ride.steps == ["Create"] * 3


def test_connections_that_never_succeed_prove_that_nothing_was_made() -> None:
    ride = Ride(intended())
    assert ride.drive(lambda attempt, step: NotSent("x")) is Verdict.NOTHING


def test_a_repeated_create_leaves_no_twin_unnoticed() -> None:
    ride = Ride(DISCARDING)
    ride.play(Deleted(), Absent(), Found((TWIN,), listed=False))
    assert ride.attempt.now.twins == (TWIN,)


# --- law 2: an unanswered create is watched by Stream's own clock --------------------------------


@pytest.mark.parametrize(("age", "stage"), [(DAY, Stage.INTENDED), (DAY + 1, Stage.GONE)])
def test_a_watch_ends_after_a_day_of_streams_clock(age: float, stage: Stage) -> None:
    waiting = intended(since=50.0).knows(asked=True)
    then = after(waiting, Found((), listed=False, date=50.0 + age), POLICY, 1e12)
    assert then.stage is stage


def test_a_found_create_is_only_ever_deleted() -> None:
    ride = Ride(intended().knows(asked=True))
    ride.play(Found((UID,), listed=True), seen(), Deleted(), *GONE)
    assert ride.steps == ["Find", "Look", "Delete", "Look", "Find", "Look"]
    assert ride.attempt.stage is Stage.GONE


def test_when_a_found_create_was_made_is_not_guessed() -> None:
    """A later bound would hide it from the very list that must prove its absence."""
    ride = Ride(intended().knows(asked=True))
    ride.play(Found((), listed=False, date=9_000.0), Found((UID,), listed=True, date=9_100.0))
    assert ride.attempt.since is None
    ride.play(seen(date=9_200.0))
    assert ride.attempt.since is None


# --- law 3: only the server knows the offset -----------------------------------------------------


@pytest.mark.parametrize("outcome", [Trouble("x"), Refusal(NO), TooLarge("x"), Stop(2)])
def test_after_any_trouble_the_offset_is_asked_for(outcome: Outcome) -> None:
    attempt = on_its_way(MIB).knows(chunk=20 * MIB)
    then = after(attempt, outcome, POLICY, 1000.0)
    assert not then.now.certain
    assert not isinstance(next_step(then), Patch)


def test_bytes_of_an_earlier_process_may_still_arrive() -> None:
    ride = Ride(created())
    ride.play(Offset(MIB), Trouble("409", handed=6 * MIB), Offset(11 * MIB))
    assert ride.attempt.offset == 11 * MIB


def test_lost_ground_is_accepted_and_spends_budget() -> None:
    ride = Ride(on_its_way(10 * MIB))
    ride.play(Trouble("x"), Offset(5 * MIB))
    assert (ride.attempt.offset, ride.attempt.now.spent) == (5 * MIB, 2)


# --- law 5: the Video API decides ----------------------------------------------------------------


def test_a_dead_url_of_a_whole_video_is_success() -> None:
    ride = Ride(created(tail=True))
    ride.play(UrlDead(404), seen("queued"), seen("queued"))
    assert ride.attempt.stage is Stage.STORED


def test_a_dead_url_whose_tail_may_have_left_is_asked_for_a_minute_and_kept() -> None:
    ride = Ride(created(tail=True))
    verdict = ride.drive(lambda a, step: UrlDead(404) if isinstance(step, Head) else seen())
    assert verdict is Verdict.UNCONFIRMED
    assert 60 <= ride.at - 1000 < 70
    assert (ride.attempt.stage, ride.attempt.doomed) == (Stage.CREATED, "")


def test_a_sent_file_that_stays_pending_is_kept_until_its_expiry() -> None:
    def answers(attempt: Attempt, step: Step, date: float) -> Outcome:
        return UrlDead(404) if isinstance(step, Head) else seen(expiry=50.0, date=date)

    before = Ride(sent())
    assert before.drive(lambda a, s: answers(a, s, 49.0)) is Verdict.UNCONFIRMED
    assert before.attempt.stage is Stage.SENT
    past = Ride(sent())
    past.play(seen(), UrlDead(404), seen(expiry=50.0, date=51.0))
    assert past.attempt.stage is Stage.DISCARDING


# --- law 6: a wish is not a decision -------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Trouble("x"), Absent(), Found((), listed=False), Offset(0)])
def test_only_a_look_leads_from_the_wish_to_the_decision(outcome: Outcome) -> None:
    then = after(created(doomed="trouble"), outcome, POLICY, 1000.0)
    if not isinstance(outcome, Offset):
        assert then.stage is Stage.CREATED


def test_a_rollback_does_not_need_the_upload_host_before_the_tail() -> None:
    ride = Ride(on_its_way(5 * MIB))
    ride.play(Refusal(NO, final=True), seen(), Deleted(), *GONE)
    assert ride.steps == ["Patch", "Look", "Delete", "Look", "Find", "Look"]


def test_a_rollback_after_the_tail_asks_both() -> None:
    ride = Ride(on_its_way(10 * MIB, tail=True).knows(handed=SIZE))
    ride.play(Refusal(NO, final=True), seen(), Offset(11 * MIB), Deleted(), *GONE)
    assert ride.steps == ["Patch", "Look", "Head", "Delete", "Look", "Find", "Look"]


def test_a_head_before_the_look_does_not_count() -> None:
    """The tail may have arrived between the two: the HEAD must be the later one."""
    known = created(doomed="trouble", tail=True).knows(short=True, headed=True)
    then = after(known, seen(), POLICY, 1000.0)
    assert then.stage is Stage.CREATED
    assert next_step(then) == Head()


@pytest.mark.parametrize(
    ("attempt", "marker", "ours"),
    [
        (created(doomed="trouble"), MINE, True),
        (created(doomed="trouble"), None, True),
        (created(doomed="trouble"), "1.other", False),
        (stray(), MINE, True),
        (stray(), None, False),
        (stray(), "", False),
        (stray(), "1.other", False),
        (DISCARDING, "1.other", False),
    ],
)
def test_a_video_with_another_marker_is_never_discarded(
    attempt: Attempt, marker: str | None, ours: bool
) -> None:
    then = after(attempt, seen(marker=marker), POLICY, 1000.0)
    assert (then.now.verdict is None) is ours
    if not ours:
        assert then.now.verdict is Verdict.LEFT
        assert then.stage is attempt.stage


def test_a_decision_is_irrevocable() -> None:
    ride = Ride(DISCARDING)
    ride.play(Deleted(), seen("ready"), Deleted(), *GONE)
    assert ride.steps == ["Delete", "Look", "Delete", "Look", "Find", "Look"]


def test_keeping_is_for_what_may_be_resumed() -> None:
    keep = replace(POLICY, keep_failed=True, retries=0)
    for outcome in (Trouble("x"), Stop(2)):
        then = after(on_its_way(), outcome, keep, 1000.0)
        assert (then.kept, then.doomed, then.now.verdict) == (True, "", Verdict.KEPT)
    for failure in (NO, CHANGED):
        then = after(on_its_way(), Refusal(failure, final=True), keep, 1000.0)
        assert (then.kept, bool(then.doomed)) == (False, True)


def test_a_failed_encoding_may_be_kept() -> None:
    then = after(sent(), seen(ERROR), replace(POLICY, keep_unprocessed=True), 1000.0)
    assert (then.stage, then.now.verdict) == (Stage.STORED, Verdict.UNPROCESSED)


# --- law 7: absence is proven --------------------------------------------------------------------


@pytest.mark.parametrize(
    "answers",
    [
        (Deleted(),),
        (Deleted(), Absent()),
        (Deleted(), Absent(), Found((), listed=False)),
        (Deleted(), Absent(), Found((UID,), listed=True), Deleted(), Absent()),
        (Deleted(), Absent(), Trouble("html 404"), Found((), listed=False), Trouble("x")),
        (Deleted(), Absent(), Found((), listed=False), seen(), Deleted(), Absent()),
    ],
)
def test_less_than_the_whole_proof_is_none(answers: tuple[Outcome, ...]) -> None:
    ride = Ride(DISCARDING)
    assert ride.play(*answers).stage is Stage.DISCARDING
    assert next_step(ride.attempt) != Done(Verdict.GONE)


def test_two_answers_at_once_are_one() -> None:
    """A signal or a deadline cuts the wait between the two GETs short."""
    known = DISCARDING.knows(deleted=True, absent=1, absent_at=1000.0, unlisted=True)
    assert after(known, Absent(), POLICY, 1000.1).stage is Stage.DISCARDING
    assert after(known, Absent(), POLICY, 1002.0).stage is Stage.GONE


def test_a_proof_that_finds_no_time_ends_as_a_debt() -> None:
    """The deadline is over, and waits are cut to nothing."""
    ride = Ride(DISCARDING.knows(until=1000.0))

    def gone(attempt: Attempt, step: Step) -> Outcome:
        match step:
            case Delete():
                return Deleted()
            case Find():
                return Found((), listed=False)
            case _:
                return Absent()

    assert ride.drive(gone) is Verdict.LEFT


@pytest.mark.parametrize("stage", [Stage.SENT, Stage.STORED])
def test_a_vanished_video_is_no_reason_for_a_new_one(stage: Stage) -> None:
    ride = Ride(sent(stage=stage))
    verdict = ride.drive(
        lambda a, step: Found((), listed=False) if isinstance(step, Find) else Absent()
    )
    assert verdict is Verdict.VANISHED
    assert ride.attempt.stage is stage


# --- law 8, 10, 11 -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "debt"),
    [
        (intended(), True),
        (created(), False),
        (created(kept=True), False),
        (created(doomed="trouble"), True),
        (DISCARDING, True),
        (sent(), False),
        (sent(stage=Stage.STORED), False),
    ],
)
def test_what_is_a_debt(attempt: Attempt, debt: bool) -> None:
    assert attempt.is_debt is debt


def test_the_first_failure_is_the_one_to_tell() -> None:
    ride = Ride(on_its_way())
    ride.play(FileFault(CHANGED), Trouble("down"), Trouble("down"))
    assert ride.attempt.now.failure == CHANGED


def test_after_a_signal_the_rollback_has_eight_seconds() -> None:
    ride = Ride(on_its_way())
    ride.play(Stop(15))
    ride.drive(lambda a, step: Trouble("down"))
    assert ride.attempt.now.verdict is Verdict.LEFT
    assert ride.at - 1000 < 9
    assert ride.attempt.now.failure == Failure(Reason.INTERRUPTED, "Interrupted", signum=15)


def test_after_a_signal_nobody_waits_a_minute_for_the_confirmation() -> None:
    """The rollback finds the tail arrived: the eight seconds still count."""
    ride = Ride(on_its_way(10 * MIB, tail=True).knows(handed=SIZE))
    ride.play(Stop(2))
    verdict = ride.drive(lambda a, step: Offset(SIZE) if isinstance(step, Head) else seen())
    assert (verdict, ride.attempt.stage) == (Verdict.UNCONFIRMED, Stage.SENT)
    assert ride.at - 1000 < 11


def test_a_second_signal_leaves_the_debt() -> None:
    ride = Ride(on_its_way())
    ride.play(Stop(2), Stop(2, hard=True))
    assert ride.attempt.now.verdict is Verdict.LEFT
    assert ride.attempt.is_debt


def test_eight_troubles_without_progress_end_in_rollback() -> None:
    ride = Ride(on_its_way())
    ride.play(*[Trouble("x")] * 8)
    assert ride.attempt.now.failure is None
    assert ride.play(Trouble("x")).doomed == "trouble"


def test_time_without_progress_ends_in_rollback() -> None:
    ride = Ride(on_its_way())
    ride.play(Trouble("x", retry_after=400.0), Trouble("x", retry_after=400.0), Trouble("x"))
    assert ride.attempt.doomed == "trouble"


def test_the_budget_refills_only_on_new_ground() -> None:
    ride = Ride(on_its_way(5 * MIB))
    ride.play(Trouble("x"), Offset(5 * MIB))
    assert ride.attempt.now.spent == 1
    ride.play(Acked(10 * MIB, 5 * MIB, 1.0, 10 * MIB))
    assert ride.attempt.now.spent == 0
    ride.play(Trouble("x"), Offset(5 * MIB), Acked(10 * MIB, 5 * MIB, 1.0, 10 * MIB))
    assert ride.attempt.now.spent == 2


def test_a_rollback_on_a_dead_network_ends_in_a_debt() -> None:
    ride = Ride(on_its_way(), Policy(retries=0))
    assert ride.drive(lambda a, step: Trouble("down")) is Verdict.LEFT
    assert ride.attempt.is_debt


def test_a_video_that_may_be_whole_is_not_taken_for_gone_by_stale_reads() -> None:
    """The tail may have left, and the first seconds of GETs and lists know nothing of it."""
    ride = Ride(created(tail=True))
    ride.play(UrlDead(403), *GONE, *GONE)
    assert ride.attempt.stage is Stage.CREATED
    assert ride.play(seen("queued")).stage is Stage.SENT


def test_a_video_that_may_have_been_whole_is_gone_after_a_minute() -> None:
    ride = Ride(created(tail=True).knows(dead=True))
    verdict = ride.drive(
        lambda a, step: Found((), listed=False) if isinstance(step, Find) else Absent()
    )
    assert verdict is Verdict.GONE
    assert ride.at - 1000 > 60


@pytest.mark.parametrize(("seconds", "verdict"), [(60.0, Verdict.GONE), (8.0, Verdict.LEFT)])
def test_a_debt_that_may_have_been_whole_is_gone_within_its_time(
    seconds: float, verdict: Verdict
) -> None:
    """A deadline is no proof: where it is too short, the debt waits for a longer one."""
    ride = Ride(created(tail=True, doomed="trouble").knows(until=1000.0 + seconds))
    ended = ride.drive(
        lambda a, step: Found((), listed=False) if isinstance(step, Find) else Absent()
    )
    assert ended is verdict
    assert ride.at <= 1001 + seconds


def test_an_upload_that_vanished_is_gone() -> None:
    ride = Ride(created())
    ride.play(UrlDead(404), *GONE)
    assert ride.attempt.stage is Stage.GONE
    assert ride.attempt.now.failure == Failure(Reason.VANISHED, "the video is no longer on Stream")


def test_what_cannot_be_undone_is_braced_for() -> None:
    assert braced(intended(), Create()).now.asked
    assert braced(on_its_way(), Patch(0, 5, last=True)).tail
    assert not braced(on_its_way(), Patch(0, 5, last=False)).tail


def test_secrets_are_not_in_the_representation() -> None:
    assert URL not in repr(created())


@pytest.mark.parametrize(
    ("text", "good"),
    [("run-1", True), ("a.b:c/d@e+f", True), ("x" * 64, True), ("x" * 65, False), ("", False),
     (".x", False), ("a b", False), ("a\n", False), ("é", False)],
)  # fmt: skip
def test_a_label_is_plain_text(text: str, good: bool) -> None:
    assert is_label(text) is good


def test_a_quota_refusal_proves_that_nothing_was_made() -> None:
    then = after(intended(), NotMade(QUOTA), POLICY, 1000.0)
    assert (then.now.verdict, then.now.failure) == (Verdict.NOTHING, QUOTA)

"""The pure core and the guard of URLs at their edges: changes that no other test noticed."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from types import ModuleType
from urllib.parse import SplitResult, urlsplit

import pytest
from mutation.learned import DISCARDING, WHAT_IS_LEARNED, seen
from scripted import MIB, POLICY, SIZE, UID, Ride, created, intended, sent

from cfstream_upload import addresses, attempt, ending, outcome, pace
from cfstream_upload.after import DAY, after
from cfstream_upload.attempt import (
    Attempt,
    Failure,
    Identity,
    Marker,
    Now,
    Reason,
    Stage,
    Verdict,
    is_uid,
    next_step,
    read_marker,
)
from cfstream_upload.ending import ROLLBACK_TRIES, Policy, doom, may_go, undecided
from cfstream_upload.outcome import Absent, Found, Offset, Refusal, Trouble
from cfstream_upload.patience import UnacceptableUrl

LOST = Failure(Reason.TROUBLE, "x")


@pytest.mark.parametrize("case", WHAT_IS_LEARNED)
def test_this_is_learned_and_nothing_else(case: str) -> None:
    known, told, facts, now = WHAT_IS_LEARNED[case]
    then = after(known, told, POLICY, 1000.0)
    started = 1000.0 if known.now.progress_at is None else known.now.progress_at
    same = known.knows(pause=0.0, backoff=0, retry_after=None, progress_at=started)
    expected = replace(same, **facts).knows(**now)  # type: ignore[arg-type]  # by name
    assert then == expected
    assert then.now == expected.now


# --- values ---------------------------------------------------------------------------------------


def _values(module: ModuleType) -> list[type]:
    found = [one for one in vars(module).values() if isinstance(one, type) and is_dataclass(one)]
    return [one for one in found if one.__module__ == module.__name__]


@pytest.mark.parametrize("kind", [*_values(attempt), *_values(ending), *_values(outcome)])
def test_knowledge_cannot_be_changed_in_place(kind: type) -> None:
    assert "__slots__" in vars(kind)
    assert all(name in vars(kind) for name in ("__eq__", "__hash__", "__setattr__"))
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]  # every dataclass has it


def test_nothing_is_known_of_a_new_attempt() -> None:
    new = Attempt("1d" * 16, "0e" * 16, "", "b", "ab" * 16, "/a.mp4", Identity(1, 2, 3, 4, "s"))
    told = {f.name: getattr(new, f.name) for f in fields(new)[7:]}
    assert told == {
        "options": "{}", "stage": Stage.INTENDED, "uid": None, "url": None, "offset": 0,
        "doomed": "", "tail": False, "kept": False, "told": False, "since": None, "expiry": None,
        "started": 0.0, "row": 0, "now": Now(),
    }  # fmt: skip
    assert [getattr(Now(), f.name) for f in fields(Now)] == [
        False, False, None, False, False, False, False, 0, 0.0, False, 0, (), 0, 0, 0, None,
        16 * MIB, 0.0, 0, None, None, None, None, "", None, None, 0,
    ]  # fmt: skip
    assert new.now is not replace(new, now=Now()).now
    assert new == new.knows(certain=True)


def test_what_the_user_did_not_say_has_these_values() -> None:
    assert [getattr(Policy(), f.name) for f in fields(Policy)] == [
        8, 600.0, 60.0, 60.0, 8.0, (0.0, 2.0, 3.0, 5.0), 1.5, 2.0, 200 * MIB, False, False,
    ]  # fmt: skip


def test_a_failure_has_no_hint_and_no_signal_of_its_own() -> None:
    assert (LOST.hint, LOST.signum) == ("", 0)


@pytest.mark.parametrize(
    "text", [None, 5, "", "1", f"0.{UID}.{UID}", f"2.{UID}.{UID}", f"1.x.{UID}"]
)
def test_what_is_no_marker_of_ours_is_none(text: object) -> None:
    assert read_marker(text) is None
    assert read_marker(f"1.{UID}.x") is None


def test_a_marker_is_read_as_it_was_written() -> None:
    labelled = intended(label="run.1")
    assert read_marker(labelled.marker) == Marker(labelled.id, labelled.host, "run.1")
    assert read_marker(intended().marker) == Marker(labelled.id, labelled.host, "")


def test_only_text_is_a_uid() -> None:
    assert is_uid(UID)
    assert not any(is_uid(one) for one in (None, 7, UID.encode(), UID[1:], UID + "\n"))


# --- budgets and deadlines, to the second ---------------------------------------------------------


@pytest.mark.parametrize(("seconds", "over"), [(600.0, False), (600.5, True), (1000.0, True)])
def test_the_time_without_progress_ends_after_ten_minutes(seconds: float, over: bool) -> None:
    known = created().knows(progress_at=1000.0, spent=1)
    assert bool(after(known, Trouble("x"), POLICY, 1000.0 + seconds).doomed) is over


@pytest.mark.parametrize(("until", "left"), [(999.0, True), (1000.0, True), (1000.5, False)])
def test_a_deadline_is_over_at_its_second(until: float, left: bool) -> None:
    then = after(DISCARDING.knows(until=until), Trouble("x"), POLICY, 1000.0)
    assert (then.now.verdict is Verdict.LEFT) is left


@pytest.mark.parametrize("known", [DISCARDING, created(doomed="file")])
def test_deleting_has_eight_tries_whatever_the_user_allows(known: Attempt) -> None:
    ride = Ride(known, Policy(retries=0))
    ride.play(*[Trouble("x")] * ROLLBACK_TRIES)
    assert (ROLLBACK_TRIES, ride.attempt.now.retries) == (8, 8)
    assert ride.play(Trouble("x")).now.verdict is Verdict.LEFT


@pytest.mark.parametrize(
    ("known", "verdict", "doomed"),
    [
        (intended(), Verdict.NOTHING, ""),
        (intended().knows(asked=True), Verdict.UNANSWERED, ""),
        (created(), None, "trouble"),
        (sent(), Verdict.UNCONFIRMED, ""),
        (sent(stage=Stage.STORED), Verdict.UNREACHED, ""),
    ],
)
def test_without_retries_the_first_trouble_ends_a_stage(
    known: Attempt, verdict: Verdict | None, doomed: str
) -> None:
    then = after(known, Trouble("x"), Policy(retries=0), 1000.0)
    assert (then.now.verdict, then.doomed) == (verdict, doomed)


@pytest.mark.parametrize("reason", Reason)
def test_only_a_signal_hurries_a_rollback(reason: Reason) -> None:
    doomed = doom(created(), Failure(reason, "x"), POLICY, 1000.0)
    assert doomed.now.until == (1008.0 if reason is Reason.INTERRUPTED else 1060.0)


@pytest.mark.parametrize("stage", Stage)
def test_only_an_upload_under_way_is_kept(stage: Stage) -> None:
    keep = Policy(keep_failed=True)
    assert doom(created(stage=stage), LOST, keep, 1000.0).kept is (stage is Stage.CREATED)
    assert not doom(created(stage=stage, url=None), LOST, keep, 1000.0).kept


def test_a_decision_starts_with_nothing_proven() -> None:
    known = created(doomed="file").knows(absent=1, unlisted=True, deleted=True)
    now = may_go(known).now
    assert (now.absent, now.unlisted, now.deleted) == (0, False, False)


@pytest.mark.parametrize(("since", "until", "over"), [
    (940.5, None, False), (940.0, None, True), (500.0, None, True),
    (990.0, 1000.5, False), (990.0, 1000.0, True),
])  # fmt: skip
def test_a_confirmation_is_waited_for_a_minute_or_until_the_deadline(
    since: float, until: float | None, over: bool
) -> None:
    then = undecided(sent().knows(waiting_since=since, until=until), POLICY, 1000.0)
    assert (then.now.verdict is Verdict.UNCONFIRMED) is over
    assert then.now.failure == (
        Failure(Reason.TROUBLE, "Stream has not confirmed the file") if over else None
    )


@pytest.mark.parametrize(("at", "gone"), [(1004.0, False), (1004.5, True), (2000.0, True)])
def test_a_wish_waits_half_its_deadline_for_a_stale_read(at: float, gone: bool) -> None:
    proven = created(tail=True, doomed="file").knows(
        absent=1, unlisted=True, absent_at=1.0, waiting_since=1000.0
    )
    then = after(proven, Absent(), Policy(rollback=9.0), at)
    assert (then.stage is Stage.GONE) is gone


@pytest.mark.parametrize(
    ("seconds", "expiry", "over"),
    [
        (86_400, None, False),
        (86_400.5, None, True),
        (90_000, 5.0, True),
        (200_000, 300_000, False),
        (303_600, 300_000, False),
        (303_600.5, 300_000, True),
    ],
)
def test_a_watch_lasts_a_day_or_an_hour_past_the_expiry(
    seconds: float, expiry: float | None, over: bool
) -> None:
    known = intended(since=0.0, expiry=expiry).knows(asked=True)
    then = after(known, Found((), listed=False, date=seconds), POLICY, 1000.0)
    assert (then.stage is Stage.GONE) is over


def test_without_streams_clock_no_watch_ends() -> None:
    for known, date in ((intended(since=0.0), None), (intended(), 9 * DAY)):
        then = after(known.knows(asked=True), Found((), listed=False, date=date), POLICY, 1.0)
        assert then.stage is Stage.INTENDED


def test_a_first_date_is_kept() -> None:
    then = after(intended(since=5.0).knows(asked=True), Found((), False, date=9.0), POLICY, 1.0)
    assert then.since == 5.0


# --- offsets and chunks ---------------------------------------------------------------------------


@pytest.mark.parametrize("known", [created(doomed="file", tail=True), sent()])
def test_a_state_is_known_by_its_text(known: Attempt) -> None:
    assert next_step(known.knows(state=seen().state)) == attempt.Head()


def test_a_chunk_ends_with_the_file() -> None:
    step = next_step(created(offset=SIZE - 3).knows(certain=True))
    assert step == attempt.Patch(SIZE - 3, 3, last=True)
    just = created(offset=SIZE - 2 * MIB).knows(certain=True, chunk=int(str(2 * MIB)))
    assert next_step(just) == attempt.Patch(SIZE - 2 * MIB, 2 * MIB, last=True)


def test_the_highest_position_that_was_handed_over_is_believed() -> None:
    known = created().knows(certain=True, handed=7 * MIB)
    assert after(known, Offset(7 * MIB), POLICY, 1.0).doomed == ""
    assert after(known, Offset(7 * MIB + 1), POLICY, 1.0).doomed == "refused"


def test_after_a_second_refusal_in_a_row_the_upload_is_given_up() -> None:
    ride = Ride(created().knows(certain=True))
    no = Failure(Reason.REFUSED, "no")
    ride.play(Refusal(no), Offset(0))
    assert (ride.attempt.now.refusals, ride.attempt.doomed) == (1, "")
    assert ride.play(Refusal(no)).doomed == "refused"


@pytest.mark.parametrize(
    ("chunk", "length", "seconds", "largest", "then"),
    [
        (16, 5, 1.0, 200, 50),
        (16, 6, 10.0, 200, 6),
        (100, 10, 0.5, 200, 200),
        (100, 10, 0.0, 200, 200),
        (16, 16, 0.001, 200, 64),
        (16, 16, 1.0, 20, 20),
        (16, 16, 1.0, 1, 5),
    ],
)
def test_the_next_chunk_in_mib(
    chunk: int, length: int, seconds: float, largest: int, then: int
) -> None:
    assert pace.grown(chunk * MIB, length * MIB, seconds, largest * MIB) == then * MIB
    assert pace.grown(7 * MIB, 5 * MIB - 1, seconds, largest * MIB) == 7 * MIB


def test_the_pace_keeps_to_streams_limits() -> None:
    assert (pace.SMALLEST, pace.FIRST, pace.LARGEST) == (5 * MIB, 16 * MIB, 200 * MIB)
    assert (pace.KIB, pace.MIB, pace.UNIT) == (1024, MIB, 256 * 1024)
    assert pace.legal(10 * MIB + 200_000) == 10 * MIB
    assert (pace.legal(10**12), pace.legal(0)) == (200 * MIB, 5 * MIB)
    assert pace.halved(11 * MIB) == 5.5 * MIB


@pytest.mark.parametrize(
    ("spent", "asked", "chance", "seconds"),
    [
        (0, None, 0.9, 0.0), (1, None, 0.0, 0.5), (1, None, 0.8, 0.9), (2, None, 0.5, 1.5),
        (7, None, 0.0, 32.0), (8, None, 0.0, 32.0), (10**6, None, 0.0, 32.0), (0, 7.0, 0.5, 7.0),
        (0, -7.0, 0.5, 0.0), (0, 599.0, 0.5, 599.0), (0, 1e9, 0.5, 600.0), (3, 1.0, 0.0, 2.0),
    ],
)  # fmt: skip
def test_a_wait_in_seconds(spent: int, asked: float | None, chance: float, seconds: float) -> None:
    assert pace.wait(spent, asked, chance) == seconds


# --- the guard of URLs ----------------------------------------------------------------------------

LOOPBACK = "http://localhost:8787/client/v4"
API = "https://api.cloudflare.com/client/v4"


def test_a_url_may_name_the_port_that_its_scheme_has_anyway() -> None:
    assert addresses.acceptable_api_base("http://localhost:80/v4") == "http://localhost/v4"
    assert addresses.acceptable_api_base("https://h:443/v4") == "https://h/v4"
    # Here httpx keeps the port at first, and it would be another origin.
    capital, plain = (addresses.parsed(text) for text in ("Https://h:443/v4", "https://h/v4"))
    assert addresses.origin(capital) == addresses.origin(plain)


def test_a_url_of_a_proxy_is_http_to_one_host_that_all_read_alike() -> None:
    for text in ("http://p:1", "http://u:p%40@p:1/", "http://[::1]:81", "http://u@[::1]"):
        assert str(addresses.acceptable_proxy(text)).rstrip("/") == text.rstrip("/")
    for text in (
        "https://p:1", "ftp://p:1", "socks5://p", "http://", "p:1", "http://[::1]80",
        "http://u@[::1]80/", "http://p\udcff", "http://p/\udcff", "http://[",
    ):  # fmt: skip
        with pytest.raises(UnacceptableUrl):
            addresses.acceptable_proxy(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "a.localhost", "zzz"])
def test_a_url_on_another_name_of_this_machine_is_refused(host: str) -> None:
    with pytest.raises(UnacceptableUrl):
        addresses.acceptable_upload_url(f"http://{host}:8787/x", LOOPBACK)


@pytest.mark.parametrize(
    "other", ["aaa://m/", "zzz://m/", "https://a/", "https://z/", "https://m:1/", "https://u@m/"]
)
def test_a_url_on_which_two_parsers_disagree_is_refused(
    other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differing(text: str) -> SplitResult:
        return urlsplit(other)

    assert str(addresses.parsed("https://m/")) == "https://m/"
    monkeypatch.setattr(addresses, "urlsplit", differing)
    with pytest.raises(UnacceptableUrl):
        addresses.parsed("https://m/")

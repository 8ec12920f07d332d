"""Questions to the Video API: what it shows of a video when, and to whom."""

from __future__ import annotations

import re
import secrets

import httpx
import pytest

from live.answers import Answers
from live.service import SAMPLE, SMALLEST_CHUNK, Live, told
from live.windows import HOUR, find_longest, length_of

# Some wait for minutes, on Stream's clock.
pytestmark = [pytest.mark.live, pytest.mark.timeout(1200)]

LONGEST_HEADER = 8192


# --- the upload window ---------------------------------------------------------------------------


def test_default_expiry(live: Live, answers: Answers) -> None:
    uid = live.create(10).uid
    seconds = length_of(live.shown(uid))
    answers.found("default_expiry", round(seconds), f"created + {seconds:.3f} s")
    edited = live.api("POST", f"/stream/{uid}", json={"uploadExpiry": live.moment(HOUR)})
    now = length_of(live.shown(uid))
    answers.note("editing uploadExpiry", f"{edited.status_code}: created + {now:.0f} s")


def test_longest_expiry(live: Live, answers: Answers) -> None:
    def ask(moment: str) -> tuple[httpx.Response, str]:
        reply = live.try_create(10, live.metadata(expiry=moment))
        return reply, reply.headers.get("stream-media-id", "")

    find_longest(live, answers, "expiry_cap", ask)


# --- one video -----------------------------------------------------------------------------------


def test_meta(live: Live, answers: Answers) -> None:
    data = SAMPLE.read_bytes()
    upload = live.create(len(data), cfupload="x", CfuploadMixed="y")
    pending = live.shown(upload.uid)["meta"]
    answers.found("meta_while_pending", "cfupload" in pending, f"keys: {sorted(pending)}")
    live.patch(upload, 0, data)
    live.until(lambda: live.shown(upload.uid)["status"]["state"] != "pendingupload", 120)
    meta = live.shown(upload.uid)["meta"]
    found = [key for key in meta if key.lower() == "cfuploadmixed"]
    if not found:
        answers.unanswered("meta_keys", f"a key with capitals is lost: {sorted(meta)}")
        return
    answers.found("meta_keys", "kept" if found == ["CfuploadMixed"] else "lower", str(found))


def test_longest_meta(live: Live, answers: Answers) -> None:
    shortest = len(live.metadata()) + 10
    refused = _refusal_of_meta(live, LONGEST_HEADER)
    if refused is None:
        answers.found("meta_limit", None, f"{LONGEST_HEADER} bytes are taken")
        return
    taken, too_long = shortest, LONGEST_HEADER
    while too_long - taken > 1:
        middle = (taken + too_long) // 2
        if _refusal_of_meta(live, middle) is None:
            taken = middle
        else:
            too_long = middle
    answers.found("meta_limit", taken, f"one byte more: {told(refused)}")


def _refusal_of_meta(live: Live, length: int) -> httpx.Response | None:
    """Create with an ``Upload-Metadata`` of exactly so many bytes; None: it was taken."""
    fixed = live.metadata() + ","
    room = length - len(fixed) - 1
    key = room % 4 or 4
    reply = live.try_create(10, f"{fixed}{'k' * key} {'A' * (room - key)}")
    if reply.status_code != 201:
        return reply
    live.delete(live.made(reply, 10).uid)
    return None


def test_size_and_modified(live: Live, answers: Answers) -> None:
    whole = live.sent()
    shown = live.until(lambda: bool(live.shown(whole.uid)["size"] == whole.length), 30)
    answers.note("size of a whole video", "equals the bytes sent" if shown else "differs")
    length = SMALLEST_CHUNK + 1000
    upload = live.create(length)
    before = live.shown(upload.uid)
    assert live.patch(upload, 0, bytes(SMALLEST_CHUNK)).status_code in (200, 204)
    live.wait(10)
    after = live.shown(upload.uid)
    known = {0: "zero", SMALLEST_CHUNK: "received", length: "length"}
    answers.found(
        "size_while_pending", known.get(after["size"], after["size"]), f"size {after['size']}"
    )
    answers.found(
        "modified_while_uploading",
        before["modified"] != after["modified"],
        f"{before['modified']}, then {after['modified']}",
    )


def test_uploaded(live: Live, answers: Answers) -> None:
    uploaded = live.shown(live.create(10).uid)["uploaded"]
    answers.found("uploaded_at_creation", uploaded is not None, f"uploaded: {uploaded}")


def test_pending_after_whole(live: Live, answers: Answers) -> None:
    uid = live.sent().uid
    passed = live.until(lambda: live.shown(uid)["status"]["state"] != "pendingupload", 120)
    if passed is None:
        answers.unanswered("pending_after_whole", "still pendingupload after two minutes")
    else:
        answers.found("pending_after_whole", _lag(passed), _seconds(passed))


def test_first_looks(live: Live, answers: Answers) -> None:
    uid = live.create(10).uid
    statuses: list[int] = []

    def found() -> bool:
        statuses.append(live.api("GET", f"/stream/{uid}").status_code)
        return statuses[-1] == 200

    if live.until(found, 60):
        answers.found("false_404s", statuses.count(404), f"looks: {statuses}")
    else:
        answers.unanswered("false_404s", f"no look in a minute found it: {statuses[-1]}")


def _lag(passed: tuple[float, float]) -> float:
    """The end of the wait, or 0 where the first look was enough."""
    return round(passed[1], 1) if passed[0] else 0.0


def _seconds(passed: tuple[float, float]) -> str:
    return f"not yet after {passed[0]:.2f} s, then after {passed[1]:.2f} s"


# --- lists ---------------------------------------------------------------------------------------


def test_list_lag(live: Live, answers: Answers) -> None:
    uid = live.create(10).uid
    shown = live.until(lambda: uid in live.listed(), 120)
    live.delete(uid)
    hidden = live.until(lambda: uid not in live.listed(), 120)
    if shown is None or hidden is None:
        answers.unanswered("list_lag", "more than two minutes")
        return
    seen = f"new: {_seconds(shown)}; deleted: {_seconds(hidden)}"
    answers.found("list_lag", max(_lag(shown), _lag(hidden)), seen)


def test_bounds_of_a_list(live: Live, answers: Answers) -> None:
    uid = live.create(10).uid
    created = live.shown(uid)["created"]
    assert live.until(lambda: uid in live.listed(), 120)
    for bound in ("before", "after"):
        inclusive = uid in live.listed(**{bound: created})
        answers.found(f"{bound}_inclusive", inclusive, f"{bound}={created}")


def test_counts_of_a_list(live: Live, answers: Answers) -> None:
    page = live.api("GET", params={"include_counts": "true", "limit": "1"}).json()
    answers.found("total_as", type(page.get("total")).__name__, f"total: {page.get('total')!r}")


# --- who is let in -------------------------------------------------------------------------------


def test_wrong_token(live: Live, answers: Answers) -> None:
    reply = live.api("GET", token="x" * 40)
    answers.found("wrong_token", reply.status_code, told(reply))


def test_wrong_account(live: Live, answers: Answers) -> None:
    reply = live.api("GET", whole_path=f"/accounts/{secrets.token_hex(16)}/stream")
    answers.found("wrong_account", reply.status_code, told(reply))


def test_token_owner(live: Live, answers: Answers) -> None:
    user = live.api("GET", whole_path="/user/tokens/verify")
    account = live.api("GET", "/tokens/verify")
    known = {(True, True): "either", (True, False): "user", (False, True): "account"}
    owner = known.get((user.is_success, account.is_success), "neither")
    answers.found("token_owner", owner, f"user: {told(user)}; account: {told(account)}")


# --- what it costs -------------------------------------------------------------------------------


def test_reservations(live: Live, answers: Answers) -> None:
    counted = _reserved(live, direct_user=True, minutes=10)
    # Ten minutes were asked for; what others upload meanwhile is less, or it is asked again.
    counts = counted > 5
    answers.found("usage_counts_reservations", counts, f"10 min show as {counted:.1f}")
    if not counts:
        answers.unanswered("tus_reservation", "storage-usage does not show reservations")
        return
    direct = _reserved(live, direct_user=True)
    answers.note("reserved by direct_user without a duration", f"{direct:.1f} min")
    own = _reserved(live, direct_user=False)
    answers.found("tus_reservation", round(own * 60), f"{own:.1f} min")


def _reserved(live: Live, *, direct_user: bool, minutes: int | None = None) -> float:
    before, _ = live.minutes_used()
    uid = live.create(10, direct_user=direct_user, minutes=minutes).uid
    live.until(lambda: live.minutes_used()[0] != before, 30)
    more = live.minutes_used()[0] - before
    live.delete(uid)
    live.until(lambda: live.minutes_used()[0] <= before, 30)
    return more


def test_uploads_and_the_rate_limit(live: Live, answers: Answers) -> None:
    upload, heads = live.create(10), 20
    before = _left(live)
    for _ in range(heads):
        live.head(upload)
    after = _left(live)
    if before is None or after is None or after > before:
        answers.unanswered("uploads_count_to_limit", f"Ratelimit said r={before}, then r={after}")
        return
    used = before - after
    answers.found("uploads_count_to_limit", used > heads // 2, f"{heads} HEADs and a GET: {used}")


def _left(live: Live) -> int | None:
    said = re.search(
        r"r=(\d+)", live.api("GET", params={"limit": "1"}).headers.get("ratelimit", "")
    )
    return None if said is None else int(said[1])

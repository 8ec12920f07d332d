"""What is known after an outcome, and that nothing else is: a table for the pure core."""

from __future__ import annotations

from scripted import MIB, NO, SIZE, TWIN, UID, URL, created, intended, sent

from cfstream_upload.attempt import ERROR, PENDING, Attempt, Failure, Reason, Stage, Verdict
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
)  # fmt: skip

MINE = intended().marker
CHANGED = Failure(Reason.CHANGED, "changed")
DENIED = Failure(Reason.DENIED, "denied")
LOST = Failure(Reason.TROUBLE, "x")
EXPIRED = Failure(Reason.EXPIRED, "the upload URL is no longer valid")
VANISHED = Failure(Reason.VANISHED, "the video is no longer on Stream")
FOREIGN = Failure(Reason.FOREIGN, "the video does not carry this upload's marker")
STRAY = Failure(Reason.STRAY, "the reply to the create call was lost")
LIAR = Failure(Reason.REFUSED, "the server claims bytes that were never sent")
UNPROCESSED = Failure(Reason.PROCESSING, "Stream could not process the file")
DISCARDING = created(stage=Stage.DISCARDING, doomed="trouble")


def seen(state: str = PENDING, marker: str | None = MINE, **more: object) -> Seen:
    # Joined at run time: a state that comes from Stream is never the very object of a constant.
    return Seen("".join(list(state)), marker, **more)  # type: ignore[arg-type]  # by name


def flow(offset: int = 0, **facts: object) -> Attempt:
    """Created by this very process."""
    return created(offset=offset, **facts).knows(certain=True, handed=offset, high=offset)


def tried(words: str, spent: int = 1) -> dict[str, object]:
    return {"spent": spent, "backoff": spent, "trouble": words, "retries": 1}


BUSY: dict[str, object] = {
    "spent": 3, "absent": 1, "unlisted": True, "state": "ready", "short": True, "headed": True,
    "pause": 2.0, "backoff": 2, "retry_after": 5.0, "waiting_since": 900.0, "progress_at": 990.0,
}  # fmt: skip
FORGOTTEN: dict[str, object] = {
    "spent": 0, "absent": 0, "unlisted": False, "state": None, "short": False, "headed": False,
    "waiting_since": None, "progress_at": 1000.0,
}  # fmt: skip
TWICE: dict[str, object] = {"absent": 1, "unlisted": True, "absent_at": 998.0}
LATE: dict[str, object] = {**TWICE, "waiting_since": 940.0}
WAITS: dict[str, object] = {"pause": 2.0, "waiting_since": 1000.0}
GIVEN_UP: dict[str, object] = {"stage": Stage.DISCARDING, "doomed": "expired"}
# Read from a reply, so it is not the very object that SIZE is.
EVERYTHING = int(str(SIZE))
Facts = dict[str, object]
TAIL = created(tail=True)
WISHED = created(tail=True, doomed="trouble").knows(state=PENDING)
WHOLE: Facts = {"stage": Stage.SENT, "offset": SIZE, "doomed": ""}

WHAT_IS_LEARNED: dict[str, tuple[Attempt, Outcome, Facts, Facts]] = {
    "created": (
        intended().knows(asked=True, spent=2, progress_at=990.0), Created(UID, URL, 5.0),
        {"stage": Stage.CREATED, "uid": UID, "url": URL, "since": 5.0},
        {"asked": False, "certain": True, "spent": 0, "handed": 0, "progress_at": 1000.0}),
    "not made": (intended().knows(asked=True), NotMade(NO), {},
                 {"asked": False, "failure": NO, "verdict": Verdict.NOTHING}),
    "not sent": (intended().knows(asked=True), NotSent("x"), {}, {"asked": False, **tried("x")}),
    "unanswered": (intended(), Unanswered("x", 9.0, 5.0), {"since": 5.0},
                   {"asked": True, "backoff": 1, "retry_after": 9.0, "trouble": "x",
                    "failure": LOST}),
    "not found yet": (intended().knows(asked=True, finds=1), Found((), listed=False, date=7.0),
                      {"since": 7.0}, {"finds": 2, "pause": 3.0}),
    "not found by more looks than are allowed now": (
        intended().knows(asked=True, finds=9), Found((), listed=False), {},
        {"finds": 10, "failure": Failure(Reason.TROUBLE, "the create was lost"),
         "verdict": Verdict.UNANSWERED}),
    "found with a twin": (
        intended(since=3.0).knows(asked=True), Found((UID, TWIN), listed=False),
        {"stage": Stage.CREATED, "uid": UID, "doomed": "stray", "since": None},
        {"asked": False, "twins": (TWIN,), "until": 1060.0, "failure": STRAY}),
    "first offset": (created().knows(dead=True, progress_at=990.0), Offset(5 * MIB),
                     {"offset": 5 * MIB},
                     {"certain": True, "headed": True, "dead": False, "high": 5 * MIB,
                      "progress_at": 1000.0}),
    "a lower offset": (flow(10 * MIB).knows(certain=False, progress_at=990.0), Offset(5 * MIB),
                       {"offset": 5 * MIB},
                       {"certain": True, "headed": True, "progress_at": 1000.0,
                        **tried("Stream lost bytes it had kept")}),
    "a lower offset again": (
        flow(10 * MIB).knows(spent=1, retries=4, progress_at=990.0), Offset(5 * MIB),
        {"offset": 5 * MIB},
        {"headed": True, **tried("Stream lost bytes it had kept", 2), "retries": 5}),
    "an offset after an earlier failure": (created().knows(failure=NO), Offset(MIB),
                                           {"offset": MIB},
                                           {"certain": True, "headed": True, "high": MIB}),
    "the whole length before the tail has left": (
        created(), Offset(EVERYTHING), {"doomed": "refused"},
        {"headed": False, "until": 1060.0, "failure": LIAR}),
    "the same offset": (flow(10 * MIB).knows(certain=False, spent=1, refusals=1), Offset(10 * MIB),
                        {}, {"certain": True, "headed": True}),
    "new ground": (flow(MIB).knows(spent=1, refusals=1, progress_at=990.0),
                   Acked(6 * MIB, 5 * MIB, 1.0, 6 * MIB), {"offset": 6 * MIB},
                   {"spent": 0, "refusals": 0, "high": 6 * MIB, "handed": 6 * MIB,
                    "progress_at": 1000.0}),
    "no new ground": (flow(5 * MIB), Acked(5 * MIB, 5 * MIB, 1.0, 10 * MIB), {},
                      {"handed": 10 * MIB, **tried("the upload does not get on")}),
    "ground that was lost": (flow(5 * MIB), Acked(MIB, 5 * MIB, 1.0, 10 * MIB), {"offset": MIB},
                             {"handed": 10 * MIB, **tried("the upload does not get on")}),
    "a claim": (flow(5 * MIB), Acked(11 * MIB, 5 * MIB, 1.0, 10 * MIB), {"doomed": "refused"},
                {"handed": 10 * MIB, "until": 1060.0, "failure": LIAR}),
    "the last byte": (flow(10 * MIB, tail=True).knows(spent=2, progress_at=990.0),
                      Acked(EVERYTHING, 2 * MIB, 1.0, SIZE), {"stage": Stage.SENT, "offset": SIZE},
                      {"spent": 0, "high": SIZE, "handed": SIZE, "progress_at": 1000.0}),
    "the last byte again": (flow(10 * MIB, tail=True).knows(spent=2, high=EVERYTHING),
                            Acked(SIZE, 2 * MIB, 1.0, SIZE), {"stage": Stage.SENT, "offset": SIZE},
                            {"handed": SIZE}),
    "a cut": (flow().knows(chunk=20 * MIB), Trouble("x", retry_after=7.0, cut=True, handed=MIB), {},
              {"certain": False, "handed": MIB, "chunk": 10 * MIB, "retry_after": 7.0,
               **tried("x")}),
    "trouble": (flow().knows(chunk=20 * MIB, handed=3 * MIB), Trouble("x", handed=MIB), {},
                {"certain": False, **tried("x")}),
    "trouble of an old upload": (created(), Trouble("x", handed=MIB), {}, tried("x")),
    "a chunk that is too large": (flow().knows(chunk=20 * MIB), TooLarge("413"), {},
                                  {"certain": False, "chunk": 10 * MIB, **tried("413")}),
    "the smallest chunk is too large": (
        flow(), TooLarge("413"), {"doomed": "refused"},
        {"until": 1060.0, "failure": Failure(Reason.REFUSED, "413")}),
    "a chunk below the smallest is too large": (
        flow().knows(chunk=4 * MIB), TooLarge("413"), {"doomed": "refused"},
        {"until": 1060.0, "failure": Failure(Reason.REFUSED, "413")}),
    "a first refusal": (flow(), Refusal(NO), {},
                        {"certain": False, "refusals": 1, **tried("no")}),
    "a refusal in a rollback": (WISHED.knows(certain=True), Refusal(NO, final=True), {},
                                {"certain": False, **tried("no")}),
    "a refusal after sent": (sent().knows(certain=True), Refusal(NO, final=True), {},
                             {"certain": False, **tried("no")}),
    "a dead URL": (flow().knows(state="x"), UrlDead(404), {},
                   {"certain": False, "state": None, "headed": True, "dead": True}),
    "a dead URL in a rollback": (WISHED, UrlDead(404), {}, {"state": None, "dead": True, **WAITS}),
    "a dead URL after sent": (sent().knows(state=PENDING), UrlDead(404), {},
                              {"state": None, "dead": True, **WAITS}),
    "a file that changed": (flow().knows(**BUSY), FileFault(CHANGED), {"doomed": "changed"},
                            {**FORGOTTEN, "until": 1060.0, "failure": CHANGED}),
    "a stop": (flow().knows(**BUSY), Stop(2, handed=MIB), {"doomed": "interrupted"},
               {**FORGOTTEN, "certain": False, "handed": MIB, "until": 1008.0,
                "failure": Failure(Reason.INTERRUPTED, "Interrupted", signum=2)}),
    "a stop while deleting": (DISCARDING.knows(until=1050.0), Stop(15), {}, {"until": 1008.0}),
    "a stop near the deadline": (DISCARDING.knows(until=1001.0), Stop(15), {}, {}),
    "a stop of a wish": (created(doomed="trouble"), Stop(2), {}, {"until": 1008.0}),
    "a second stop": (created(doomed="trouble"), Stop(2, hard=True), {},
                      {"failure": Failure(Reason.INTERRUPTED, "Interrupted", signum=2),
                       "verdict": Verdict.LEFT}),
    "a stop of a receipt": (sent(stage=Stage.STORED), Stop(2), {}, {"verdict": Verdict.STORED}),
    "refused credentials": (created(), Denied(DENIED), {"doomed": "denied"},
                            {"failure": DENIED, "verdict": Verdict.LEFT}),
    "refused credentials of a wish": (created(doomed="file"), Denied(DENIED), {},
                                      {"failure": DENIED, "verdict": Verdict.LEFT}),
    "whole after all": (created(doomed="trouble").knows(until=1010.0, **BUSY), seen("inprogress"),
                        WHOLE, {**FORGOTTEN, "certain": True, "headed": True, "high": SIZE,
                                "waiting_since": 900.0}),
    "pending": (created().knows(certain=True, **BUSY), seen(expiry=50.0), {"expiry": 50.0},
                {"certain": False, "state": PENDING, "short": False, "absent": 0,
                 "unlisted": False}),
    "pending and wanted gone": (created(doomed="trouble").knows(**BUSY), seen(),
                                {"stage": Stage.DISCARDING},
                                {"state": PENDING, "short": False, "headed": False, "absent": 0,
                                 "unlisted": False}),
    "pending with a tail and wanted gone": (
        created(tail=True, doomed="trouble").knows(**BUSY), seen(), {},
        {"state": PENDING, "short": False, "headed": False, "absent": 0, "unlisted": False}),
    "pending with a tail": (TAIL.knows(dead=True), seen(), {}, WAITS),
    "pending and dead": (created().knows(dead=True, spent=2), seen(), GIVEN_UP,
                         {"state": PENDING, "spent": 0, "until": 1060.0, "failure": EXPIRED}),
    "pending past its expiry": (
        TAIL.knows(dead=True), seen(expiry=5.0, date=6.0), {**GIVEN_UP, "expiry": 5.0},
        {"state": PENDING, "short": True, "until": 1060.0, "failure": EXPIRED}),
    "sent and past its expiry": (
        sent().knows(dead=True), seen(expiry=5.0, date=6.0), {**GIVEN_UP, "expiry": 5.0},
        {"state": PENDING, "short": True, "until": 1060.0, "failure": EXPIRED}),
    "just at its expiry": (TAIL.knows(dead=True), seen(expiry=5.0, date=5.0), {"expiry": 5.0},
                           WAITS),
    "another's video": (created(), seen(marker="1.x"), {"doomed": "foreign"},
                        {"state": PENDING, "failure": FOREIGN, "verdict": Verdict.LEFT}),
    "another's video to delete": (DISCARDING, seen(marker="1.x"), {},
                                  {"state": PENDING, "failure": FOREIGN, "verdict": Verdict.LEFT}),
    "sent and pending": (sent().knows(headed=True), seen(), {}, {"state": PENDING,
                                                                  "headed": False}),
    "the date of a later look": (sent(since=None).knows(headed=True), seen(date=7.0), {},
                                 {"state": PENDING, "headed": False}),
    "sent and nowhere to ask": (sent(url=None), seen(), {}, WAITS),
    "sent and still downloading": (sent(), seen("downloading"), {"stage": Stage.STORED},
                                   {"state": "downloading", "verdict": Verdict.STORED}),
    "a receipt and still downloading": (sent(stage=Stage.STORED), seen("downloading"), {},
                                        {"state": "downloading", "verdict": Verdict.STORED}),
    "a receipt that could not be processed": (sent(stage=Stage.STORED), seen(ERROR), {},
                                              {"state": ERROR, "verdict": Verdict.UNPROCESSED}),
    "unprocessed": (sent(), seen(ERROR), {"stage": Stage.DISCARDING, "doomed": "processing"},
                    {"state": ERROR, "until": 1060.0, "failure": UNPROCESSED}),
    "unprocessed and told": (sent(told=True), seen(ERROR), {"stage": Stage.STORED},
                             {"state": ERROR, "failure": UNPROCESSED,
                              "verdict": Verdict.UNPROCESSED}),
    "unprocessed and why": (
        sent(), seen(ERROR, detail="bad"), {"stage": Stage.DISCARDING, "doomed": "processing"},
        {"state": ERROR, "until": 1060.0, "failure": Failure(Reason.PROCESSING, "bad")}),
    "still there": (DISCARDING.knows(deleted=True, absent=1), seen("ready"), {},
                    {"state": "ready", "deleted": False, "absent": 0,
                     **tried("Stream still has the video")}),
    "absent once": (DISCARDING.knows(deleted=True, state=PENDING), Absent(), {},
                    {"state": None, "absent": 1, "absent_at": 1000.0}),
    "absent twice and no list between": (
        DISCARDING.knows(absent=1, absent_at=998.0), Absent(), {}, {"absent_at": 1000.0}),
    "absent too soon": (DISCARDING.knows(**{**TWICE, "absent_at": 999.0}), Absent(), {},
                        {**tried("its absence is not proven yet"), "backoff": 0, "pause": 0.5}),
    "absent at the very time": (DISCARDING.knows(**{**TWICE, "absent_at": 998.5}), Absent(),
                                {"stage": Stage.GONE}, {"failure": VANISHED}),
    "absent much later": (DISCARDING.knows(**{**TWICE, "absent_at": 500.0}), Absent(),
                          {"stage": Stage.GONE}, {"failure": VANISHED}),
    "sent and absent": (sent().knows(**TWICE), Absent(), {},
                        {**WAITS, "absent": 0, "unlisted": False}),
    "sent and absent for a minute": (sent().knows(**LATE), Absent(), {},
                                     {"failure": VANISHED, "verdict": Verdict.VANISHED}),
    "sent and absent at the deadline": (
        sent().knows(**{**LATE, "waiting_since": 995.0, "until": 999.0}), Absent(), {},
        {**WAITS, "absent": 0, "unlisted": False, "waiting_since": 995.0,
         "failure": Failure(Reason.TROUBLE, "Stream has not confirmed the file"),
         "verdict": Verdict.UNCONFIRMED}),
    "a tail and absent for a minute": (TAIL.knows(**LATE), Absent(), {"stage": Stage.GONE},
                                       {"failure": VANISHED}),
    "a wish and absent at the deadline": (
        created(tail=True, doomed="file").knows(**{**LATE, "waiting_since": 995.0, "until": 999.0}),
        Absent(), {}, {"failure": VANISHED, "verdict": Verdict.LEFT}),
    "a receipt and absent": (sent(stage=Stage.STORED).knows(**TWICE), Absent(), {},
                             {"failure": VANISHED, "verdict": Verdict.VANISHED}),
    "not listed": (DISCARDING.knows(deleted=True, absent=1, absent_at=1000.0),
                   Found((TWIN, "".join(list(UID))), listed=False), {},
                   {"unlisted": True, "twins": (TWIN,), "pause": 1.5}),
    "not listed, and an older twin": (
        DISCARDING.knows(deleted=True, absent=1, absent_at=999.75),
        Found(("00" * 16,), listed=False), {},
        {"unlisted": True, "twins": ("00" * 16,), "pause": 1.25}),
    "not listed after a slow list": (
        DISCARDING.knows(deleted=True, absent=1, absent_at=990.0),
        Found((), listed=False), {}, {"unlisted": True, "pause": 0.0}),
    "still listed": (DISCARDING.knows(deleted=True, absent=1), Found((UID,), listed=True), {},
                     {"deleted": False, "absent": 0, **tried("Stream still lists the video")}),
    "deleted": (DISCARDING.knows(state=PENDING, absent=1, unlisted=True), Deleted(), {},
                {"state": None, "deleted": True, "absent": 0, "unlisted": False}),
    "short and wanted gone": (WISHED.knows(absent=1), Offset(MIB),
                              {"stage": Stage.DISCARDING, "offset": MIB},
                              {"short": True, "headed": True, "absent": 0}),
    "all there and wanted gone": (WISHED.knows(high=MIB, until=1010.0), Offset(EVERYTHING), WHOLE,
                                  {"certain": True, "state": None, "headed": True, "high": SIZE}),
    "a lost tail": (sent().knows(state=PENDING, waiting_since=990.0), Offset(10 * MIB),
                    {"stage": Stage.CREATED, "offset": 10 * MIB},
                    {"certain": True, "state": None, "headed": True, "waiting_since": None,
                     **tried("Stream lost bytes it had acknowledged")}),
    "a lost tail of a run that failed": (sent().knows(state=PENDING, failure=NO), Offset(MIB), {},
                                         {"state": None, **WAITS}),
    "a lost tail of what was told": (sent(told=True).knows(state=PENDING), Offset(MIB), {},
                                     {"state": None, **WAITS}),
    "sent and all there": (sent().knows(state=PENDING), Offset(SIZE), {}, {"state": None, **WAITS}),
    "sent and a claim": (sent().knows(state=PENDING, headed=True), Offset(SIZE + 1), {},
                         {"state": None, "headed": False, **tried(LIAR.message)}),
}  # fmt: skip

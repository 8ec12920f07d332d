"""Laws 1 and 2: creating, and creates that were never answered."""

from __future__ import annotations

from laws.removal import Removal

LAWS_1_2 = (
    Removal(
        "1.1", "no POST without a row on disk", "onefile.py",
        "self._ready(self.session.journal.record(attempt))", "self._ready(attempt)",
        more=(("transfer.py",
               "            self._record(braced(self.attempt, step))\n        try:",
               "            self.attempt = braced(self.attempt, step)\n        try:"),),
    ),
    Removal(
        "1.2", "a POST is never repeated blindly", "attempt.py",
        "return Find() if now.asked else Create()", "return Create()",
    ),
    Removal(
        "1.3", "nor by the process that reads the row later", "rows.py",
        "attempt.knows(asked=attempt.stage is intended, ", "attempt.knows(",
    ),
    Removal(
        "1.4", "a lost reply proves nothing", "stream.py",
        "        except Lost as error:\n            return Unanswered(str(error))",
        "        except Lost as error:\n            return NotSent(str(error))",
    ),
    Removal(
        "1.5", "only Stream's own envelope refuses", "stream.py",
        "if answer.envelope and 400 <= reply.status", "if 400 <= reply.status",
    ),
    Removal(
        "1.6", "408, 409, 425 and 429 are no refusal", "stream.py",
        "_NOT_PROOF = {408, 409, 425, _TOO_MANY}", "_NOT_PROOF: set[int] = set()",
    ),
    Removal(
        "1.7", "a 5xx is no refusal", "stream.py",
        "400 <= reply.status < 500 and", "400 <= reply.status < 600 and",
    ),
    Removal(
        "1.8", "a 2xx without stream-media-id is no answer", "stream.py",
        "        if not is_uid(uid):", "        if not uid and False:",
    ),
    Removal(
        "1.9", "an unacceptable Location proves nothing", "stream.py",
        "            return Unanswered(str(error), date=answer.date)",
        "            return NotMade(Failure(Reason.REFUSED, str(error)))",
    ),
    Removal(
        "1.10", "a lost create is looked for several times", "ending.py",
        "(0.0, 2.0, 3.0, 5.0)", "(0.0,)",
    ),
    Removal(
        "1.11", "and over some seconds, for a list may lag", "ending.py",
        "(0.0, 2.0, 3.0, 5.0)", "(0.0, 0.0, 0.0, 0.0)",
    ),
    Removal(
        "1.12", "every video with the marker becomes a row to discard", "entry.py",
        "set(uids) - known", "set(uids) & known",
    ),
    Removal(
        "1.13", "a found create names all of its videos", "after.py",
        "attempt.knows(twins=tuple(others), asked=False)", "attempt.knows(twins=(), asked=False)",
    ),
    Removal(
        "1.14", "the UID never comes from the URL", "stream.py",
        'uid = reply.headers.get("stream-media-id", "")',
        'uid = reply.headers.get("location", "").partition("?")[0].rpartition("/")[2]',
    ),
    Removal(
        "1.15", "UIDs are unique in the journal", "journalfile.py",
        "uid TEXT UNIQUE,", "uid TEXT,",
        more=(("journal.py", " ON CONFLICT (uid) DO NOTHING", ""),),
    ),
    Removal(
        "2.1", "an unanswered create is a debt", "attempt.py",
        "self.stage in (Stage.INTENDED, Stage.DISCARDING)", "self.stage in (Stage.DISCARDING,)",
    ),
    Removal(
        "2.2", "until its marker was found", "after.py",
        "    if found.uids:\n", "    if found.uids and not attempt:\n",
    ),
    Removal(
        "2.3", "and discarded: nobody learned its URL", "after.py",
        "        return doom(attempt, stray, policy, at)", "        return attempt",
    ),
    Removal(
        "2.4", "or 24 hours have passed", "after.py",
        "date > max(attempt.since + DAY, (", "date > max(attempt.since, (",
    ),
    Removal(
        "2.5", "or its known expiry and an hour", "after.py",
        "date > max(attempt.since + DAY, (attempt.expiry or 0.0) + GRACE)",
        "date > attempt.since + DAY",
    ),
    Removal(
        "2.6", "by Stream's own Date", "after.py",
        "if _watch_is_over(attempt, found.date):", "if _watch_is_over(attempt, at):",
    ),
    Removal(
        "2.7", "watched markers too end by Stream's Date", "debts.py",
        "    date = session.api.date\n", "    date = session.room.clock() * 0 + 1.0\n",
    ),
    Removal(
        "2.8", "and not before the day is over", "debts.py",
        "date > max(watch.since + DAY, (watch.expiry or 0.0) + GRACE)", "date > watch.since",
    ),
    Removal(
        "2.9", "it never blocks its file", "onefile.py",
        "            return reason is Reason.TROUBLE\n", "            return False\n",
    ),
    Removal(
        "2.10", "a new attempt has a new marker", "onefile.py",
        "id=uuid4().hex, host", "id=self.key, host",
    ),
    Removal(
        "2.11", "with two unanswered there is no third", "onefile.py",
        "MOST_UNANSWERED = 2", "MOST_UNANSWERED = 200",
    ),
    Removal(
        "2.12", "watched markers are looked for before the first create", "onefile.py",
        "        settle_watches(self.session, self.key)\n        self._pay_debts()",
        "        self._pay_debts()",
    ),
    Removal(
        "2.13", "and again after a 413", "onefile.py",
        "                if settle_watches(self.session, self.key, at_once=True):\n",
        "                if False:\n",
    ),
    Removal(
        "2.14", "a marker is watched when its row goes", "entry.py",
        "watch=_has_left(attempt)", "watch=False",
    ),
    Removal(
        "2.15", "and when its video arrives", "entry.py",
        "now=Now()), watch=arrives)", "now=Now()), watch=False)",
    ),
)  # fmt: skip

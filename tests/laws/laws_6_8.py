"""Laws 6, 7 and 8: what may be deleted, when it is gone, and what is owed."""

from __future__ import annotations

from laws.removal import Removal

LAWS_6_8 = (
    Removal(
        "6.1", "a failure is a wish only", "ending.py",
        "attempt = replace(attempt, doomed=failure.reason.value, kept=False)",
        "attempt = replace(attempt, doomed=failure.reason.value, kept=False, "
        "stage=Stage.DISCARDING)",
    ),
    Removal(
        "6.2", "and the wish is written", "entry.py",
        "        return only_offset and self._clock",
        "        written = self._written\n"
        "        alike = replace(attempt, offset=written.offset, doomed=written.doomed)\n"
        "        only_offset = only_offset or alike == written\n"
        "        return only_offset and self._clock",
    ),
    Removal(
        "6.3", "the decision needs a Look", "ending.py",
        "return may_go(attempt.knows(state=seen)) if seen else attempt",
        "return may_go(attempt.knows(state=seen))",
    ),
    Removal(
        "6.4", "a fresh one, with the HEAD after it", "after.py",
        "absent=0, unlisted=False, short=False)", "absent=0, unlisted=False)",
        more=(("after.py", "return may_go(attempt.knows(short=past, headed=False))",
               "return may_go(attempt.knows(short=past or attempt.now.short, headed=False))"),),
    ),
    Removal(
        "6.5", "where the tail is set, a HEAD is needed", "ending.py",
        "    if may_be_whole and not now.short:\n        return attempt\n", "",
    ),
    Removal(
        "6.6", "that says less than the length", "offsets.py",
        "    if offset == attempt.file.size:\n        if attempt.stage",
        "    if offset == attempt.file.size and not attempt.doomed:\n        if attempt.stage",
    ),
    Removal(
        "6.7", "without a tail a dead upload host stops no rollback", "ending.py",
        "may_be_whole = attempt.tail and now.state", "may_be_whole = now.state",
        more=(("attempt.py", "if now.state == PENDING and attempt.tail and attempt.url",
               "if now.state == PENDING and attempt.url"),),
    ),
    Removal(
        "6.8", "a Look that says whole revokes the wish", "after.py",
        "    if seen.state != PENDING:\n        return arrived(attempt, at)",
        "    if seen.state != PENDING and not attempt.doomed:\n        return arrived(attempt, at)",
    ),
    Removal(
        "6.9", "and the video is no longer wanted gone", "ending.py",
        'offset=size, doomed="", kept=False)', "offset=size, kept=False)",
    ),
    Removal(
        "6.10", "the decision is irrevocable", "after.py",
        "        case Stage.DISCARDING:\n            # Law 6: repeated",
        "        case Stage.DISCARDING if seen.state == PENDING:\n            # Law 6: repeated",
    ),
    Removal(
        "6.11", "the DELETE is repeated", "after.py",
        'return spend(attempt.knows(deleted=False), "Stream still has',
        'return spend(attempt, "Stream still has',
    ),
    Removal(
        "6.12", "a UID from a listing carries the marker", "after.py",
        "        return seen.marker == attempt.marker\n",
        "        return seen.marker in (None, attempt.marker)\n",
    ),
    Removal(
        "6.13", "one from our create carries no other", "after.py",
        "    return seen.marker in (None, attempt.marker)\n", "    return True\n",
    ),
    Removal(
        "6.14", "but may show none", "after.py",
        "    return seen.marker in (None, attempt.marker)\n",
        "    return seen.marker == attempt.marker\n",
    ),
    Removal(
        "6.15", "a UID that was told is never discarded", "after.py",
        "    if attempt.told or policy.keep_unprocessed:", "    if policy.keep_unprocessed:",
    ),
    Removal(
        "6.16", "not even past its expiry", "after.py",
        "if attempt.now.dead and not attempt.told and", "if attempt.now.dead and",
    ),
    Removal(
        "6.17", "nor as a receipt", "after.py",
        "        case Stage.STORED:\n            failed", "        case Stage.STORED if seen.state "
        "!= ERROR:\n            failed",
    ),
    Removal(
        "6.18", "what is kept is not discarded by send", "onefile.py",
        "        if row.kept:\n", "        if row.kept and False:\n",
    ),
    Removal(
        "6.19", "nor by a sweep that does not name it", "sweeping.py",
        "    if row.kept and not named:\n", "    if row.kept and named:\n",
    ),
    Removal(
        "6.20", "a told video in state error is exit 11", "verdicts.py",
        "            return ProcessingFailed(words,", "            return NotConfirmed(words,",
    ),
    Removal(
        "6.21", "a row that says discarding is asked about first", "rows.py",
        ", deleted=attempt.stage is discarding)", ")",
    ),
    Removal(
        "6.22", "a whole video without our marker is another's", "after.py",
        "if attempt.url is None or (is_whole and attempt.stage is Stage.DISCARDING):",
        "if attempt.url is None:",
    ),
    Removal(
        "7.1", "absence takes two GETs", "after.py",
        "        return attempt.knows(pause=_left_of_the_gap(attempt, policy, at))\n    still",
        "        return replace(attempt, stage=Stage.GONE)\n    still",
    ),
    Removal(
        "7.2", "some seconds apart", "after.py",
        "if (left := _left_of_the_gap(attempt, policy, at)) > 0:", "if left := 0.0:",
    ),
    Removal(
        "7.3", "so there is a pause between them", "ending.py",
        "proof_gap: float = 1.5", "proof_gap: float = 0.0",
    ),
    Removal(
        "7.4", "a 404 in HTML proves nothing", "stream.py",
        "if answer.status == 404 and answer.envelope and not answer.success:",
        "if answer.status == 404 and not answer.success:",
    ),
    Removal(
        "7.5", "the envelope must say success: false", "stream.py",
        "if answer.status == 404 and answer.envelope and not answer.success:",
        "if answer.status == 404 and answer.envelope:",
    ),
    Removal(
        "7.6", "another call for the account must work", "attempt.py",
        "def _towards_absence(attempt: Attempt) -> Step:\n    now = attempt.now\n"
        "    if now.absent == 1 and not now.unlisted:\n        return Find()\n",
        "def _towards_absence(attempt: Attempt) -> Step:\n    now = attempt.now\n",
        more=(("after.py", "if not (attempt.now.absent and attempt.now.unlisted):",
               "if not attempt.now.absent:"),),
    ),
    Removal(
        "7.7", "and a list must lack the UID", "after.py",
        "unlisted=not found.listed)\n    if not found.listed:", "unlisted=True)\n    if True:",
    ),
    Removal(
        "7.8", "whatever state it is in", "stream.py",
        'filters = {"status": PENDING} if lost else {}', 'filters = {"status": PENDING}',
    ),
    Removal(
        "7.9", "a 404 for every call of the account proves nothing", "stream.py",
        "        if answer.denied or (answer.envelope and answer.status in (400, 404)):",
        "        if answer.envelope and answer.status == 404:\n"
        "            return Page((), answer.date)\n"
        "        if answer.denied or (answer.envelope and answer.status in (400, 404)):",
    ),
    Removal(
        "7.10", "nor does a 401", "stream.py",
        "if answer.status == 404 and answer.envelope and not",
        "if answer.status in (401, 404) and answer.envelope and not",
    ),
    Removal(
        "7.11", "nor a bare 200 on DELETE", "after.py",
        "            return attempt.knows(deleted=True, state=None, absent=0, unlisted=False)",
        "            return replace(attempt, stage=Stage.GONE)",
    ),
    Removal(
        "7.12", "a 404 on sent or stored starts no new attempt", "after.py",
        "        case Stage.SENT | Stage.STORED:\n            return end(attempt, Verdict.VANISHED",
        "        case Stage.INTENDED:\n            return end(attempt, Verdict.VANISHED",
    ),
    Removal(
        "7.13", "it is exit 8", "verdicts.py",
        'return NotConfirmed(words, "To send the file once more: --again", uid=uid)',
        'return Refused(words, "To send the file once more: --again", uid=uid)',
    ),
    Removal(
        "7.14", "with the hint --again", "verdicts.py",
        'NotConfirmed(words, "To send the file once more: --again", uid=uid)',
        'NotConfirmed(words, "Wait.", uid=uid)',
    ),
    Removal(
        "7.15", "a named video is proven absent too", "removing.py",
        "        if _is_absent(session, uid):\n", "        if True:\n",
    ),
    Removal(
        "8.1", "doomed rows are debts", "attempt.py",
        " or bool(self.doomed)", "",
    ),
    Removal(
        "8.2", "discarding rows are debts", "attempt.py",
        "self.stage in (Stage.INTENDED, Stage.DISCARDING) or bool(self.doomed)",
        "self.stage is Stage.INTENDED or (bool(self.doomed) and self.stage is Stage.CREATED)",
    ),
    Removal(
        "8.3", "while nobody is running them", "debts.py",
        "        with session.lock_of(row):\n            fresh",
        "        if True:\n            fresh",
    ),
    Removal(
        "8.4", "a run that fails and owes exits 7", "sending.py",
        "if error.exit_code not in (2, 3, 4, 5, 6, 130, 143):", "if True:",
    ),
    Removal(
        "8.5", "one that succeeds exits 0", "onefile.py",
        "            self.session.tell(events.Notice(self.path, problem.message))\n",
        "            raise\n",
    ),
    Removal(
        "8.6", "and says so", "onefile.py",
        "        say_debts(self.session, self.path, self.key)\n", "",
    ),
    Removal(
        "8.7", "status counts them", "cli/cleanup.py",
        "    return 7 if debts else 0\n", "    return 0\n",
    ),
    Removal(
        "8.8", "the next send of the file pays them first", "onefile.py",
        "        settle_watches(self.session, self.key)\n        self._pay_debts()\n",
        "        settle_watches(self.session, self.key)\n",
    ),
    Removal(
        "8.9", "and every cleanup", "sweeping.py",
        "    if row.is_debt:\n        return _unless", "    if row.is_debt and choice.orphans:\n"
        "        return _unless",
    ),
    Removal(
        "8.10", "while one with a UID stands, nothing new is created", "onefile.py",
        "            if paid.now.verdict is Verdict.LEFT and not self._has_expired(paid):\n"
        "                raise error_of(paid)",
        "            if paid.now.verdict is Verdict.GONE:\n                raise error_of(paid)",
    ),
    Removal(
        "8.11", "until its expiry has passed", "onefile.py",
        "            if paid.now.verdict is Verdict.LEFT and not self._has_expired(paid):\n"
        "                raise error_of(paid)",
        "            if paid.now.verdict is Verdict.LEFT:\n                raise error_of(paid)",
    ),
    Removal(
        "8.12", "or the user writes it off", "sweeping.py",
        "session.journal.remove(row, watch=False)", "pass",
    ),
    Removal(
        "8.13", "which only debts can be", "sweeping.py",
        "        if row.is_debt:\n            try:", "        if row:\n            try:",
    ),
    Removal(
        "8.14", "another file's debt only warns", "onefile.py",
        "        for row in self.rows():\n            if not row.is_debt:\n",
        "        for row in self.session.rows():\n            if not row.is_debt:\n",
    ),
)  # fmt: skip

"""Laws 9 to 12: telling, signals, ending, and secrets."""

from __future__ import annotations

from laws.removal import Removal

LAWS_9_12 = (
    Removal(
        "9.1", "that a UID is told is written before", "onefile.py",
        "told = self._recorded(replace(done, told=True, now=Now()))",
        "told = replace(done, told=True, now=Now())",
    ),
    Removal(
        "9.2", "a broken terminal changes nothing", "streams.py",
        "except (OSError, ValueError, LookupError):\n                self._give_up(stream)",
        "except LookupError:\n                self._give_up(stream)",
    ),
    Removal(
        "9.3", "the same file again prints the same UID", "onefile.py",
        "        if receipt := self._receipt():\n",
        "        if (receipt := self._receipt()) and self.wishes.again:\n",
    ),
    Removal(
        "9.4", "as long as it is unchanged", "onefile.py",
        "if row.stage is Stage.STORED and row.file == self.prototype.file",
        "if row.stage is Stage.STORED",
    ),
    Removal(
        "9.5", "--again makes a second video", "onefile.py",
        "            receipts = alike = [row for row in alike if not row.told]\n",
        "            receipts = alike\n",
    ),
    Removal(
        "9.6", "a second one that was never told is not made again", "onefile.py",
        "            receipts = alike = [row for row in alike if not row.told]\n",
        "            receipts = alike = []\n",
    ),
    Removal(
        "9.7", "unfinished rows come before receipts", "onefile.py",
        "        for row in self.rows():\n            if row.stage in (Stage.CREATED, Stage.SENT)",
        "        for row in self.rows() if not self._receipt() else []:\n"
        "            if row.stage in (Stage.CREATED, Stage.SENT)",
    ),
    Removal(
        "10.1", "a signal ends a pause", "interruption.py",
        "while self.count <= heard and (left", "while (left",
    ),
    Removal(
        "10.2", "within half a second", "interruption.py",
        "SLICE = 0.2\n", "SLICE = 20.0\n",
    ),
    Removal(
        "10.3", "and a request under way", "patience.py",
        "        if self._patience.cancelled():\n            raise Cancelled(sent=self.sent)\n", "",
    ),
    Removal(
        "10.4", "within half a second too", "patience.py",
        "SLICE = 0.25\n", "SLICE = 25.0\n",
    ),
    Removal(
        "10.5", "it is obeyed between steps", "transfer.py",
        "outcome = self._signal() or self._attended(step)", "outcome = self._attended(step)",
        more=(("transfer.py", "        if stop := self._signal():\n            return stop\n",
               ""),),
    ),
    Removal(
        "10.6", "a create under way may be answered", "transfer.py",
        "replace(self._patience(), cancelled=self._create_is_given_up)", "self._patience()",
    ),
    Removal(
        "10.7", "for at most five seconds", "transfer.py",
        "CREATE_GRACE = 5.0\n", "CREATE_GRACE = 500.0\n",
    ),
    Removal(
        "10.8", "then its row carries it", "after.py",
        "asked = attempt.now.asked\n            return end(",
        "asked = False\n            return end(",
    ),
    Removal(
        "10.9", "the last acknowledgement is recorded before a signal is heard", "transfer.py",
        "            outcome = self._signal() or self._attended(step)\n",
        "            outcome = self._signal() or self._attended(step)\n"
        "            outcome = self._signal() or outcome\n",
    ),
    Removal(
        "10.10", "after the last byte nothing is rolled back: exit 8", "after.py",
        "            return end(attempt, Verdict.UNCONFIRMED, failure)\n"
        "        case Stage.STORED:\n            return end(attempt, Verdict.STORED)\n",
        "            return end(attempt, Verdict.LEFT, failure)\n"
        "        case Stage.STORED:\n            return end(attempt, Verdict.STORED)\n",
    ),
    Removal(
        "10.11", "SIGTERM is a signal to end", "interruption.py",
        '("SIGINT", "SIGTERM", "SIGHUP")', '("SIGINT", "SIGHUP")',
    ),
    Removal(
        "10.12", "SIGHUP too", "interruption.py",
        '("SIGINT", "SIGTERM", "SIGHUP")', '("SIGINT", "SIGTERM")',
    ),
    Removal(
        "10.13", "the first one rolls back", "after.py",
        "            attempt = doom(attempt, failure, policy, at)\n        case _:",
        "            return end(attempt, Verdict.LEFT, failure)\n        case _:",
    ),
    Removal(
        "10.14", "within eight seconds", "ending.py",
        "hurried: float = 8.0", "hurried: float = 80.0",
    ),
    Removal(
        "10.15", "a rollback that was under way hurries too", "after.py",
        "return attempt.knows(until=min(attempt.now.until or hurry, hurry))", "return attempt",
    ),
    Removal(
        "10.16", "the second leaves the debt", "after.py",
        "    if stop.hard:\n", "    if stop.hard and False:\n",
    ),
    Removal(
        "11.1", "the budget refills only on new ground", "offsets.py",
        "    if offset <= high:\n        return attempt\n", "",
    ),
    Removal(
        "11.2", "every failure spends it", "ending.py",
        "if spent <= tries and at - started", "if at - started",
    ),
    Removal(
        "11.3", "and time without progress does", "ending.py",
        "if spent <= tries and at - started <= policy.retry_max_time and not late:",
        "if spent <= tries and not late:",
    ),
    Removal(
        "11.4", "a PATCH that does not move the offset spends it", "offsets.py",
        'return spend(attempt, "the upload does not get on", policy, at) if stuck else attempt',
        "return attempt if stuck else attempt",
    ),
    Removal(
        "11.5", "a tail that is lost again and again spends it", "ending.py",
        "return sent.knows(spent=0, progress_at=at) if size > before else sent",
        "return sent.knows(spent=0, progress_at=at)",
    ),
    Removal(
        "11.6", "a video that a DELETE does not move spends it", "after.py",
        'return spend(attempt.knows(deleted=False), "Stream still has the video", policy, at)',
        "return attempt.knows(deleted=False)",
    ),
    Removal(
        "11.7", "a video that is still listed spends it", "after.py",
        'return spend(still, "Stream still lists the video", policy, at)', "return still",
    ),
    Removal(
        "11.8", "a spent budget ends in rollback", "ending.py",
        "            return doom(attempt, failure, policy, at)\n        case Stage.SENT:",
        "            return end(attempt, Verdict.LEFT, failure)\n        case Stage.SENT:",
    ),
    Removal(
        "11.9", "a rollback on a dead network ends in a debt", "ending.py",
        "        case _:\n            return end(attempt, Verdict.LEFT, failure)",
        "        case _:\n            return attempt",
    ),
    Removal(
        "11.10", "within its deadline", "ending.py",
        "policy.retry_max_time and not late:", "policy.retry_max_time:",
    ),
    Removal(
        "11.11", "a run begins few videos of a file", "onefile.py",
        "MOST_BEGUN = 3\n", "MOST_BEGUN = 3000\n",
    ),
    Removal(
        "11.12", "a list that does not move ends", "stream.py",
        'if bound is None or (not fresh and bound == query.get("start")):', "if bound is None:",
    ),
    Removal(
        "12.1", "direct_user=true always", "stream.py",
        '?direct_user=true"', '"',
    ),
    Removal(
        "12.2", "the token goes to the API and nowhere else", "wire.py",
        "if self._token is not None and self._below_api(url):", "if self._token is not None:",
    ),
    Removal(
        "12.3", "and there below the API's base only", "wire.py",
        'return origin(url) == origin(self._api) and (url.path + "/").startswith(base + "/")',
        "return origin(url) == origin(self._api)",
    ),
    Removal(
        "12.4", "nobody else attaches it", "wire.py",
        "        if not _OURS.isdisjoint(fields):\n", "        if False:\n",
    ),
    Removal(
        "12.5", "Location is accepted over https only", "addresses.py",
        'if url.scheme != "https" or url.port is not None:', "if url.port is not None:",
    ),
    Removal(
        "12.6", "on port 443", "addresses.py",
        'if url.scheme != "https" or url.port is not None:', 'if url.scheme != "https":',
    ),
    Removal(
        "12.7", "on Stream's upload hosts", "addresses.py",
        "if url.host not in UPLOAD_HOSTS:", "if not url.host.endswith(tuple(UPLOAD_HOSTS)):",
    ),
    Removal(
        "12.8", "or on the API's own host when that is loopback", "addresses.py",
        "if is_loopback(api.host) and url.host == api.host:", "if url.host == api.host:",
    ),
    Removal(
        "12.9", "and on no other loopback host", "addresses.py",
        "if is_loopback(api.host) and url.host == api.host:",
        "if is_loopback(api.host) and is_loopback(url.host):",
    ),
    Removal(
        "12.10", "the API itself is https or loopback", "addresses.py",
        'if url.scheme != "https" and not is_loopback(url.host):', "if not url.host:",
    ),
    Removal(
        "12.11", "redirects are refused", "tus.py",
        "        if 300 <= status < 400:\n", "        if status == 300:\n",
    ),
    Removal(
        "12.12", "and never followed", "wire.py",
        "                    return _reply(response, max_body, watch, self._redactor)\n",
        "                    reply = _reply(response, max_body, watch, self._redactor)\n"
        '                    if 300 <= reply.status < 400 and "location" in reply.headers:\n'
        '                        onward = url.rpartition("/")[0] + "/onward"\n'
        "                        return self.request(\n"
        "                            method, onward, headers=headers, patience=patience\n"
        "                        )\n"
        "                    return reply\n",
    ),
    Removal(
        "12.13", "the upload URL is in no representation", "attempt.py",
        "url: str | None = field(default=None, repr=False)", "url: str | None = None",
    ),
    Removal(
        "12.14", "nor in a log", "wire.py",
        'logging.getLogger("httpcore").setLevel(logging.INFO)\n', "",
    ),
    Removal(
        "12.15", "no URL of a journal aims a HEAD or PATCH at the API", "wire.py",
        "if method in _OF_UPLOADS or origin(url) != origin(self._api):",
        "if origin(url) != origin(self._api):",
    ),
)  # fmt: skip

"""Laws 3, 4 and 5: the offset, the file, and who decides whether a video is whole."""

from __future__ import annotations

from laws.removal import Removal

_SAME = "same = row.file == ours.file and row.options == ours.options"


def _unless(part: str, count: int) -> Removal:
    """Resume an old attempt although ``part`` of the file's identity is another."""
    return Removal(
        f"4.{count}", f"no resuming with another {part}", "onefile.py",
        _SAME,
        f"alike = replace(row.file, {part}=ours.file.{part})\n"
        "        same = alike == ours.file and row.options == ours.options",
    )  # fmt: skip


LAWS_3_5 = (
    Removal(
        "3.1", "Upload-Offset is plain digits", "tus.py",
        r're.compile(r"[0-9]{1,15}\Z", re.ASCII)', r're.compile(r"[+-]?[0-9_]+\Z")',
    ),
    Removal(
        "3.2", "not beyond what was handed to the socket", "offsets.py",
        "return handed is None or offset <= handed", "return True",
    ),
    Removal(
        "3.3", "not beyond the length", "offsets.py",
        "if offset > size or (offset == size", "if (offset == size",
    ),
    Removal(
        "3.4", "not the length while the last byte cannot have left", "offsets.py",
        "if offset > size or (offset == size and not attempt.tail):", "if offset > size:",
    ),
    Removal(
        "3.5", "what is below is accepted", "offsets.py",
        "    lost = offset < attempt.now.high\n",
        "    lost = offset < attempt.now.high\n    offset = max(offset, attempt.now.high)\n",
    ),
    Removal(
        "3.6", "and spends budget", "offsets.py",
        'return spend(attempt, "Stream lost bytes it had kept", policy, at) if lost else attempt',
        "return attempt if lost else attempt",
    ),
    Removal(
        "3.7", "after any error HEAD is asked", "after.py",
        "attempt.knows(certain=False, retry_after=trouble.retry_after)",
        "attempt.knows(retry_after=trouble.retry_after)",
    ),
    Removal(
        "3.8", "after a refusal too", "offsets.py",
        "attempt.knows(refusals=refusals, certain=False)", "attempt.knows(refusals=refusals)",
    ),
    Removal(
        "3.9", "an odd reply is an error", "tus.py",
        "        if not _NUMBER.match(text):\n", "        if not text:\n            return 0\n"
        "        if not _NUMBER.match(text):\n",
    ),
    Removal(
        "3.10", "the connection is closed then", "wire.py",
        "with contextlib.closing(self._transport.handle_request(request)) as response:",
        "with contextlib.nullcontext(self._transport.handle_request(request)) as response:",
    ),
    Removal(
        "3.11", "and there is a wait before the next try", "ending.py",
        "spent=spent, backoff=spent, trouble", "spent=spent, backoff=0, trouble",
    ),
    Removal(
        "3.12", "one request is in flight", "transfer.py",
        "before_last=lambda: self._brace(step),",
        "before_last=lambda: (\n"
        "                self._brace(step),\n"
        '                self.room.api.look(self.attempt.uid or "", self._patience()),\n'
        "            )[0],",
    ),
    Removal(
        "4.1", "the file is opened once", "source.py",
        "os.pread(self._descriptor, count, offset)",
        "os.pread(os.open(self.path, os.O_RDONLY), count, offset)",
    ),
    Removal(
        "4.2", "fstat is taken from that descriptor", "source.py",
        "return os.fstat(self._descriptor)", "return os.stat(self.path)",
    ),
    Removal(
        "4.3", "before the samples and after", "source.py",
        "        self.identity = Identity(*self._stamp, samples=self._sample())\n"
        "        self.check()\n",
        "        self.identity = Identity(*self._stamp, samples=self._sample())\n",
    ),
    Removal(
        "4.4", "reads are pread", "source.py",
        'if hasattr(os, "pread"):', "if False:",
    ),
    Removal(
        "4.5", "the file is checked before each chunk", "source.py",
        "        self.check()\n        end = start + length\n", "        end = start + length\n",
        more=(("tus.py", "            source.check()\n            self.upload_chunk()",
               "            self.upload_chunk()"),),
    ),
    Removal(
        "4.6", "and before the last byte leaves", "source.py",
        "                self.check()\n                if before_last",
        "                if before_last",
    ),
    Removal(
        "4.7", "its size is as it was", "source.py",
        "return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns",
        "return status.st_dev, status.st_ino, 0, status.st_mtime_ns",
    ),
    Removal(
        "4.8", "its mtime is as it was", "source.py",
        "return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns",
        "return status.st_dev, status.st_ino, status.st_size, 0",
    ),
    Removal(
        "4.9", "its device and inode are told", "source.py",
        "return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns",
        "return 0, 0, status.st_size, status.st_mtime_ns",
    ),
    Removal(
        "4.10", "no read may be short", "source.py",
        "            if not piece:\n", "            if not piece:\n                return data\n",
    ),
    *(_unless(part, 11 + nth) for nth, part in
      enumerate(("device", "inode", "size", "mtime_ns", "samples"))),
    Removal(
        "4.16", "no resuming with other options", "onefile.py",
        _SAME, "same = row.file == ours.file",
    ),
    Removal(
        "4.17", "an old attempt is doomed then", "onefile.py",
        "        paid = pay(self.session, wanted, self.key)\n", "        paid = None\n",
        more=(("onefile.py", "self.session.journal.record(replace(wanted, now=Now()))", "pass"),),
    ),
    Removal(
        "4.18", "found whole, it is the older version's receipt and a new one begins", "onefile.py",
        "                self._raise_error(paid)\n        return None\n",
        "                self._raise_error(paid)\n"
        "        return paid if paid and paid.stage is Stage.STORED else None\n",
    ),
    Removal(
        "5.1", "a HEAD of 404 is no verdict", "offsets.py",
        "return undecided(attempt, policy, at) if _awaits_verdict(attempt) else attempt",
        'return doom(attempt, Failure(Reason.EXPIRED, "dead"), policy, at)',
    ),
    Removal(
        "5.2", "then the Video API is asked", "attempt.py",
        "if now.absent or now.dead or attempt.url is None:",
        "if now.absent or attempt.url is None:",
    ),
    Removal(
        "5.3", "past pendingupload it is whole", "after.py",
        "    if seen.state != PENDING:\n        return arrived(attempt, at)",
        '    if seen.state == "ready":\n        return arrived(attempt, at)',
    ),
    Removal(
        "5.4", "pending without a tail: the URL has died", "after.py",
        "(dead and not attempt.tail)", "False",
    ),
    Removal(
        "5.5", "pending with a tail is unknown", "after.py",
        "(dead and not attempt.tail)", "dead",
    ),
    Removal(
        "5.6", "it is looked for a minute", "ending.py",
        "confirm: float = 60.0", "confirm: float = 1.0",
    ),
    Removal(
        "5.7", "and no longer", "ending.py",
        "if at - since < policy.confirm and not late:", "if not late:",
    ),
    Removal(
        "5.8", "then its row is kept", "ending.py",
        "    return end(attempt, Verdict.UNCONFIRMED, waited)",
        "    return doom(attempt, waited, policy, at)",
    ),
    Removal(
        "5.9", "and the exit code is 8", "verdicts.py",
        "            return NotConfirmed(words, failure.hint, uid=uid)",
        "            return TroubleOutlasted(words, failure.hint, uid=uid)",
    ),
    Removal(
        "5.10", "it is doomed only past its expiry", "after.py",
        "attempt.expiry is not None and date > attempt.expiry", "attempt.expiry is not None",
    ),
    Removal(
        "5.11", "past its expiry it is doomed", "after.py",
        "past = dead and _is_past_expiry(attempt, seen.date)", "past = False",
    ),
    Removal(
        "5.12", "after sent too", "after.py",
        "if attempt.now.dead and not attempt.told and _is_past_expiry(attempt, seen.date):",
        "if False:",
    ),
    Removal(
        "5.13", "sent goes back to created when the tail was lost", "offsets.py",
        "        attempt = replace(attempt, stage=Stage.CREATED, offset=offset)\n",
        "        return undecided(attempt, policy, at)\n",
    ),
    Removal(
        "5.14", "not before Look said pending", "attempt.py",
        "return Head() if now.state == PENDING and not now.headed and attempt.url else Look()",
        "return Head() if not now.headed and attempt.url else Look()",
    ),
    Removal(
        "5.15", "nor before HEAD told a lower offset", "offsets.py",
        "            return undecided(attempt, policy, at)\n        return arrived(attempt, at)",
        "            return replace(attempt, stage=Stage.CREATED, offset=0)\n"
        "        return arrived(attempt, at)",
    ),
)  # fmt: skip

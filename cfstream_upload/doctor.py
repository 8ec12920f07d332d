"""The checks of ``cfupload doctor``, one after the other; each runs although others failed.

Here is asked; what was found is judged in `checks` and `apichecks`. Nothing is created on Stream,
and no journal where there is none.
"""

from __future__ import annotations

import os
import platform
import shutil
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from cfstream_upload import __version__, apichecks, checks
from cfstream_upload.apichecks import Heard, Sweepable
from cfstream_upload.attempt import Attempt, Identity, Stage
from cfstream_upload.checks import Check, FileSeen, JournalSeen, SharedSeen, skipped
from cfstream_upload.config import Examined
from cfstream_upload.container import require_video
from cfstream_upload.enquiries import MOST_PENDING, Enquiry
from cfstream_upload.errors import Busy, CfuploadError, JournalProblem
from cfstream_upload.journal import Journal
from cfstream_upload.ledger import Ledger
from cfstream_upload.lock import hold, key_of
from cfstream_upload.safetext import Redactor
from cfstream_upload.session import Session
from cfstream_upload.source import Sendable
from cfstream_upload.statedir import check_folder, existing_above, file_system, remembered_host
from cfstream_upload.stores import Stores
from cfstream_upload.sweeping import Choice, plan_rows
from cfstream_upload.video import reserved_seconds
from cfstream_upload.wire import Wire, WireError

_ONLINE = ("token", "account", "permission", "storage", "pending", "clock")


class Doctor:
    """All checks of one run. ``wire`` takes the place of the one that the settings ask for.

    ``redactor`` learns what may be a secret in URLs among ``paths``.
    """

    def __init__(
        self,
        examined: Examined,
        paths: Sequence[str],
        wire: Wire | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self._examined = examined
        self._settings = examined.settings
        self._shown = {one.name: (one.value_shown, one.origin) for one in examined.shown}
        self._paths = paths
        self._wire = wire
        self._stores = Stores(redactor)
        self._journal: Ledger | None = None
        self._files: list[FileSeen] = []

    def checks(self) -> Iterator[Check]:
        """Every check, as soon as it is made."""
        problems = {k: v for k, v in self._examined.problems.items() if k != "proxy"}
        yield from checks.settings(self._shown, problems, self._settings.warnings)
        try:
            yield self._journal_check()
            yield from map(self._file_check, self._paths)
            yield self._proxy_check()
            yield from self._online()
        finally:
            self._stores.close()
            if self._journal is not None:
                self._journal.close()
        yield checks.versions(_versions())

    @property
    def has_journal(self) -> bool:
        """Whether there is a journal, and it could be read."""
        return self._journal is not None

    # --- this machine ----------------------------------------------------------------------------

    def _journal_check(self) -> Check:
        if "journal" in self._examined.problems:
            return skipped("journal", "its URL cannot be used")
        if self._settings.journal is not None:
            return self._shared_check(self._settings.journal.reveal())
        folder = self._settings.state_dir
        try:
            there = check_folder(folder)
            if there and not os.access(folder, os.W_OK | os.X_OK):
                raise JournalProblem(
                    f"The state directory {folder} cannot be written",
                    f"Run: chmod u+wx {folder}   (or choose another with CFUPLOAD_STATE_DIR)",
                )
            rows: list[Attempt] = []
            if there and _has_journal(folder):
                self._journal = Journal.open(folder)
                rows = self._journal.rows()
        except JournalProblem as problem:
            self._close_journal()
            return checks.refused("journal", problem)
        return checks.journal(_journal_seen(folder, rows, there=self._journal is not None))

    def _shared_check(self, url: str) -> Check:
        try:
            from cfstream_upload.fleet.journal import FleetJournal, Trust
            from cfstream_upload.fleet.words import not_permitted

            trust = Trust(self._settings.state_dir, self._settings.place, look=True)
            shared = FleetJournal.open(url, trust)
        except CfuploadError as problem:
            return checks.refused("journal", problem)
        # Where there is none yet, its rows cannot be asked for.
        self._journal = shared if shared.host else None
        try:
            writable, answer, clock = shared.health()
            behind = clock - time.time()
            counts = shared.counts() if shared.host else None
        except JournalProblem as problem:
            return checks.refused("journal", problem)
        finally:
            if self._journal is None:
                shared.close()
        where = shared.link.where
        if not writable:
            return checks.refused("journal", not_permitted(where))
        return checks.shared_journal(SharedSeen(str(where), shared.server, answer, behind, counts))

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _file_check(self, path: str) -> Check:
        try:
            path = self._stores.admit(path)
            with self._stores.open(path) as source:
                container = source.probe()
                require_video(container)
                source.check()
                history, uid, offset = self._history(source)
                seen = FileSeen(
                    path=path,
                    format=container.format,
                    size=source.size,
                    duration=container.duration,
                    reserved=reserved_seconds(container.duration),
                    history=history,
                    uid=uid,
                    offset=offset,
                    busy=self._is_busy(source),
                )
        except CfuploadError as problem:
            return checks.refused("file", problem)
        self._files.append(seen)
        return checks.file(seen)

    def _history(self, source: Sendable) -> tuple[str, str, int]:
        """What the journal knows of a file, its UID, and the bytes of it on Stream."""
        base, account = self._settings.base, self._settings.account
        if self._journal is None or not (base and account):
            return "", "", 0
        ours = self._named(source)
        rows = self._journal.rows_of(base, account, ours, source.path)
        if any(row.is_debt for row in rows):
            return "debt", "", 0
        for row in rows:
            if row.stage in (Stage.CREATED, Stage.SENT):
                same = row.file == ours
                return "unfinished" if same else "other", row.uid or "", row.offset
        told = [row for row in rows if row.file == ours]
        return ("receipt", told[-1].uid or "", source.size) if told else ("", "", 0)

    def _named(self, source: Sendable) -> Identity:
        if self._journal is None or source.anywhere:
            return source.identity
        return self._journal.named(source.identity, source.path)

    def _is_busy(self, source: Sendable) -> bool:
        settings, file = self._settings, self._named(source)
        key = key_of(settings.base, settings.account, file.device, file.inode)
        taken = self._journal.taken() if self._journal else None
        if taken is not None:
            return taken(key)
        locks = settings.state_dir / "locks"
        if not os.path.lexists(locks / f"{key}.lock"):
            return False
        try:
            descriptor = source.fileno()
            hold(locks, key, descriptor=None if descriptor == -1 else descriptor).release()
        except Busy:
            return True
        return False

    def _proxy_check(self) -> Check:
        if "config" in self._examined.problems:
            return skipped("proxy", "the settings cannot be read")
        return checks.proxy(
            self._shown,
            self._examined.problems.get("proxy"),
            used=bool(self._settings.proxy),
            plain_http=self._settings.base.startswith("http:"),
        )

    # --- Cloudflare ------------------------------------------------------------------------------

    def _online(self) -> Iterator[Check]:
        hindered = {"local", "config", "base", "ca_cert", "proxy"} & set(self._examined.problems)
        if hindered:
            yield from _all_skipped("network", *_ONLINE, why="the settings above stand in the way")
            return
        settings = self._settings
        try:
            wire = self._wire or Wire(
                api_base=settings.base,
                token=settings.token.reveal() or None,
                ca_cert=settings.ca_cert,
                proxy=settings.proxy.reveal() if settings.proxy else None,
            )
        except WireError as problem:
            heard = Heard(None, reason="proxy", words=str(problem))
            yield apichecks.network(heard, "", "")
            yield from _all_skipped(*_ONLINE, why="there is no way to Cloudflare")
            return
        with wire:
            yield from self._asked(Enquiry(wire, settings.base, settings.account))

    def _asked(self, ask: Enquiry) -> Iterator[Check]:
        first = ask.as_user()
        host = urlsplit(self._settings.base).hostname or ""
        yield apichecks.network(first, host, self._way())
        if first.answer is None:
            yield from _all_skipped(*_ONLINE, why="Cloudflare was not reached")
            return
        yield from self._credentials(ask, first)
        yield checks.clock(first.answer.date, first.at)

    def _way(self) -> str:
        secure = self._settings.base.startswith("https:")
        way = "through the proxy" if self._settings.proxy and secure else "directly"
        trusted = self._settings.ca_cert
        return f"{way}, trusting {trusted}" if trusted and secure else way

    def _credentials(self, ask: Enquiry, first: Heard) -> Iterator[Check]:
        if not self._settings.token:
            yield from _all_skipped(*_ONLINE[:-1], why="no token")
            return
        if not self._settings.account:
            yield apichecks.token(first, None, None, first.at)
            yield from _all_skipped(*_ONLINE[1:-1], why="no account")
            return
        verified = apichecks.is_in_force(first)
        own = None if verified else ask.as_account()
        listed = ask.listed()
        yield apichecks.token(first, own, listed, first.at)
        in_force = verified or apichecks.is_in_force(own)
        account = apichecks.account(listed, self._settings.account, in_force=in_force)
        yield account
        if account.status != "ok":
            yield from _all_skipped(*_ONLINE[2:-1], why="the account cannot be used")
            return
        yield apichecks.permission(ask.edited())
        yield apichecks.storage(ask.usage(), self._files)
        yield apichecks.pending(ask.pending(), MOST_PENDING, self._sweepable())

    def _sweepable(self) -> Sweepable:
        if self._journal is None:
            return Sweepable(remembered_host(self._settings.state_dir))
        session = Session(self._settings)
        session.journal = self._journal
        try:
            items = plan_rows(session, Choice(orphans=True))
        except CfuploadError:
            items = []
        due = [item.attempt for item in items if item.due]
        debts = sum(row.is_debt for row in due)
        host = self._settings.host_id or self._journal.host
        return Sweepable(host, debts, len(due) - debts)


def _all_skipped(*names: str, why: str) -> Iterator[Check]:
    return (skipped(name, why) for name in names)


def _has_journal(folder: Path) -> bool:
    """Whether opening the journal would not make one."""
    path = folder / "journal.db"
    try:
        return (folder / "journal.id").exists() or path.lstat().st_size > 0
    except OSError:
        return False


def _journal_seen(folder: Path, rows: Sequence[Attempt], *, there: bool) -> JournalSeen:
    place = existing_above(folder)
    size = free = None
    try:
        free = shutil.disk_usage(place).free
        size = (folder / "journal.db").stat().st_size if there else None
    except OSError:
        size = 0 if there else None
    receipts = sum(row.stage is Stage.STORED for row in rows if not row.is_debt)
    debts = sum(row.is_debt for row in rows)
    kept = sum(row.kept for row in rows if not row.is_debt and row.stage is not Stage.STORED)
    return JournalSeen(
        folder=str(folder),
        size=size,
        receipts=receipts,
        unfinished=len(rows) - receipts - debts - kept,
        kept=kept,
        debts=debts,
        free=free,
        file_system=file_system(place),
    )


def _versions() -> list[tuple[str, str]]:
    parts = [("cfupload", __version__), ("Python", platform.python_version())]
    parts.append(("OpenSSL", ssl.OPENSSL_VERSION.removeprefix("OpenSSL ").partition(" ")[0]))
    parts += [(name, _release(name) or "not found") for name in _PARTS]
    # Those of extras, where they are; none is imported for that.
    parts += [(name, release) for name in _EXTRAS if (release := _release(name))]
    if (loaded := sys.modules.get("psycopg.pq")) is not None:
        parts.append(("libpq", _libpq(loaded.version())))
    return [*parts, ("on", platform.platform())]


_PARTS = ("tuspy", "httpx", "httpcore", "pymediainfo")
_EXTRAS = (
    "psycopg", "psycopg-binary", "distributed", "s3fs", "aiobotocore", "google-auth", "asyncssh"
)  # fmt: skip


def _release(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _libpq(number: int) -> str:
    return f"{number // 10000}.{number % 10000}"

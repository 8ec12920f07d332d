"""What a command gets to work with: its console, its settings, a session when it needs one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cfstream_upload.cli.common import Common
from cfstream_upload.errors import CfuploadError, ConfigProblem, ExtraMissing, UsageProblem

if TYPE_CHECKING:
    from cfstream_upload.config import Settings
    from cfstream_upload.console import Console
    from cfstream_upload.ending import Policy
    from cfstream_upload.interruption import Interruption
    from cfstream_upload.safetext import Redactor
    from cfstream_upload.session import Session
    from cfstream_upload.stores import Stores
    from cfstream_upload.throttle import Throttle


@dataclass
class Desk:
    """What a command works with: its console, its settings, and a session when it needs one."""

    common: Common
    console: Console
    redactor: Redactor
    command: str = ""
    """The command's name, as `documents.KEYS` has it."""

    def reported(self, error: CfuploadError) -> int:
        """Tell people and scripts of ``error``; its exit code."""
        from cfstream_upload.documents import failure

        if self.common.mode == "json":
            self.console.document(failure(self.command, error))
        return self.ended(error)

    def ended(self, error: CfuploadError) -> int:
        """Tell of ``error`` beside a document that was printed already; its exit code."""
        from cfstream_upload.result import error_document

        self.console.problem(error)
        self.console.event({"message_type": "exit_error", **error_document(error)})
        return error.exit_code

    def answered(
        self,
        key: str,
        kind: str,
        rows: Sequence[Mapping[str, object]],
        error: CfuploadError | None = None,
    ) -> bool:
        """Give ``rows`` to a program: as one document under ``key``, or as events of ``kind``.

        False where a person reads, and nothing was printed.
        """
        from cfstream_upload.documents import document

        if self.common.mode == "json":
            self.console.document(document(key, rows, error))
        elif self.common.mode == "ndjson":
            for row in rows:
                self.console.event({"message_type": kind, **row})
        return self.common.mode in ("json", "ndjson")

    def settings(self, *, read_label: bool = False, need_account: bool = True) -> Settings:
        """The account to work on; with ``--local`` the embedded Stream's own."""
        from cfstream_upload.config import resolve

        if self.common.local:
            around = resolve(self.flags(), os.environ, need_account=False, read_label=False)
            self._learn(around)
            local = local_settings(around.state_dir)
            return replace(local, journal=around.journal, place=around.place)
        settings = resolve(
            self.flags(), os.environ, read_label=read_label, need_account=need_account
        )
        for warning in settings.warnings:
            self.console.warning(warning)
        self._learn(settings)
        return settings

    def _learn(self, settings: Settings) -> None:
        from cfstream_upload.credentials import passwords_in

        journal = settings.journal.reveal() if settings.journal else ""
        for secret in (settings.token.reveal(), *passwords_in(journal)):
            self.redactor.add(secret)

    def flags(self) -> dict[str, object]:
        """The options of everywhere that settings are made from."""
        common = self.common
        names = ("profile", "ca_cert", "proxy", "journal", "place")
        return {name: getattr(common, name) for name in names}

    def session(
        self,
        *,
        policy: Policy | None = None,
        interruption: Interruption | None = None,
        read_label: bool = False,
        need_account: bool = True,
        stall: float = 60.0,
        connect_timeout: float = 10.0,
        throttle: Throttle | None = None,
        calls: int = 1200,
        stores: Stores | None = None,
    ) -> Session:
        """The account, opened; close it."""
        from cfstream_upload.ending import Policy
        from cfstream_upload.interruption import Interruption
        from cfstream_upload.session import Session
        from cfstream_upload.stores import Stores

        return Session(
            self.settings(read_label=read_label, need_account=need_account),
            policy or Policy(),
            interruption or Interruption(),
            self.console,
            stall,
            connect_timeout,
            throttle,
            self.redactor,
            calls,
            stores or Stores(self.redactor),
        )


def state_dir() -> Path:
    """Where this user's journal, locks and embedded Stream are."""
    from cfstream_upload.config import resolve

    return resolve({}, os.environ, need_account=False, read_label=False).state_dir


def local_settings(state_dir: Path) -> Settings:
    """Attach to the embedded Stream of ``state_dir``, starting it if need be."""
    from cfstream_upload.config import Secret, Settings
    from cfstream_upload.emulator import detached
    from cfstream_upload.emulator.endpoint import DidNotStart
    from cfstream_upload.emulator.endpoint import ExtraMissing as NotInstalled
    from cfstream_upload.statedir import prepare_folder

    folder = local_folder(state_dir)
    for place in (state_dir, folder):
        prepare_folder(place)
    try:
        endpoint = detached.attach_or_start(folder)
    except NotInstalled as missing:
        raise ExtraMissing(
            f"--local needs the extra 'emulator' ({missing})",
            "Run: pip install 'cfstream-upload[emulator]'",
        ) from None
    except DidNotStart as failed:
        raise ConfigProblem(
            f"The embedded Stream did not start: {failed}", "Try: cfupload emulator --stop"
        ) from None
    return Settings(
        base=endpoint.base_url,
        account=endpoint.account,
        token=Secret(endpoint.token),
        state_dir=state_dir,
        label="",
        host_id=None,
        ca_cert=None,
        proxy=None,
    )


def local_folder(state_dir: Path) -> Path:
    """Where the embedded Stream of ``state_dir`` is. Nothing is made.

    Raises `JournalProblem` where somebody else could have put there what stands in it: a process to
    end, a port to send videos to, a link to write through.
    """
    from cfstream_upload.statedir import check_folder, check_private

    folder = state_dir / "local"
    for place in (state_dir, folder, folder / "data"):
        if not check_folder(place):
            break
    check_private(folder, "emulator.json", "emulator.log", "token", "start.lock", "data.lock")
    return folder


@contextmanager
def opened_desk(common: Common) -> Iterator[Desk]:
    """The desk of a command: the one place where a console is made."""
    from cfstream_upload.console import Console
    from cfstream_upload.credentials import secrets_of
    from cfstream_upload.safetext import Redactor
    from cfstream_upload.units import parse_time

    redactor = Redactor(secrets_of(os.environ))
    output_file = os.environ.get("CFUPLOAD_OUTPUT_FILE")
    with Console(
        sys.stdout,
        sys.stderr,
        sys.stdin,
        os.environ,
        mode=common.mode,
        verbosity=common.verbose,
        progress=common.progress,
        stats=parse_time(common.stats) if common.stats else 60.0,
        no_color=bool(common.no_color),
        log_file=common.log_file,
        output_file=Path(output_file) if output_file else None,
        redactor=redactor,
    ) as console:
        yield Desk(common, console, redactor)


@contextmanager
def emergency_desk(common: Common, command: str) -> Iterator[Desk]:
    """A desk for an error that came before the command's own: it can only tell."""
    from cfstream_upload.console import Console
    from cfstream_upload.credentials import secrets_of
    from cfstream_upload.safetext import Redactor

    redactor = Redactor(secrets_of(os.environ))
    output_file = os.environ.get("CFUPLOAD_OUTPUT_FILE")
    paths = [Path(output_file), None] if output_file else [None]
    for path in paths:
        try:
            console = Console(
                sys.stdout,
                sys.stderr,
                None,
                os.environ,
                mode=common.mode,
                output_file=path,
                redactor=redactor,
            )
        except UsageProblem:
            # It cannot be opened, which may be the very error to tell.
            continue
        with console:
            yield Desk(common, console, redactor, command)
        return

"""Options that work before and after the command's name, and what a command gets to work with."""

from __future__ import annotations

import copy
import functools
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from cfstream_upload.errors import (
    CfuploadError,
    ConfigProblem,
    ExtraMissing,
    Interrupted,
    UsageProblem,
)

if TYPE_CHECKING:
    from cfstream_upload.config import Settings
    from cfstream_upload.console import Console, Mode
    from cfstream_upload.ending import Policy
    from cfstream_upload.interruption import Interruption
    from cfstream_upload.safetext import Redactor
    from cfstream_upload.session import Session

PANEL = "Everywhere"


def option(*names: str, help: str, env: bool = True, **more: Any) -> Any:  # noqa: A002, ANN401  # Typer's own parameter name and types
    """A Typer option whose value also comes from ``CFUPLOAD_<OPTION>``, here or in `config`."""
    long = next(name for name in names if name.startswith("--")).partition("/")[0]
    variable = "CFUPLOAD_" + long.removeprefix("--").replace("-", "_").upper()
    return typer.Option(
        *names, help=help, envvar=variable if env else None, show_envvar=False, **more
    )


@dataclass
class Common:
    """The options of everywhere; None where a place did not say."""

    json: Annotated[
        bool | None, option("--json", help="One JSON document on stdout.", rich_help_panel=PANEL)
    ] = None
    ndjson: Annotated[
        bool | None, option("--ndjson", help="Events on stdout, one a line.", rich_help_panel=PANEL)
    ] = None
    quiet: Annotated[
        bool | None, option("-q", "--quiet", help="stdout: the UID alone.", rich_help_panel=PANEL)
    ] = None
    verbose: Annotated[
        int,
        typer.Option(
            "-v",
            "--verbose",
            count=True,
            show_default=False,
            help="Say more; -vv more.",
            rich_help_panel=PANEL,
        ),
    ] = 0
    progress: Annotated[
        bool | None,
        option("--progress/--no-progress", help="The bar, on or off.", rich_help_panel=PANEL),
    ] = None
    stats: Annotated[
        str | None,
        option(
            "--stats",
            metavar="TIME",
            help="A line this often off a terminal [60s].",
            rich_help_panel=PANEL,
        ),
    ] = None
    log_file: Annotated[
        Path | None,
        option("--log-file", metavar="FILE", help="Log lines go here.", rich_help_panel=PANEL),
    ] = None
    profile: Annotated[
        str | None,
        option(
            "--profile",
            metavar="NAME",
            help="A profile of the config file.",
            env=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    local: Annotated[
        bool | None,
        option("--local", help="The embedded Stream: no account needed.", rich_help_panel=PANEL),
    ] = None
    ca_cert: Annotated[
        Path | None,
        option(
            "--ca-cert",
            metavar="FILE",
            help="Trust these certificates (PEM).",
            env=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    proxy: Annotated[
        str | None,
        option(
            "--proxy", metavar="URL", help="An http:// proxy.", env=False, rich_help_panel=PANEL
        ),
    ] = None
    no_color: Annotated[
        bool | None, option("--no-color", help="No colours.", rich_help_panel=PANEL)
    ] = None

    def over(self, outer: Common) -> Common:
        """These options, and where they say nothing those that stood before the command."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in values:
            if values[name] is None:
                values[name] = getattr(outer, name)
        values["verbose"] = self.verbose + outer.verbose
        return Common(**values)

    @property
    def mode(self) -> Mode:
        """What stdout carries. Raises `UsageProblem` where two options contradict each other."""
        names: tuple[Mode, ...] = ("json", "ndjson", "quiet")
        chosen = [name for name in names if getattr(self, name)]
        if len(chosen) > 1:
            raise UsageProblem(
                f"--{chosen[0]} and --{chosen[1]} contradict each other", "Choose one of them."
            )
        return chosen[0] if chosen else "text"


@dataclass
class Desk:
    """What a command works with: its console, its settings, and a session when it needs one."""

    common: Common
    console: Console
    redactor: Redactor

    def reported(self, error: CfuploadError) -> int:
        """Tell people and scripts of ``error``; its exit code."""
        from cfstream_upload.result import error_document

        self.console.problem(error)
        if self.common.mode == "json":
            self.console.document({"version": 1, "error": error_document(error)})
        elif self.common.mode == "ndjson":
            self.console.event({"message_type": "exit_error", **error_document(error)})
        return error.exit_code

    def settings(self, *, read_label: bool = False, need_account: bool = True) -> Settings:
        """The account to work on; with ``--local`` the embedded Stream's own."""
        from cfstream_upload.config import resolve

        if self.common.local:
            return local_settings(state_dir())
        settings = resolve(
            self.flags(), os.environ, read_label=read_label, need_account=need_account
        )
        for warning in settings.warnings:
            self.console.warning(warning)
        self.redactor.add(settings.token.reveal())
        return settings

    def flags(self) -> dict[str, object]:
        """The options of everywhere that settings are made from."""
        common = self.common
        return {"profile": common.profile, "ca_cert": common.ca_cert, "proxy": common.proxy}

    def session(
        self,
        *,
        policy: Policy | None = None,
        interruption: Interruption | None = None,
        read_label: bool = False,
        need_account: bool = True,
        stall: float = 60.0,
        connect_timeout: float = 10.0,
    ) -> Session:
        """The account, opened; close it."""
        from cfstream_upload.ending import Policy
        from cfstream_upload.interruption import Interruption
        from cfstream_upload.session import Session

        return Session(
            self.settings(read_label=read_label, need_account=need_account),
            policy or Policy(),
            interruption or Interruption(),
            self.console,
            stall,
            connect_timeout,
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

    prepare_folder(state_dir)
    try:
        endpoint = detached.attach_or_start(state_dir / "local")
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


def with_everywhere(run: Callable[..., int | None]) -> Callable[..., int]:
    """``run(desk, ...)`` as a command that takes the options of everywhere too.

    The one place where an error becomes words, a JSON document and an exit code.
    """
    names = [f.name for f in fields(Common)]
    own = inspect.signature(run, eval_str=True).parameters.values()
    common = inspect.signature(Common, eval_str=True).parameters.values()
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    everything = [p.replace(kind=p.KEYWORD_ONLY) for p in (*own, *common) if p.name != "desk"]
    everything.append(context)

    @functools.wraps(run)
    def command(context: typer.Context, **values: Any) -> int:  # noqa: ANN401  # as declared
        inner = Common(**{name: values.pop(name) for name in names})
        outer = context.obj if isinstance(context.obj, Common) else Common()
        with opened_desk(inner.over(outer)) as desk:
            try:
                return run(desk, **values) or 0
            except CfuploadError as error:
                return desk.reported(error)
            except KeyboardInterrupt:
                return desk.reported(Interrupted("Interrupted"))
            except Exception as bug:  # noqa: BLE001  the last boundary: never a traceback
                return desk.reported(described(bug))

    command.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]  # Typer reads it
    command.__annotations__ = {p.name: p.annotation for p in everything}
    return command


def described(bug: Exception) -> CfuploadError:
    """A bug as an error: where it is, and not its own words, for they may quote a secret."""
    frame = traceback.extract_tb(bug.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return CfuploadError(
        f"A bug in cfupload: {type(bug).__name__} at {place}",
        "Please report it, with this line and the command. See: cfupload status",
    )


def with_callback(keep: Callable[[typer.Context, Common], None]) -> Callable[..., None]:
    """``keep(context, common)`` as Typer's callback: the same options before the command's name."""
    common = inspect.signature(Common, eval_str=True).parameters.values()
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    # Before the command's name no variable is read, or it would beat a flag after it.
    parameters = [p.replace(kind=p.KEYWORD_ONLY, annotation=_flag_only(p)) for p in common]

    @functools.wraps(keep)
    def callback(context: typer.Context, **values: Any) -> None:  # noqa: ANN401  # as declared
        keep(context, Common(**values))

    callback.__signature__ = inspect.Signature([*parameters, context])  # type: ignore[attr-defined]  # Typer reads it
    callback.__annotations__ = {p.name: p.annotation for p in (*parameters, context)}
    return callback


def _flag_only(parameter: inspect.Parameter) -> Any:  # noqa: ANN401  # an annotation
    kind, info = get_args(parameter.annotation)
    bare = copy.copy(info)
    bare.envvar = None
    return Annotated[kind, bare]


@contextmanager
def opened_desk(common: Common) -> Iterator[Desk]:
    """The desk of a command: the one place where a console is made."""
    from cfstream_upload.console import Console
    from cfstream_upload.safetext import Redactor
    from cfstream_upload.units import parse_time

    redactor = Redactor()
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

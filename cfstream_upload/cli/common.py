"""The options of everywhere: they work before and after the command's name."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cfstream_upload.cli.groups import option
from cfstream_upload.errors import UsageProblem

if TYPE_CHECKING:
    from cfstream_upload.console import Mode

PANEL = "Everywhere"
MODES: tuple[Mode, ...] = ("json", "ndjson", "quiet")


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
        option(
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
    journal: Annotated[
        str | None,
        option(
            "--journal",
            metavar="URL",
            help="A journal that machines share: postgresql://…, without a password.",
            env=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    place: Annotated[
        str | None,
        option(
            "--place",
            metavar="NAME",
            help="Apart from machines whose same paths are other files.",
            env=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    no_color: Annotated[
        bool | None, option("--no-color", help="No colours.", rich_help_panel=PANEL)
    ] = None
    version: Annotated[
        bool | None,
        option(
            "--version", help="The version, and nothing else.", env=False, rich_help_panel=PANEL
        ),
    ] = None

    def over(self, outer: Common, variables: Common) -> Common:
        """These flags, then those that stood before the command, then what variables say.

        A variable that contradicts a flag is as if it were not set.
        """
        said = {f.name: getattr(self, f.name) for f in fields(self)}
        said = {
            name: getattr(outer, name) if value is None else value for name, value in said.items()
        }
        said["verbose"] = self.verbose + outer.verbose
        passed_over: set[str] = set()
        if any(said[name] for name in MODES):
            passed_over |= set(MODES)
        if said["profile"]:
            passed_over.add("local")
        for name, value in said.items():
            unsaid = value is None or (name == "verbose" and not value)
            if unsaid and name not in passed_over:
                said[name] = getattr(variables, name)
        if said["local"] and said["profile"]:
            raise UsageProblem(
                "--local and --profile contradict each other",
                "The embedded Stream needs no account: leave one of them out.",
            )
        return Common(**said)

    @property
    def mode(self) -> Mode:
        """What stdout carries. Raises `UsageProblem` where two options contradict each other."""
        chosen = [name for name in MODES if getattr(self, name)]
        if len(chosen) > 1:
            raise UsageProblem(
                f"--{chosen[0]} and --{chosen[1]} contradict each other", "Choose one of them."
            )
        return chosen[0] if chosen else "text"

"""The options of ``cfupload send``, in groups; what each means for the run."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cfstream_upload.cli.groups import option
from cfstream_upload.errors import UsageProblem

if TYPE_CHECKING:
    from cfstream_upload.cluster.place import Place
    from cfstream_upload.ending import Policy
    from cfstream_upload.selection import Selection
    from cfstream_upload.stores import Stores
    from cfstream_upload.throttle import Throttle

FAILURE = "When it fails"
LINE = "The line"
FILES = "Which files"
JOBS = 2
"""Files at once, where nobody says better."""


@dataclass
class Failing:
    """What becomes of uploads that fail, and of files that were sent before."""

    label: Annotated[
        str | None,
        option(
            "--label",
            metavar="TEXT",
            help="Travels in the marker; cleanup --label finds it.",
            env=False,
            rich_help_panel=FAILURE,
        ),
    ] = None
    on_failure: Annotated[
        str,
        option(
            "--on-failure",
            metavar="delete|keep",
            help="What then becomes of the upload.",
            rich_help_panel=FAILURE,
        ),
    ] = "delete"
    on_processing_error: Annotated[
        str,
        option(
            "--on-processing-error",
            metavar="delete|keep",
            help="What then becomes of the upload.",
            rich_help_panel=FAILURE,
        ),
    ] = "delete"
    again: Annotated[
        bool,
        option("--again", help="A second video on purpose.", env=False, rich_help_panel=FAILURE),
    ] = False


@dataclass
class Many:
    """Which files are meant, and how many are sent at once."""

    recursive: Annotated[
        bool, option("-r", "--recursive", help="Folders in folders, too.", rich_help_panel=FILES)
    ] = False
    include: Annotated[
        list[str] | None,
        option(
            "--include",
            metavar="PATTERN",
            help="Of a folder only these, like '*.mov'; repeatable.",
            rich_help_panel=FILES,
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        option(
            "--exclude",
            metavar="PATTERN",
            help="Of a folder not these; repeatable.",
            rich_help_panel=FILES,
        ),
    ] = None
    files_from: Annotated[
        Path | None,
        option(
            "--files-from",
            metavar="FILE",
            help="A list of files, one a line; - is standard input.",
            rich_help_panel=FILES,
        ),
    ] = None
    nul: Annotated[
        bool,
        option("-0", "--null", help="The list has NUL for line ends.", rich_help_panel=FILES),
    ] = False
    jobs: Annotated[
        int | None,
        option(
            "-j",
            "--jobs",
            metavar="N",
            help="Files at once [2; of a cluster: a thread each].",
            min=1,
            max=32,
            rich_help_panel=FILES,
        ),
    ] = None
    cluster: Annotated[
        str | None,
        option(
            "--cluster",
            metavar="ADDRESS",
            help="Send by Dask's workers: tcp://HOST:8786, or local:N.",
            rich_help_panel=FILES,
        ),
    ] = None
    manifest: Annotated[
        Path | None,
        option(
            "--manifest",
            metavar="FILE.csv",
            help="One line per file; what it says was sent is not sent again.",
            rich_help_panel=FILES,
        ),
    ] = None
    fail_fast: Annotated[
        bool,
        option("--fail-fast", help="Start no more after a failure.", rich_help_panel=FAILURE),
    ] = False
    dry_run: Annotated[
        bool,
        option(
            "-n",
            "--dry-run",
            help="Say what would be done, ask nobody.",
            env=False,
            rich_help_panel=FILES,
        ),
    ] = False

    def place(self) -> Place | None:
        """The cluster that is to send, if one is. Raises `UsageProblem`."""
        if not self.cluster:
            return None
        from cfstream_upload.cluster.place import place_of

        return place_of(self.cluster)

    def selection(self, names: list[str], stores: Stores) -> Selection:
        """The files that are meant. Raises `UsageProblem` and `FileProblem`."""
        from cfstream_upload.selection import Rules, names_in, read_list, select

        if self.nul and self.files_from is None:
            raise UsageProblem("-0 is for a list", "Name it: --files-from FILE, or - for stdin.")
        listed: list[str] = []
        if self.files_from is not None:
            content = _stdin() if str(self.files_from) == "-" else read_list(self.files_from)
            listed = names_in(content, str(self.files_from), nul=self.nul)
            if not listed and not names:
                raise UsageProblem(f"The list {self.files_from} is empty", "Nothing was sent.")
        rules = Rules(self.recursive, tuple(self.include or ()), tuple(self.exclude or ()))
        return select(names, listed, rules, stores)


def _stdin() -> bytes:
    from cfstream_upload.selection import LONGEST_LIST

    try:
        if sys.stdin.isatty():
            raise UsageProblem(
                "The list is to come from standard input, and that is a terminal",
                "Like: find . -name '*.mp4' | cfupload send --files-from -",
            )
        return sys.stdin.buffer.read(LONGEST_LIST + 1)
    except (OSError, ValueError, AttributeError):
        raise UsageProblem("Standard input cannot be read", "Name a list in a file.") from None


@dataclass
class Line:
    """How the line is used, and how much trouble on it is borne."""

    chunk_size: Annotated[
        str | None,
        option("--chunk-size", metavar="SIZE", help="Largest chunk [200M].", rich_help_panel=LINE),
    ] = None
    bwlimit: Annotated[
        str | None,
        option(
            "--bwlimit",
            metavar="SIZE",
            help="Bytes a second, all files and workers together.",
            rich_help_panel=LINE,
        ),
    ] = None
    retries: Annotated[
        int,
        option(
            "--retries", metavar="N", help="Tries without progress.", min=0, rich_help_panel=LINE
        ),
    ] = 8
    retry_max_time: Annotated[
        str,
        option(
            "--retry-max-time",
            metavar="TIME",
            help="How long tries may go on without progress.",
            rich_help_panel=LINE,
        ),
    ] = "10m"
    connect_timeout: Annotated[
        str,
        option(
            "--connect-timeout",
            metavar="TIME",
            help="How long connecting may take.",
            rich_help_panel=LINE,
        ),
    ] = "10s"
    stall_timeout: Annotated[
        str,
        option(
            "--stall-timeout",
            metavar="TIME",
            help="How long not one byte may move.",
            rich_help_panel=LINE,
        ),
    ] = "60s"
    api_budget: Annotated[
        int,
        option(
            "--api-budget",
            metavar="N",
            help="API calls in 5 minutes of all who share a journal on PostgreSQL; 0: any number.",
            min=0,
            rich_help_panel=LINE,
        ),
    ] = 1200


SMALLEST_BUDGET = 16
"""A quarter of a budget may be spent at once, and a file takes about four calls."""


def calls_of(line: Line) -> int:
    """What ``--api-budget`` allows. Raises `UsageProblem`."""
    if 0 < line.api_budget < SMALLEST_BUDGET:
        raise UsageProblem(
            f"--api-budget {line.api_budget} is too small for one file",
            f"A quarter may be spent at once, and a file takes about four calls: {SMALLEST_BUDGET} "
            "at least, or 0 for no limit.",
        )
    return line.api_budget


def throttle_of(line: Line) -> Throttle | None:
    """What ``--bwlimit`` asks for. Raises `UsageProblem`."""
    from cfstream_upload.throttle import Throttle
    from cfstream_upload.units import parse_size

    return None if line.bwlimit is None else Throttle(parse_size(line.bwlimit))


def policy_of(failing: Failing, line: Line) -> Policy:
    """The core's policy. Raises `UsageProblem`."""
    from cfstream_upload.ending import Policy
    from cfstream_upload.units import parse_size, parse_time

    policy = Policy(
        retries=line.retries,
        retry_max_time=parse_time(line.retry_max_time),
        keep_failed=failing.on_failure == "keep",
        keep_unprocessed=failing.on_processing_error == "keep",
    )
    if line.chunk_size is None:
        return policy
    return replace(policy, largest_chunk=_chunk(parse_size(line.chunk_size)))


def _chunk(size: int) -> int:
    from cfstream_upload import pace

    if not pace.SMALLEST <= size <= pace.LARGEST:
        raise UsageProblem(
            f"--chunk-size {size} is outside Stream's limits", "Between 5M and 200M."
        )
    return pace.legal(size)


def checked_label(label: str | None) -> str:
    """``label``, if it can travel in a marker. Raises `UsageProblem`."""
    from cfstream_upload.attempt import is_label

    if label and not is_label(label):
        raise UsageProblem(
            f"--label {label!r} cannot stand in a marker",
            "Up to 64 letters, digits and _ . : / @ + - , no dot or slash first.",
        )
    return label or ""

"""The options of ``send`` for what comes before and after its bytes; those of ``wait`` too."""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

from cfstream_upload.cli.groups import option
from cfstream_upload.errors import UsageProblem

if TYPE_CHECKING:
    from cfstream_upload.waiting import Goal

ARRIVAL = "When it has arrived"
WAIT = "stored|playable|ready"


@dataclass
class Arriving:
    """What is done before and after a file is sent whole."""

    wait: Annotated[
        str,
        option(
            "--wait", metavar=WAIT, help="Until the video is this far.", rich_help_panel=ARRIVAL
        ),
    ] = "stored"
    wait_timeout: Annotated[
        str,
        option(
            "--wait-timeout",
            metavar="TIME",
            help="How long --wait may take.",
            rich_help_panel=ARRIVAL,
        ),
    ] = "30m"
    skip_existing: Annotated[
        bool,
        option(
            "--skip-existing",
            help="Read the file, look for a video of the same bytes first.",
            rich_help_panel=ARRIVAL,
        ),
    ] = False

    def goal(self) -> Goal:
        """What to wait for. Raises `UsageProblem`."""
        return goal_of(self.wait, self.wait_timeout)

    def skips_existing(self, *, again: bool) -> bool:
        """Whether to look for a video of the same bytes. Raises `UsageProblem`."""
        if not (self.skip_existing and again):
            return self.skip_existing
        # A flag beats a variable that contradicts it.
        if os.environ.get("CFUPLOAD_SKIP_EXISTING"):
            return False
        raise UsageProblem(
            "--again and --skip-existing contradict each other",
            "--again makes a second video on purpose: choose one of them.",
        )


def goal_of(until: str, timeout: str) -> Goal:
    """What to wait for, and how long. Raises `UsageProblem`."""
    from typing import get_args

    from cfstream_upload.units import parse_time
    from cfstream_upload.waiting import Goal, Until

    known: tuple[Until, ...] = get_args(Until)
    for word in known:
        if word == until.lower():
            return Goal(word, parse_time(timeout))
    near = get_close_matches(until.lower(), known, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    raise UsageProblem(
        f"--wait {until!r} is no state to wait for", f"{meant}There are: {', '.join(known)}."
    )

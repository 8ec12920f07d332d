"""Real processes die, or meet a broken disk or line, at real system calls; then one clean run.

A sample of what ``python -m tests.deaths`` does at every point.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from zlib import crc32

import pytest
from deaths.account import in_memory
from deaths.dying_process import Strike, why_not
from deaths.flows import FLOWS
from deaths.promise import check_arrival
from deaths.sweep import POINTS, Arena, arena, points
from served import COMMAND

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "strace is here")

PER_FLOW = {"kill": 9, "eio": 2, "enospc": 1, "epipe": 1, "econnreset": 1}


@pytest.fixture(scope="module")
def here() -> Iterator[Arena]:
    with in_memory() as folder, arena(folder) as made:
        yield made


def _sampled(flow: str, effect: str, counts: dict[str, int]) -> list[Strike]:
    """Strikes spread over all points of a flow, the same in every run of the tests."""
    # How often a socket says "not now" differs from run to run: only so many are sure to come.
    sure = {
        name: number * 9 // 10
        if name == "sendto"
        else number // 3
        if name == "recvfrom"
        else number
        for name, number in counts.items()
    }
    every = [(name, nth) for name in POINTS[effect] for nth in range(1, sure.get(name, 0) + 1)]
    ranked = sorted(every, key=lambda point: crc32(repr((flow, effect, point)).encode()))
    return [
        Strike(name, nth, effect, for_ever=effect != "kill" and index % 2 == 1)
        for index, (name, nth) in enumerate(ranked[: PER_FLOW[effect]])
    ]


@pytest.mark.parametrize("flow", FLOWS)
def test_a_strike_at_sampled_system_calls_still_ends_in_one_video(flow: str, here: Arena) -> None:
    counts = points(here, flow)
    for effect in PER_FLOW:
        for index, strike in enumerate(_sampled(flow, effect, counts)):
            ended = here.strike(FLOWS[flow], strike, cleanup=index % 2 == 1)
            assert ended.struck, f"{strike} never came"


def test_the_plain_command_dies_as_its_preloaded_twin_does(here: Arena) -> None:
    strike = Strike("sendto", 60)
    with here.ground.case() as case:
        here.ground.front.service = case.stage.model
        strace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=sendto"]
        dying = subprocess.run(
            [*strace, "-e", strike.expression, *COMMAND, *FLOWS["fresh"].arguments(case)],
            env={**os.environ, **here.ground.environment(case)}, capture_output=True, check=False,
        )  # fmt: skip
        assert dying.returncode == -signal.SIGKILL
        here.ground.settle()
        assert case.stage.open_rows() == ["created"]
        check_arrival(case, cleanup=False)

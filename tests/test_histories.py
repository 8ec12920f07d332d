"""Random histories: faults and deaths in runs that follow each other, whatever Stream is like."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from dying import Death, Dying
from faulted import EFFECTS, Case
from inprocess import MIB, stage
from mp4 import padded_mp4

from cfstream_upload.emulator.faults import Fault, Faulty
from cfstream_upload.emulator.switches import Switches

METHODS = (None, None, "POST", "PATCH", "HEAD", "GET", "DELETE")
TIMES: dict[str, list[float]] = {
    "pending_after_whole": [0.0, 0.0, 5.0, 90.0],
    "list_lag": [0.0, 0.0, 3.0, 20.0],
    "false_404s": [0, 0, 1, 2, 3],
}
# Without the marker a lost create cannot be found: it goes when its upload window ends.
LEFT_OUT = {"meta_while_pending", "uploads_count_to_limit"}


def _switches(dice: random.Random) -> Switches:
    chosen: dict[str, Any] = {}
    for name, kind in get_type_hints(Switches).items():
        if name in TIMES:
            chosen[name] = dice.choice(TIMES[name])
        elif kind is bool and name not in LEFT_OUT:
            chosen[name] = dice.random() < 0.5
        elif get_args(kind) and isinstance(get_args(kind)[0], str):
            chosen[name] = dice.choice(get_args(kind))
    return Switches(**chosen)


def test_every_switch_that_is_a_choice_is_thrown() -> None:
    thrown = {name for seed in range(200) for name in _thrown(random.Random(seed))}
    fixed = {"default_expiry", "expiry_cap", "tus_reservation", "meta_limit"}
    assert {one.name for one in fields(Switches)} - thrown == fixed | LEFT_OUT


def _thrown(dice: random.Random) -> set[str]:
    switches = _switches(dice)
    return {f.name for f in fields(Switches) if getattr(switches, f.name) != f.default}


def _disturb(case: Case, dice: random.Random, log: list[object]) -> None:
    """Put a death or one or two faults before the next run."""
    if dice.random() < 0.3:
        nth, when = dice.randrange(1, 9), dice.choice(["before", "in its body", "after"])
        log.append(f"dies {when} request {nth}")
        case.stage.service = Dying(case.stage.model, nth, when)
        return
    faults = []
    for _ in range(dice.choice([1, 1, 2])):
        name, method = dice.choice(list(EFFECTS)), dice.choice(METHODS)
        nth, times = dice.randrange(1, 9), dice.choice([1, 1, 2, 4, None])
        log.append(f"{name}: {method or 'any'} {nth}, {times} times")
        faults.append(Fault(EFFECTS[name], method, None, nth, times))
    case.stage.service = Faulty(case.stage.model, faults)


def _live_through(case: Case, dice: random.Random, log: list[object]) -> None:
    for _ in range(dice.choice([1, 2, 2, 3])):
        _disturb(case, dice, log)
        run: Callable[[], object] = dice.choice([case.send, case.send, case.send, case.sweep])
        try:
            done = run()
            log.append(getattr(done, "exit_code", "swept"))
        except Death:
            log.append("died")
        case.stage.clock.now += dice.choice([0, 0, 0, 100, 7200, 27 * 3600])


def _ends_in_one_video(case: Case, log: list[object]) -> None:
    case.stage.service = case.stage.model
    case.stage.clock.now += 100
    result = case.send()
    for wait in (120, 27 * 3600, 120):
        if result.exit_code == 0:
            break
        log.append(result.exit_code)
        case.stage.clock.now += wait
        result = case.send()
    assert result.exit_code == 0, log
    case.stage.clock.now += 28 * 3600
    assert case.send().uid == result.uid, log
    assert list(case.ours()) == [result.uid], log
    assert case.stage.model.sha256(str(result.uid)) == case.digest, log
    assert case.stage.open_rows() == [], log


@pytest.mark.parametrize(
    ("first", "count"),
    [(0, 120), pytest.param(1000, 6000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])],
)
def test_every_history_ends_in_one_video(first: int, count: int, tmp_path: Path) -> None:
    path = padded_mp4(tmp_path / "big.mp4", 11 * MIB, sparse=False)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for seed in range(first, first + count):
        dice, folder = random.Random(seed), tmp_path / str(seed)
        folder.mkdir()
        case = Case(stage(folder, switches=_switches(dice)), path, digest)
        log: list[object] = [f"seed {seed}", _thrown(random.Random(seed))]
        _live_through(case, dice, log)
        _ends_in_one_video(case, log)

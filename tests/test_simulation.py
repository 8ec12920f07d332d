"""Seeded disasters, and every single fault: each ends in exactly one video.

They run beside the suite, in processes that nothing else slows down or patches. What is a sample
here is whole in ``python -m tests.simulation`` and ``python -m tests.enumeration``.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from enumeration.effects import AT_A_REQUEST, NOTHING, _told, kin
from enumeration.effects import METHODS as ASKED
from enumeration.flows import ENDS, FLOWS, ends_of
from faulted import EFFECTS
from simulation.playing import play
from simulation.scale import CHUNK, scaled
from simulation.shortening import shortest
from simulation.story import (
    ANYWHERE,
    AT_COMMITS,
    AT_REQUESTS,
    BESIDE_ANOTHER,
    COMMANDS,
    LEFT_OUT,
    METHODS,
    Act,
    Disaster,
    Story,
    story_of,
)

from cfstream_upload import attempt as attempt_module
from cfstream_upload import transfer
from cfstream_upload.attempt import Attempt, Delete, Patch, Step
from cfstream_upload.emulator.switches import Switches

HERE = Path(__file__).parent
PARTS = 2
SEEDS = 2000


def _run(folder: str, *arguments: str) -> str:
    command = [sys.executable, "-P", str(HERE / folder), "--jobs", "1", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_story_of_two_thousand_breaks_the_promise(part: int) -> None:
    count = SEEDS // PARTS
    told = _run("simulation", "--first", str(part * count), "--seeds", str(count))
    assert f"seeds {part * count} to {(part + 1) * count - 1}: 0 violations" in told


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("flow", FLOWS)
def test_no_single_fault_breaks_the_promise(flow: str) -> None:
    assert f"{flow}: " in _run("enumeration", "--flow", flow, "--one-end")


@pytest.mark.long
@pytest.mark.timeout(400)
def test_no_sampled_pair_of_faults_breaks_the_promise() -> None:
    told = _run("enumeration", "--pairs", "--one-in", "100")
    assert all(f"{flow}: " in told for flow in FLOWS)


# --- the stories themselves ----------------------------------------------------------------------


def test_stories_throw_every_switch_but_those_left_out() -> None:
    thrown = {name for seed in range(400) for name in story_of(seed).switches}
    assert {one.name for one in fields(Switches)} - thrown == LEFT_OUT


def test_two_thousand_stories_have_every_disaster_of_their_own_at_every_kind_of_point() -> None:
    acts = [act for seed in range(SEEDS) for act in story_of(seed).acts]
    found = {(one.what, one.point) for act in acts for one in act.disasters}
    at_requests = (*AT_REQUESTS, *ANYWHERE)
    assert found >= {(what, point) for what in at_requests for point in METHODS}
    assert {what for what, _ in found} >= set(EFFECTS)  # at each request: the single faults
    assert found >= {(what, "commit") for what in (*AT_COMMITS, *ANYWHERE[:6])}
    assert found >= {(what, "pause") for what in ANYWHERE}
    assert {act.commands for act in acts} == {*COMMANDS, *BESIDE_ANOTHER}


@pytest.mark.parametrize("kind", [None, 1, 3])
def test_a_fault_that_is_played_once_has_one_end_and_its_kind_has_both(kind: int | None) -> None:
    faults = {Disaster(what, "request", nth, kind) for what in EFFECTS for nth in range(1, 9)}
    ends = {(one.what, end) for one in faults for end in ends_of((one,), one_end=True)}
    assert ends == {(what, end) for what in EFFECTS for end in ENDS}
    assert all(len(ends_of((one,), one_end=True)) == 1 for one in faults)


def test_a_story_is_the_same_each_time(tmp_path: Path) -> None:
    with scaled():
        first, second = (play(story_of(3), tmp_path) for _ in range(2))
    assert first[1:] == second[1:]


def test_a_violation_is_told_by_its_shortest_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pays_nothing(*_: object, **__: object) -> int:
        return 0

    monkeypatch.setattr("cfstream_upload.onefile.settle_watches", pays_nothing)
    twice = Disaster("twice", "POST")
    long = Story(
        {"list_lag": 3.0, "total_as": "str"},
        (Act(disasters=(Disaster("500", "GET", 2), twice)), Act(wait=30.0)),
    )
    with scaled():
        assert play(long, tmp_path)[0] is not None
    assert shortest(long) == Story(acts=(Act(disasters=(twice,)),))


def test_a_client_that_deletes_what_it_told_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def next_step(attempt: Attempt) -> Step:
        return Delete() if attempt.told else attempt_module.next_step(attempt)

    monkeypatch.setattr(transfer, "next_step", next_step)
    with scaled():
        broken = play(Story(acts=(Act(),)), tmp_path)[0]
    assert "DELETE of a video that was told" in str(broken)


def test_a_client_that_sends_acknowledged_bytes_again_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def next_step(attempt: Attempt) -> Step:
        step = attempt_module.next_step(attempt)
        return Patch(0, CHUNK, last=False) if isinstance(step, Patch) else step

    monkeypatch.setattr(transfer, "next_step", next_step)
    with scaled():
        broken = play(Story(acts=(Act(),)), tmp_path)[0]
    assert f"PATCH at 0, and Stream had said {CHUNK}" in str(broken)


def test_effects_that_stand_for_others_teach_the_client_the_same() -> None:
    with scaled():
        for method in ASKED:
            classes = kin(method)
            assert len(classes) >= 6
            assert sorted(e for c in classes.values() for e in c) == sorted(
                (NOTHING, *AT_A_REQUEST)
            )
            assert all(_told(method, e) == _told(method, c[0]) for c in classes.values() for e in c)

"""Plays a story to its end, and says whether the promise held."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from simulation.judging import Judge
from simulation.network import Broken
from simulation.stage import Play
from simulation.story import Story

from cfstream_upload.result import Result

HOUR = 3600.0
DONE = (0, 11)


def play(story: Story, folder: Path) -> tuple[Broken | None, Counter[str], Counter[str], int]:
    """What broke, the ends of its commands, what struck, and the number of requests."""
    playing = Play(story, folder)
    broken: Broken | None = None
    try:
        _whole(playing)
    except Broken as error:
        broken = error
    except Exception as bug:  # noqa: BLE001  whatever escapes a command is a violation too
        broken = Broken(f"{type(bug).__name__}: {bug}")
    return broken, playing.mix, Counter(playing.world.struck), playing.books.requests


def _whole(playing: Play) -> None:
    judge = Judge(playing)
    playing.heard = judge.judge
    with playing.staged():
        for act in playing.story.acts:
            playing.act(act)
        _end(playing, judge)


def _end(playing: Play, judge: Judge) -> None:
    """Nothing breaks any more: the same command again, and what must come of it."""
    world = playing.world
    world.down_until = world.denied_until = 0.0
    world.clock.pass_by(100)
    if playing.story.end == "sweep":
        playing.sweep()
        judge.judge_cleanup()
    result = _sent_at_last(playing)
    if result.exit_code not in DONE:
        raise Broken(f"the file cannot be sent: {result.exit_code} {result.error}")
    if world.clock.is_awaited or playing.open_rows() or len(playing.ours()) > 1:
        _day_after(playing, result)
    judge.judge_end(result)


def _sent_at_last(playing: Play) -> Result:
    result = playing.send()
    for wait in (120.0, 27 * HOUR, 120.0):
        if result.exit_code in DONE:
            return result
        playing.world.clock.pass_by(wait)
        result = playing.send()
    if result.exit_code == 8 and playing.has_lost_its_record:
        # Law 7: what had arrived and is gone is sent once more only when asked for.
        playing.mix["again, for what had arrived and vanished"] += 1
        result = playing.send(again=True)
        if result.exit_code == 8:
            playing.world.clock.pass_by(120.0)
            result = playing.send()
    return result


def _day_after(playing: Play, result: Result) -> None:
    """Whatever was still on its way has come, and every watch has ended."""
    playing.world.clock.pass_by(28 * HOUR)
    again = playing.send()
    if again.uid != result.uid:
        raise Broken(f"the same file, another video: {again.outcome} {again.error}")
    if playing.story.shared_host:
        playing.sweep("other")

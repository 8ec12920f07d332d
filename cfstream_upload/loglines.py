"""What people are told of an upload, line by line. Pure.

Four lines are promised word for word, so that a log can be searched for them:
``Cleaning up failed upload: <uid>``, ``Successfully cleaned up failed upload: <uid>``,
``Cleaned up failed upload from Cloudflare: <uid>`` and
``Cleaned up failed upload from journal: <attempt>``.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum

from cfstream_upload import events
from cfstream_upload.meter import GOALS, Meter, Totals
from cfstream_upload.units import human_size, human_time


class Level(IntEnum):
    """Who sees a line: everybody, all but the quiet, or those who asked for more."""

    ALWAYS = 0
    USUAL = 1
    VERBOSE = 2


def log_lines(event: events.Event, name: str, *, bar: bool) -> list[tuple[Level, str]]:
    """The lines about ``event`` of the file shown as ``name``; a ``bar`` makes some needless."""
    beside_bar = Level.VERBOSE if bar else Level.USUAL
    match event:
        case events.Started():
            return [(beside_bar, f"{name}: started, {human_size(event.size)}")]
        case events.Created():
            return [(Level.VERBOSE, f"{name}: created {event.uid}")]
        case events.Resumed():
            done = int(100 * event.offset / event.size) if event.size else 0
            amount = f"{human_size(event.offset)} of {human_size(event.size)}"
            return [(Level.USUAL, f"{name}: resumed at {done} % ({amount})")]
        case events.Retrying():
            when = f"retrying in {human_time(event.seconds)}"
            words = f"{when}: {event.message}"
            # Without a file there is no bar to show it.
            return [(beside_bar, f"{name}: {words}") if name else (Level.USUAL, words)]
        case events.Confirming():
            return [(Level.VERBOSE, f"{name}: every byte is sent, asking for {event.uid}")]
        case events.Uploaded() | events.Waiting() | events.Ready():
            return [_arrival_line(event, name or event.uid)]
        case events.Notice():
            return [(Level.USUAL, f"{name}: {event.message}" if name else event.message)]
        case events.CleaningUp():
            return [
                (Level.VERBOSE, f"{name}: {event.message}"),
                (Level.ALWAYS, f"Cleaning up failed upload: {event.uid}"),
            ]
        case events.Deleted():
            return [(Level.ALWAYS, f"Cleaned up failed upload from Cloudflare: {event.uid}")]
        case events.CleanedUp():
            return [
                (Level.ALWAYS, f"Cleaned up failed upload from journal: {event.attempt}"),
                (Level.ALWAYS, f"Successfully cleaned up failed upload: {event.uid}"),
            ]
        case events.Progress() | events.Reading():
            return []


def _arrival_line(
    event: events.Uploaded | events.Waiting | events.Ready, name: str
) -> tuple[Level, str]:
    match event:
        case events.Uploaded():
            return Level.USUAL, f"{name}: on Stream as {event.uid}"
        case events.Waiting():
            level = Level.USUAL if event.news else Level.VERBOSE
            far = encoded_so_far(event.state, event.percent)
            return level, f"{name}: {far}, waiting until {GOALS[event.until]}"
        case events.Ready():
            # Of a file the end of its run is told next, and says it.
            level = Level.VERBOSE if event.file else Level.USUAL
            return level, f"{name}: {event.until} after {human_time(event.seconds)}"


def encoded_so_far(state: str, percent: float | None) -> str:
    """Stream's state of a video, and how much of it is encoded."""
    return state if percent is None else f"{state}, {int(percent)} % encoded"


def progress_line(name: str, meter: Meter, now: float) -> str:
    """How far the file of ``meter`` is, for where no bar is drawn."""
    numbers, state = meter.numbers(now), meter.state(now)
    parts = [*numbers[:1], state] if state else numbers
    return f"{name}: {meter.percent} %, {', '.join(parts)}"


def totals_line(totals: Totals, running: Collection[Meter], now: float) -> str:
    """How far a batch is, for where no bar is drawn."""
    numbers = ", ".join(totals.numbers(running, now))
    return f"{totals.words()}: {totals.percent(running)} %, {numbers}"

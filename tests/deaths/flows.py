"""The four runs in which a process dies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from faulted import Case, html

from cfstream_upload.emulator.exchange import Service
from cfstream_upload.emulator.faults import Fault, Faulty


@dataclass(frozen=True)
class Flow:
    """What happened before, what the dying process is told to do, and what it meets."""

    name: str
    arguments: Callable[[Case], list[str]]
    prepare: Callable[[Case], None] = lambda case: None
    met: Callable[[Service], Service] = lambda service: service


def _send(case: Case) -> list[str]:
    return ["send", "-q", "--no-progress", "--chunk-size", "5M", str(case.path)]


def _sweep(case: Case) -> list[str]:
    return ["cleanup", "-q", "--orphans", "--yes"]


def _interrupted(case: Case) -> None:
    case.dies(4, "in its body")  # in the third chunk


def _refusing(service: Service) -> Service:
    """The third chunk is refused for good."""
    return Faulty(service, [Fault(html(412), "PATCH", "upload", 3)])


FLOWS = {
    flow.name: flow
    for flow in (
        Flow("fresh", _send),
        Flow("resume", _send, prepare=_interrupted),
        Flow("rollback", _send, met=_refusing),
        Flow("sweep", _sweep, prepare=_interrupted),
    )
}

"""What every work needs: files, servers, and clients measured in turns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.clients import Client, clients, environment
from benchmarks.measuring import MIB, Taken, measured, medians
from benchmarks.serving import Server
from cfstream_upload.emulator.footage import padded_mp4

Json = dict[str, Any]


@dataclass
class Bench:
    """One run of the benchmark. ``times`` is how often each process is measured."""

    folder: Path
    times: int
    quick: bool
    plain: Server
    secure: Server
    _number: itertools.count[int] = field(default_factory=itertools.count)

    def sized(self, usual: int, quick: int) -> int:
        """A size, smaller in a quick run."""
        return quick if self.quick else usual

    def file(self, size: int, number: int = 0) -> Path:
        """A video of ``size`` bytes that takes no room on the disk."""
        path = self.folder / f"{size}-{number}.mp4"
        return path if path.exists() else padded_mp4(path, size)

    def files(self, count: int, size: int) -> list[Path]:
        """So many different videos."""
        return [self.file(size, number) for number in range(count)]

    def state(self) -> Path:
        """A state folder that nobody used."""
        path = self.folder / f"state-{next(self._number)}"
        path.mkdir(mode=0o700)
        return path

    def sent(
        self,
        client: Client,
        server: Server,
        files: Sequence[Path],
        *,
        state: Path | None = None,
        expected: Sequence[int] = (0,),
    ) -> tuple[Taken, Json]:
        """A client sends files; what it took and what the server was asked since its reset."""
        before = server.child.ask("came")["cpu"]
        command = client.command(server, files)
        taken = measured(command, environment(server, state or self.state()), expected)
        told = server.child.ask("told")
        return replace(taken, server_cpu=told["cpu"] - before), told

    def side_by_side(
        self,
        server: Server,
        files: Sequence[Path],
        *,
        only: Sequence[str] = (),
        options: Sequence[str] = (),
        times: int | None = None,
    ) -> Json:
        """Every client sends ``files``, in turns; medians by name, reasons of those left out."""
        found: dict[str, list[Taken]] = {}
        missing: Json = {}
        for _ in range(times or self.times):
            for client in clients({"cfupload": options}):
                if client.missing:
                    missing[client.name] = {"missing": client.missing}
                elif not only or client.name in only:
                    server.reset()
                    taken, told = self.sent(client, server, files)
                    size = sum(file.stat().st_size for file in files)
                    if told["came"] != size:
                        raise RuntimeError(f"{client.name} sent {told['came']} of {size} bytes")
                    found.setdefault(client.name, []).append(taken)
        return {**{name: medians(runs) for name, runs in found.items()}, **missing}


def wasted(asked: Sequence[Json]) -> int:
    """Bytes of PATCHes that the server had kept before."""
    patches = [one for one in asked if one["method"] == "PATCH"]
    return sum(
        max(0, min(one["offset"] + one["came"], one["kept"]) - one["offset"]) for one in patches
    )


def gaps(asked: Sequence[Json]) -> tuple[float, float]:
    """Seconds in which the server waited for the next PATCH, and from the first to the last byte.

    A gap ends with the head of the next PATCH: until then nothing is on the line.
    """
    patches = [one for one in asked if one["method"] == "PATCH"]
    pairs = itertools.pairwise(patches)
    idle = sum(after["began"] - before["ended"] for before, after in pairs)
    return idle, patches[-1]["ended"] - patches[0]["began"]


def paced(moments: Sequence[tuple[float, int]], limit: float) -> Json:
    """How a limit of bytes a second was kept: the rate over all, and each whole second's."""
    first, last = moments[0][0], moments[-1][0]
    # What the first moment brought was sent before it.
    total = sum(count for _, count in moments[1:])
    bins = [0] * int(last - first)
    for moment, count in moments[1:]:
        # Bytes that come at the end of a second were sent in it.
        index = math.ceil(moment - first) - 1
        if index < len(bins):
            bins[index] += count
    return {
        "seconds": round(last - first, 3),
        "off": round(total / (last - first) / limit - 1, 4),
        "each_second": [round(count / limit, 3) for count in bins],
    }


def requests(asked: Sequence[Json]) -> Json:
    """How often each kind of request was made."""
    counted: Json = {}
    for one in asked:
        name = f"{one['method']} {one['kind']}"
        counted[name] = counted.get(name, 0) + 1
    return counted


GIB = 1024 * MIB

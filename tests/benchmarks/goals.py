"""Each goal of the benchmark beside its figure: met or missed. Pure: figures are parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]
MEMORY = 72
"""MiB."""
CORES = 1.8
"""Of two, over ten seconds: what is busier leaves none idle."""
INGEST = 500
"""Megabytes (10^6) a second."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A goal and what was measured; ``met`` is None where it was not."""

    what: str
    figure: str
    goal: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """In one word."""
        return {True: "met", False: "**missed**", None: "not measured"}[self.met]


def judged(figures: Figures) -> list[Judged]:
    """Every goal, in the order of the table."""
    found = []
    for what, goal, figure_of in _GOALS:
        try:
            figure, met = figure_of(figures)
        except (KeyError, IndexError):
            found.append(Judged(what, "–", goal, None))
        else:
            found.append(Judged(what, figure, goal, met))
    return found


_Figure = Callable[[Figures], tuple[str, bool]]


def _times(work: str, quantity: str, rival: str, most: float, *under: str) -> _Figure:
    """Give cfupload's figure as so many times a rival's."""

    def figure(figures: Figures) -> tuple[str, bool]:
        found = figures[work]
        for key in under:
            found = found[key]
        ratio = found["cfupload"][quantity] / found[rival][quantity]
        return f"{ratio:.2f} x", ratio <= most

    return figure


def _version(figures: Figures) -> tuple[str, bool]:
    ratio = figures["start"]["--version"]["wall"] / figures["start"]["import typer"]["wall"]
    return f"{ratio:.2f} x", ratio <= 1.5


def _tiny(figures: Figures) -> tuple[str, bool]:
    wall = figures["small"]["cfupload"]["wall"]
    return f"{wall:.2f} s", wall <= 0.9


def _requests(figures: Figures) -> tuple[str, bool]:
    made = figures["small"]["requests"]
    words = ", ".join(f"{count} {name}" for name, count in made.items())
    return words, made == {"POST create": 1, "PATCH upload": 1, "GET video": 1}


def _peak(figures: Figures) -> tuple[str, bool]:
    # Over TLS it holds OpenSSL's buffers and certificates as well.
    peaks = [figures["memory"]["most"]]
    peaks += [figures[work]["cfupload"]["peak"] for work in ("whole", "small") if work in figures]
    return f"{max(peaks):.1f} MiB", max(peaks) <= MEMORY


def _flat(figures: Figures) -> tuple[str, bool]:
    spread = figures["memory"]["spread"]
    return f"{spread:.1%}", spread <= 0.05


def _twice(figures: Figures) -> tuple[str, bool]:
    count = figures["cuts"]["kept"]["sent_twice"] + figures["resume"]["sent_twice"]
    cuts = figures["cuts"]["kept"]["cuts"]
    return f"{count} bytes after {cuts} cuts and {figures['resume']['runs']} kills", count == 0


def _fatal(figures: Figures) -> tuple[str, bool]:
    return f"{figures['fatal']['seconds']:.2f} s", figures["fatal"]["seconds"] <= 2


def _journal(figures: Figures) -> tuple[str, bool]:
    cost = figures["journal"]["ms_an_upload"]
    return f"{cost:.1f} ms", cost <= 10


def _cut(figures: Figures) -> tuple[str, bool]:
    found = figures["cuts"]
    costs = [found["kept"]["seconds_a_cut"], found["forgotten"]["seconds_a_cut"]]
    words = f"{costs[0]:.1f} s; {costs[1]:.1f} s where nothing of the chunk was kept"
    return words, max(costs) <= 11


def _round_trips(figures: Figures) -> tuple[str, bool]:
    share = figures["pacing"]["line"]["share"]
    return f"{share:.1%}", share < 0.02


def _shrinks(figures: Figures) -> tuple[str, bool]:
    found = figures["pacing"]["after_408"]
    back = found["chunks_to_recover"]
    words = f"{found['first']:.2f} x, full size after {back} chunks"
    return words, found["first"] <= 0.5 and 0 < back <= 3


def _limit(figures: Figures) -> tuple[str, bool]:
    offs = [one["off"] for one in figures["bwlimit"].values()]
    return " / ".join(f"{off:+.1%}" for off in offs), max(map(abs, offs)) <= 0.03


def _smooth(figures: Figures) -> tuple[str, bool]:
    seconds = [share for one in figures["bwlimit"].values() for share in one["each_second"]]
    worst = max(abs(share - 1) for share in seconds)
    return f"{worst:.1%}", worst <= 0.1


def _claim(figures: Figures) -> tuple[str, bool]:
    found = figures["claim"]
    words = f"{found['ms']:g} ms, {found['ms_99']:g} ms at the 99th percentile"
    return f"{words}, of {found['rows']:,} rows", found["ms_99"] <= 5


def _planned(figures: Figures) -> tuple[str, bool]:
    found = figures["planning"]
    words = f"{found['seconds']:.1f} s and {found['peak']:.0f} MiB for {found['files']:,} files"
    return words, found["seconds"] <= 10 and found["peak"] <= 200


def _ingest(figures: Figures) -> tuple[str, bool]:
    found = figures["ingest"]
    words = ", ".join(f"{one['mb_s']} MB/s of {name}" for name, one in found.items())
    # Where a plain writer is slower than that, the disk is what was measured.
    return words, all(one["mb_s"] >= min(INGEST, one["disk"]) for one in found.values())


def _ingest_flat(figures: Figures) -> tuple[str, bool]:
    peaks = [one["peak"] for one in figures["ingest"].values()]
    words = ", ".join(f"{one['peak']:.0f} MiB at {name}" for name, one in figures["ingest"].items())
    return words, max(peaks) <= 1.1 * min(peaks)


def _crowd(figures: Figures) -> tuple[str, bool]:
    found = figures["crowd"]
    words = f"{found['whole']} of {found['uploads']} whole, {found['peak']:.0f} MiB"
    return words, found["whole"] == found["uploads"]


def _linear(figures: Figures) -> tuple[str, bool]:
    found = {name: one for name, one in figures["scaling"].items() if isinstance(one, dict)}
    words = ", ".join(f"{one['share']:.2f} with {name}" for name, one in found.items())
    # To where the machine's two cores end: what is busier than that says nothing of a fleet.
    free = [one["share"] for one in found.values() if one["cores"] < CORES]
    return words, bool(free) and min(free) >= 0.95


_GOALS: tuple[tuple[str, str, _Figure], ...] = (
    ("marginal CPU per GiB over TLS, to curl", "<= 1.10 x",
     _times("marginal", "cpu_per_gib", "curl", 1.10)),
    ("marginal CPU per GiB over TLS, to tuspy", "<= 0.5 x",
     _times("marginal", "cpu_per_gib", "tuspy", 0.5)),
    ("2 GiB over TLS, wall, to curl", "<= 1.3 x", _times("whole", "wall", "curl", 1.3)),
    ("2 GiB over TLS, wall, to tuspy", "<= 0.55 x", _times("whole", "wall", "tuspy", 0.55)),
    ("2 GiB over TLS, wall, to tus-js-client", "<= 0.55 x",
     _times("whole", "wall", "tus-js-client", 0.55)),
    ("512 MiB at 80 ms and 1 Gbit/s, to curl", "<= 1.10 x",
     _times("line", "wall", "curl", 1.10, "80")),
    ("512 MiB at 80 ms and 1 Gbit/s, to tuspy", "<= 0.4 x",
     _times("line", "wall", "tuspy", 0.4, "80")),
    ("20 files of 6 MiB on that line, -j 4, to tuspy one by one", "<= 0.15 x",
     _times("twenty", "wall", "tuspy", 0.15)),
    ("a small file, requests", "1 create, 1 PATCH, 1 look", _requests),
    ("peak memory, 10 MB to 30 GB, any chunk size", f"<= {MEMORY} MiB", _peak),
    ("the same, from least to most", "within 5 %", _flat),
    ("bytes sent twice that the server kept", "none", _twice),
    ("cfupload --version, to python -c 'import typer'", "<= 1.5 x", _version),
    ("a tiny file, whole process", "<= 0.9 s", _tiny),
    ("fatal error to confirmed delete, at 80 ms", "<= 2 s", _fatal),
    ("journal per upload", "<= 10 ms", _journal),
    ("what a cut costs", "about 10 s of line at most", _cut),
    ("round trips at 1 Gbit/s and 80 ms", "< 2 %", _round_trips),
    ("the chunk after a 408, and its recovery", "<= 0.5 x, and full size again", _shrinks),
    ("--bwlimit over ten seconds, one job / four", "within 3 %", _limit),
    ("--bwlimit, the worst second", "within 10 %", _smooth),
    ("a fleet on lines of 100 Mbit/s each, to linear, where a core is idle", ">= 0.95", _linear),
    ("a claim in a journal on PostgreSQL", "<= 5 ms", _claim),
    ("a batch of which 99 in 100 are done, planned", "<= 10 s, <= 200 MiB", _planned),
    ("the embedded Stream, ingest in one connection", f">= {INGEST} MB/s, or as the disk",
     _ingest),
    ("the embedded Stream, its memory meanwhile", "within 10 % for any size", _ingest_flat),
    ("the embedded Stream, 50 uploads at once", "without an error", _crowd),
)  # fmt: skip

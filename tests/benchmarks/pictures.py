"""The figures as SVG: transparent, in greys and colours that hold on light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.goals import MEMORY
from benchmarks.line import seconds
from benchmarks.measuring import MIB
from benchmarks.serving import GIGABIT
from benchmarks.tables import ORDER

mpl.use("Agg")
from matplotlib import pyplot as plt  # the backend comes first

Json = Mapping[str, Any]
_GREY = "#7a8490"
COLOURS = {"cfupload": "#f6821f", "curl": "#7a8490", "tuspy": "#3d8bd4", "tus-js-client": "#2f9e5b"}
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "path",
    "svg.hashsalt": "cfupload",
    "text.color": _GREY,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _GREY,
    "axes.titlecolor": _GREY,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def draw(result: Json, folder: Path, kind: str = "svg") -> list[Path]:
    """Draw every picture whose figures were measured into ``folder``."""
    folder.mkdir(exist_ok=True)
    made = []
    with plt.rc_context(_STYLE):
        for name, picture in _PICTURES.items():
            try:
                figure = picture(result["figures"])
            except KeyError:
                continue
            path = folder / f"{name}.{kind}"
            dated = {"metadata": {"Date": None}} if kind == "svg" else {}
            figure.savefig(path, transparent=True, bbox_inches="tight", **dated)
            plt.close(figure)
            if kind == "svg":
                _without_trailing_spaces(path)
            made.append(path)
    return made


def _without_trailing_spaces(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")


def _measured(found: Json, quantity: str) -> list[str]:
    return [name for name in ORDER if quantity in found.get(name, {})]


def _bars(axes: Any, found: Json, quantity: str, title: str, unit: str) -> None:  # noqa: ANN401
    names = _measured(found, quantity)
    values = [found[name][quantity] for name in names]
    bars = axes.barh(names, values, color=[COLOURS[name] for name in names], height=0.62)
    axes.bar_label(bars, labels=[f"{value:.2f} {unit}" for value in values], padding=4)
    axes.set_title(title, loc="left")
    axes.set_xlim(0, max(values) * 1.25)
    axes.invert_yaxis()
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(left=False)


def _pair(*panels: tuple[Json, str, str, str]) -> Any:  # noqa: ANN401  # matplotlib has no types here
    figure, axes = plt.subplots(1, len(panels), figsize=(9, 2.1), squeeze=False)
    for place, panel in zip(axes[0], panels, strict=True):
        _bars(place, *panel)
    figure.tight_layout(w_pad=3)
    return figure


def _whole(figures: Json) -> Any:  # noqa: ANN401
    whole, marginal = figures["whole"], figures["marginal"]
    return _pair(
        (whole, "wall", f"{whole['gib']:g} GiB over TLS on loopback", "s"),
        (marginal, "cpu_per_gib", "CPU of each further GiB", "s"),
    )


def _files(figures: Json) -> Any:  # noqa: ANN401
    twenty, many = figures["twenty"], figures["many"]
    return _pair(
        (twenty, "wall", f"{twenty['files']} files of 6 MiB at 80 ms and 1 Gbit/s", "s"),
        (many, "wall", f"{many['files']} files of 100 kB over TLS on loopback", "s"),
    )


def _line(figures: Json) -> Any:  # noqa: ANN401
    found = figures["line"]
    trips = [trip for trip in ("20", "80", "200") if trip in found]
    names = _measured(found[trips[0]], "wall")
    figure, axes = plt.subplots(figsize=(9, 3.2))
    for name in names:
        walls = [found[trip][name]["wall"] for trip in trips]
        axes.plot([int(trip) for trip in trips], walls, "o-", color=COLOURS[name], lw=2, label=name)
    _apart(axes, int(trips[-1]), {name: found[trips[-1]][name]["wall"] for name in names})
    # The bare line: one connection, TLS's own round trip, nothing else.
    points = [trip / 1000 for trip in range(10, int(trips[-1]) + 1)]
    bare = [seconds(int(found["mib"] * MIB), trip, GIGABIT) + trip for trip in points]
    axes.plot([1000 * trip for trip in points], bare, ":", color=_GREY, lw=1)
    words = f"{found['mib']:g} MiB at 1 Gbit/s: seconds by round trip; dotted: the line alone"
    axes.set_title(words, loc="left")
    axes.set_xlabel("round trip, ms")
    axes.set_xticks([int(trip) for trip in trips])
    axes.set_xlim(0, int(trips[-1]) * 1.2)
    axes.set_ylim(0)
    return figure


def _apart(axes: Any, at: float, ends: Mapping[str, float]) -> None:  # noqa: ANN401
    """Names at the ends of lines, pushed apart where they would lie on each other."""
    least, floor = max(ends.values()) * 0.075, -1.0
    for name, value in sorted(ends.items(), key=lambda end: end[1]):
        floor = max(value, floor + least)
        axes.annotate(
            f"  {name} {value:.1f} s", (at, value), (at, floor), va="center", color=COLOURS[name]
        )


def _memory(figures: Json) -> Any:  # noqa: ANN401
    peaks = figures["memory"]["peaks"]
    figure, axes = plt.subplots(figsize=(9, 2.4))
    values = [one["peak"] for one in peaks.values()]
    bars = axes.barh(list(peaks), values, color=COLOURS["cfupload"], height=0.62)
    axes.bar_label(bars, labels=[f"{value:.1f} MiB" for value in values], padding=4)
    axes.axvline(MEMORY, color=_GREY, ls="--", lw=1)
    axes.set_title(f"cfupload's peak memory; dashed: the goal, {MEMORY} MiB", loc="left")
    axes.set_xlim(0, max(*values, MEMORY) * 1.2)
    axes.invert_yaxis()
    axes.tick_params(left=False)
    return figure


def _bwlimit(figures: Json) -> Any:  # noqa: ANN401
    figure, axes = plt.subplots(figsize=(9, 2.6))
    most = 1.1
    styles: Sequence[tuple[str, str]] = (("o-", COLOURS["cfupload"]), ("s--", COLOURS["tuspy"]))
    for (name, one), (style, colour) in zip(figures["bwlimit"].items(), styles, strict=False):
        shares = one["each_second"]
        most = max(most, *shares)
        axes.plot(range(1, len(shares) + 1), shares, style, color=colour, lw=2, label=name)
    axes.axhline(1, color=_GREY, ls=":", lw=1)
    axes.set_title("--bwlimit 10M: each second's bytes as a share of the limit", loc="left")
    axes.set_xlabel("second")
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    axes.set_ylim(0, most * 1.1)
    axes.legend(loc="lower right", ncols=2)
    return figure


_PICTURES: dict[str, Callable[[Json], Any]] = {
    "whole": _whole,
    "line": _line,
    "files": _files,
    "memory": _memory,
    "bwlimit": _bwlimit,
}

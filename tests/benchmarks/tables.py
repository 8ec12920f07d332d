"""The figures as tables in Markdown, for the terminal and the page alike. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.goals import judged

Json = Mapping[str, Any]
ORDER = ("cfupload", "curl", "tuspy", "tus-js-client")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; all columns but the first are figures."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def goals(result: Json) -> str:
    """Each goal beside its figure."""
    rows = [[one.what, one.figure, one.goal, one.verdict] for one in judged(result["figures"])]
    return table(("what", "cfupload", "goal", ""), rows)


def measures(result: Json) -> str:
    """Every process that was measured."""
    rows = []
    for title, group in _groups(result["figures"]):
        for name in sorted(group, key=_place):
            found = group[name]
            if not isinstance(found, Mapping):
                continue
            if "missing" in found:
                rows.append([title, name, found["missing"], "", "", "", ""])
            elif "wall" in found:
                rows.append([title, name, *_cells(found)])
    heads = ("work", "", "wall, s", "least to most", "CPU, s", "peak, MiB", "server's CPU, s")
    return table(heads, rows)


def _place(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def _cells(found: Json) -> list[str]:
    spread = f"{found['wall_least']:.2f} to {found['wall_most']:.2f}"
    figures = [f"{found[name]:.2f}" for name in ("wall", "cpu")]
    return [figures[0], spread, figures[1], f"{found['peak']:.0f}", f"{found['server_cpu']:.2f}"]


def _groups(figures: Json) -> list[tuple[str, Json]]:
    """The title of each group of processes, and their figures by name."""
    found: list[tuple[str, Json]] = []
    for work, title in (("start", "start"), ("small", "one file of 100 kB, TLS")):
        if work in figures:
            found.append((title, figures[work]))
    if "whole" in figures:
        found.append((f"{figures['whole'].get('gib', 0):g} GiB, TLS", figures["whole"]))
    for milliseconds in ("20", "80", "200"):
        if milliseconds in figures.get("line", {}):
            title = f"{figures['line']['mib']:g} MiB, {milliseconds} ms, 1 Gbit/s"
            found.append((title, figures["line"][milliseconds]))
    for work, words in (("twenty", "files of 6 MiB, 80 ms"), ("many", "files of 100 kB, TLS")):
        if work in figures:
            found.append((f"{figures[work].get('files', 0)} {words}", figures[work]))
    if "resume" in figures:
        title = f"{figures['resume'].get('gib', 0):g} GiB resumed at 90 %, TLS"
        found.append((title, {"cfupload": figures["resume"]}))
    if "memory" in figures:
        peaks = figures["memory"].get("peaks", {})
        found += [(f"{name}, plain HTTP", {"cfupload": one}) for name, one in peaks.items()]
    return found


def marginal(result: Json) -> str:
    """CPU of each further GiB."""
    found = result["figures"].get("marginal", {})
    rows = [
        [name, f"{found[name]['small_cpu']:.2f}", f"{found[name]['large_cpu']:.2f}",
         f"{found[name]['cpu_per_gib']:.2f}"]
        for name in ORDER if "cpu_per_gib" in found.get(name, {})
    ]  # fmt: skip
    sizes = [f"CPU of {found.get(key, 0):g} GiB, s" for key in ("small_gib", "large_gib")]
    return table(("", *sizes, "of each further GiB, s"), rows)


def server(result: Json) -> str:
    """Whether the server was in the way: what it can take, and how busy the clients kept it."""
    figures, rows = result["figures"], []
    for name, words in (("plain", "zeros from memory, TCP"), ("tls", "zeros from memory, TLS")):
        if name in figures.get("ceiling", {}):
            rows.append([words, *_busy(figures["ceiling"][name], figures["ceiling"][name]["gib"])])
    whole = figures.get("whole", {})
    for name in ORDER:
        if "wall" in whole.get(name, {}):
            rows.append([f"{name}, TLS", *_busy(whole[name], whole["gib"])])
    heads = (
        "sender",
        "GiB/s",
        "its CPU, s/GiB",
        "server's CPU, s/GiB",
        "server busy",
        "a core of it could take",
    )
    return table(heads, rows)


def _busy(found: Json, gib: float) -> list[str]:
    return [
        f"{gib / found['wall']:.2f}",
        f"{found['cpu'] / gib:.2f}",
        f"{found['server_cpu'] / gib:.2f}",
        f"{found['server_cpu'] / found['wall']:.0%}",
        f"{gib / max(found['server_cpu'], 1e-3):.1f} GiB/s",
    ]


def lines(result: Json) -> str:
    """What no table shows: cuts, resuming, pacing, the limit, the journal; a line each."""
    figures, said = result["figures"], []
    if kept := figures.get("cuts", {}).get("kept"):
        said.append(
            f"a cut in every chunk, {figures['cuts']['mib']:g} MiB at 80 ms: {kept['wall']:.1f} s "
            f"with {kept['cuts']} cuts, {kept['clean']:.1f} s without: "
            f"{kept['seconds_a_cut']:.1f} s a cut; {kept['sent_twice']} bytes sent twice that the "
            "server had kept"
        )
    if lost := figures.get("cuts", {}).get("forgotten"):
        said.append(
            f"a chunk of {lost['chunk_mib']:g} MiB cut at nine tenths on 100 Mbit/s and 40 ms, "
            f"nothing of it kept: {lost['seconds_a_cut']:.1f} s"
        )
    if "wall" in (found := figures.get("resume", {})):
        said.append(
            f"{found['gib']:g} GiB killed at 90 %: the second run sent {found['sent_mib']:g} MiB"
        )
    if pacing := figures.get("pacing", {}).get("line"):
        chunks = ", ".join(f"{size:g}" for size in pacing["chunks_mib"])
        said.append(
            f"chunks at 80 ms and 1 Gbit/s, MiB: {chunks}; the line was idle for "
            f"{pacing['idle']:.2f} s in {pacing['gaps']} gaps between them: {pacing['share']:.1%}"
        )
    if after := figures.get("pacing", {}).get("after_408"):
        chunks = ", ".join(f"{size:g}" for size in after["chunks_mib"])
        said.append(f"chunks around a 408 to the fourth, MiB: {chunks}")
    if "seconds" in (found := figures.get("fatal", {})):
        said.append(f"from a fatal refusal at 80 ms to exit 5: {found['seconds']:.2f} s")
    if "ms_an_upload" in (found := figures.get("journal", {})):
        said.append(
            f"journal: {found['ms_an_upload']:.1f} ms in {found['calls_an_upload']:g} calls an "
            f"upload; opening it anew {found['ms_opening']:.1f} ms"
        )
    for name, one in figures.get("bwlimit", {}).items():
        if isinstance(one, Mapping):
            each = ", ".join(f"{share:.2f}" for share in one["each_second"])
            said.append(
                f"`--bwlimit`, {name}: {one['off']:+.1%} over {one['seconds']:.1f} s; {each}"
            )
    said += _fleet(figures)
    if "ms" in (found := figures.get("claim", {})):
        said.append(
            f"{found['claims']} claims (lock, the file's rows, a new row) in a journal of "
            f"{found['rows']:,} rows on PostgreSQL: {found['ms']:g} ms, the median; "
            f"{found['ms_99']:g} ms at the 99th percentile"
        )
    said += _embedded(figures)
    said += [
        f"{work} failed: {found['failed']}" for work, found in figures.items() if "failed" in found
    ]
    return "\n".join(f"- {words}" for words in said)


def _fleet(figures: Json) -> list[str]:
    """How a fleet grows."""
    return [
        f"{workers} workers, a line of 100 Mbit/s each: {one['mbit']:g} Mbit/s, "
        f"{one['share']:.1%} of linear; {one['cores']:.2f} of the machine's cores busy over the "
        f"busiest ten seconds"
        for workers, one in figures.get("scaling", {}).items()
        if isinstance(one, Mapping)
    ]


def _embedded(figures: Json) -> list[str]:
    """What the embedded Stream takes."""
    said = [
        f"the embedded Stream, {name} in one connection to a folder: {one['mb_s']} MB/s (10^6; the "
        f"best of {one['runs']}: {one['mb_s_best']}), {one['cpu_per_gb']:.2f} s of its CPU a GB, "
        f"{one['peak']:.0f} MiB at its peak; the same sender to the discarding server: "
        f"{one['discarded']} MB/s; a plain writer to the same disk: {one['disk']} MB/s"
        for name, one in figures.get("ingest", {}).items()
        if isinstance(one, Mapping)
    ]
    if "whole" in (found := figures.get("crowd", {})):
        said.append(
            f"the embedded Stream, {found['uploads']} uploads of {found['mib']:g} MiB at once: "
            f"{found['whole']} whole, {found['seconds']:.1f} s, {found['mb_s']} MB/s, "
            f"{found['peak']:.0f} MiB at its peak, {found['peak_at_start']:.0f} MiB before them"
        )
    return said

"""The works: each measures one thing and gives its figures as JSON."""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from benchmarks.bench import GIB, Bench, Json, gaps, paced, requests, wasted
from benchmarks.claim import claim
from benchmarks.clients import CFUPLOAD, HERE, Client, cfupload, environment
from benchmarks.ingest import crowd, ingest
from benchmarks.measuring import MIB, Taken, measured, medians
from benchmarks.planning import planning
from benchmarks.scaling import scaling
from benchmarks.serving import Server, lined

TINY = 100_000
SOON = 7  # how often a process of less than a second is measured


def ceiling(bench: Bench) -> Json:
    """What the server can take from a sender that reads no file."""
    size, found = bench.sized(2 * GIB, GIB // 2), {}
    for name, server in (("plain", bench.plain), ("tls", bench.secure)):
        runs = [_raw(bench, server, size) for _ in range(bench.times)]
        found[name] = {**medians(runs), "gib": size / GIB}
    return found


def _raw(bench: Bench, server: Server, size: int) -> Taken:
    server.reset()
    state = environment(server, bench.folder)
    state["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), state.get("PYTHONPATH", "")])
    before = server.child.ask("came")["cpu"]
    taken = measured(
        [sys.executable, "-P", str(HERE / "raw_sender.py"), str(server.port), str(size)], state
    )
    return replace(taken, server_cpu=server.child.ask("came")["cpu"] - before)


def whole(bench: Bench) -> Json:
    """2 GiB over TLS on loopback."""
    size = bench.sized(2 * GIB, GIB // 2)
    return {"gib": size / GIB, **bench.side_by_side(bench.secure, [bench.file(size)])}


def marginal(bench: Bench) -> Json:
    """CPU of each further GiB: 4 GiB less 1 GiB, over TLS on loopback."""
    sizes = (GIB, 4 * GIB) if not bench.quick else (GIB // 4, GIB)
    small, large = (bench.side_by_side(bench.secure, [bench.file(size)]) for size in sizes)
    more = (sizes[1] - sizes[0]) / GIB
    found: Json = {"small_gib": sizes[0] / GIB, "large_gib": sizes[1] / GIB}
    for name in small:
        if "missing" in small[name]:
            found[name] = small[name]
            continue
        found[name] = {
            "cpu_per_gib": round((large[name]["cpu"] - small[name]["cpu"]) / more, 3),
            "small_cpu": small[name]["cpu"],
            "large_cpu": large[name]["cpu"],
            "runs": small[name]["runs"],
        }
    return found


def line(bench: Bench) -> Json:
    """512 MiB on lines of 20, 80 and 200 ms and 1 Gbit/s."""
    size = bench.sized(512 * MIB, 64 * MIB)
    found: Json = {"mib": size / MIB}
    for milliseconds in (20, 80, 200):
        # The line is a clock: more than two runs of the long ones say no more.
        times = bench.times if milliseconds == 80 else min(2, bench.times)
        with lined(bench.secure, milliseconds) as far:
            found[str(milliseconds)] = bench.side_by_side(far, [bench.file(size)], times=times)
    return found


def twenty(bench: Bench) -> Json:
    """20 files of 6 MiB on the line of 80 ms: cfupload with four jobs, the others one by one."""
    files = bench.files(bench.sized(20, 6), 6 * MIB)
    with lined(bench.secure, 80) as far:
        found = bench.side_by_side(far, files, options=("-j", "4"))
    return {"files": len(files), **found}


def many(bench: Bench) -> Json:
    """500 files of 100 kB over TLS on loopback."""
    files = bench.files(bench.sized(500, 50), TINY)
    times = min(2, bench.times)
    found = bench.side_by_side(bench.secure, files, options=("-j", "4"), times=times)
    return {"files": len(files), **found}


def cuts(bench: Bench) -> Json:
    """A cut in the middle of every chunk, on the line of 80 ms; and one that costs a whole chunk.

    The second line has 100 Mbit/s, and of the third PATCH, cut at nine tenths, nothing is kept.
    """
    file = bench.file(bench.sized(512 * MIB, 128 * MIB))
    ours = Client("cfupload", cfupload())
    odd: dict[str, object] = {"numbers": list(range(1, 200, 2)), "share": 0.5}
    found: Json = {"mib": file.stat().st_size / MIB}
    with lined(bench.secure, 80) as far:
        far.reset()
        clean, _ = bench.sent(ours, far, [file])
        far.reset(odd)
        harmed, told = bench.sent(ours, far, [file])
    count = _cut(told)
    found["kept"] = {
        "cuts": count,
        "sent_twice": wasted(told["asked"]),
        "clean": round(clean.wall, 3),
        "wall": round(harmed.wall, 3),
        "seconds_a_cut": round((harmed.wall - clean.wall) / max(1, count), 3),
    }
    file = bench.file(bench.sized(160 * MIB, 48 * MIB))
    lost: dict[str, object] = {
        "numbers": [bench.sized(3, 2)], "share": 0.9, "keep": False
    }  # fmt: skip
    with lined(bench.secure, 40, 12.5e6) as slow:
        slow.reset()
        clean, _ = bench.sent(ours, slow, [file])
        slow.reset(lost)
        harmed, told = bench.sent(ours, slow, [file])
    found["forgotten"] = {
        "chunk_mib": max(one["length"] for one in told["asked"] if one["status"] == 0) / MIB
        if _cut(told)
        else 0,
        "seconds_a_cut": round(harmed.wall - clean.wall, 3),
    }
    return found


def _cut(told: Json) -> int:
    return sum(1 for one in told["asked"] if one["method"] == "PATCH" and one["status"] == 0)


def resume(bench: Bench) -> Json:
    """2 GiB over TLS, killed (SIGKILL) at nine tenths; then the same command again."""
    size = bench.sized(2 * GIB, GIB // 2)
    file, runs, twice, sent = bench.file(size), [], 0, 0
    for _ in range(bench.times):
        server, state = bench.secure, bench.state()
        server.reset()
        ours = Client("cfupload", cfupload())
        _killed(ours.command(server, [file]), environment(server, state), server, size * 9 // 10)
        before = server.child.ask("came")["came"]
        taken, told = bench.sent(ours, server, [file], state=state)
        runs.append(taken)
        twice += wasted(told["asked"])
        sent = told["came"] - before
    return {
        "gib": size / GIB, **medians(runs), "sent_twice": twice, "sent_mib": round(sent / MIB, 1)
    }  # fmt: skip


def _killed(command: list[str], state: dict[str, str], server: Server, at: int) -> None:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=state, stdout=quiet, stderr=quiet)
    while server.child.ask("came")["came"] < at and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.3)  # the server empties its sockets


def memory(bench: Bench) -> Json:
    """Peak memory, from 10 MB to 30 GB and with different chunks, to the plain server."""
    middle = bench.sized(GIB, GIB // 4)
    works = [("10 MB", 10_000_000, "")]
    works += [(f"{middle // MIB} MiB", middle, chunk) for chunk in ("5M", "50M", "200M")]
    largest = bench.sized(30_000_000_000, 3_000_000_000)
    works += [(f"{largest // 1_000_000_000} GB", largest, "")]
    found: Json = {}
    for name, size, chunk in works:
        runs = []
        for _ in range(bench.times if size < GIB else 1):
            bench.plain.reset()
            options = ["--chunk-size", chunk] if chunk else []
            ours = Client("cfupload", cfupload(*options))
            runs.append(bench.sent(ours, bench.plain, [bench.file(size)])[0])
        said = f", chunks of at most {chunk}" if chunk else ""
        found[name + said] = medians(runs)
    peaks = [one["peak"] for one in found.values()]
    return {
        "peaks": found,
        "most": max(peaks),
        "spread": round(max(peaks) / min(peaks) - 1, 4),
    }


def small(bench: Bench) -> Json:
    """A file of 100 kB: the whole process over TLS, and what it asks."""
    found = bench.side_by_side(bench.secure, [bench.file(TINY)], times=max(SOON, bench.times))
    bench.secure.reset()
    _, told = bench.sent(Client("cfupload", cfupload()), bench.secure, [bench.file(TINY)])
    return {"requests": requests(told["asked"]), **found}


def start(bench: Bench) -> Json:
    """``--version`` and ``--help`` beside importing Typer alone."""
    commands = {
        "import typer": [sys.executable, "-P", "-c", "import typer"],
        "--version": [*CFUPLOAD, "--version"],
        "--help": [*CFUPLOAD, "--help"],
    }
    found: dict[str, list[Taken]] = {name: [] for name in commands}
    state = environment(None, bench.folder)
    for turn in range(max(SOON, bench.times) + 1):
        for name, command in commands.items():
            taken = measured(command, state)
            if turn:  # the first fills the caches
                found[name].append(taken)
    return {name: medians(runs) for name, runs in found.items()}


def fatal(bench: Bench) -> Json:
    """On the line of 80 ms the second chunk is refused for good: until the delete is confirmed."""
    taken: list[float] = []
    refusal: dict[str, object] = {"numbers": [2], "share": 0.5, "status": 400, "code": 10059}
    with lined(bench.secure, 80) as far:
        for _ in range(bench.times):
            far.reset(refusal)
            ours = Client("cfupload", cfupload())
            run, told = bench.sent(ours, far, [bench.file(64 * MIB)], expected=(5,))
            refused = next(one for one in told["asked"] if one["status"] == 400)
            taken.append(run.ended - refused["ended"])
    return {"seconds": round(statistics.median(taken), 3), "runs": len(taken)}


def journal(bench: Bench) -> Json:
    """Time in the journal's calls, a file, of 20 small files one after the other."""
    files = bench.files(20, TINY)
    each, opened, calls = [], [], 0.0
    for _ in range(bench.times):
        bench.plain.reset()
        command = [sys.executable, "-P", str(HERE / "journal_cost.py"), "send", "-q", "-j", "1"]
        state = environment(bench.plain, bench.state())
        ended = subprocess.run(
            [*command, *map(str, files)], env=state, capture_output=True, check=True, text=True
        )
        spent = json.loads(re.findall(r"^journal: (.*)$", ended.stderr, re.MULTILINE)[-1])
        each.append(1000 * spent["calls"] / len(files))
        opened.append(1000 * spent["open"])
        calls = spent["count"] / len(files)
    return {
        "ms_an_upload": round(statistics.median(each), 3),
        "ms_opening": round(statistics.median(opened), 3),
        "calls_an_upload": calls,
    }


def bwlimit(bench: Bench) -> Json:
    """``--bwlimit 10M`` over about ten seconds: one file, and four at once."""
    limit, long = 10 * MIB, bench.sized(108 * MIB, 48 * MIB)
    found: Json = {}
    for name, files, jobs in (
        ("one job", [bench.file(long)], "1"),
        ("four jobs", bench.files(4, long // 4), "4"),
    ):
        bench.secure.reset(moments=True)
        ours = Client("cfupload", cfupload("--bwlimit", "10M", "-j", jobs))
        _, told = bench.sent(ours, bench.secure, files)
        found[name] = paced(told["moments"], limit)
    return found


def pacing(bench: Bench) -> Json:
    """What round trips cost at 1 Gbit/s and 80 ms; how chunks shrink after a 408 and recover."""
    ours = Client("cfupload", cfupload())
    with lined(bench.secure, 80) as far:
        far.reset()
        _, told = bench.sent(ours, far, [bench.file(bench.sized(2 * GIB, GIB // 2))])
    idle, span = gaps(told["asked"])
    found: Json = {
        "line": {
            "share": round(idle / span, 4),
            "gaps": len(_lengths(told)) - 1,
            "idle": round(idle, 3),
            "chunks_mib": _lengths(told),
        }
    }
    bench.plain.reset({"numbers": [4], "share": 0.3, "status": 408})
    _, told = bench.sent(ours, bench.plain, [bench.file(2 * GIB)])
    lengths = _lengths(told)
    before, after = lengths[3], lengths[4:]
    found["after_408"] = {
        "chunks_mib": lengths,
        "first": round(after[0] / before, 3),
        "chunks_to_recover": next((n for n, size in enumerate(after) if size >= before), -1),
    }
    return found


def _lengths(told: Json) -> list[float]:
    return [one["length"] / MIB for one in told["asked"] if one["method"] == "PATCH"]


WORKS: dict[str, Callable[[Bench], Json]] = {
    work.__name__: work
    for work in (
        start, small, journal, ceiling, whole, marginal, line, twenty, many, cuts, resume,
        fatal, bwlimit, pacing, memory, scaling, claim, planning, ingest, crowd,
    )
}  # fmt: skip

"""Works of the embedded Stream: what it takes from one connection, and from fifty at once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.account import ACCOUNT
from benchmarks.bench import GIB, Bench, Json
from benchmarks.clients import CFUPLOAD, HERE, environment
from benchmarks.measuring import MIB, Failed

AT_ONCE = 50
_START_SECONDS = 60
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Emulator:
    """A ``cfupload emulator`` that runs: its process, where it is, and what it keeps where."""

    pid: int
    port: int
    account: str
    token: str
    data: Path

    @property
    def peak(self) -> float:
        """The most memory that it held, MiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    @property
    def cpu(self) -> float:
        """Its seconds of CPU so far."""
        words = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        return sum(map(int, words.split()[11:13])) / _TICKS


@contextlib.contextmanager
def emulator(bench: Bench) -> Iterator[Emulator]:
    """The command as anybody starts it, with a data folder and nothing else set."""
    state = bench.state()
    ready, data = state / "ready.json", state / "stream"
    command = [*CFUPLOAD, "emulator", "--data", str(data), "--ready-file", str(ready)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment(None, state), stdout=quiet, stderr=quiet)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed("cfupload emulator did not start")
            time.sleep(0.02)
        told = json.loads(ready.read_text(encoding="utf-8"))
        yield Emulator(process.pid, told["port"], told["account"], told["token"], data)
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(data, ignore_errors=True)


def ingest(bench: Bench) -> Json:
    """The embedded Stream: bytes from memory on one connection over loopback, kept in a folder."""
    found: Json = {}
    for size in (bench.sized(2 * GIB, GIB // 4), bench.sized(8 * GIB, GIB)):
        columns: dict[str, list[float]] = {"here": [], "cpu": [], "discarded": [], "disk": []}
        with emulator(bench) as server:
            for _ in range(bench.times):
                columns["disk"].append(_written(bench.folder / "plain", size))
                bench.plain.reset()
                discarded = _sent(bench.plain.port, ACCOUNT, "", size)
                columns["discarded"].append(discarded["seconds"])
                before = server.cpu
                taken = _sent(server.port, server.account, server.token, size)
                columns["here"].append(taken["seconds"])
                columns["cpu"].append(server.cpu - before)
            peak = server.peak
        found[f"{size / GIB:g} GiB"] = {
            "mb_s": _rate(size, statistics.median(columns["here"])),
            "mb_s_best": _rate(size, min(columns["here"])),
            "discarded": _rate(size, statistics.median(columns["discarded"])),
            "disk": _rate(size, statistics.median(columns["disk"])),
            "cpu_per_gb": round(statistics.median(columns["cpu"]) / size * 1e9, 3),
            "peak": round(peak, 1),
            "runs": bench.times,
        }
    return found


def crowd(bench: Bench) -> Json:
    """The embedded Stream: fifty uploads at once, each compared byte by byte afterwards."""
    size = bench.sized(32 * MIB, 8 * MIB)
    with emulator(bench) as server:
        alone = server.peak
        taken = _sent(server.port, server.account, server.token, size, AT_ONCE)
        whole = 0
        for uid, digest in taken["digests"].items():
            with (server.data / "videos" / uid / "media").open("rb") as file:
                whole += hashlib.file_digest(file, "sha256").hexdigest() == digest
        return {
            "uploads": AT_ONCE,
            "mib": size / MIB,
            "whole": whole,
            "seconds": round(taken["seconds"], 3),
            "mb_s": _rate(size * AT_ONCE, taken["seconds"]),
            "peak": round(server.peak, 1),
            "peak_at_start": round(alone, 1),
        }


def _sent(port: int, account: str, token: str, size: int, count: int = 1) -> Json:
    command = [sys.executable, "-P", str(HERE / "tus_sender.py"), str(port), str(size)]
    keep = ["keep"] if count > 1 or not token else []
    told = subprocess.run(
        [*command, str(count), *keep],
        env={**os.environ, "CLOUDFLARE_ACCOUNT_ID": account, "CLOUDFLARE_API_TOKEN": token},
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        raise Failed(f"an upload was refused: {told.stderr.strip()[-500:]}")
    found: Json = json.loads(told.stdout)
    return found


def _written(path: Path, size: int) -> float:
    command = [sys.executable, "-P", str(HERE / "disk_writer.py"), str(path), str(size)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _rate(size: int, seconds: float) -> int:
    """Megabytes (10^6) a second."""
    return round(size / 1e6 / seconds)

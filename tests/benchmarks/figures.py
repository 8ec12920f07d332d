"""The figures of the README's promise of lightness: ``python tests/benchmarks/figures.py``.

It sends to an embedded Stream that keeps nothing, over loopback, and prints each figure beside its
goal. Times are medians of whole processes; nothing here is a test.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cfstream_upload.emulator.footage import padded_mp4
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.proxy import TcpProxy
from cfstream_upload.emulator.server import running

MIB = 1024 * 1024
COMMAND = [sys.executable, "-P", "-m", "cfstream_upload"]
TIMES = 7


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """The median time of a whole process."""
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def peak_mib(command: list[str], environment: dict[str, str]) -> float:
    """The most memory that a process held at once (its resident set), in MiB."""
    # A process between us and it, so that its children are those of this measurement only.
    probe = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, "
        "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    told = subprocess.run(
        [sys.executable, "-c", probe, *command], env=environment, check=True, capture_output=True
    )
    return int(told.stdout) / 1024


def show(what: str, figure: str, goal: str) -> None:
    """One line of the table."""
    sys.stdout.write(f"{what:<44} {figure:>12}   {goal}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and print everything."""
    folder = Path(tempfile.mkdtemp(prefix="cfupload-figures-"))
    stream = Stream()
    with running(stream) as endpoint, TcpProxy("127.0.0.1", endpoint.port) as proxy:
        environment = {
            **os.environ,
            "CLOUDFLARE_API_BASE_URL": endpoint.base_url,
            "CLOUDFLARE_ACCOUNT_ID": endpoint.account,
            "CLOUDFLARE_API_TOKEN": endpoint.token,
            "CFUPLOAD_STATE_DIR": str(folder / "state"),
        }
        show("what", "figure", "goal")
        start_up(environment)
        tiny_file(folder, environment)
        connections(folder, environment, stream, proxy)
        memory(folder, environment)


def start_up(environment: dict[str, str]) -> None:
    """``--version`` beside importing Typer alone."""
    typer = seconds([sys.executable, "-P", "-c", "import typer"], environment)
    version = seconds([*COMMAND, "--version"], environment)
    show("--version / import typer", f"{version / typer:.2f} x", "at most 2 x")
    shown = seconds([*COMMAND, "--help"], environment)
    show("--help / import typer", f"{shown / typer:.2f} x", "")


def tiny_file(folder: Path, environment: dict[str, str]) -> None:
    """A whole process that sends 100 kB."""
    path = padded_mp4(folder / "tiny.mp4", 100_000)
    again = [*COMMAND, "send", "-q", "--again", str(path)]
    show("a tiny file, whole process", f"{seconds(again, environment):.2f} s", "under 1.5 s")


def connections(folder: Path, environment: dict[str, str], stream: Stream, proxy: TcpProxy) -> None:
    """TCP connections to the upload host for a file of several chunks."""
    path = padded_mp4(folder / "chunks.mp4", 64 * MIB)
    stream.upload_base = f"http://127.0.0.1:{proxy.port}"
    before = proxy.connections
    command = [*COMMAND, "send", "-q", "--chunk-size", "5M", str(path)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    stream.upload_base = None
    show("connections for 13 chunks", str(proxy.connections - before), "1")


def memory(folder: Path, environment: dict[str, str]) -> None:
    """Peak memory for 2 GiB, whatever the chunk size."""
    path = padded_mp4(folder / "large.mp4", 2048 * MIB)
    for chunk in ("5M", "50M", "200M"):
        started = time.perf_counter()
        command = [*COMMAND, "send", "-q", "--again", "--chunk-size", chunk, str(path)]
        peak = peak_mib(command, environment)
        rate = 2048 / (time.perf_counter() - started)
        show(f"memory for 2 GiB, chunks up to {chunk}", f"{peak:.0f} MiB", "under 96 MiB")
        show(f"  its speed, start included ({chunk})", f"{rate:.0f} MiB/s", "")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    show("memory of the embedded Stream", f"{own:.0f} MiB", "")


if __name__ == "__main__":
    main()

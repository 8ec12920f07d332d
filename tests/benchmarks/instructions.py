"""How many instructions a `send` takes: the same each time, where seconds are not.

    python -m tests.benchmarks.instructions                  # this tree
    git worktree add /tmp/before v1.2.3
    python -m tests.benchmarks.instructions /tmp/before .    # and what changed

Needs valgrind (``apt-get install valgrind``). Each tree sends a small file and a large one to an
embedded Stream in a process of its own; what the kernel does is not counted. The least of some
runs counts: the rest is waiting in slices.
"""

from __future__ import annotations

import argparse
import compileall
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from mp4 import padded_mp4  # noqa: E402  the path comes first

from cfstream_upload.emulator import detached  # noqa: E402
from cfstream_upload.emulator.endpoint import Endpoint  # noqa: E402

SMALL, LARGE = 100_000, 512 << 20
COUNTED = re.compile(r"Collected : (\d+)")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.instructions")
    parser.add_argument("trees", nargs="*", type=Path, default=[TESTS.parent])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        sizes = {"small.mp4": SMALL, "large.mp4": LARGE}
        files = [padded_mp4(folder / n, size, sparse=False) for n, size in sizes.items()]
        endpoint = detached.attach_or_start(folder / "local")
        try:
            _compare(arguments.trees, files, endpoint, arguments.runs)
        finally:
            detached.stop(folder / "local")


def _compare(trees: list[Path], files: list[Path], endpoint: Endpoint, runs: int) -> None:
    first: list[float] = []
    print(f"{'tree':32} {'small file, millions':>22} {'each further MiB':>22}")
    for tree in trees:
        compileall.compile_dir(tree / "cfstream_upload", quiet=1)
        small, large = (
            min(_instructions(tree, file, endpoint) for _ in range(runs)) for file in files
        )
        figures = [small / 1e6, (large - small) / 1e6 / (LARGE / (1 << 20))]
        first = first or figures
        shown = (
            f"{figure:10.2f} ({100 * figure / then - 100:+5.1f} %)"
            for figure, then in zip(figures, first, strict=True)
        )
        print(f"{tree!s:32} " + " ".join(f"{text:>22}" for text in shown), flush=True)


def _instructions(tree: Path, file: Path, endpoint: Endpoint) -> int:
    """Of one ``cfupload send`` of the package in ``tree``, from its start to its end."""
    with tempfile.TemporaryDirectory() as made:
        environment = {
            "PATH": os.environ["PATH"], "HOME": made, "PYTHONPATH": str(tree.resolve()),
            "PYTHONHASHSEED": "0", "CFUPLOAD_STATE_DIR": f"{made}/state",
            "CFUPLOAD_CONFIG": os.devnull, **endpoint.environment,
        }  # fmt: skip
        watched = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}"]
        command = [*watched, sys.executable, "-P", "-m", "cfstream_upload", "send", "-q"]
        ended = subprocess.run(
            [*command, str(file)], env=environment, cwd=made, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    found = COUNTED.search(ended.stderr)
    if ended.returncode or found is None:
        raise SystemExit(f"{tree}: exit code {ended.returncode}\n{ended.stderr[-2000:]}")
    return int(found[1])


if __name__ == "__main__":
    main()

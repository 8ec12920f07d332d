"""``python -m tests.benchmarks``: cfupload beside tuspy, tus-js-client and curl, in one run.

Run from the repository root, in a virtual environment with ``pip install '.[test,benchmark]'``, on
a machine that does nothing else. Prints every figure, and each goal beside its figure.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import tables
from benchmarks.bench import Bench, Json
from benchmarks.machine import described
from benchmarks.pages import page
from benchmarks.serving import server
from benchmarks.works import WORKS

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOTES = Path(__file__).resolve().parent / "notes.md"


def _command(chosen: argparse.Namespace) -> str:
    """The command without the paths of this machine."""
    quick = ["--quick"] if chosen.quick else []
    times = ["--times", str(chosen.times)] if chosen.times else []
    return " ".join(["python -m tests.benchmarks", *chosen.work, *quick, *times])


def _measured(chosen: argparse.Namespace, folder: Path) -> Json:
    times = 1 if chosen.quick and chosen.times is None else chosen.times or 3
    result: Json = {
        "version": 1,
        "settings": {
            "command": _command(chosen),
            "quick": chosen.quick,
            "times": times,
            "date": datetime.now(UTC).date().isoformat(),
            "load": f"{os.getloadavg()[0]:.1f}",
        },
        "machine": described(folder),
        "figures": {},
    }
    with server(folder, secure=False) as plain, server(folder, secure=True) as secure:
        bench = Bench(folder, times, chosen.quick, plain, secure)
        for name in chosen.work or WORKS:
            title = (WORKS[name].__doc__ or "").partition("\n")[0]
            print(f"{name}: {title}", file=sys.stderr, flush=True)
            started = time.monotonic()
            try:
                figures = WORKS[name](bench)
            except Exception as error:  # noqa: BLE001  # the other works are worth having
                figures = {"failed": str(error)}
                print(f"  failed: {error}", file=sys.stderr)
            result["figures"][name] = figures
            floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            result["settings"]["floor"] = round(floor, 1)
            print(f"  {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
            if chosen.json:
                chosen.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _tell(result: Json) -> None:
    for title, text in (
        ("Every process", tables.measures(result)),
        ("CPU of each further GiB", tables.marginal(result)),
        ("The server", tables.server(result)),
        ("Other figures", tables.lines(result)),
        ("The goals", tables.goals(result)),
    ):
        print(f"\n{title}\n\n{text}")
    if result["settings"]["quick"]:
        print("\nA quick run: the goals are meant for the full sizes.")


def _write_docs(result: Json) -> None:
    # Only here: matplotlib would count as memory of every process that is measured.
    from benchmarks.pictures import draw

    notes = NOTES.read_text(encoding="utf-8") if NOTES.exists() else ""
    (DOCS / "benchmarks.md").write_text(page(result, notes), encoding="utf-8")
    draw(result, DOCS / "benchmarks")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("work", nargs="*", help=f"of {', '.join(WORKS)} [all]")
    parser.add_argument("--times", type=int, help="runs of each process [3; quick: 1]")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, a few minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--docs", action="store_true", help="rewrite docs/benchmarks.md with them")
    parser.add_argument("--draw", type=Path, metavar="FILE", help="measure nothing, take these")
    parser.add_argument("--folder", type=Path, help="for files and journals [a temporary one]")
    chosen = parser.parse_args()
    if unknown := set(chosen.work) - set(WORKS):
        parser.error(f"no such work: {', '.join(sorted(unknown))}")
    if chosen.draw:
        result = json.loads(chosen.draw.read_text(encoding="utf-8"))
    else:
        folder = Path(tempfile.mkdtemp(prefix="cfupload-benchmark-", dir=chosen.folder))
        try:
            result = _measured(chosen, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    _tell(result)
    if chosen.docs or chosen.draw:
        _write_docs(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())

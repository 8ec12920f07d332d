"""``python -m tests.storm``: 1,000 files on six workers while everything that can die dies.

A random worker gets ``kill -9`` every two seconds, the database is restarted twice at once (as by a
crash), the line is cut and replies are lost by chance; then the same command again, until it says
that all is done. What must hold then: of each file exactly one video, its SHA-256 the file's,
nothing pending, no open row but those of creates that nobody answered; and none at all after a
``cleanup`` a day later by Stream's clock, for so long they may still be delivered.

Needs PostgreSQL (any version from 13 on) and the extra ``fleet``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cfstream_upload.emulator.model import Stream

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

COMMAND = [sys.executable, "-P", "-m", "cfstream_upload"]
MOST_RUNS = 10
DAY = 26 * 3600.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--files", type=int, default=1000, help="[1000]")
    parser.add_argument("--workers", type=int, default=6, help="processes [6]")
    parser.add_argument("--kill-every", type=float, default=2.0, help="seconds [2]")
    parser.add_argument("--restarts", type=int, default=2, help="of the database [2]")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    parser.add_argument("--json", type=Path, help="write the figures here")
    wanted = parser.parse_args()
    figures = _stormed(wanted)
    for name, figure in figures.items():
        print(f"{name}: {figure}")
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=1))
    return 1 if figures["broken"] else 0


def _stormed(wanted: argparse.Namespace) -> dict[str, Any]:
    from postgres import postgres

    from cfstream_upload.emulator.footage import padded_mp4
    from cfstream_upload.emulator.model import Stream
    from cfstream_upload.emulator.stage import staged
    from storm.crew import crew
    from storm.promise import broken, digest_of
    from storm.weather import FAULTS, Restarts, every

    chance = random.Random(wanted.seed)
    later = 0.0
    model = Stream(now=lambda: time.time() + later)
    began = time.monotonic()
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        films = folder / "films"
        films.mkdir()
        sizes = [_size(chance) for _ in range(wanted.files)]
        digests = [
            digest_of(padded_mp4(films / f"{n:05}.mp4", size, sparse=False, seed=n))
            for n, size in enumerate(sizes)
        ]
        database = held.enter_context(postgres())
        stage = held.enter_context(staged(model))
        stage.strike(*(fault.format(seed=wanted.seed) for fault in FAULTS))
        environment = {
            **os.environ,
            **stage.endpoint.environment,
            "CFUPLOAD_JOURNAL": database.url(),
            "CFUPLOAD_STATE_DIR": str(folder / "state"),
            "CFUPLOAD_API_BUDGET": "0",
        }
        gang = held.enter_context(crew(folder, wanted.workers, environment, chance))
        restarts = Restarts(
            [(n + 1) / (wanted.restarts + 1) for n in range(wanted.restarts)],
            lambda: _arrived(model) / wanted.files,
        )

        def crash() -> None:
            if restarts.due():
                database.restart()

        command = [
            *COMMAND, "send", "-r", "--json", "--cluster", gang.address,
            "--manifest", str(folder / "sent.csv"), str(films),
        ]  # fmt: skip
        codes: list[int] = []
        # By progress, and so looked at often: a quick machine is through before the next kill.
        with every(wanted.kill_every, gang.strike), every(0.2, crash):
            while len(codes) < MOST_RUNS and (not codes or codes[-1]):
                print(f"run {len(codes) + 1}", file=sys.stderr, flush=True)
                ended = subprocess.run(command, env=environment, capture_output=True, check=False)
                codes.append(ended.returncode)
                if ended.returncode:
                    # Names of files and exit codes are all that it could tell of anybody.
                    print(_why(ended.stderr), file=sys.stderr, flush=True)
        took = time.monotonic() - began
        found = broken(model, digests, _open(_journal(environment), but="intended"))
        unanswered = len(_open(_journal(environment)))
        later = DAY
        subprocess.run([*COMMAND, "cleanup", "--yes"], env=environment, check=False)
        journal = _journal(environment)
        found += broken(model, digests, _open(journal))
        return {
            "files": wanted.files,
            "gigabytes": round(sum(sizes) / 1e9, 2),
            "workers": wanted.workers,
            "killed": gang.killed,
            "restarts of the database": restarts.done,
            "faults struck": sum(one.struck for one in stage.faulty.standing()),
            "runs of the command, by exit code": codes,
            "seconds": round(took),
            "videos": len(model.videos()),
            "creates without an answer at the end": unanswered,
            "rows a day later": dict(Counter(row["condition"] for row in journal)),
            "broken": found,
        }


def _journal(environment: dict[str, str]) -> list[dict[str, Any]]:
    command = [*COMMAND, "status", "--json"]
    told = subprocess.run(command, env=environment, capture_output=True, check=False)
    rows: list[dict[str, Any]] = json.loads(told.stdout)["journal"]
    return rows


def _open(rows: list[dict[str, Any]], but: str = "") -> list[dict[str, Any]]:
    return [row for row in rows if row["condition"] != "receipt" and row["stage"] != but]


def _why(said: bytes) -> str:
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if "error" in line]
    return "\n".join(f"  {line}" for line in lines[-5:])


def _arrived(model: Stream) -> int:
    from storm.promise import states

    return sum(state != "pendingupload" for _, state in states(model))


def _size(chance: random.Random) -> int:
    """Mostly a few hundred kilobytes to some megabytes, one in fifty large."""
    if chance.random() < 0.02:
        return chance.randrange(16_000_000, 24_000_000)
    return int(min(8e6, 300_000 + chance.lognormvariate(13.5, 1.0)))


if __name__ == "__main__":
    sys.exit(main())

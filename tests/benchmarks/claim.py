"""A work of the fleet: taking a file, in a journal that holds a million rows."""

from __future__ import annotations

import statistics
import time
import uuid
from pathlib import Path

from postgres import postgres, why_not

from benchmarks.bench import Bench, Json
from cfstream_upload.attempt import Attempt, Identity
from cfstream_upload.fleet.journal import FleetJournal, Trust
from cfstream_upload.lock import key_of

BASE, ACCOUNT = "https://api.cloudflare.com/client/v4", "0" * 32
CLAIMS = 500


def claim(bench: Bench) -> Json:
    """A claim (lock, the file's rows, a new row) in a journal of 1,000,000 rows on PostgreSQL."""
    if why := why_not():
        return {"missing": why}
    rows = bench.sized(1_000_000, 50_000)
    with postgres() as server:
        name = server.database()
        journal = FleetJournal.open(server.url(name), Trust(bench.state()))
        try:
            server.fill(name, rows, BASE, ACCOUNT)
            taken = sorted(_claimed(journal, number) for number in range(CLAIMS))
        finally:
            journal.close()
    return {
        "rows": rows,
        "claims": CLAIMS,
        "ms": round(1000 * statistics.median(taken), 2),
        "ms_99": round(1000 * taken[CLAIMS * 99 // 100], 2),
    }


def _claimed(journal: FleetJournal, number: int) -> float:
    file = Identity(1, number, 10_000_000, number, "s" * 32)
    path = str(Path("/new") / f"{number}.mp4")
    attempt = Attempt(
        id=uuid.uuid4().hex, host=journal.host, label="", base=BASE, account=ACCOUNT, path=path,
        file=file, options="{}", started=0.0,
    )  # fmt: skip
    began = time.perf_counter()
    with journal.lock(key_of(BASE, ACCOUNT, file.device, file.inode)):
        assert not journal.rows_of(BASE, ACCOUNT, file, path)
        journal.record(attempt)
        return time.perf_counter() - began

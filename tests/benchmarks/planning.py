"""A batch of 100,000 files of which 99 in 100 are done: until the first of the rest is begun."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from benchmarks.bench import Bench, Json
from benchmarks.clients import environment
from cfstream_upload import manifest
from cfstream_upload.video import VideoOptions

HERE = Path(__file__).parent
FILES = 100_000

# Everything up to the batch itself, which would go on to send what is left.
PLAN = """
import json, resource, sys, time
from cfstream_upload import batch
from cfstream_upload.cli.app import run
begun = time.monotonic()
found = {}
def stopped(self):
    used = resource.getrusage(resource.RUSAGE_SELF)
    found.update(seconds=time.monotonic() - begun, left=len(self.paths))
    found["cpu"] = used.ru_utime + used.ru_stime
    return iter(())
batch.Batch.run = stopped
run(sys.argv[1:])
# Of this program alone: what `resource` says is inherited from whoever started it.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
found["peak"] = int(peak.split()[1]) / 1024
print(json.dumps(found), file=sys.stderr)
"""


def planning(bench: Bench) -> Json:
    """100,000 files of a list, 99,000 of them done as manifest and journal say."""
    count = bench.sized(FILES, FILES // 10)
    # Nobody is asked: a plan needs no server.
    state = {
        **environment(None, bench.state()),
        "PYTHONPATH": str(HERE.parent.parent),
        "CLOUDFLARE_API_BASE_URL": "http://127.0.0.1:9/client/v4",
        "CLOUDFLARE_ACCOUNT_ID": "ab" * 16,
        "CLOUDFLARE_API_TOKEN": "t" * 40,
    }
    folder = Path(state["CFUPLOAD_STATE_DIR"]).parent / "planning"
    folder.mkdir(exist_ok=True)
    names = [os.fspath(folder / f"{number:06d}.mp4") for number in range(count)]
    (folder / "list").write_text("\n".join(names), encoding="utf-8")
    lines = _sent(names, state)
    (folder / "sent.csv").write_bytes(manifest._bytes(lines))
    command = [sys.executable, "-P", "-c", PLAN, "send", "-q", "--manifest"]
    listed = [os.fspath(folder / "sent.csv"), "--files-from", os.fspath(folder / "list")]
    # Once for the journal to be made.
    _run([*command, os.fspath(folder / "none.csv"), names[0]], state)
    _fill(Path(state["CFUPLOAD_STATE_DIR"]) / "journal.db", lines, state)
    found = _run([*command, *listed], state)
    assert found["left"] == count - len(lines), found
    return {"files": count, **{name: round(value, 2) for name, value in found.items()}}


def _sent(names: list[str], state: dict[str, str]) -> dict[str, manifest.Line]:
    target = manifest.target_of(state["CLOUDFLARE_API_BASE_URL"], state["CLOUDFLARE_ACCOUNT_ID"])
    options = manifest._digest(VideoOptions().canonical())
    lines = {}
    for number, name in enumerate(names):
        Path(name).touch()
        if number % 100:
            moment = "2026-11-23T00:00:00.000Z"
            modified = str(Path(name).stat().st_mtime_ns)
            lines[name] = manifest.Line(
                name, f"{number:032x}", "ready", "0", moment, moment, "uploaded", "",
                modified, options, target,
            )  # fmt: skip
    return lines


def _fill(path: Path, lines: dict[str, manifest.Line], state: dict[str, str]) -> None:
    """Rows as thin as the index is wide: planning reads no more of them."""
    base, account = state["CLOUDFLARE_API_BASE_URL"], state["CLOUDFLARE_ACCOUNT_ID"]
    with closing(sqlite3.connect(path)) as journal, journal:
        for line in lines.values():
            status = Path(line.source).stat()
            journal.execute(
                "INSERT INTO attempts (id, host, label, base, account, path, device, inode, size,"
                " mtime_ns, samples, options, stage, uid, position, doomed, tail, kept, told,"
                " started, seal) VALUES (?, '', '', ?, ?, ?, ?, ?, 0, 0, '', '', 'stored', ?, 0,"
                " '', 0, 0, 1, 0, x'')",
                (
                    line.uid, base, account, os.fsencode(line.source), str(status.st_dev),
                    str(status.st_ino), line.uid,
                ),
            )  # fmt: skip


def _run(command: list[str], state: dict[str, str]) -> dict[str, float]:
    ended = subprocess.run(command, env=state, capture_output=True, text=True, check=False)
    found: dict[str, float] = json.loads(ended.stderr.splitlines()[-1])
    return found

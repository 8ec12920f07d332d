"""A small storm: many files on workers of Dask, some of which die, with a database that crashes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from postgres import why_not

ROOT = Path(__file__).parent.parent


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_each_file_is_one_video_though_workers_die_and_the_database_crashes(tmp_path: Path) -> None:
    # The whole one, 1,000 files on six workers, is run by hand (docs/reliability.md).
    told = tmp_path / "storm.json"
    command = [
        sys.executable, "-P", str(ROOT / "tests" / "storm" / "__main__.py"), "--files", "24",
        "--workers", "2", "--restarts", "1", "--json", str(told),
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        start_new_session=True,
    ) as storm:  # fmt: skip
        try:
            out, err = storm.communicate(timeout=230)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(storm.pid, signal.SIGKILL)  # its scheduler and workers too
    assert storm.returncode == 0, out + err
    figures = json.loads(told.read_text())
    assert figures["broken"] == []
    assert figures["killed"] > 0
    assert figures["restarts of the database"] == 1

"""A small storm: many files on workers of Dask, some of which die, with a database that crashes."""

from __future__ import annotations

import json
import subprocess
import sys
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
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=230, check=False, cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = json.loads(told.read_text())
    assert figures["broken"] == []
    assert figures["killed"] > 0
    assert figures["restarts of the database"] == 1

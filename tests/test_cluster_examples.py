"""The examples of a fleet are what their tools take."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

FLEET = Path(__file__).parent.parent / "examples" / "fleet"
SCRIPTS = sorted(FLEET.glob("*.sh"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_bash(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(script)], check=True)


def test_the_script_of_one_machine_shows_the_command_and_keeps_what_dask_says(
    tmp_path: Path,
) -> None:
    for name, words in (("dask", "echo noise; exec sleep 60"), ("cfupload", "echo told; exit 4")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{words}\n")
        (tmp_path / name).chmod(0o755)
    ended = subprocess.run(
        [str(FLEET / "one-machine.sh"), "recordings"],
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (4, "told\n")
    assert ended.stderr.endswith("say: dask.log\n")
    assert "noise" not in ended.stderr
    assert (tmp_path / "dask.log").exists()


def test_the_slurm_script_is_python() -> None:
    compile((FLEET / "slurm.py").read_text(encoding="utf-8"), "slurm.py", "exec")


def test_the_manifests_of_kubernetes_give_the_token_to_those_who_send_alone() -> None:
    text = (FLEET / "kubernetes.yaml").read_text(encoding="utf-8")
    parts = {
        part["metadata"]["name"]: part
        for part in yaml.safe_load_all(text)
        if part["kind"] != "Service"
    }
    secrets = {
        name: [one["secretRef"]["name"] for one in container.get("envFrom", [])]
        for name, part in parts.items()
        for container in part["spec"]["template"]["spec"]["containers"]
    }
    assert secrets == {
        "cfupload-scheduler": [],
        "cfupload-worker": ["cfupload"],
        "cfupload-send": ["cfupload"],
    }


def test_the_matrix_of_github_actions_shares_a_journal_and_all_of_the_list() -> None:
    flow = yaml.safe_load((FLEET / "github-actions.yml").read_text(encoding="utf-8"))
    (job,) = flow["jobs"].values()
    shards = job["strategy"]["matrix"]["shard"]
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert shards == list(range(len(shards)))
    assert any(f"NR % {len(shards)} ==" in run for run in runs)
    assert "CFUPLOAD_JOURNAL" in job["steps"][-1]["env"]

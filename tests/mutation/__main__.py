"""Mutation testing of the pure core and of the guard of URLs, on a copy of the tree.

    pip install .[test,mutation]
    python -m tests.mutation core         # one figure, and every mutant that survived
    python -m tests.mutation urls
    python -m tests.mutation core --session core.sqlite    # kept; the next run goes on from it

A session that is gone on with tries its survivors again: write the missing test, and repeat.
It is of no use once the mutated source has changed.

cosmic-ray makes the mutants and runs the tests; which modules, which tests and which mutants are
left out (with the reason) stands in ``core.toml`` and ``urls.toml`` beside this file. Survivors
that are no gap in the tests are explained in ``survivors.toml``; one that is not there fails the
command, and so does a share of killed mutants below 95 %.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import py_compile
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from mutation.forks import execute  # noqa: E402  the path comes first

ROOT = HERE.parent.parent
LEAST = 0.95


@dataclass(frozen=True)
class Mutant:
    """One change that cosmic-ray made, and whether a test noticed."""

    file: str
    operator: str
    removed: str
    added: str
    killed: bool


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("part", choices=["core", "urls"])
    parser.add_argument("--session", type=Path, help="cosmic-ray's file; made if it is missing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cfupload-mutation-") as made:
        folder = Path(made).resolve()
        session = (arguments.session or folder / "session.sqlite").absolute()
        _copy(folder)
        _run(folder, HERE / f"{arguments.part}.toml", session)
        return _report(list(_mutants(folder, session)))


def _copy(folder: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
    for name in ("cfstream_upload", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    # A mutant may be as old and as long as what it replaces: only its text tells them apart.
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(folder / "cfstream_upload", quiet=1, invalidation_mode=mode)


def _run(folder: Path, config: Path, session: Path) -> None:
    if not session.exists():
        _call(folder, "cosmic-ray", "init", str(config), str(session))
        _call(folder, "cr-filter-operators", str(session), str(config))
    with contextlib.closing(sqlite3.connect(session, isolation_level=None)) as database:
        database.execute("DELETE FROM work_results WHERE test_outcome = 'SURVIVED'")
    execute(folder, config, session)


def _call(folder: Path, command: str, *arguments: str) -> str:
    # Beside this very interpreter: a bare name would be looked up in another environment.
    found = shutil.which(command, path=str(Path(sys.executable).parent))
    if found is None:
        raise SystemExit(f"{command} is not installed: pip install .[test,mutation]")
    return subprocess.run(
        [found, *arguments], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def _mutants(folder: Path, session: Path) -> Iterator[Mutant]:
    for line in _call(folder, "cosmic-ray", "dump", str(session)).splitlines():
        item, result = json.loads(line)
        if result is None:
            raise SystemExit("the run has not ended: start it again with the same --session")
        if result["worker_outcome"] == "skipped":
            continue
        (mutation,) = item["mutations"]
        removed, added = _changed(result["diff"] or "")
        killed = result["test_outcome"] in ("killed", "incompetent")
        yield Mutant(mutation["module_path"], mutation["operator_name"], removed, added, killed)


def _changed(diff: str) -> tuple[str, str]:
    lines = [line for line in diff.splitlines() if not line.startswith(("+++", "---"))]
    removed = " ".join(line[1:].strip() for line in lines if line.startswith("-"))
    return removed, " ".join(line[1:].strip() for line in lines if line.startswith("+"))


def _report(mutants: list[Mutant]) -> int:
    survivors = [mutant for mutant in mutants if not mutant.killed]
    explained = _explained()
    unknown = 0
    for mutant in survivors:
        reason = explained.get((mutant.file, mutant.removed, mutant.added), "")
        unknown += not reason
        print(f"{mutant.file}\n  - {mutant.removed}\n  + {mutant.added}\n  {reason or 'GAP'}")
    killed = len(mutants) - len(survivors)
    share = killed / len(mutants)
    print(
        f"{len(mutants)} mutants, {killed} killed ({share:.1%}), "
        f"{len(survivors)} survived, {unknown} of them unexplained"
    )
    return 0 if share >= LEAST and not unknown else 1


def _explained() -> dict[tuple[str, str, str], str]:
    document = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))
    return {
        (one["file"], one["removed"], one["added"]): one["reason"]
        for one in document.get("survivor", [])
    }


if __name__ == "__main__":
    sys.exit(main())

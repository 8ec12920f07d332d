"""A copy of the tree in which a law can be missing, and the tests run against that copy.

The tests run in forks of this process: pytest and the libraries are imported once, the package
and the tests anew each time, from the copy.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from laws.removal import Removal

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "cfstream_upload"
WHERE = "import cfstream_upload; print(cfstream_upload.__file__)"
LIBRARIES = (
    "pytest", "httpx", "httpcore", "tusclient.uploader", "filelock", "xxhash", "pymediainfo",
    "typer", "rich.progress", "starlette.applications", "uvicorn", "httptools",
)  # fmt: skip
_PLUGINS = ("pytest_timeout", "pytest_httpx", "_hypothesis_pytestplugin")
_OPTIONS = ["-x", "-q", "--tb=line", "-rfE", "-p", "no:cacheprovider", "--timeout=40"]
_PURE = {f"tests/{name}.py" for name in ("test_attempt", "test_core_mutants", "test_pace")}
_FAILED = re.compile(r"^FAILED (.+?)(?: - .*)?$", re.MULTILINE)
_ERROR = re.compile(r"^ERROR (.+?)(?: - .*)?$", re.MULTILINE)


class Unusable(Exception):
    """The tests said nothing of the law: they could not be run."""


class Copy:
    """One copy; `killer` takes a law away, asks the tests, and puts it back."""

    def __init__(self, folder: Path, more: Sequence[str] = ()) -> None:
        self.folder = folder.resolve()
        ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
        for name in ("cfstream_upload", "tests", "docs", "examples"):
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        for name in ("pyproject.toml", "README.md", *more):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)
        # A change may be as old and as long as what it replaces: only its text tells them apart.
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(folder / "cfstream_upload", quiet=1, invalidation_mode=mode)
        self.check_origin()

    def check_origin(self) -> None:
        """Raise AssertionError where not this copy is what tests and subprocesses import."""
        _, forked = self._forked(lambda: print(import_module("cfstream_upload").__file__), 60)
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        started = subprocess.check_output(
            [sys.executable, "-P", "-c", WHERE], env=environment, text=True
        )
        expected = self.folder / "cfstream_upload" / "__init__.py"
        for origin in (forked, started):
            assert Path(origin.strip()) == expected, f"{origin} is imported, not {expected}"

    def sources(self) -> dict[Path, str]:
        """Every file of the copied package, with its text."""
        paths = (self.folder / "cfstream_upload").rglob("*.py")
        return {path: path.read_text(encoding="utf-8") for path in paths}

    def killer(self, removal: Removal, tests: Sequence[str]) -> str | None:
        """The first of ``tests`` that fails without this clause, None where none does."""
        texts = removal.applied(self.folder / "cfstream_upload")
        before = {path: path.read_text(encoding="utf-8") for path in texts}
        try:
            for path, text in texts.items():
                path.write_text(text, encoding="utf-8")
            return self.first_failing(tests)
        finally:
            for path, text in before.items():
                path.write_text(text, encoding="utf-8")

    def first_failing(self, tests: Sequence[str]) -> str | None:
        """The first of ``tests`` that fails on this copy as it is."""
        options = [*_OPTIONS, "--hypothesis-seed=0", *(f"-p{name}" for name in _PLUGINS)]
        if all(test.partition("::")[0] in _PURE for test in tests):
            # The fixtures of conftest start servers; importing them takes longer than such a test.
            options += ["--noconftest"]
        run = import_module("pytest").main
        code, said = self._forked(lambda: run([*options, *tests]), 600)
        if code == 0:
            return None
        if failed := _FAILED.search(said):
            return failed[1]
        raise Unusable(f"{_ERROR.findall(said) or said[-600:]}")

    def _forked(self, action: Callable[[], int | None], seconds: float) -> tuple[int, str]:
        """What ``action`` gives and prints in a process of its own that imports this copy."""
        with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
            child = os.fork()
            if not child:
                self._live_as_child(action, said.fileno())
            code = _awaited(child, seconds)
            said.seek(0)
            return code, said.read()

    def _live_as_child(self, action: Callable[[], int | None], output: int) -> None:
        code = 70
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.chdir(self.folder)
            os.environ["PYTHONPATH"] = str(self.folder)
            os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
            # The copy first, and nothing of the tree that this command was started in.
            sys.path[:] = [str(self.folder), *(one for one in sys.path if _is_foreign(one))]
            for name in [name for name in sys.modules if name.partition(".")[0] in _ANEW]:
                del sys.modules[name]
            sys.stdout = sys.stderr = os.fdopen(1, "w", encoding="utf-8")
            code = action() or 0
            sys.stdout.flush()
        finally:
            os._exit(code)


_ANEW = {"cfstream_upload", "laws", *(path.stem for path in ROOT.glob("tests/*.py"))}


def _is_foreign(path: str) -> bool:
    return bool(path) and Path(path).resolve() not in (ROOT, ROOT / "tests")


def _awaited(child: int, seconds: float) -> int:
    ends = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # what it left running
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > ends:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.01)

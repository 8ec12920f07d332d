"""Each mutant in a fork of one warm process: pytest is imported once, the package in the fork.

cosmic-ray starts a new Python for every mutant; importing pytest takes longer than the tests. All
else is cosmic-ray's own: it changes the file, puts it back, and keeps the session.
"""

from __future__ import annotations

import gc
import os
import shlex
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from mutation.plainly import pass_plainly

_TESTS = Path(__file__).resolve().parent.parent
_PLUGINS = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"


def execute(folder: Path, config: Path, session: Path) -> None:
    """Run what is pending in ``session`` on the tree in ``folder``, which becomes the cwd."""
    os.chdir(folder)
    os.environ[_PLUGINS] = "1"
    # The copy first, and neither the tree that this command was started in nor what is installed.
    sys.path[:] = [str(folder), *(path for path in sys.path if path and not _is_tree(path))]
    for name in ("pytest", "httpx", "hypothesis"):
        import_module(name)
    settings = import_module("cosmic_ray.config").load_config(str(config))
    outcomes = import_module("cosmic_ray.work_item").TestOutcome
    _check_copy(folder, settings.test_command)

    def judged(command: str, seconds: float) -> tuple[object, str]:
        passed = _passes(command, seconds)
        return (outcomes.SURVIVED if passed else outcomes.KILLED), ""

    mutating: Any = import_module("cosmic_ray.mutating")
    mutating.run_tests = judged
    work_db = import_module("cosmic_ray.work_db")
    with work_db.use_db(str(session), work_db.WorkDB.Mode.open) as opened:
        import_module("cosmic_ray.commands").execute(opened, settings)


def _is_tree(path: str) -> bool:
    return Path(path).resolve() in (_TESTS, _TESTS.parent)


def _check_copy(folder: Path, command: str) -> None:
    """The tests pass as long as nothing is changed, and it is the copy that they import."""
    assert _forked(lambda: int(not _is_from(folder)), 60), "what is imported is not the copy"
    assert _passes(command, 600), f"these fail before anything is changed: {command}"
    # From here on the same file has many texts, and none of them is to be remembered.
    sys.dont_write_bytecode = True
    gc.freeze()


def _is_from(folder: Path) -> bool:
    return Path(str(import_module("cfstream_upload").__file__)).is_relative_to(folder)


def _pass_plainly(files: list[str]) -> bool:
    return pass_plainly(Path.cwd() / "tests", files)


def _passes(command: str, seconds: float) -> bool:
    python, option, module, *arguments = shlex.split(command)
    assert (python, option, module) == ("python", "-m", "pytest"), command
    files = [word for word in arguments if word.startswith("tests/")]
    if "-k" not in arguments and not _forked(lambda: int(not _pass_plainly(files)), seconds):
        return False
    pytest = import_module("pytest")
    return _forked(lambda: int(pytest.main(["--tb=no", *arguments])), seconds)


def _forked(action: object, seconds: float) -> bool:
    """Whether ``action`` gives 0 in a process of its own, within ``seconds``."""
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setsid()
            for name in [name for name in sys.modules if name.partition(".")[0] == "mutation"]:
                del sys.modules[name]  # its table is the copy's too
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(nowhere, number)
            code = action() if callable(action) else 1
        finally:
            os._exit(code)
    ends = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        if time.monotonic() > ends:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return False
        time.sleep(0.005)

"""Every test works in folders of its own, on no account but its own."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import canary
import pytest
import typer.main
from judging import complaints
from postgres import Postgres, postgres, why_not
from served import Ended, Served, served
from twins.nursery import Nursery

from cfstream_upload.cli.app import run
from cfstream_upload.console import Console

_PRIVATE = ("CLOUDFLARE_", "CF_", "CFUPLOAD_")
_AROUND = (
    "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy",
    "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "NO_COLOR", "GITHUB_ACTIONS", "GITHUB_OUTPUT",
    "GITHUB_STEP_SUMMARY", "GITHUB_RUN_ID", "CI_PIPELINE_ID",
)  # fmt: skip


MEMORY = Path("/dev/shm")
_MADE: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    """Look for secrets everywhere; work in memory where the system has such a folder.

    The journal syncs each commit; on a slow disk the thousands of runs here would wait for it.
    What is too large for memory goes to the folder that TESTS_ON_DISK names.
    """
    config.pluginmanager.register(canary, "canary")
    # Typer reads some two hundred annotations at each call: most of what a command costs here.
    vars(typer.main)["get_command"] = functools.cache(typer.main.get_command)
    if config.option.basetemp is None and os.access(MEMORY, os.W_OK):
        os.environ["TESTS_ON_DISK"] = tempfile.mkdtemp(prefix="cfupload-tests-")
        folder = tempfile.mkdtemp(prefix="cfupload-tests-", dir=MEMORY)
        _MADE.extend((folder, os.environ["TESTS_ON_DISK"]))
        config.option.basetemp = Path(folder) / "base"
        os.environ["TMPDIR"] = tempfile.tempdir = folder


def pytest_collectstart() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    """The tests live to the end: no search for garbage has to pass by them."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    for folder in _MADE:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:  # noqa: ANN401  # of xdist
    """A process that has no tests left takes some of another's: the long ones lie together."""
    from xdist.scheduler import WorkStealingScheduling  # type: ignore[import-untyped]  # xdist has no types

    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None


@pytest.hookimpl(trylast=True)  # what is left out is gone by then, and the shares are right
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each process begins with its part of the long tests: no long one is the last to begin."""
    processes = int(getattr(config, "workerinput", {}).get("workercount", 1))
    if processes == 1:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    short = [item for item in items if not item.get_closest_marker("long")]
    share, items[:] = len(items) // processes, []
    for number in range(processes):
        begin = long[number::processes]
        rest = share - len(begin) if number < processes - 1 else len(short)
        items += [*begin, *short[:rest]]
        del short[:rest]


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the developer's settings, or writes into the developer's folders."""
    for name in list(os.environ):
        if name.startswith(_PRIVATE) or name in _AROUND:
            monkeypatch.delenv(name)
    monkeypatch.setenv("CFUPLOAD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("CFUPLOAD_CONFIG", str(tmp_path / "config.toml"))


@pytest.fixture(autouse=True)
def judged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a command prints as JSON in this process has the shape of its schema."""
    wrong: list[str] = []

    class Judged(Console):
        def _json(self, content: object, indent: int | None = None) -> str:
            text = super()._json(content, indent)
            # Told at the end: an error raised here would be taken for one of the command.
            wrong.extend(complaints(text, line=indent is None))
            return text

    # Commands take the class from here when they start; tests of the console alone have it.
    monkeypatch.setattr("cfstream_upload.console.Console", Judged)
    yield
    assert not wrong, wrong


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server for this process of the suite."""
    if why := why_not():
        pytest.skip(why)
    with postgres() as here:
        yield here


@pytest.fixture(scope="session")
def shared_database(server: Postgres) -> str:
    """A database with an empty journal, used by one test after the other."""
    return server.database()


@pytest.fixture
def database(server: Postgres, shared_database: str) -> str:
    """The URL of a database with an empty journal, or without any."""
    server.empty(shared_database)
    return server.url(shared_database)


@pytest.fixture
def blank_database(server: Postgres) -> Iterator[str]:
    """The URL of a database without anything in it."""
    name = server.database()
    yield server.url(name)
    server.drop(name)


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Real processes, forked from one that has loaded the package."""
    with Nursery(tmp_path_factory.mktemp("nursery")) as here:
        yield here


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nursery: Nursery) -> Iterator[Served]:
    """The embedded Stream on real sockets, and a proxy that can harm its uploads."""
    with served(tmp_path, nursery) as here:
        for name, value in here.environment.items():
            monkeypatch.setenv(name, value)
        yield here


@pytest.fixture
def ran(
    stream: Served, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """Run a command in this process, which is quicker than starting one."""
    monkeypatch.chdir(stream.folder)

    def command(*arguments: str) -> Ended:
        capfd.readouterr()
        code = run(list(arguments))
        told = capfd.readouterr()
        return Ended(code, told.out, told.err)

    return command

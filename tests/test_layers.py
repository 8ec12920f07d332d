"""Who may import whom, and the one room of each outside library."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "cfstream_upload"
NAME = "cfstream_upload"

PURE = {
    "attempt": {"pace"},
    "outcome": {"attempt"},
    "pace": set(),
    "ending": {"attempt", "pace"},
    "offsets": {"attempt", "ending", "outcome", "pace"},
    "after": {"attempt", "ending", "offsets", "outcome", "pace"},
    "envelope": {"attempt", "outcome"},
    "video": {"attempt", "errors"},
    "verdicts": {"attempt", "errors"},
    "checks": {"errors", "units"},
    "apichecks": {"attempt", "checks", "envelope", "units", "video"},
    "events": set(),
    "result": {"errors"},
    "documents": {"errors", "result"},
    "safetext": set(),
    "units": {"errors"},
    "errors": set(),
    "locations": {"errors"},
    "nearest": set(),
}
"""These also import nothing that touches the world; see `WORLDLY`."""

EFFECTS = {
    "container": {"errors"},
    "source": {"attempt", "container", "errors"},
    "selection": {"errors", "locations"},
    "stored": {"errors", "locations"},
    "webline": {"stored"},
    "fromweb": {"errors", "locations", "stored", "webline"},
    "fromgcs": {"errors", "locations", "stored", "webline"},
    "froms3": {"errors", "locations", "stored"},
    "fromsftp": {"errors", "locations", "stored"},
    "reading": {"errors", "interruption", "locations", "pace", "stored"},
    "remote": {"attempt", "container", "errors", "locations", "reading", "source", "stored"},
    "stores": {
        "attempt", "errors", "fromgcs", "fromsftp", "fromweb", "froms3", "interruption",
        "locations", "reading", "remote", "safetext", "source", "stored",
    },
    "throttle": set(),
    "patience": set(),
    "lean": set(),
    "sockets": {"patience"},
    "addresses": {"lean", "patience"},
    "pools": {"lean", "patience", "sockets"},
    "wire": {"addresses", "lean", "patience", "pools", "safetext", "sockets"},
    "stream": {"attempt", "envelope", "outcome", "video", "wire"},
    "enquiries": {"apichecks", "envelope", "wire"},
    "tus": {"attempt", "envelope", "errors", "lean", "outcome", "throttle", "wire"},
    "ownership": set(),
    "rows": {"attempt"},
    "journalwords": {"errors"},
    "statedir": {"attempt", "errors", "ownership"},
    "ledger": {"attempt", "events", "result"},
    "journalfile": {"errors", "journalwords", "statedir"},
    "journal": {"attempt", "errors", "journalfile", "journalwords", "ledger", "lock", "rows"},
    "lock": {"errors"},
    "interruption": set(),
    "credentials": {"errors", "wire"},
    "profiles": {"credentials", "errors", "nearest", "ownership", "statedir"},
    "origins": {"attempt", "credentials", "errors", "profiles"},
    "judged": {"attempt", "credentials", "errors", "origins", "ownership", "wire"},
    "config": {"credentials", "errors", "judged", "nearest", "origins", "profiles"},
}  # fmt: skip

CONDUCTORS = {
    "outage": {"ending", "events", "interruption", "pace"},
    "entry": {"attempt", "errors", "ledger"},
    "transfer": {
        "after", "attempt", "ending", "entry", "errors", "events", "interruption", "ledger",
        "lock", "outage", "outcome",
        "pace", "source", "stream", "throttle", "tus", "wire",
    },
    "session": {
        "attempt", "config", "ending", "errors", "events", "fleet", "interruption", "journal",
        "ledger", "locations", "lock", "outage", "result", "safetext", "stores", "stream",
        "throttle", "transfer", "wire",
    },
    "admission": {"errors", "events", "session", "stream", "units"},
    "debts": {
        "after", "attempt", "entry", "errors", "events", "session", "stream", "transfer", "video",
    },
    "waiting": {
        "attempt", "errors", "events", "outcome", "pace", "session", "stream", "units", "video",
        "wire",
    },
    "existing": {
        "attempt", "errors", "events", "outcome", "pace", "session", "source", "stream",
        "sweeping", "video",
    },
    "onefile": {
        "admission",
        "attempt", "debts", "ending", "entry", "errors", "events", "existing", "pace", "session",
        "source", "transfer", "verdicts", "video", "waiting",
    },
    "manifest": {
        "attempt", "errors", "locations", "lock", "ownership", "result", "safetext", "source",
        "statedir",
    },
    "rehearsal": {
        "attempt", "container", "errors", "onefile", "result", "sending", "session", "units",
        "video",
    },
    "batch": {"debts", "errors", "onefile", "result", "sending", "session", "stores"},
    "planning": {"attempt", "locations", "manifest", "onefile", "result", "session"},
    "calling": {"config", "errors", "events", "interruption", "result", "safetext"},
    "sending": {
        "attempt", "calling", "config", "container", "ending", "errors", "events", "interruption",
        "onefile", "result", "session", "source", "stores", "video", "waiting",
    },
    "sweeping": {
        "after", "attempt", "debts", "ending", "errors", "outcome", "session", "stream",
        "verdicts", "video",
    },
    "removing": {"errors", "outcome", "session", "stream"},
    "doctor": {
        "apichecks", "attempt", "checks", "config", "container", "enquiries", "errors", "fleet",
        "journal", "ledger", "lock", "safetext", "session", "source", "statedir", "stores",
        "sweeping", "video", "wire",
    },
    "rebuilding": {
        "attempt", "credentials", "errors", "fleet", "journal", "session", "statedir", "stream",
        "sweeping", "video",
    },
}  # fmt: skip

FACES: dict[str, set[str]] = {
    "meter": {"events", "units"},
    "tables": set(),
    "streams": {"safetext"},
    "loglines": {"events", "meter", "units"},
    "records": {"documents", "events", "meter", "safetext"},
    "github": {"result", "safetext", "units"},
    "bar": {"meter", "streams"},
    "ticker": {"bar", "events", "loglines", "meter"},
    "console": {
        "bar",
        "errors",
        "events",
        "github",
        "loglines",
        "meter",
        "ownership",
        "records",
        "safetext",
        "streams",
        "tables",
        "ticker",
    },
    "__init__": {
        "calling",
        "config",
        "ending",
        "errors",
        "events",
        "interruption",
        "result",
        "sending",
        "video",
        "waiting",
    },
    "__main__": {"cli"},
    "testing": {"emulator"},
}

CLUSTER: dict[str, set[str]] = {
    "__init__": set(),
    "letters": {"errors", "events", "result"},
    "place": {"errors"},
    "workers": {"config"},
    "outbox": {"events"},
    "news": set(),
    "terms": {"errors", "journal", "manifest", "session"},
    "post": {
        "config", "credentials", "ending", "errors", "interruption", "onefile", "result", "sending",
        "session", "throttle", "video", "waiting",
    },
    "task": {"errors", "result"},
    "dispatch": {"errors", "interruption"},
    "checkup": {"checks", "errors", "interruption", "session"},
    "flight": {"batch", "errors", "events", "result"},
    "behind": {"attempt", "errors", "result", "session"},
    "batching": {"batch", "errors", "events", "interruption", "result"},
}  # fmt: skip
"""Rooms of `cluster`, and what they import beside each other; `cli` alone opens that door."""

TABLE = {**PURE, **EFFECTS, **CONDUCTORS, **FACES}

ROOMS = {
    "tusclient": {"tus"},
    "httpx": {"wire", "pools", "addresses", "webline", "fromweb", "fromgcs"},
    "s3fs": {"froms3"},
    "aiobotocore": {"froms3"},
    "botocore": {"froms3"},
    "aiohttp": {"froms3"},
    "google": {"fromgcs"},
    "asyncssh": {"fromsftp"},
    "httpcore": {"wire", "pools", "sockets"},
    "sqlite3": {"journal", "journalfile"},
    "rich": {"console", "bar"},
    "typer": {"cli"},
    "tomli_w": {"profiles"},
    "platformdirs": {"judged", "origins"},
    "pymediainfo": {"container"},
    "xxhash": {"source", "remote"},
    "filelock": {"lock"},
    "starlette": {"emulator"},
    "uvicorn": {"emulator"},
    "httptools": {"emulator"},
    "python_multipart": {"emulator"},
    "pytest": {"testing"},
    "psycopg": {"fleet"},
    "distributed": {"cluster"},
}

WORLDLY = {"os", "time", "random", "socket", "subprocess", "threading", "sqlite3", "uuid", "io"}


def _modules() -> dict[str, list[Path]]:
    found = {path.stem: [path] for path in PACKAGE.glob("*.py")}
    for folder in ("cli", "cluster", "emulator", "fleet"):
        found[folder] = sorted((PACKAGE / folder).rglob("*.py"))
    return found


@cache
def _imported(path: Path) -> set[str]:
    """Full names of all that ``path`` imports, wherever in the file it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, path)
            names.add(module)
            if module == NAME:
                names |= {f"{NAME}.{alias.name}" for alias in node.names}
    return names


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    if not node.level:
        return node.module or ""
    package = [NAME, *path.relative_to(PACKAGE).parts[:-1]]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _own(path: Path) -> set[str]:
    """The rooms of this package that ``path`` enters."""
    return {name.split(".")[1] for name in _imported(path) if name.startswith(NAME + ".")} - {
        "__version__"
    }


def test_the_table_names_every_module() -> None:
    assert set(TABLE) | {"cli", "cluster", "emulator", "fleet"} == set(_modules())
    assert set(CLUSTER) == {path.stem for path in _modules()["cluster"]}


@pytest.mark.parametrize("module", sorted(TABLE))
def test_a_module_imports_only_what_the_table_allows(module: str) -> None:
    (path,) = _modules()[module]
    assert _own(path) - {module} <= TABLE[module]


@pytest.mark.parametrize("module", sorted(CLUSTER))
def test_a_module_of_the_cluster_imports_only_what_its_table_allows(module: str) -> None:
    (path,) = [path for path in _modules()["cluster"] if path.stem == module]
    assert _own(path) - {"cluster"} <= CLUSTER[module]


def test_nobody_imports_the_command_line() -> None:
    for module, paths in _modules().items():
        for path in paths:
            if module not in ("cli", "__main__"):
                assert "cli" not in _own(path), path.name


JOURNAL = {
    "connecting", "holding", "journal", "knowing", "line", "link", "locks", "naming", "reaching",
    "rebuilding", "schema", "timing", "words",
}  # fmt: skip


def test_a_shared_journal_knows_what_the_other_one_knows() -> None:
    allowed = {"attempt", "errors", "fleet", "ledger", "lock", "rows", "safetext", "statedir"}
    for path in _modules()["fleet"]:
        assert path.stem not in JOURNAL or _own(path) <= allowed, path.name


def test_all_sql_of_a_shared_journal_is_in_one_file() -> None:
    for path in _modules()["fleet"]:
        text = path.read_text(encoding="utf-8")
        spoken = any(
            word in text for word in ("SELECT ", "INSERT INTO", "UPDATE cf", "DELETE FROM")
        )
        assert not spoken or path.name == "statements.py", path.name


def test_the_emulator_imports_nothing_of_the_client() -> None:
    for path in _modules()["emulator"]:
        assert _own(path) <= {"emulator"}, path.name


@pytest.mark.parametrize("library", sorted(ROOMS))
def test_an_outside_library_has_one_room(library: str) -> None:
    for module, paths in _modules().items():
        for path in paths:
            tops = {name.partition(".")[0] for name in _imported(path)}
            if library in tops:
                assert module in ROOMS[library], path.name


def test_every_outside_library_that_is_imported_has_a_room() -> None:
    for paths in _modules().values():
        for path in paths:
            tops = {name.partition(".")[0] for name in _imported(path)}
            assert tops - set(sys.stdlib_module_names) - {NAME} <= set(ROOMS), path.name


@pytest.mark.parametrize("module", sorted(PURE))
def test_a_pure_module_imports_nothing_of_the_world(module: str) -> None:
    (path,) = _modules()[module]
    assert not {name.partition(".")[0] for name in _imported(path)} & WORLDLY

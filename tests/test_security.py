"""The rules of SECURITY.md: each has its tests, and some of them are here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from guards.guards import GUARDS
from laws.copies import PACKAGE

from cfstream_upload.cli import app as application
from cfstream_upload.cli.app import app, run
from cfstream_upload.cli.reference import everything

ROOT = Path(__file__).parent.parent
SECRET = "canary-of-a-local-variable"


def _rules() -> dict[str, list[str]]:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (S\d+) \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    return {number: re.findall(r"`([^`]+)`", tests) for number, tests in rows}


def test_each_rule_names_its_tests_and_they_exist() -> None:
    rules = _rules()
    assert list(rules) == [f"S{number}" for number in range(1, 21)]
    missing = []
    for number, tests in rules.items():
        assert tests, number
        for test in tests:
            file, _, name = test.partition("::")
            path = ROOT / "tests" / file
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            if not text or (name and f"def {name}(" not in text):
                missing.append(f"{number} {test}")
    assert missing == []


def test_each_test_of_a_rule_has_a_guard_that_was_taken_away_and_that_fits_the_source() -> None:
    named = {(rule, test) for rule, tests in _rules().items() for test in tests}
    assert {(one.rule, one.test.partition("[")[0]) for one in GUARDS} == named
    for guard in GUARDS:
        assert guard.removal.applied(PACKAGE)


def test_a_bug_shows_no_local_variable(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        token = SECRET
        raise RuntimeError(len(token), token)

    monkeypatch.setattr("cfstream_upload.journal.Journal.open", broken)
    assert run(["status"]) == 1
    told = capfd.readouterr()
    assert "A bug in cfupload: RuntimeError at test_security.py" in told.err
    assert SECRET not in told.out + told.err


def test_what_typer_would_show_of_an_error_has_no_local_variable(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Typer puts a hook in place of Python's, and marks the error with what that may show."""
    ours = ("pretty_exceptions_enable", "pretty_exceptions_show_locals")
    alone = typer.Typer(**{name: getattr(app, name) for name in ours})

    @alone.command()
    def broken() -> None:
        token = SECRET
        raise RuntimeError(len(token))

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(RuntimeError) as caught:
        alone([], standalone_mode=False)
    sys.excepthook(caught.type, caught.value, caught.tb)
    told = capfd.readouterr().err
    assert "RuntimeError: 26" in told
    assert SECRET not in told


def test_a_bug_outside_of_every_command_is_told_in_two_lines(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        token = SECRET
        raise RuntimeError(len(token), token)

    monkeypatch.setattr(application, "app", broken)
    assert run(["status"]) == 1
    told = capfd.readouterr().err.splitlines()
    assert told[0].startswith("error: A bug in cfupload: RuntimeError at test_security.py:")
    assert told[1].startswith("  hint: ")
    assert len(told) == 2


def test_a_library_that_cannot_be_loaded_is_told_in_two_lines(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(f"raise ImportError('{SECRET}')")
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "cfstream_upload", "list"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])},
        check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    told = ended.stderr.splitlines()
    assert told[0].startswith("error: A bug in cfupload: ImportError at typer.py:1")
    assert len(told) == 2
    assert SECRET not in ended.stdout + ended.stderr


def test_no_option_turns_verification_off() -> None:
    for page in everything().commands():
        for option in page.options:
            words = f"{option.shown} {option.variable}".lower()
            assert not re.search(r"insecure|verify|no-check|skip-tls|--token(?![-\w])", words), (
                words
            )


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md", "docs/usage.md"])
def test_the_documents_ask_for_the_least_token(page: str) -> None:
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    assert '"Stream: Edit" on one account' in text

"""The rules of SECURITY.md: each has its tests, and some of them are here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
    assert app.pretty_exceptions_enable is False
    assert app.pretty_exceptions_show_locals is False


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

"""One run of the questions: an account, the answers, and the table at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from live.answers import Answers
from live.service import Live

ACCOUNT, TOKEN, BASE = "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_BASE_URL"
CLOUDFLARE = "https://api.cloudflare.com/client/v4"
# Two uploads of Stream's default reservation, and as much again for whoever else is uploading.
SPARE_MINUTES = 1000
_ANSWERS = pytest.StashKey[Answers]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("live", "questions to the real Stream")
    group.addoption("--live-answers", metavar="FILE", help="write the answers as JSON")
    group.addoption("--live-scale", type=float, help="multiply all waits [1]")
    group.addoption("--live-big", action="store_true", help="also what takes 200 MiB of traffic")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    answers = config.stash.get(_ANSWERS, None)
    if answers is None or not answers.where:
        return
    terminalreporter.section("what the model should take")
    for line in answers.lines():
        terminalreporter.write_line(line)
    for uid in answers.left:
        terminalreporter.write_line(f"NOT DELETED, delete it by hand: {uid}", red=True)
    path = config.getoption("--live-answers", None)
    if path:
        Path(path).write_text(answers.document(), encoding="utf-8")


@pytest.fixture(scope="session")
def answers(pytestconfig: pytest.Config) -> Answers:
    return pytestconfig.stash.setdefault(_ANSWERS, Answers())


@pytest.fixture(scope="session")
def account(pytestconfig: pytest.Config, answers: Answers) -> Iterator[Live]:
    """The account, with room left; at the end nothing of this run is in it."""
    if hasattr(pytestconfig, "workerinput"):
        pytest.skip("the questions are asked one after the other: run without -n")
    missing = [name for name in (TOKEN, ACCOUNT) if not os.environ.get(name)]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not set")
    base = os.environ.get(BASE) or CLOUDFLARE
    scale = pytestconfig.getoption("--live-scale", None) or 1.0
    live = Live(base, os.environ[ACCOUNT], os.environ[TOKEN], scale)
    used, bought = live.minutes_used()
    if bought - used < SPARE_MINUTES:
        live.close()
        pytest.exit(
            f"The account has {bought - used:.0f} minutes of storage left; the questions need"
            f" {SPARE_MINUTES} to spare, or they would get in the way of real uploads",
            returncode=2,
        )
    answers.where = urlsplit(base).netloc
    yield live
    live.clean_what_was_never_told()
    answers.left = live.left
    live.close()


@pytest.fixture
def live(account: Live) -> Iterator[Live]:
    yield account
    account.clean()


@pytest.fixture
def big(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--live-big", False))

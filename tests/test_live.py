"""The live suite, asked of the embedded Stream: its answers are the switches that were set."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import httpx  # noqa: F401  # loaded here, so that the runs inside do not load it again
import pytest

from cfstream_upload.emulator.faults import Answer, Fault, Faulty, LoseReply
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.server import running
from cfstream_upload.emulator.switches import Switches

pytest_plugins = ["pytester"]
TESTS = Path(__file__).parent
LIVE = TESTS / "live"
APART = ["-p", "no:cacheprovider", "-p", "pytest_timeout"]

OTHER = Switches(
    after_completion="404", after_expiry="410", after_deletion="410", second_patch="takes_over",
    keep="all", tus_errors="text", oversize_chunk="413", options="405",
    upload_expires_header=True, default_expiry=7200.0, expiry_cap=21_600.0, tus_reservation=600,
    meta_while_pending=False, meta_keys="lower", meta_limit=1000, size_while_pending="received",
    modified_while_uploading=True, uploaded_at_creation=False, pending_after_whole=0.3,
    expired_record="vanishes", list_lag=0.3, false_404s=2, before_inclusive=True,
    after_inclusive=False, total_as="str", delete_reply="json", wrong_token="403",
    wrong_account="404", token_owner="user", uploads_count_to_limit=True, form_used="409",
    form_after_cut="used", form_not_post="400", form_too_large="400", form_expiry_cap=3600.0,
    form_name=False,
)  # fmt: skip
THIRD = Switches(
    after_completion="410", after_expiry="403", after_deletion="403", keep="nothing",
    tus_errors="empty", size_while_pending="length", token_owner="account",
    usage_counts_reservations=False, form_used="404", form_expiry_cap=None,
)  # fmt: skip
MEASURED = {"pending_after_whole", "list_lag"}
"""Times: what is told is when it was first seen to be over."""


def asked(
    pytester: pytest.Pytester, *more: str, environment: dict[str, str]
) -> tuple[pytest.RunResult, Any]:
    """Run the suite as a person would, its waits scaled down."""
    answers = pytester.path / "answers.json"
    with pytest.MonkeyPatch.context() as patched:
        # Plugins are most of the time of so short a run.
        patched.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        for name, value in environment.items():
            patched.setenv(name, value)
        ended = pytester.runpytest_inprocess(
            *APART, "-c", str(TESTS.parent / "pyproject.toml"), "-o", "addopts=",
            "--import-mode=importlib", "--strict-markers", f"--confcutdir={LIVE}", "-m", "live",
            str(LIVE), "--live-scale=0.004", f"--live-answers={answers}", *more,
        )  # fmt: skip
    return ended, json.loads(answers.read_text()) if answers.exists() else None


@pytest.mark.parametrize(
    ("switches", "more"),
    [(Switches(), ()), (OTHER, ("--live-big",)), (THIRD, ())],
    ids=["defaults", "other", "third"],
)
def test_it_tells_each_switch_as_it_was_set_and_leaves_nothing(
    pytester: pytest.Pytester, switches: Switches, more: tuple[str, ...]
) -> None:
    model = Stream(switches=switches)
    with running(model, with_token_port=bool(more)) as endpoint:
        ended, answers = asked(pytester, *more, environment=endpoint.environment)
    assert ended.ret == 0
    assert answers["no_value_fits"] == {}
    assert answers["not_deleted"] == []
    assert model.videos() == []
    told, set_to = answers["switches"], dataclasses.asdict(switches)
    for name in MEASURED & set(told):
        # Never less than it is, and no more than a busy machine adds.
        assert set_to[name] - 0.05 <= told.pop(name) < set_to.pop(name) + 5
    unanswered = set(answers["not_answered"])
    expected = {"queue_full_code", "queue_full_wait"}
    expected |= set() if more else {"oversize_chunk", "form_too_large"}
    expected |= set() if switches.usage_counts_reservations else {"tus_reservation"}
    assert unanswered == expected
    assert told == {name: value for name, value in set_to.items() if name not in unanswered}
    printed = ended.stdout.str()
    assert endpoint.token not in printed + json.dumps(answers)
    ended.stdout.fnmatch_lines(["*what the model should take*", "switch *answer *model *seen"])


def test_what_a_question_that_fails_has_made_is_deleted_even_if_it_never_heard_of_it(
    pytester: pytest.Pytester,
) -> None:
    model = Stream()
    faults = (
        Fault(LoseReply(), "POST", "videos"),
        Fault(Answer(500), "HEAD", times=None),
        Fault(Answer(503), "DELETE", times=2),
    )
    with running(Faulty(model, faults)) as endpoint:
        ended, answers = asked(
            pytester, "-k", "no_token or upload_expires or after_compl",
            environment=endpoint.environment,
        )  # fmt: skip
    assert ended.ret == 1
    assert set(ended.parseoutcomes()) == {"failed", "passed", "deselected"}
    assert (model.videos(), answers["not_deleted"]) == ([], [])


def test_it_refuses_an_account_that_is_nearly_full(pytester: pytest.Pytester) -> None:
    with running(Stream(minutes_limit=900)) as endpoint:
        ended, _ = asked(pytester, environment=endpoint.environment)
    assert ended.ret == 2
    assert "900 minutes of storage left" in ended.stdout.str() + ended.stderr.str()


def test_without_a_token_it_is_skipped_and_asks_nobody(pytester: pytest.Pytester) -> None:
    ended, answers = asked(pytester, "-rs", environment={})
    assert (ended.ret, set(ended.parseoutcomes()), answers) == (0, {"skipped"}, None)
    assert "CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID not set" in ended.stdout.str()
    assert "what the model should take" not in ended.stdout.str()


def test_every_switch_and_every_unknown_has_its_question_or_a_reason() -> None:
    from live.unknowns import NOT_ASKED, SWITCHES, UNKNOWNS

    there = set()
    for path in LIVE.glob("test_*.py"):
        there |= set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    fields = {field.name for field in dataclasses.fields(Switches)}
    assert set(SWITCHES) | set(NOT_ASKED) == fields
    assert set(SWITCHES.values()) <= there
    for unknown in UNKNOWNS:
        assert unknown.tests or unknown.reason, unknown.words
        assert set(unknown.tests) <= there, unknown.words

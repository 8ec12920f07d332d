"""A minute of hostile input for each reader of other people's text; hours: ``tests.fuzz``."""

from __future__ import annotations

import pytest
from fuzz.target import entries, escaped, unescaped
from fuzz.targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_once_stays_right(name: str) -> None:
    for data in entries(name):
        TARGETS[name].check(data)


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_input_ends_in_words_of_ours(name: str) -> None:
    target = TARGETS[name]
    # The same inputs in each run: a change of the code alone can make it fail.
    sample = settings(
        max_examples=target.examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )

    @sample
    @given(data=target.inputs)
    def fuzzed(data: bytes) -> None:
        target.check(data)

    fuzzed()


@settings(max_examples=100, deadline=None)
@given(st.binary(), st.sampled_from([b"", b"#", b"\\" * 101, b"R" * 100, b"\n" * 150, b" " * 100]))
def test_a_line_of_the_corpus_holds_any_bytes(data: bytes, run: bytes) -> None:
    line = escaped(run + data + run)
    assert line.isascii()
    assert "\n" not in line
    assert not line.startswith("#")
    assert unescaped(line) == run + data + run

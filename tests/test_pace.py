"""Chunk sizes and waits: Stream's limits, and what a cut may cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfstream_upload import pace
from cfstream_upload.pace import FIRST, LARGEST, MIB, SMALLEST, UNIT

SIZES = st.integers(0, 1 << 50)


@given(SIZES, SIZES)
def test_every_chunk_is_one_that_stream_takes(size: int, largest: int) -> None:
    chunk = pace.legal(size, largest)
    assert SMALLEST <= chunk <= LARGEST
    assert chunk % UNIT == 0
    assert chunk <= max(SMALLEST, largest)


@given(SIZES, SIZES, st.floats(0, 1e9), SIZES)
def test_a_grown_chunk_is_legal_or_the_same(
    chunk: int, length: int, seconds: float, largest: int
) -> None:
    chunk = pace.legal(chunk, largest)
    grown = pace.grown(chunk, length, seconds, largest)
    assert grown == pace.legal(grown, largest)
    assert grown <= 4 * chunk


@pytest.mark.parametrize(
    ("chunk", "length", "seconds", "expected"),
    [
        (FIRST, FIRST, 16.0, 10 * MIB),  # 1 MiB/s: ten seconds of line
        (FIRST, FIRST, 1.0, 64 * MIB),  # a burst: four times and no more
        (64 * MIB, 64 * MIB, 1.0, LARGEST),
        (FIRST, FIRST, 0.0, 64 * MIB),  # a clock that did not move
        (FIRST, FIRST, 1000.0, SMALLEST),
        (FIRST, MIB, 100.0, FIRST),  # the short last piece says nothing
    ],
)
def test_the_next_chunk_is_ten_seconds_of_line(
    chunk: int, length: int, seconds: float, expected: int
) -> None:
    assert pace.grown(chunk, length, seconds) == expected


def test_a_cut_halves_the_chunk_down_to_the_smallest() -> None:
    assert pace.halved(FIRST) == 8 * MIB
    assert pace.halved(SMALLEST) == SMALLEST


@pytest.mark.parametrize(
    ("spent", "ceiling"), [(0, 0), (1, 1), (2, 2), (3, 4), (7, 64), (8, 64), (10_000, 64)]
)
def test_waits_double_up_to_a_minute(spent: int, ceiling: float) -> None:
    assert pace.wait(spent, None, 0.0) == ceiling / 2  # never at once after a failure
    assert pace.wait(spent, None, 0.5) == ceiling * 0.75


@pytest.mark.parametrize(
    ("asked", "least"), [(30.0, 30.0), (1e12, 600.0), (-5.0, 0.5), (None, 0.5)]
)
def test_retry_after_is_a_lower_bound_believed_up_to_ten_minutes(
    asked: float | None, least: float
) -> None:
    assert pace.wait(1, asked, 0.0) == least

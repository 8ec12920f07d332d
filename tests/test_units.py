from __future__ import annotations

import pytest

from cfstream_upload.errors import UsageProblem
from cfstream_upload.units import human_size, human_time, parse_size, parse_time


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("50M", 50 * 1024**2), ("256k", 256 * 1024), ("1.5G", 1536 * 1024**2)],
)
def test_sizes_count_in_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "5MB", "5 M", "M", "1e3", "٣", "nan", "1\n", "0.1"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("10m", 600), ("1h", 3600), ("0s", 0)]
)
def test_times_have_a_unit(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "-1s", "1d", "1h30m", "inf", "1 s", "1s\n", "٣s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem):
        parse_time(text)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (99.97 * 1024, "100 KiB"),
        (999.6 * 1024, "1.0 MiB"),
        (1825361100, "1.7 GiB"),
        (30e9, "27.9 GiB"),
    ],
)
def test_a_size_is_shown_with_at_most_three_digits_before_its_point(
    size: float, shown: str
) -> None:
    assert human_size(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1m00s"), (82, "1m22s"), (3720, "1h02m"),
     (90_000, "1d01h")],
)  # fmt: skip
def test_a_duration_is_shown_in_its_two_largest_units(seconds: float, shown: str) -> None:
    assert human_time(seconds) == shown

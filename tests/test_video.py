"""Create options: what is refused before anything is created, and how they travel."""

from __future__ import annotations

import pytest

from cfstream_upload.attempt import read_marker
from cfstream_upload.errors import UsageProblem
from cfstream_upload.video import VideoOptions, differing, epoch, reserved_seconds, video_of

UID = "a1" * 16


@pytest.mark.parametrize(
    "options",
    [
        VideoOptions(meta=(("name", "x"),)),
        VideoOptions(meta=(("cfupload", "x"),)),
        VideoOptions(meta=(("cfupload_source", "x"),)),
        VideoOptions(meta=(("expiry", "x"),)),
        VideoOptions(meta=(("Upper", "x"),)),
        VideoOptions(meta=(("", "x"),)),
        VideoOptions(meta=(("a b", "x"),)),
        VideoOptions(meta=(("a,b", "x"),)),
        VideoOptions(meta=(("a\n", "x"),)),
        VideoOptions(allowed_origins=("https://example.com",)),
        VideoOptions(allowed_origins=("a,b",)),
        VideoOptions(allowed_origins=("",)),
        VideoOptions(creator=""),
        VideoOptions(creator="x" * 65),
        VideoOptions(creator="x\r\nx: y"),
        VideoOptions(creator="é"),
        VideoOptions(creator=" x"),
        VideoOptions(thumbnail_pct=1.1),
        VideoOptions(thumbnail_pct=-0.1),
        VideoOptions(thumbnail_pct=float("nan")),
        VideoOptions(max_duration_seconds=0),
        VideoOptions(max_duration_seconds=36_001),
        VideoOptions(watermark="x"),
        VideoOptions(watermark=UID.upper()),
        VideoOptions(scheduled_deletion="tomorrow"),
        VideoOptions(expiry="2027-13-01T00:00:00Z"),
    ],
    ids=repr,
)
def test_what_stream_cannot_take_is_refused(options: VideoOptions) -> None:
    with pytest.raises(UsageProblem):
        options.checked()


def test_every_option_travels_flags_first_and_the_name_last() -> None:
    options = VideoOptions(
        name="Ünï", meta=(("k", "v"),), creator="me", require_signed_urls=True,
        allowed_origins=("a.com", "*.b.com:8080"), thumbnail_pct=0.5, watermark=UID,
        scheduled_deletion="2027-01-31T12:00:00Z", max_duration_seconds=60,
        expiry="2027-01-30T12:00:00+01:00",
    ).checked()  # fmt: skip
    metadata = options.metadata("1.a.b", "file.mp4", 240)
    assert list(metadata.items()) == [
        ("requiresignedurls", None),
        ("allowedorigins", "a.com,*.b.com:8080"),
        ("thumbnailtimestamppct", "0.5"),
        ("watermark", UID),
        ("scheduleddeletion", "2027-01-31T12:00:00Z"),
        ("maxdurationseconds", "60"),
        ("expiry", "2027-01-30T12:00:00+01:00"),
        ("k", "v"),
        ("cfupload", "1.a.b"),
        ("name", "Ünï"),
    ]


def test_without_options_the_file_name_the_marker_and_the_duration_travel() -> None:
    metadata = VideoOptions().metadata("1.a.b", "file.mp4", 240)
    assert metadata == {"maxdurationseconds": "240", "cfupload": "1.a.b", "name": "file.mp4"}
    assert "maxdurationseconds" not in VideoOptions().metadata("1.a.b", "file.mp4", None)


def test_a_lone_surrogate_of_a_file_name_is_replaced() -> None:
    name = VideoOptions().metadata("1.a.b", b"caf\xe9.mp4".decode("utf-8", "surrogateescape"), None)
    assert name["name"] == "caf�.mp4"


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        (None, None),
        (0.0, None),
        (-1.0, None),
        (0.04, 120),
        (109.0, 120),
        (109.1, 121),
        (1000.0, 1100),
        (32_727.0, 36_000),
        (32_728.0, None),
        (1e12, None),
    ],
)
def test_a_tenth_more_than_the_duration_is_reserved_and_at_least_two_minutes(
    duration: float | None, seconds: int | None
) -> None:
    assert reserved_seconds(duration) == seconds


def test_other_options_are_named_as_flags() -> None:
    ours = VideoOptions(creator="a", require_signed_urls=True)
    theirs = VideoOptions(creator="b", meta=(("k", "v"),))
    names = differing(ours.canonical(), theirs.canonical())
    assert names == ["--creator", "--meta", "--require-signed-urls"]
    assert VideoOptions().canonical() == "{}"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T01:00:01+01:00", 1.0),
        ("1970-01-01T00:00:01.123456789Z", 1.123456),
        ("1970-01-01T00:00:01", 1.0),
        ("", None),
        ("soon", None),
        (None, None),
        (12, None),
    ],
)
def test_times_of_stream_are_read(text: object, seconds: float | None) -> None:
    assert epoch(text) == seconds


@pytest.mark.parametrize(
    "result",
    [None, [], {}, {"uid": UID}, {"uid": UID, "status": {}}, {"uid": UID, "status": {"state": ""}},
     {"uid": "../x", "status": {"state": "ready"}}, {"uid": UID, "status": "ready"}],
    ids=repr,
)  # fmt: skip
def test_what_is_no_video_is_none(result: object) -> None:
    assert video_of(result) is None


def test_a_video_of_the_barest_kind_is_read() -> None:
    video = video_of({"uid": UID, "status": {"state": "error"}, "meta": None, "playback": None})
    assert video is not None
    assert (video.name, video.created, video.expiry, video.marker, video.detail) == (
        "", "", None, None, "",
    )  # fmt: skip
    assert set(video.links.values()) == {None}


def test_both_spellings_of_the_reason_are_read() -> None:
    for prefix in ("err", "error"):
        status = {
            "state": "error", f"{prefix}ReasonCode": "ERR_NON_VIDEO", f"{prefix}ReasonText": "no",
        }  # fmt: skip
        video = video_of({"uid": UID, "status": status})
        assert video is not None
        assert video.detail == "ERR_NON_VIDEO: no"


@pytest.mark.parametrize(
    "text",
    [None, 1, "", "1", "1..", f"1.{UID}", f"1.{UID}.x", f"2.{UID}.{UID}", f"1.x.{UID}",
     f"v1.{UID}.{UID}", f"1.{UID.upper()}.{UID}"],
)  # fmt: skip
def test_a_foreign_marker_is_none(text: object) -> None:
    assert read_marker(text) is None


def test_a_label_may_hold_dots() -> None:
    marker = read_marker(f"1.{UID}.{'b2' * 16}.run.1.2")
    assert marker is not None
    assert (marker.attempt, marker.host, marker.label) == (UID, "b2" * 16, "run.1.2")

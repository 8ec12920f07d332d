"""Stream's own fields: for every size of file alike, checked before the create."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inprocess import ACCOUNT, MIB, Stage, stage
from served import Ended, Served

from cfstream_upload.cli.app import run
from cfstream_upload.cli.metafile import read_meta
from cfstream_upload.emulator.footage import sample
from cfstream_upload.errors import UsageProblem
from cfstream_upload.sending import Wishes
from cfstream_upload.video import LARGEST_METADATA, VideoOptions, epoch

NOW = float(epoch("2027-01-01T00:00:00Z") or 0)
DAY = 86_400.0
UID = "a1" * 16
Ran = Callable[..., Ended]


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path)


@pytest.fixture
def ran(stream: Served, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ran:
    monkeypatch.chdir(stream.folder)

    def command(*arguments: str) -> Ended:
        capfd.readouterr()
        code = run(list(arguments))
        told = capfd.readouterr()
        return Ended(code, told.out, told.err)

    return command


def _refused(ended: Ended, *words: str) -> None:
    """Exit 2, one line of what is wrong and one of what to do."""
    assert ended.code == 2, ended.err
    error, hint = ended.err.splitlines()[-2:]
    assert error.startswith("error: ")
    assert hint.startswith("  hint: ")
    for word in words:
        assert word in ended.err


# --- every size alike ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [None, 12 * MIB])
def test_every_field_arrives_for_every_size_of_file(scene: Stage, size: int | None) -> None:
    path = scene.file(size or len(sample()))
    options = VideoOptions(
        name="Ünï 👩‍💻", meta=(("team", "red"),), creator="me", require_signed_urls=True,
        allowed_origins=("example.com",), thumbnail_pct=0.25, watermark=UID,
        scheduled_deletion="2027-06-01T00:00:00Z", max_duration_seconds=600,
        expiry="2027-01-15T20:00:00Z",
    ).checked()  # fmt: skip
    assert scene.send(path, Wishes(options)).exit_code == 0
    shown: dict[str, Any] = scene.model.videos()[0]
    assert shown["meta"]["name"] == "Ünï 👩‍💻"
    assert shown["meta"]["team"] == "red"
    assert (shown["creator"], shown["requireSignedURLs"]) == ("me", True)
    assert (shown["allowedOrigins"], shown["thumbnailTimestampPct"]) == (["example.com"], 0.25)
    assert shown["watermark"] == {"uid": UID}
    assert shown["scheduledDeletion"].startswith("2027-06-01T00:00:00")
    assert (shown["maxDurationSeconds"], shown["uploadExpiry"][:19]) == (600, "2027-01-15T20:00:00")


# --- checked before the create -------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        VideoOptions(name=""),
        VideoOptions(name="  "),
        VideoOptions(name="a\x1bb"),
        VideoOptions(meta=(("k", "1"), ("k", "2"))),
        VideoOptions(meta=(("k", "x" * LARGEST_METADATA),)),
        VideoOptions(name="n" * LARGEST_METADATA),
        VideoOptions(allowed_origins=("example.com",) * 2000),
        VideoOptions(scheduled_deletion="2027-01-31"),
        VideoOptions(expiry="2027-01-31T12:00:00"),
        VideoOptions(expiry="20270131T120000Z"),
        VideoOptions(expiry="2027-02-30T12:00:00Z"),
    ],
    ids=lambda options: repr(options)[:60],
)
def test_what_stream_could_never_take_is_refused(options: VideoOptions) -> None:
    with pytest.raises(UsageProblem):
        options.checked()


def test_the_length_is_that_of_the_header_that_is_sent() -> None:
    judged: set[bool] = set()
    for letters in range(5_840, 5_990, 3):
        options = VideoOptions(meta=(("k", "ü" * letters),))
        wanted = options.metadata("m" * 150, "n" * 255, 36_000)
        texts = [
            f"{key} {b64encode((text or '').encode()).decode()}" for key, text in wanted.items()
        ]
        fits = len(",".join(texts)) <= LARGEST_METADATA
        judged.add(fits)
        if fits:
            options.checked()
        else:
            with pytest.raises(UsageProblem):
                options.checked()
    assert judged == {True, False}


@pytest.mark.parametrize(
    ("days", "fits"), [(-1, False), (29.9, False), (30.1, True), (1095, True), (1097, False)]
)
def test_scheduled_deletion_is_30_to_1096_days_ahead(days: float, fits: bool) -> None:
    _fits(VideoOptions(scheduled_deletion=_at(NOW + days * DAY)), fits=fits)


@pytest.mark.parametrize(("seconds", "fits"), [(-1, False), (60, False), (130, True), (DAY, True)])
def test_expiry_is_at_least_two_minutes_ahead(seconds: float, fits: bool) -> None:
    _fits(VideoOptions(expiry=_at(NOW + seconds)), fits=fits)


def _at(moment: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _fits(options: VideoOptions, *, fits: bool) -> None:
    options.checked()
    if fits:
        options.check_times(NOW)
    else:
        with pytest.raises(UsageProblem):
            options.check_times(NOW)


def test_a_date_that_passed_refuses_a_create_and_no_receipt(scene: Stage) -> None:
    path = scene.file(1 * MIB)
    wishes = Wishes(VideoOptions(expiry="2027-01-15T20:00:00Z").checked())
    first = scene.send(path, wishes)
    assert first.exit_code == 0
    passed = Wishes(VideoOptions(expiry="2020-01-01T00:00:00Z").checked())
    # The same command, years later: the file was sent, and that is what it says.
    with scene.session() as session:
        (row,) = session.rows()
        session.journal.record(replace(row, options=passed.options.canonical()))
    again = scene.send(path, passed)
    assert (again.exit_code, again.uid) == (0, first.uid)
    scene.calls.clear()
    other = scene.send(scene.file(1 * MIB, "other.mp4", seed=3), passed)
    assert other.exit_code == 2
    assert "is in the past" in str(other.error)
    assert "POST" not in scene.methods()


def test_a_video_that_lasts_longer_than_allowed_is_refused_before_it_is_sent(ran: Ran) -> None:
    Path("a.mp4").write_bytes(sample())  # 4 s
    _refused(ran("send", "--max-duration-seconds", "2", "a.mp4"), "lasts 4 s", "at least 6")
    assert ran("send", "--max-duration-seconds", "4", "-q", "a.mp4").code == 0


# --- meta and its file ---------------------------------------------------------------------------


def test_meta_file_in_json_or_toml_and_meta_wins(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    Path("m.json").write_text('{"team": "red", "n": 1.50, "big": 12345678901234567890, "ok": true}')
    _same = ran("send", "-q", "--meta-file", "m.json", "--meta", "team=blue", "big.mp4")
    assert _same.code == 0, _same.err
    meta = stream.videos()[0]["meta"]
    expected = {"team": "blue", "n": "1.50", "big": "12345678901234567890", "ok": "true"}
    assert {key: meta[key] for key in expected} == expected
    Path("m.toml").write_text('team = "red"\nn = 1.50\nok = false\n')
    Path("plain").write_text('\ufeffteam = "red"\n')
    Path("braces").write_text(' {"team": "red"}')
    assert read_meta(Path("m.toml")) == {"team": "red", "n": "1.50", "ok": "false"}
    assert read_meta(Path("plain")) == read_meta(Path("braces")) == {"team": "red"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.json", b'{"a": ', "is no JSON"),
        ("m.toml", b"a = \n", "is no TOML"),
        ("m.json", b"[1]", "holds no table"),
        ("m.json", b'{"a": {"b": 1}}', "the value of 'a'"),
        ("m.json", b'{"a": null}', "the value of 'a'"),
        ("m.json", b'{"a": NaN}', "the value of 'a'"),
        ("m.toml", b"a = 2027-01-01\n", "the value of 'a'"),
        ("m.json", b'{"a": "1", "a": "2"}', "'a' twice"),
        ("m.json", b'{"Name": "x"}', "cannot have the key 'Name'"),
        ("m.json", b'{"name": "x"}', "cannot have the key 'name'"),
        ("m.json", b"\xff\xfe", "not UTF-8"),
        ("m.json", b" " * (1024 * 1024 + 1), "larger than 1 MiB"),
        ("m.json", b"[" * 200_000, "is no JSON"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_broken_meta_file_is_2_and_says_what_it_wants(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageProblem) as caught:
        VideoOptions(meta=tuple(read_meta(path).items())).checked()
    assert words in caught.value.message
    assert "\n" not in caught.value.message + caught.value.hint
    assert caught.value.hint


def test_wrong_fields_are_one_line_and_a_hint_and_nothing_is_created(
    ran: Ran, stream: Served
) -> None:
    stream.file(size=100_000)
    _refused(ran("send", "--meta-file", "none.json", "big.mp4"), "No such file")
    _refused(ran("send", "--meta-file", ".", "big.mp4"), "Is a directory")
    _refused(ran("send", "--meta", "a=1", "--meta", "a=2", "big.mp4"), "'a' twice")
    _refused(ran("send", "--meta", "a", "big.mp4"), "is not K=V")
    _refused(ran("send", "--name", "a\nb", "big.mp4"), "--name")
    _refused(ran("send", "--expiry", "2020-01-01T00:00:00Z", "big.mp4"), "in the past")
    _refused(
        ran("send", "--scheduled-deletion", "2020-01-01T00:00:00Z", "big.mp4"), "30 to 1096 days"
    )
    _refused(ran("send", "--thumbnail-pct", "2", "big.mp4"), "0 to 1")
    _refused(ran("send", "--allowed-origin", "https://a.com", "big.mp4"), "example.com")
    document = json.loads(ran("send", "--json", "--creator", "x" * 65, "big.mp4").out)
    assert document["error"]["code"] == 2
    assert stream.videos() == []
    assert stream.ledger.asked == []
    assert ACCOUNT not in str(document)

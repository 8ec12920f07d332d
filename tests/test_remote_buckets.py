"""Objects of buckets: what holds of S3 and of Google alike, and S3's own, from moto's server."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from afar import S3, s3, s3_environment
from beside import before
from buckets import OnGoogle, OnS3, Place
from carried import is_whole, send, video
from gcs import google_of
from inprocess import MIB, Stage, stage
from mp4 import sample
from served import Ended, Served

from cfstream_upload.emulator.proxy import TcpProxy
from cfstream_upload.errors import ExtraMissing, FileProblem
from cfstream_upload.selection import Rules, select
from cfstream_upload.stores import Stores

SIZE = 7 * MIB
_NUMBERS = count()


@pytest.fixture(scope="module")
def service() -> Iterator[S3]:
    with s3() as here:
        yield here


@pytest.fixture(autouse=True)
def reached(service: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_environment(service.port).items():
        monkeypatch.setenv(name, value)
    # Smaller pieces, so that smaller files show the same.
    monkeypatch.setattr("cfstream_upload.remote.PIECE", MIB)


@pytest.fixture
def bucket(service: S3) -> str:
    return service.bucket(f"videos-{os.getpid()}-{next(_NUMBERS)}")


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path)


@pytest.fixture(params=["s3", "gs"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    if request.param == "s3":
        service, bucket = request.getfixturevalue("service"), request.getfixturevalue("bucket")
        yield OnS3(service, bucket, monkeypatch.setenv)
        return
    with google_of(monkeypatch, tmp_path) as google:
        yield OnGoogle(google, monkeypatch.setenv)


def test_an_object_is_sent_once_and_an_overwritten_one_again(scene: Stage, place: Place) -> None:
    data, other = video(scene.folder, SIZE), video(scene.folder, SIZE, seed=1)
    url = place.put("in/a [1] %20?#ü.mp4", data)
    first = send(scene, url)
    assert (first.outcome, first.size, first.file) == ("uploaded", len(data), url)
    assert is_whole(scene, first.uid, data)
    assert [one["meta"]["name"] for one in scene.model.videos()] == ["a [1] %20?#ü.mp4"]  # type: ignore[index]
    assert send(scene, url).outcome == "already"
    place.put("in/a [1] %20?#ü.mp4", other)
    again = send(scene, url)
    assert again.outcome == "uploaded"
    assert is_whole(scene, again.uid, other)


def test_an_object_that_changes_or_vanishes_while_it_is_sent_leaves_nothing(
    scene: Stage, place: Place
) -> None:
    data, other = video(scene.folder, SIZE), video(scene.folder, SIZE, seed=1)
    acts: tuple[tuple[Callable[[], object], str], ...] = (
        (lambda: place.put("a.mp4", other), "changed"),
        (lambda: place.delete("a.mp4"), "no such file"),
    )
    for act, words in acts:
        url = place.put("a.mp4", data)
        before(scene, "PATCH", 1, act)
        sent = send(scene, url)
        scene.service = scene.model
        assert (sent.exit_code, sent.cleanup) == (4, "confirmed")
        assert sent.error is not None
        assert words in sent.error.message.lower()
    assert scene.model.videos() == []
    assert scene.open_rows() == []


def test_of_a_bucket_with_versions_the_one_that_was_opened_is_sent_to_its_end(
    scene: Stage, place: Place
) -> None:
    place.keep_versions()
    data, other = video(scene.folder, SIZE), video(scene.folder, SIZE, seed=1)
    url = place.put("a.mp4", data)
    before(scene, "PATCH", 1, lambda: place.put("a.mp4", other))
    sent = send(scene, url)
    assert sent.outcome == "uploaded"
    assert is_whole(scene, sent.uid, data)


def test_a_line_that_cuts_downloads_short_harms_no_byte(scene: Stage, place: Place) -> None:
    data = video(scene.folder, SIZE)
    url = place.put("cut.mp4", data)
    with TcpProxy("127.0.0.1", place.port) as proxy:
        place.reach_at(proxy.port)
        before(scene, "PATCH", 1, proxy.break_connections)
        sent = send(scene, url)
    assert sent.outcome == "uploaded"
    assert is_whole(scene, sent.uid, data)


def test_what_cannot_be_read_says_why(
    service: S3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.put(bucket, "empty.mp4", b"")
    with Stores() as stores:
        for key, words in (("none.mp4", "no such file"), ("empty.mp4", "is empty")):
            with pytest.raises(FileProblem, match=words):
                stores.open(f"s3://{bucket}/{key}")
        with pytest.raises(FileProblem, match="no such bucket"):
            stores.open("s3://no-such-bucket-at-all/a.mp4")
        with pytest.raises(FileProblem, match="no such bucket"):
            select(["s3://no-such-bucket-at-all/v/"], [], Rules(), stores)
        with pytest.raises(FileProblem, match="s3 cannot be asked"):
            stores.open("s3://NO_BUCKET!/a.mp4")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with Stores() as stores, pytest.raises(FileProblem, match="no credentials"):
        stores.open(f"s3://{bucket}/a.mp4")


def test_who_may_not_read_is_told_so_and_what_to_do(
    service: S3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = service.put(bucket, "v/a.mp4", b"x")
    with service.guarded() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with Stores() as stores:
            # A HEAD has no body that could tell more than its status.
            with pytest.raises(FileProblem, match=r"reading is not allowed \(403\)") as refused:
                stores.open(url)
            with pytest.raises(FileProblem, match=r"reading is not allowed \(AccessDenied\)"):
                select([f"s3://{bucket}/v/"], [], Rules(), stores)
    assert "AWS_PROFILE" in refused.value.hint


@pytest.mark.parametrize(
    "text",
    ["2026-03-01T10:00:00.000Z", "Sun, 01 Mar 2026 10:00:00 GMT", "20260301", 1_772_359_200],
)
def test_a_time_is_read_as_botocore_reads_it(text: object) -> None:
    from botocore.utils import parse_timestamp

    from cfstream_upload.froms3 import _moment

    assert _moment(text) == parse_timestamp(text)


def test_a_kind_whose_extra_is_not_installed_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [one for one in sys.modules if one.endswith((".froms3", ".fromsftp", ".fromgcs"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    monkeypatch.setitem(sys.modules, "google.auth", None)
    for scheme, extra in (("s3", "s3"), ("sftp", "sftp"), ("gs", "gcs")):
        with Stores() as stores, pytest.raises(ExtraMissing) as refused:
            stores.open(f"{scheme}://there/a.mp4")
        assert refused.value.hint == f"Run: pip install 'cfstream-upload[{extra}]'"
        assert refused.value.exit_code == 3


@pytest.fixture(scope="module")
def full(service: S3) -> str:
    name = service.bucket(f"folders-{os.getpid()}")
    for key in (
        "v/", "v/b.mp4", "v/a.MOV", "v/notes.txt", "v/.hidden.mp4", "v/deep/c.mkv",
        "v/deep/er/d.ts", "v/.git/e.mp4", "v/skip/f.mp4", "v2/g.mp4",
    ):  # fmt: skip
        service.put(name, key, b"" if key == "v/" else b"x" * len(key))
    return name


@pytest.fixture
def stores() -> Iterator[Stores]:
    with Stores() as opened:
        yield opened


class TestFolders:
    def _chosen(self, stores: Stores, url: str, **rules: object) -> list[str]:
        found = select([url], [], Rules(**rules), stores).paths  # type: ignore[arg-type]
        assert all(stores.listed_size(one) for one in found)
        return [one.partition("/v")[2] for one in found]

    def test_a_prefix_that_ends_with_a_slash_stands_for_the_videos_below_it(
        self, full: str, stores: Stores
    ) -> None:
        url = f"s3://{full}/v/"
        assert self._chosen(stores, url) == ["/a.MOV", "/b.mp4"]
        assert self._chosen(stores, url, recursive=True, exclude=("skip", "*.mkv")) == [
            "/a.MOV", "/b.mp4", "/deep/er/d.ts",
        ]  # fmt: skip
        assert self._chosen(stores, url, include=("*.txt",)) == ["/notes.txt"]
        with pytest.raises(FileProblem, match="no file in this folder"):
            select([f"s3://{full}/none/"], [], Rules(), stores)

    def test_a_pattern_is_matched_by_the_service_s_own_list(
        self, full: str, stores: Stores
    ) -> None:
        assert self._chosen(stores, f"s3://{full}/v/*.mp4") == ["/.hidden.mp4", "/b.mp4"]
        assert self._chosen(stores, f"s3://{full}/v/[ab].*") == ["/a.MOV", "/b.mp4"]
        assert self._chosen(stores, f"s3://{full}/v/**/*.ts") == ["/deep/er/d.ts"]
        assert self._chosen(stores, f"s3://{full}/v*/?.mp4") == ["/b.mp4", "2/g.mp4"]
        with pytest.raises(FileProblem, match="no file matches"):
            select([f"s3://{full}/v/*.avi"], [], Rules(), stores)


def test_a_batch_of_objects_and_files_goes_side_by_side_and_the_manifest_knows_each(
    stream: Served, ran: Callable[..., Ended], service: S3, bucket: str
) -> None:
    for number in range(3):
        service.put(bucket, f"d/{number}.mp4", sample() + bytes(number))
    stream.file("local.mp4", MIB)
    command = ("send", "-j3", "--manifest", "m.csv", f"s3://{bucket}/d/", "local.mp4", "--json")
    first = ran(*command)
    assert first.code == 0
    uids = [upload["uid"] for upload in first.document["uploads"]]
    assert len(set(uids)) == 4
    creates = stream.methods().count("POST")
    again = ran(*command)
    assert [upload["uid"] for upload in again.document["uploads"]] == uids
    assert {upload["outcome"] for upload in again.document["uploads"]} == {"already"}
    assert stream.methods().count("POST") == creates == 4
    assert f"s3://{bucket}/d/1.mp4,{uids[1]}" in (stream.folder / "m.csv").read_text()
    assert f"s3://{bucket}/d/1.mp4" in ran("status", "--json").out


def test_after_a_kill_the_same_command_sends_no_acknowledged_byte_again(
    stream: Served, ran: Callable[..., Ended], service: S3, bucket: str
) -> None:
    data = video(stream.folder, 16 * MIB)
    url = service.put(bucket, "big.mp4", data)
    stream.proxy.limit_rate(4 * MIB)
    process = stream.start("send", "--chunk-size", "5M", url)
    stream.wait_until(
        lambda: any(one.method == "PATCH" and (one.known or 0) > 0 for one in stream.ledger.asked)
    )
    process.send_signal(signal.SIGKILL)
    process.communicate()
    stream.proxy.limit_rate(None)
    killed = len(stream.ledger.asked)
    ended = ran("send", "--json", url)
    assert ended.code == 0, ended.err
    (upload,) = ended.document["uploads"]
    assert (upload["outcome"], upload["file"]) == ("resumed", url)
    assert upload["resumed_from"] >= 5 * MIB
    patches = [one for one in stream.ledger.asked[killed:] if one.method == "PATCH"]
    assert all(one.offset == one.known for one in patches)
    assert [stream.model.sha256(video["uid"]) for video in stream.videos()] == [
        hashlib.sha256(data).hexdigest()
    ]


def test_a_service_that_is_out_of_reach_is_tried_again_for_as_long_as_trouble_is_borne(
    ran: Callable[..., Ended], stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    ended = ran("send", "--json", "--retry-max-time", "4s", "s3://bucket/talk.mp4")
    assert ended.code == 6
    assert "retrying" in ended.err
    assert 3.9 < ended.document["uploads"][0]["seconds"] < 20
    assert stream.videos() == []

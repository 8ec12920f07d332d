"""Objects of Google Cloud Storage: generations, changes, lies, folders, and who asks."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gcs import Bucket, Google, google
from inprocess import MIB, Stage, stage
from mp4 import padded_mp4

from cfstream_upload.emulator.exchange import Exchange, Request
from cfstream_upload.emulator.proxy import TcpProxy
from cfstream_upload.errors import (
    CfuploadError,
    ConfigProblem,
    FileChanged,
    FileProblem,
    TroubleOutlasted,
)
from cfstream_upload.result import Result
from cfstream_upload.selection import Rules, select
from cfstream_upload.sending import Sending, Wishes
from cfstream_upload.stores import Stores


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Google]:
    with google() as here:
        here.buckets["films"] = Bucket()
        for name in ("GOOGLE_APPLICATION_CREDENTIALS", "API_ENDPOINT_OVERRIDE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", here.base)
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        monkeypatch.setattr("cfstream_upload.remote.PIECE", MIB)
        yield here


@pytest.fixture
def films(service: Google) -> Bucket:
    return service.buckets["films"]


@pytest.fixture
def as_reader(service: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service account reads; nobody else may."""
    file = tmp_path / "account.json"
    file.write_text(json.dumps(service.account()))
    service.tokens = set()
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setenv("API_ENDPOINT_OVERRIDE", service.base)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    return file


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path)


def _video(folder: Path, size: int = 7 * MIB, seed: int = 0) -> bytes:
    return padded_mp4(folder / f"{seed}.mp4", size, sparse=False, seed=seed).read_bytes()


def _sent(scene: Stage, url: str) -> Result:
    with scene.session() as session:
        return Sending(session, session.stores.admit(url), Wishes()).run()


def _is_whole(scene: Stage, uid: str | None, data: bytes) -> bool:
    return scene.model.sha256(str(uid)) == hashlib.sha256(data).hexdigest()


def _refused(url: str) -> CfuploadError:
    with Stores() as stores, pytest.raises(CfuploadError) as refused:
        stores.open(url)
    return refused.value


class _Once:
    """A service that does something once, right before the first PATCH is served."""

    def __init__(self, scene: Stage, act: Callable[[], object]) -> None:
        self._inner, self._act = scene.service, act
        self._done = False
        self.account, self.token = scene.model.account, scene.model.token

    def begin(self, request: Request) -> Exchange:
        if request.method == "PATCH" and not self._done:
            self._done = True
            self._act()
        return self._inner.begin(request)


def test_an_object_is_sent_once_and_an_overwritten_one_again(
    scene: Stage, service: Google, films: Bucket
) -> None:
    data, other = _video(scene.folder), _video(scene.folder, seed=1)
    url = "gs://films/in/a [1] %20?#ü.mp4"
    stored = films.put("in/a [1] %20?#ü.mp4", data)
    sent = _sent(scene, url)
    assert (sent.outcome, sent.size, sent.file) == ("uploaded", len(data), url)
    assert _is_whole(scene, sent.uid, data)
    ranges = [asked for _, asked in service.asked if asked.get("alt") == "media"]
    assert {asked["generation"] for asked in ranges} == {stored.generation}
    assert not any("authorization" in asked for _, asked in service.asked)
    # A label is no other film.
    stored.labels["team"] = "red"
    assert _sent(scene, url).outcome == "already"
    films.put("in/a [1] %20?#ü.mp4", other)
    again = _sent(scene, url)
    assert again.outcome == "uploaded"
    assert _is_whole(scene, again.uid, other)


def test_an_object_that_changes_or_vanishes_while_it_is_sent_leaves_nothing(
    scene: Stage, films: Bucket
) -> None:
    data, other = _video(scene.folder), _video(scene.folder, seed=1)
    acts: tuple[tuple[Callable[[], object], str], ...] = (
        (lambda: films.put("a.mp4", other), "changed"),
        (lambda: films.delete("a.mp4"), "no such file"),
    )
    for act, words in acts:
        films.put("a.mp4", data)
        scene.service = _Once(scene, act)
        sent = _sent(scene, "gs://films/a.mp4")
        scene.service = scene.model
        assert (sent.exit_code, sent.cleanup) == (4, "confirmed")
        assert sent.error is not None
        assert words in sent.error.message.lower()
    assert scene.model.videos() == []
    assert scene.open_rows() == []


def test_of_a_bucket_with_versions_the_generation_that_was_opened_is_sent_to_its_end(
    scene: Stage, films: Bucket
) -> None:
    films.versions = True
    data, other = _video(scene.folder), _video(scene.folder, seed=1)
    films.put("a.mp4", data)
    scene.service = _Once(scene, lambda: films.put("a.mp4", other))
    sent = _sent(scene, "gs://films/a.mp4")
    assert sent.outcome == "uploaded"
    assert _is_whole(scene, sent.uid, data)


def test_a_line_that_cuts_downloads_short_harms_no_byte(
    scene: Stage, service: Google, films: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _video(scene.folder)
    films.put("a.mp4", data)
    with TcpProxy("127.0.0.1", urlsplit(service.base).port or 0) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"127.0.0.1:{proxy.port}")
        scene.service = _Once(scene, proxy.break_connections)
        sent = _sent(scene, "gs://films/a.mp4")
    assert sent.outcome == "uploaded"
    assert _is_whole(scene, sent.uid, data)


def test_an_answer_of_another_generation_range_or_coding_is_never_taken(
    service: Google, films: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cfstream_upload.reading.pace.wait", lambda *_: 0.0)
    films.put("a.mp4", b"0123456789" * 20_000)
    lies: tuple[tuple[type[CfuploadError], int, dict[str, str], bytes | None], ...] = (
        (FileChanged, 206, {"x-goog-generation": "7"}, None),
        (FileProblem, 206, {"Content-Encoding": "gzip"}, None),
        (TroubleOutlasted, 206, {"Content-Range": "bytes 1-100000/200000"}, None),
        (TroubleOutlasted, 206, {"Content-Range": "bytes 0-99999/200001"}, None),
        (TroubleOutlasted, 200, {}, None),
        (TroubleOutlasted, 206, {}, b"too short"),
    )
    for kind, status, lie, body in lies:
        service.twist = lambda told, data, status=status, lie=lie, body=body: (
            status, {**told, **lie}, data if body is None else body,
        )  # fmt: skip
        with Stores() as stores, stores.open("gs://films/a.mp4") as source:
            with pytest.raises(CfuploadError) as refused:
                list(source.blocks(0, 100_000, given_up=lambda: False))
            assert type(refused.value) is kind, lie


def test_what_cannot_be_read_says_why(service: Google, films: Bucket) -> None:
    films.put("empty.mp4", b"")
    films.put("packed.mp4", gzip.compress(b"x" * 1000), "gzip")
    for url, words in (
        ("gs://films/none.mp4", "no such file"),
        ("gs://films/..", "no such file"),
        ("gs://no-such-bucket/a.mp4", "no such bucket"),
        ("gs://films/empty.mp4", "is empty"),
        ("gs://films/packed.mp4", "stored compressed"),
    ):
        refused = _refused(url)
        assert (refused.exit_code, words in refused.message) == (4, True), refused
        assert refused.hint
    # In an address these dots would mean a folder.
    assert not any(path.endswith(("..", "/o/", "films/", "films")) for path, _ in service.asked)


def test_a_service_account_asks_with_a_token_and_another_when_that_is_withdrawn(
    scene: Stage, service: Google, films: Bucket, as_reader: Path
) -> None:
    data = _video(scene.folder)
    films.put("a.mp4", data)
    assert service.tokens is not None
    scene.service = _Once(scene, service.tokens.clear)
    sent = _sent(scene, "gs://films/a.mp4")
    assert sent.outcome == "uploaded"
    assert _is_whole(scene, sent.uid, data)
    seen = [asked["authorization"] for _, asked in service.asked]
    assert set(seen) >= {"Bearer token-0", "Bearer token-1"}
    assert len(set(seen)) < 5 < len(seen)


def test_who_may_not_read_is_told_so_and_what_to_do(
    service: Google, films: Bucket, as_reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films.put("a.mp4", b"x" * 100)
    service.poor = {"token-0"}
    told = [_refused("gs://films/a.mp4")]
    as_reader.write_text('{"type": "service_account", "private_key": "hush"}')
    told.append(_refused("gs://films/a.mp4"))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    told.append(_refused("gs://films/a.mp4"))
    assert [one.message.partition(":")[0] for one in told] == [
        "reading is not allowed (forbidden)",
        "no credentials for gs (DefaultCredentialsError)",
        "reading is not allowed (required)",
    ]
    assert all(one.exit_code == 4 and "gcloud auth" in one.hint for one in told)
    assert "hush" not in str(told)
    # Nobody in particular reads what is public.
    service.tokens = None
    with Stores() as stores, stores.open("gs://films/a.mp4") as source:
        assert source.size == 100


def test_no_token_goes_over_plain_http_to_another_machine(
    service: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setenv("API_ENDPOINT_OVERRIDE", "http://storage.example")
    refused = _refused("gs://films/a.mp4")
    assert isinstance(refused, ConfigProblem)
    assert "STORAGE_EMULATOR_HOST" in refused.hint


def test_folders_and_patterns_are_listed_page_by_page_in_order(
    service: Google, films: Bucket
) -> None:
    service.page = 2
    for key in (
        "v/", "v/b.mp4", "v/a.MOV", "v/notes.txt", "v/deep/c.mkv", "v/deep/er/d.ts",
        "v/.git/e.mp4", "v/skip/f.mp4", "v2/g.mp4",
    ):  # fmt: skip
        films.put(key, b"" if key == "v/" else b"x" * len(key))

    with Stores() as stores:

        def chosen(below: str, rules: Rules) -> list[str]:
            found = select([f"gs://films/{below}"], [], rules, stores).paths
            assert all(stores.listed_size(one) for one in found)
            return [one.removeprefix("gs://films/") for one in found]

        assert chosen("v/", Rules()) == ["v/a.MOV", "v/b.mp4"]
        assert chosen("v/", Rules(recursive=True, exclude=("skip",))) == [
            "v/a.MOV", "v/b.mp4", "v/deep/c.mkv", "v/deep/er/d.ts",
        ]  # fmt: skip
        assert chosen("v*/?.mp4", Rules()) == ["v/b.mp4", "v2/g.mp4"]
        # What a listing told is what opening tells.
        seen = stores.glance("gs://films/v/b.mp4")
        with stores.open("gs://films/v/b.mp4") as source:
            assert seen is not None
            assert (seen.size, seen.mtime_ns) == (source.size, source.identity.mtime_ns)
        with pytest.raises(FileProblem, match="no file in this folder"):
            select(["gs://films/none/"], [], Rules(), stores)
        with pytest.raises(FileProblem, match="no such bucket"):
            select(["gs://nobucket/v/"], [], Rules(), stores)

"""Objects of Google Cloud Storage: generations, lies, folders, and who asks."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from beside import before
from carried import is_whole, send, video
from gcs import Bucket, Google, google_of
from inprocess import MIB, Stage, stage

from cfstream_upload.errors import (
    CfuploadError,
    ConfigProblem,
    FileChanged,
    FileProblem,
    TroubleOutlasted,
)
from cfstream_upload.selection import Rules, select
from cfstream_upload.stores import Stores


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Google]:
    with google_of(monkeypatch, tmp_path) as here:
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


def _refused(url: str) -> CfuploadError:
    with Stores() as stores, pytest.raises(CfuploadError) as refused:
        stores.open(url)
    return refused.value


def test_each_range_names_the_generation_and_a_label_is_no_other_film(
    scene: Stage, service: Google, films: Bucket
) -> None:
    stored = films.put("a.mp4", video(scene.folder, 3 * MIB))
    assert send(scene, "gs://films/a.mp4").outcome == "uploaded"
    ranges = [asked for _, asked in service.asked if asked.get("alt") == "media"]
    assert {asked["generation"] for asked in ranges} == {stored.generation}
    assert not any("authorization" in asked for _, asked in service.asked)
    stored.labels["team"] = "red"
    assert send(scene, "gs://films/a.mp4").outcome == "already"


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
    data = video(scene.folder, 7 * MIB)
    films.put("a.mp4", data)
    assert service.tokens is not None
    before(scene, "PATCH", 1, service.tokens.clear)
    sent = send(scene, "gs://films/a.mp4")
    assert sent.outcome == "uploaded"
    assert is_whole(scene, sent.uid, data)
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

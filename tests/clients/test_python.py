"""The official SDK for Python, plain tuspy, and aiotus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cloudflare
import httpx
import pytest

from clients.stage import CHUNK, SIZE, Stage, staged


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Stage]:
    """An account with little storage that may be asked twenty times."""
    with staged(tmp_path, minutes_limit=100, rate_limit=20) as stage:
        yield stage


def official(stage: Stage, token: str | None = None) -> cloudflare.Cloudflare:
    return cloudflare.Cloudflare(
        api_token=token or stage.endpoint.token,
        base_url=stage.endpoint.base_url,
        max_retries=0,
        http_client=httpx.Client(trust_env=False),
    )


def asked_for_ever(sdk: cloudflare.Cloudflare) -> None:
    while True:
        sdk.user.tokens.verify()


def test_the_sdk_makes_a_one_time_url_and_manages_what_came_to_it(stage: Stage) -> None:
    account, file = stage.endpoint.account, stage.file()
    with official(stage) as sdk:
        made = sdk.stream.direct_upload.create(
            account_id=account, max_duration_seconds=600, creator="sdk", meta={"name": "film"}
        )
        assert made is not None
        assert made.upload_url is not None
        assert made.uid is not None
        with file.open("rb") as opened:
            posted = httpx.post(made.upload_url, files={"file": opened}, trust_env=False)
        assert posted.status_code == 200
        assert stage.holds(file, uid=made.uid)
        listed = sdk.stream.list(
            account_id=account, creator="sdk", video_name="film", include_counts=True, asc=True
        )
        assert [video.uid for video in listed] == [made.uid]
        assert (listed.model_extra or {})["total"] == 1
        video = sdk.stream.get(made.uid, account_id=account)
        assert video is not None
        assert (video.size, video.creator, video.created is not None) == (SIZE, "sdk", True)
        edited = sdk.stream.edit(
            made.uid, account_id=account, require_signed_urls=True, allowed_origins=["example.com"]
        )
        assert edited is not None
        assert (edited.require_signed_urls, edited.allowed_origins) == (True, ["example.com"])
        usage = sdk.stream.videos.storage_usage(account_id=account, creator="sdk")
        assert usage is not None
        assert (usage.video_count, usage.creator) == (1, "sdk")
        sdk.stream.delete(made.uid, account_id=account)
        assert list(sdk.stream.list(account_id=account)) == []


def test_the_sdk_creates_a_tus_upload_and_pages_by_time(stage: Stage) -> None:
    account, uids = stage.endpoint.account, []
    with official(stage) as sdk:
        for number in range(3):
            created = sdk.stream.with_raw_response.create(
                account_id=account,
                tus_resumable="1.0.0",
                upload_length=10,
                direct_user=True,
                upload_creator="sdk",
                upload_metadata=f"name {'YWJj' * (number + 1)}",
            )
            assert created.status_code == 201
            assert "?tusv2=true" in created.headers["location"]
            uids.append(created.headers["stream-media-id"])
        first = sdk.stream.get(uids[0], account_id=account)
        assert first is not None
        assert first.status is not None
        assert first.created is not None
        assert (first.status.state, first.meta) == ("pendingupload", {"name": "abc"})
        later = sdk.stream.list(account_id=account, after=first.created, asc=True, limit=2)
        assert [video.uid for video in later] == uids[:2]
        for verified in (sdk.user.tokens.verify(), sdk.accounts.tokens.verify(account_id=account)):
            assert verified is not None
            assert verified.status == "active"


def test_the_sdk_raises_its_own_error_for_each_refusal(narrow: Stage) -> None:
    account = narrow.endpoint.account
    with official(narrow) as sdk, official(narrow, "wrong") as stranger:
        with pytest.raises(cloudflare.AuthenticationError) as refused:
            stranger.stream.list(account_id=account)
        assert refused.value.errors[0].code == 10000
        with pytest.raises(cloudflare.PermissionDeniedError):
            sdk.stream.list(account_id="b" * 32)
        with pytest.raises(cloudflare.NotFoundError) as absent:
            sdk.stream.get("0" * 32, account_id=account)
        assert absent.value.errors[0].code == 10003
        with pytest.raises(cloudflare.BadRequestError):
            sdk.stream.direct_upload.create(account_id=account, max_duration_seconds=0)
        with pytest.raises(cloudflare.NotFoundError) as unknown:
            sdk.stream.copy.create(account_id=account, input="https://example.com/a.mp4")
        assert unknown.value.errors[0].code == 7003
        with pytest.raises(cloudflare.APIStatusError) as full:
            sdk.stream.direct_upload.create(account_id=account, max_duration_seconds=36_000)
        assert (full.value.status_code, full.value.errors[0].code) == (413, 10011)
        with pytest.raises(cloudflare.RateLimitError) as limited:
            asked_for_ever(sdk)
        assert 1 <= int(limited.value.response.headers["retry-after"]) <= 300


@pytest.mark.parametrize("direct_user", [True, False])
def test_tuspy_uploads(stage: Stage, direct_user: bool) -> None:
    file, storage = stage.file(), stage.folder / "urls.json"
    url = stage.videos_url + ("?direct_user=true" if direct_user else "")
    told = stage.script("tuspy_upload.py", file, url, storage).told
    assert told == {"begun": 0, "offset": SIZE}
    assert stage.holds(file)


def test_tuspy_goes_on_after_a_cut_from_its_own_url_storage(stage: Stage) -> None:
    file, storage = stage.file(), stage.folder / "urls.json"
    url = f"{stage.videos_url}?direct_user=true"
    stage.proxy.cut_after(CHUNK + 2_000_000, reset=True)
    assert stage.script("tuspy_upload.py", file, url, storage).code == 1
    told = stage.script("tuspy_upload.py", file, url, storage).told
    assert told["begun"] >= CHUNK
    assert stage.holds(file)


def test_tuspy_hears_what_is_wrong_with_its_token(stage: Stage) -> None:
    ended = stage.script(
        "tuspy_upload.py", stage.file(), stage.videos_url, stage.folder / "urls.json",
        CLOUDFLARE_API_TOKEN="wrong",
    )  # fmt: skip
    refused = json.loads(ended.out)
    assert refused["status"] == 401
    assert json.loads(refused["body"])["errors"][0]["code"] == 10000


@pytest.mark.parametrize("direct_user", [True, False])
def test_aiotus_uploads(stage: Stage, python_packages: Path, direct_user: bool) -> None:
    file = stage.file()
    url = stage.videos_url + ("?direct_user=true" if direct_user else "")
    ended = stage.script("aiotus_upload.py", file, url, CHUNK, PYTHONPATH=python_packages)
    assert ended.told is not None
    assert ("/tus/" if direct_user else "/media/") in ended.told
    assert stage.holds(file)
    assert stage.model.videos()[0]["requireSignedURLs"] is True


def test_aiotus_meets_the_rule_for_chunks_with_its_default_size(
    stage: Stage, python_packages: Path
) -> None:
    url = f"{stage.videos_url}?direct_user=true"
    size = 4 * 1024 * 1024
    ended = stage.script("aiotus_upload.py", stage.file(), url, size, PYTHONPATH=python_packages)
    assert ended.told is None
    assert "400" in ended.err
    assert stage.model.videos()[0]["status"]["state"] == "pendingupload"  # type: ignore[index]

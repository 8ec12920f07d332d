"""The official SDK for Node, and tus-js-client."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.stage import CHUNK, SIZE, Stage, staged


def test_the_node_sdk_uploads_manages_and_knows_each_refusal(
    tmp_path: Path, node_modules: Path
) -> None:
    with staged(tmp_path, minutes_limit=300, rate_limit=30) as stage:
        file = stage.file()
        seen = stage.script("sdk.cjs", file, NODE_PATH=node_modules).told
        assert stage.holds(file, uid=seen["uid"])
    uid = seen["uid"]
    assert (seen["posted"], seen["listed"], seen["total"]) == (200, [uid], 1)
    assert seen["got"] == [uid, SIZE, "by node"]
    assert seen["edited"] == [True, "renamed"]
    assert seen["usage"] == ["node", 1, 300]
    assert seen["token"] == "active"
    assert seen["tus"][0] == 201
    assert seen["tus"][1].endswith(f"/tus/{seen['tus'][2]}?tusv2=true")
    told = {name: tuple(seen[name].values())[:3] for name in ("absent", "stranger", "full")}
    assert told == {
        "absent": ("NotFoundError", 404, 10003),
        "stranger": ("AuthenticationError", 401, 10000),
        "full": ("APIError", 413, 10011),
    }
    assert (seen["limited"]["name"], seen["limited"]["status"]) == ("RateLimitError", 429)
    assert 1 <= int(seen["limited"]["wait"]) <= 300


@pytest.mark.parametrize("direct_user", [True, False])
def test_tus_js_client_uploads(stage: Stage, node_modules: Path, direct_user: bool) -> None:
    file, storage = stage.file(), stage.folder / "urls.json"
    url = stage.videos_url + ("?direct_user=true" if direct_user else "")
    seen = stage.script("tus.cjs", file, storage, url, NODE_PATH=node_modules).told
    assert (seen["previous"], seen["patches"]) == (0, 3)
    assert ("/tus/" if direct_user else "/media/") in seen["url"]
    assert stage.holds(file, uid=seen["uid"])
    assert stage.model.videos()[0]["meta"] == {"name": "film.mp4", "filetype": "video/mp4"}


def test_tus_js_client_goes_on_after_a_cut_from_its_own_url_storage(
    stage: Stage, node_modules: Path
) -> None:
    file, storage = stage.file(), stage.folder / "urls.json"
    url = f"{stage.videos_url}?direct_user=true"
    stage.proxy.cut_after(CHUNK + 2_000_000, reset=True)
    cut = stage.script("tus.cjs", file, storage, url, NODE_PATH=node_modules)
    assert (cut.code, len(stage.model.videos())) == (1, 1)
    seen = stage.script("tus.cjs", file, storage, url, NODE_PATH=node_modules).told
    # It knew the upload, made no other, and sent the rest: not all three chunks again.
    assert (seen["previous"], seen["uid"]) == (1, None)
    assert seen["patches"] < 3
    assert stage.holds(file)

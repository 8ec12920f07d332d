"""curl, typed by hand: tus, a basic upload, and a direct upload."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from clients.stage import CHUNK, Stage, run

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

TUS = ("-H", "Tus-Resumable: 1.0.0")


def curl(*arguments: str) -> tuple[int, dict[str, str], str]:
    """Run curl and give status, headers and body of the last reply."""
    ended = run(["curl", "-q", "-sS", "-i", "--noproxy", "*", *arguments])
    assert ended.code == 0, ended.err
    head, _, body = ended.out.partition("\n\n")
    while head.split()[1] == "100":
        head, _, body = body.partition("\n\n")
    lines = [line.partition(": ") for line in head.splitlines()[1:]]
    return int(head.split()[1]), {name: value for name, _, value in lines}, body


def document(body: str) -> Any:  # noqa: ANN401  # JSON
    return json.loads(body)


def pieces(file: Path) -> list[Path]:
    """The file in parts of the smallest chunk that Stream takes."""
    data, made = file.read_bytes(), []
    for start in range(0, len(data), CHUNK):
        made.append(file.with_suffix(f".{start}"))
        made[-1].write_bytes(data[start : start + CHUNK])
    return made


@pytest.mark.parametrize("direct_user", [True, False])
def test_curl_uploads_by_tus_with_and_without_the_token(stage: Stage, direct_user: bool) -> None:
    file = stage.file()
    token = ("-H", f"Authorization: {stage.authorization}")
    size = ("-H", f"Upload-Length: {file.stat().st_size}", "-H", "Upload-Metadata: name ZmlsbQ==")
    url = stage.videos_url + ("?direct_user=true" if direct_user else "")
    status, headers, body = curl("-X", "POST", *token, *TUS, *size, url)
    assert (status, body) == (201, "")
    location = headers["location"]
    if not direct_user:
        assert f"/accounts/{stage.endpoint.account}/media/" in location
        assert f":{stage.endpoint.port}/" not in location
        status, headers, _ = curl("--head", *TUS, location)
        assert status == 400
        assert not [name for name in headers if name.startswith("access-control")]
    keys = () if direct_user else token
    kind = ("-H", "Content-Type: application/offset+octet-stream", "-X", "PATCH")
    offset = 0
    for piece in pieces(file):
        status, headers, _ = curl("--head", *keys, *TUS, location)
        assert (status, headers["upload-offset"]) == (200, str(offset))
        where = ("-H", f"Upload-Offset: {offset}", "--data-binary", f"@{piece}")
        status, headers, _ = curl(*kind, *keys, *TUS, *where, location)
        offset += piece.stat().st_size
        assert (status, headers["upload-offset"]) == (204, str(offset))
    assert stage.holds(file)


def test_curl_posts_a_form_to_the_api(stage: Stage) -> None:
    file = stage.file()
    token = ("-H", f"Authorization: {stage.authorization}")
    status, headers, body = curl(*token, "-F", f"file=@{file}", stage.videos_url)
    assert status == 200
    assert headers["ratelimit-policy"].startswith('"burst"')
    assert document(body)["result"]["meta"] == {"name": "film.mp4"}
    assert stage.holds(file, uid=document(body)["result"]["uid"])


def test_curl_posts_a_form_to_a_one_time_url(stage: Stage) -> None:
    file = stage.file()
    token = ("-H", f"Authorization: {stage.authorization}")
    asked = ("--json", '{"maxDurationSeconds": 3600}')
    _, _, body = curl(*token, *asked, f"{stage.videos_url}/direct_upload")
    made = document(body)["result"]
    status, _, body = curl(*TUS, "-X", "PATCH", "--data-binary", "x", made["uploadURL"])
    assert (status, document(body)["messages"][0]["message"]) == (405, "must use POST")
    status, _, _ = curl("-F", f"file=@{file}", made["uploadURL"])
    assert status == 200
    assert stage.holds(file, uid=made["uid"])
    status, _, body = curl("-F", f"file=@{file}", made["uploadURL"])
    assert (status, document(body)["errors"][0]["code"]) == (400, 10005)


def test_curl_is_cut_and_a_form_has_to_be_sent_again(stage: Stage) -> None:
    file = stage.file()
    token = ("-H", f"Authorization: {stage.authorization}")
    asked = ("--json", '{"maxDurationSeconds": 3600}')
    _, _, body = curl(*token, *asked, f"{stage.videos_url}/direct_upload")
    made = document(body)["result"]
    stage.proxy.cut_after(3 * CHUNK // 2, reset=True)
    assert run(["curl", "-q", "-sS", "-F", f"file=@{file}", made["uploadURL"]]).code != 0
    assert stage.model.videos()[0]["status"]["state"] == "pendingupload"  # type: ignore[index]
    ended = run(["curl", "-q", "-sS", "--retry", "5", "--retry-all-errors", "--retry-delay", "1",
                 "--fail", "-F", f"file=@{file}", made["uploadURL"]])  # fmt: skip
    assert ended.code == 0, ended.err
    assert stage.holds(file, uid=made["uid"])

"""Tests of an uploader that is not ours, on the embedded Stream.

To change: `upload` stands for yours; here it is plain tus by hand. See docs/emulator.md.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from cfstream_upload.testing import CloudflareStream, CutAfter, Fault

VIDEO = Path(__file__).parent.parent / "sample.mp4"


def upload(stream: CloudflareStream, data: bytes) -> str:
    """Upload over tus, with one more try for each thing that fails; give the UID."""
    tus = {"Tus-Resumable": "1.0.0"}
    with httpx.Client(trust_env=False) as client:
        created = client.post(
            f"{stream.base_url}/accounts/{stream.account}/stream?direct_user=true",
            headers={
                **tus,
                "Authorization": f"Bearer {stream.token}",
                "Upload-Length": str(len(data)),
            },
        )
        created.raise_for_status()
        url = created.headers["location"]
        for _ in range(2):
            offset = int(client.head(url, headers=tus).headers["upload-offset"])
            chunk = {
                "Upload-Offset": str(offset),
                "Content-Type": "application/offset+octet-stream",
            }
            try:
                client.patch(url, headers={**tus, **chunk}, content=data[offset:])
                break
            except httpx.TransportError:
                continue
    uid: str = created.headers["stream-media-id"]
    return uid


def test_every_byte_arrives(fresh_cloudflare_stream: CloudflareStream) -> None:
    data = VIDEO.read_bytes()
    uid = upload(fresh_cloudflare_stream, data)
    assert fresh_cloudflare_stream.sha256(uid) == hashlib.sha256(data).hexdigest()


def test_a_cut_connection_costs_nothing(fresh_cloudflare_stream: CloudflareStream) -> None:
    fresh_cloudflare_stream.faults.set(Fault(CutAfter(1000), "PATCH"))
    data = VIDEO.read_bytes()
    uid = upload(fresh_cloudflare_stream, data)
    assert fresh_cloudflare_stream.sha256(uid) == hashlib.sha256(data).hexdigest()
    assert [video["uid"] for video in fresh_cloudflare_stream.videos()] == [uid]


def test_a_program_of_yours_finds_it_in_its_environment(
    fresh_cloudflare_stream: CloudflareStream,
) -> None:
    code = "import os; print(os.environ['CLOUDFLARE_API_BASE_URL'])"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **fresh_cloudflare_stream.environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stdout.strip() == fresh_cloudflare_stream.base_url


@pytest.mark.parametrize("reason", ["", "ERR_MALFORMED_VIDEO"])
def test_a_video_is_processed(fresh_cloudflare_stream: CloudflareStream, reason: str) -> None:
    uid = upload(fresh_cloudflare_stream, VIDEO.read_bytes())
    fresh_cloudflare_stream.fail(uid, reason)
    state = "queued"
    while state in ("queued", "inprogress"):
        time.sleep(0.05)
        (video,) = fresh_cloudflare_stream.videos()
        state = video["status"]["state"]
    assert state == ("error" if reason else "ready")

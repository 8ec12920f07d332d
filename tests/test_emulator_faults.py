"""``cfupload emulator`` with faults on request, and ``cfupload send`` against them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from emulator.driving import CHUNK, video_bytes

from cfstream_upload.cli.app import run
from cfstream_upload.emulator.faults import parse_fault
from cfstream_upload.emulator.footage import padded_mp4
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.stage import staged


@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        (["--fault", "ptach 3 cut"], "column 1: ptach is no request", "Did you mean PATCH?"),
        (["--fault", "PATCH 3 cot"], "column 9: cot is nothing", "Did you mean cut?"),
        (["--fault", "PATCH cut=x"], "column 11: cut=x is not a size", "Like: PATCH 3 cut=1MB"),
        (["--faults", "bad"], "line 2, column 1: GTE is no request", "Did you mean GET?"),
        (["--faults", "none"], "none cannot be read", "Name a file"),
        (["--faults", "."], ". cannot be read", "Name a file"),
        (["--faults", "binary"], "binary is no UTF-8", "UTF-8"),
    ],
)
def test_a_wrong_fault_is_wrong_usage(
    options: list[str], said: str, hint: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("bad").write_text("# a comment\nGTE lose\n")
    Path("binary").write_bytes(b"\xff\xfe")
    assert run(["emulator", *options]) == 2
    told = capfd.readouterr().err
    assert said in told
    assert hint in told


def test_the_command_strikes_and_tells_whom_without_a_secret(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("HEAD lose\nPATCH 1 cut=256K # once\n")
    command = [sys.executable, "-P", "-m", "cfstream_upload", "emulator", "--ndjson"]
    options = ["--fault", "create 1 status=503", "--faults", "script"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=tmp_path,
    ) as process, httpx.Client(trust_env=False, timeout=5) as http:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        known = json.loads(process.stdout.readline())["emulator"]
        origin = known["base_url"].removesuffix("/client/v4")
        url = f"{known['base_url']}/accounts/{known['account']}/stream?direct_user=true"
        headers = {
            "authorization": f"Bearer {known['token']}",
            "tus-resumable": "1.0.0",
            "upload-length": str(2 * CHUNK),
        }
        assert http.post(url, headers=headers).status_code == 503
        created = http.post(url, headers=headers)
        location, uid = created.headers["location"], created.headers["stream-media-id"]
        assert location.startswith(origin)
        chunk = {"upload-offset": "0", "content-type": "application/offset+octet-stream"}
        with pytest.raises(httpx.TransportError):
            http.patch(location, headers=headers | chunk, content=video_bytes(CHUNK))
        entries = http.get(f"{origin}/emulator/log").json()["entries"]
        assert [entry["status"] for entry in entries] == [503, 201, None]
        process.terminate()
        told = process.stderr.read()
    lines = [line for line in told.splitlines() if "struck" in line]
    assert lines == [
        "fault 3 (create 1 status=503) struck request 1 of its sort: POST videos",
        f"fault 2 (PATCH 1 cut=256K) struck request 1 of its sort: PATCH upload {uid}",
    ]
    assert "tusv2" not in told
    assert known["token"] not in told


def test_cfupload_ends_whole_under_a_cut_and_a_refused_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = padded_mp4(tmp_path / "big.mp4", 20 << 20, sparse=False, seed=3)
    model = Stream()
    texts = ("PATCH 2 cut=1MB", "look status=503 retry-after=0")
    with staged(model, faults=map(parse_fault, texts)) as stage:
        monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", stage.endpoint.base_url)
        monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", stage.endpoint.account)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", stage.endpoint.token)
        assert run(["send", str(path), "-q"]) == 0
        left = [standing.left for standing in stage.faulty.standing()]
    (video,) = model.videos()
    assert video["uid"] == capfd.readouterr().out.strip()
    assert video["size"] == 20 << 20
    assert left == [0, 0]

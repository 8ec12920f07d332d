"""docs/emulator.md, and the examples for the CI of others, do what they say."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from served import COMMAND
from test_examples import below, scripts

from cfstream_upload.emulator.identity import new_identity

ROOT = Path(__file__).parent.parent
DOC = (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "examples" / "emulator"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs bash")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``cfupload`` and ``python`` on the path, as an installed package puts them there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, words in (("cfupload", "-P -m cfstream_upload"), ("python", "")):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def bash(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a group of its own, of which nothing is left afterwards."""
    process = subprocess.Popen(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.usefixtures("path")
def test_every_command_of_the_page_works_in_its_order(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "sample.mp4", tmp_path)
    blocks = re.findall(r"```bash\n(.*?)```", DOC, re.DOTALL)
    assert len(blocks) == 5
    ended = bash("\n".join(blocks), tmp_path)
    assert ended.returncode == 0, ended.stderr
    # A reply ends with no line of its own.
    listed, _ = json.JSONDecoder().raw_decode(ended.stdout)
    (video,) = listed["result"]
    assert (video["meta"], video["status"]["state"]) == ({"name": "sample"}, "queued")
    known = new_identity(seed=7)
    # Killed, and started again without the seed, it is the one that it was.
    told = re.findall(r"export CLOUDFLARE_API_TOKEN=(\S+)", ended.stdout)
    assert told[:2] == [known.token] * 2


def test_the_pages_name_every_option_of_the_command_and_every_attribute_of_the_fixture() -> None:
    from cfstream_upload.cli.reference import everything
    from cfstream_upload.testing import CloudflareStream

    page = everything().below(["emulator"])
    assert page is not None
    options = {max(one.names, key=len) for one in page.options if one.panel != "Everywhere"}
    pages = "".join(path.read_text("utf-8") for path in (ROOT / "docs").glob("emulator*.md"))
    assert {name for name in options if name not in pages} <= {"--stop", "--port"}
    names = [name for name in dir(CloudflareStream) if not name.startswith("_")]
    assert [name for name in names if f"`.{name}" not in DOC] == []


# --- compose -------------------------------------------------------------------------------------


def told_by_the_dockerfile(name: str) -> list[str]:
    text = (EXAMPLES / "Dockerfile").read_text(encoding="utf-8")
    found = re.search(rf"^{name} (\[.*\])$", text, re.MULTILINE)
    assert found is not None
    words: list[str] = json.loads(found[1])
    return words


@pytest.fixture
def compose() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    content: dict[str, Any] = yaml.safe_load((EXAMPLES / "compose.yaml").read_text("utf-8"))
    return content


@pytest.fixture
def contained(compose: dict[str, Any], path: Path, tmp_path: Path) -> Iterator[int]:
    """What the container runs, but for the folder, and for a port that may be in use here."""
    words = [*told_by_the_dockerfile("ENTRYPOINT"), *compose["services"]["stream"]["command"]]
    assert words[0] == "cfupload"
    changed = {"8787": "0", "/data": str(tmp_path / "data")}
    words = [*COMMAND, *(changed.get(word, word) for word in words[1:]), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            lines.append(process.stdout.readline().decode())
            assert lines[-1], process.stderr and process.stderr.read().decode()
        yield json.loads("".join(lines))["emulator"]["port"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        assert process.stderr is not None
        assert "listens on 0.0.0.0" in process.stderr.read().decode()


def test_the_compose_files_command_health_check_and_credentials_fit_together(
    compose: dict[str, Any], contained: int, tmp_path: Path
) -> None:
    stream, uploader = compose["services"]["stream"], compose["services"]["uploader"]
    assert told_by_the_dockerfile("CMD") == stream["command"]
    kind, *check = stream["healthcheck"]["test"]
    assert kind == "CMD"
    ended = subprocess.run([word.replace("8787", str(contained)) for word in check], check=False)
    assert ended.returncode == 0
    assert stream["volumes"] == ["stream:/data"]
    assert "stream" in compose["volumes"]
    assert stream["ports"] == ["127.0.0.1:8787:8787", "127.0.0.1:8788:8788"]
    assert uploader["depends_on"] == {"stream": {"condition": "service_healthy"}}
    given = uploader["environment"]
    url = given["CLOUDFLARE_API_BASE_URL"].replace("stream:8787", f"127.0.0.1:{contained}")
    reply = httpx.post(
        f"{url}/accounts/{given['CLOUDFLARE_ACCOUNT_ID']}/stream?direct_user=true",
        headers={
            "authorization": f"Bearer {given['CLOUDFLARE_API_TOKEN']}",
            "tus-resumable": "1.0.0", "upload-length": "9", "host": "stream:8787",
        },
        trust_env=False,
    )  # fmt: skip
    assert reply.status_code == 201
    # Other containers reach the upload URL by the name that they reached the API by.
    assert reply.headers["location"].startswith("http://stream:8787/tus/")
    assert (tmp_path / "data" / "videos" / reply.headers["stream-media-id"]).is_dir()


# --- GitHub --------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.usefixtures("path")
def test_the_github_steps_start_it_and_hand_its_variables_on(tmp_path: Path) -> None:
    text = (EXAMPLES / "github-actions.yml").read_text(encoding="utf-8")
    install, start, test = scripts(text)
    assert install == "pip install 'cfstream-upload[emulator]'"
    handed = tmp_path / "github-env"
    # Later steps have what an earlier one wrote down.
    read = 'while IFS="=" read -r name value; do export "$name=$value"; done < "$GITHUB_ENV"'
    script = f"export GITHUB_ENV={handed}\n{start}\n{read}\n{test}\nkill $!\nwait $!"
    ended = bash(script, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["result"] == []
    names = [line.partition("=")[0] for line in handed.read_text().splitlines()]
    assert names == [
        "CLOUDFLARE_API_BASE_URL", "CLOUDFLARE_BASE_URL", "CLOUDFLARE_ACCOUNT_ID",
        "CLOUDFLARE_API_TOKEN",
    ]  # fmt: skip
    for action, comment in re.findall(r"uses: (\S+)(.*)", text):
        assert re.fullmatch(r"actions/[a-z/-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
    assert below(text, "permissions") == ["contents: read"]


def test_every_example_says_what_to_change() -> None:
    for file in EXAMPLES.iterdir():
        if file.is_file():
            assert "To change:" in file.read_text(encoding="utf-8")[:600], file.name

"""What somebody else left where we look: it is neither obeyed, nor written through, nor ended."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cfstream_upload import config
from cfstream_upload.cli.app import run
from cfstream_upload.console import Console
from cfstream_upload.emulator import detached
from cfstream_upload.emulator.endpoint import NONCE_HEADER, Endpoint
from cfstream_upload.errors import CfuploadError, ConfigProblem, UsageProblem
from cfstream_upload.ownership import written_by_others

STRANGER = 12345
ROOT_ONLY = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away"
)
ACCOUNT = "ab" * 16


# --- what is obeyed ------------------------------------------------------------------------------


def test_a_config_file_that_everybody_may_write_to_is_not_obeyed(tmp_path: Path) -> None:
    path, evidence = tmp_path / "config.toml", tmp_path / "evidence"
    path.write_text(f'[profiles.default]\ntoken_command = "touch {evidence}"\n')
    path.chmod(0o646)
    environ = {"CFUPLOAD_CONFIG": str(path), "CLOUDFLARE_ACCOUNT_ID": ACCOUNT}
    environ |= {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with pytest.raises(ConfigProblem, match="is not obeyed: everybody may write to it") as caught:
        config.resolve({}, environ)
    assert f"chmod o-w {path}" in caught.value.hint
    assert not evidence.exists()
    with pytest.raises(ConfigProblem, match="is not obeyed"):
        config.set_value("label", "x", environ)
    # Under umask 002 a group of one's own may write to all that one makes.
    path.chmod(0o664)
    with pytest.raises(ConfigProblem, match="is empty"):
        config.resolve({}, environ)
    assert evidence.exists()


def test_certificates_that_everybody_may_write_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\n")
    environ = {"CFUPLOAD_CONFIG": os.devnull, "CLOUDFLARE_ACCOUNT_ID": ACCOUNT}
    environ |= {"CLOUDFLARE_API_TOKEN": "t" * 40, "HOME": str(tmp_path)}
    assert config.resolve({"ca_cert": path}, environ).ca_cert == path
    path.chmod(0o666)
    for flags, more in (({"ca_cert": path}, {}), ({}, {"SSL_CERT_FILE": str(path)})):
        with pytest.raises(CfuploadError, match="everybody may write to it") as caught:
            config.resolve(flags, {**environ, **more})
        assert caught.value.exit_code == (2 if flags else 3)


@ROOT_ONLY
def test_a_file_that_a_stranger_left_in_an_open_folder_is_his(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    path = shared / "config.toml"
    path.write_text("")
    assert written_by_others(path) == ""
    os.chown(path, STRANGER, STRANGER)
    assert "somebody else put it there" in written_by_others(path)
    assert written_by_others(Path(os.devnull)) == ""


@ROOT_ONLY
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_that_a_stranger_left_takes_no_log(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    pipe = shared / "run.log"
    os.mkfifo(pipe)
    os.chown(pipe, STRANGER, STRANGER)
    # Opened it would wait for a reader, and tell him all.
    with pytest.raises(UsageProblem, match="put there by somebody else"):
        Console(None, None, None, {}, log_file=pipe)


# --- the embedded Stream's folder ----------------------------------------------------------------


@contextmanager
def _claiming(pid: int) -> Iterator[int]:
    """A server that proves to be the embedded Stream that is the process ``pid``; its port."""

    class Claim(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            endpoint = Endpoint("", ACCOUNT, "t", pid, server.server_port)
            said = {"proof": endpoint.proof(self.headers[NONCE_HEADER])}
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Claim) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@ROOT_ONLY
@pytest.mark.parametrize("whose", ["state", "local"])
def test_a_forged_endpoint_ends_no_process_and_gets_no_video(
    tmp_path: Path, whose: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    (state / "local").mkdir(parents=True)
    (state / "local").chmod(0o700)
    state.chmod(0o700)
    monkeypatch.setenv("CFUPLOAD_STATE_DIR", str(state))
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as victim:
        with _claiming(victim.pid) as port:
            endpoint = {"port": port, "account": ACCOUNT, "token": "t", "pid": victim.pid}
            (state / "local" / "emulator.json").write_text(json.dumps(endpoint))
            os.chown(state if whose == "state" else state / "local", STRANGER, STRANGER)
            for arguments in (["emulator", "--stop"], ["--local", "list"]):
                assert run(arguments) == 10
                assert "belongs to somebody else" in capfd.readouterr().err
        assert victim.poll() is None
        victim.kill()


@ROOT_ONLY
@pytest.mark.parametrize("name", ["token", "emulator.log", "emulator.json"])
def test_nothing_is_written_through_a_link_in_the_embedded_streams_folder(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    state, victim = tmp_path / "state", tmp_path / "victim"
    (state / "local").mkdir(parents=True, mode=0o700)
    state.chmod(0o700)
    victim.write_text("precious")
    (state / "local" / name).symlink_to(victim)
    monkeypatch.setenv("CFUPLOAD_STATE_DIR", str(state))
    assert run(["--local", "list"]) == 10
    assert "is a link" in capfd.readouterr().err
    assert victim.read_text() == "precious"


WRONG = [
    {"pid": -1}, {"pid": 0}, {"pid": True}, {"pid": "1"}, {"pid": 1.5}, {"port": 0},
    {"port": 65536}, {"port": "80"}, {"port": None}, {"token": 7}, {"token": "a\r\nX: y"},
    {"account": ""}, {"account": None},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_stands_in_an_endpoint_file_is_judged_before_it_is_used(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    good = {"port": 80, "account": ACCOUNT, "token": "t", "pid": os.getpid()}
    file = tmp_path / "emulator.json"
    file.write_text(json.dumps(good))
    assert detached._remembered(tmp_path) is not None
    file.write_text(json.dumps({**good, **wrong}))
    assert detached._remembered(tmp_path) is None

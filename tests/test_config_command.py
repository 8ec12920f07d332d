"""``cfupload config``: what it shows, what it writes, and what it never prints."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import stat
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cfstream_upload.cli.app import run

ACCOUNT = "0123456789abcdef0123456789abcdef"
TOKEN = "Canary_token-0123456789abcdefghijklmnopq"

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Told:
    """Run ``cfupload config``, with a text on stdin: its exit code, stdout and stderr."""

    def command(*words: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capfd.readouterr()
        code = run(["config", *words])
        shown = capfd.readouterr()
        assert TOKEN not in shown.out + shown.err
        return code, shown.out, shown.err

    return command


def shown(told: Told, *words: str) -> dict[str, tuple[str, str]]:
    """Value and origin of each line of ``config show``."""
    _, out, _ = told("show", "--json", *words)
    rows = json.loads(out)["settings"]
    return {row["name"]: (row["value"], row["origin"]) for row in rows}


def held() -> dict[str, Any]:
    path = Path(os.environ["CFUPLOAD_CONFIG"])
    return tomllib.loads(path.read_text())["profiles"] if path.exists() else {}


# --- show ----------------------------------------------------------------------------------------


def test_show_names_the_file_the_profile_and_the_state_directory(
    told: Told, tmp_path: Path
) -> None:
    found = shown(told)
    path = tmp_path / "config.toml"
    assert found["config"] == (f"{path} (no such file yet)", "CFUPLOAD_CONFIG")
    assert found["profile"] == ("default", "default")
    assert found["state_dir"] == (str(tmp_path / "state"), "CFUPLOAD_STATE_DIR")
    assert "host_id" in found
    told("set", "label", "night", "--profile", "work")
    found = shown(told, "--profile", "work")
    assert found["config"][0] == str(path)
    assert found["profile"] == ("work", "--profile")
    assert found["label"] == ("night", "profile work")


def test_show_names_the_variable_that_named_the_profile(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told("set", "label", "night", "--profile", "work")
    monkeypatch.setenv("CFUPLOAD_PROFILE", "work")
    assert shown(told)["profile"] == ("work", "CFUPLOAD_PROFILE")


def test_show_tells_which_options_a_variable_sets(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_CHUNK_SIZE", "50M")
    monkeypatch.setenv("CFUPLOAD_VERBOSE", "1")
    monkeypatch.setenv("CFUPLOAD_PROXY", "http://me:secret@proxy:8080")
    found = shown(told)
    assert found["--chunk-size"] == ("50M", "CFUPLOAD_CHUNK_SIZE")
    assert found["--verbose"] == ("1", "CFUPLOAD_VERBOSE")
    assert "--proxy" not in found
    assert found["proxy"][1] == "CFUPLOAD_PROXY"
    assert "secret" not in json.dumps(found)


def test_show_warns_of_a_variable_that_nothing_reads(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_CHUNKSIZE", "50M")
    _, _, err = told("show")
    assert "nothing reads CFUPLOAD_CHUNKSIZE: did you mean CFUPLOAD_CHUNK_SIZE?" in err


@pytest.mark.parametrize("old", ["CF_API_TOKEN", "CF_ACCOUNT_ID"])
def test_show_warns_of_an_old_name(old: str, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(old, TOKEN if "TOKEN" in old else ACCOUNT)
    code, out, err = told("show")
    assert code == 0
    assert old in out
    assert f"{old} is an old name: use CLOUDFLARE_{old[3:]}" in err


@pytest.mark.parametrize("mode", ["--json", "--ndjson", "-v"])
def test_show_never_prints_a_token(told: Told, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    assert "***" in told("show", mode)[1]


# --- set and unset -------------------------------------------------------------------------------


def test_a_token_is_read_from_stdin_into_a_private_file(told: Told) -> None:
    code, out, _ = told("set", "token", "--json", stdin=f"{TOKEN}\n")
    assert code == 0
    assert json.loads(out)["settings"] == [
        {"name": "api_token", "value": "***", "origin": "profile default"}
    ]
    assert held() == {"default": {"api_token": TOKEN}}
    mode = Path(os.environ["CFUPLOAD_CONFIG"]).stat().st_mode
    if sys.platform != "win32":
        assert stat.S_IMODE(mode) == 0o600


def test_a_token_on_the_command_line_is_refused_and_not_repeated(told: Told) -> None:
    assert told("set", "token", TOKEN)[0] == 2
    assert held() == {}


@pytest.mark.parametrize("value", ["http://me:canary-pass@p:1", "me:canary-pass@p:1", "me@p:1"])
def test_a_proxys_password_is_taken_from_stdin_and_refused_on_the_command_line(
    told: Told, value: str
) -> None:
    code, out, err = told("set", "proxy", value)
    assert (code, out, held()) == (2, "", {})
    assert "stdin" in err
    assert "me" not in err.replace("command", "")
    assert told("set", "proxy", stdin=f"{value}\n")[0] == 0
    assert held()["default"]["proxy"] == (value if "://" in value else f"http://{value}")


def test_a_secret_of_the_environment_that_stands_in_another_setting_is_masked(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    monkeypatch.setenv("HTTPS_PROXY", "http://me:canary%2Fpass@127.0.0.1:1")
    monkeypatch.setenv("CFUPLOAD_LABEL", f"run-{TOKEN}")
    monkeypatch.setenv("CFUPLOAD_HOST_ID", "canary/pass")
    for words in ([], ["--json"], ["--ndjson"]):
        _, out, err = told("show", *words)
        assert "canary/pass" not in out + err
        assert "canary%2Fpass" not in out + err
        assert "run-***" in out


@pytest.mark.parametrize(
    ("key", "value"),
    [("account_id", "me@example.com"), ("api_base_url", "http://example.com"), ("label", "a b"),
     ("proxy", "ftp://x"), ("token", "two words"), ("token", ""), ("label", "")],
)  # fmt: skip
def test_a_bad_value_is_refused_before_anything_is_written(
    told: Told, key: str, value: str
) -> None:
    words = ("set", key) if key == "token" else ("set", key, value)
    code, _, err = told(*words, stdin=value)
    assert code in (2, 3)
    assert len(err.splitlines()) == 2
    assert held() == {}


@pytest.mark.parametrize("key", ["journal", "proxy", "label", "ca_cert"])
def test_an_empty_value_is_refused_and_the_way_to_take_one_out_is_told(
    told: Told, key: str
) -> None:
    code, _, err = told("set", key, "")
    assert (code, held()) == (3, {})
    assert f"The value for {key} is empty" in err
    assert f"cfupload config unset {key}" in err


def test_unset_takes_a_setting_out_of_one_profile(told: Told) -> None:
    for profile in ("default", "work"):
        told("set", "label", "night", "--profile", profile)
    code, out, _ = told("unset", "label", "--profile", "work", "--json")
    assert code == 0
    assert json.loads(out)["settings"] == [{"name": "label", "value": "", "origin": "not set"}]
    assert held() == {"default": {"label": "night"}, "work": {}}


def test_set_writes_to_the_profile_that_is_in_use(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_PROFILE", "work")
    told("set", "label", "night")
    assert held() == {"work": {"label": "night"}}


def test_a_key_may_be_written_with_dashes(told: Told) -> None:
    assert told("set", "account-id", ACCOUNT)[0] == 0
    assert held() == {"default": {"account_id": ACCOUNT}}


def test_at_a_terminal_a_token_is_asked_for_and_not_shown() -> None:
    child, screen = pty.fork()
    if child == 0:
        sys.stdin, sys.stderr = os.fdopen(0), os.fdopen(2, "w")
        os._exit(run(["config", "set", "token"]))
    seen = b""
    while select.select([screen], [], [], 30)[0]:
        try:
            seen += os.read(screen, 1000)
        except OSError:
            break
        if seen.endswith(b"api_token: "):
            os.write(screen, f"{TOKEN}\n".encode())
    os.close(screen)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert TOKEN.encode() not in seen
    assert held() == {"default": {"api_token": TOKEN}}


def test_show_with_local_names_the_embedded_stream(told: Told) -> None:
    settings = shown(told, "--local")
    names = ("account_id", "api_base_url", "api_token")
    assert {settings[name][1] for name in names} == {"--local"}

"""The search for secrets finds them: each test of the inner run leaks one, and must fail for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

LEAKS = """
import base64, logging, subprocess, sys, threading
import canary, pytest
from cfstream_upload.emulator import detached
from cfstream_upload.emulator.exchange import Request
from cfstream_upload.emulator.model import Stream
from cfstream_upload.errors import Refused

TOKEN, ACCOUNT = Stream().token, Stream().account
HEADERS = {"tus-resumable": "1.0.0", "upload-length": "9", "authorization": f"Bearer {TOKEN}"}
QUERY = [("direct_user", "true")]
CREATE = Request("POST", f"/client/v4/accounts/{ACCOUNT}/stream", QUERY, HEADERS)
URL = Stream(account=ACCOUNT, token=TOKEN)(CREATE).headers["location"]


def private(path, text):
    path.touch(mode=0o600)
    path.write_text(text)


@pytest.mark.parametrize("text", [TOKEN, URL, canary.PASSWORD, ACCOUNT], ids="tupa")
def test_leak_stdout(text):
    print("before", text, "after")

def test_leak_stderr_that_is_read(capfd):
    print(TOKEN, file=sys.stderr)
    capfd.readouterr()

def test_leak_log():
    logging.getLogger("some.library").warning("sent to %s", URL)

def test_leak_failure():
    assert TOKEN == ""

def test_leak_traceback():
    raise ValueError(f"Illegal header value {TOKEN!r}")

def test_leak_words_of_an_error_that_is_caught():
    with pytest.raises(Refused):
        raise Refused("no", f"use {TOKEN}")

ENCODED = [base64.b64encode(b"x" * n + TOKEN.encode() + b"yz") for n in range(3)]
ENCODED += [TOKEN.encode().hex().encode(), TOKEN.encode().hex().upper().encode()]
ENCODED += ["".join(f"%{ord(c):02X}" for c in TOKEN).encode()]

@pytest.mark.parametrize("number", range(len(ENCODED)))
def test_leak_encoded(number, tmp_path):
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    (folder / "some.log").write_bytes(b"before " + ENCODED[number] + b" after")

def test_leak_name_of_a_file(tmp_path):
    (tmp_path / f"{ACCOUNT}.lock").touch()

def test_leak_journal_that_others_read(tmp_path):
    (tmp_path / "journal.db").write_text(URL)

def test_leak_token_in_the_journal(tmp_path):
    private(tmp_path / "journal.db-wal", TOKEN)

def test_leak_argument():
    subprocess.run([sys.executable, "-S", "-c", "pass", f"--token={TOKEN}"], check=True)

def test_leak_output_of_a_process():
    words = f"print({TOKEN!r})"
    subprocess.run([sys.executable, "-S"], input=words, text=True, capture_output=True, check=True)

def test_fine_private_files(tmp_path):
    private(tmp_path / "journal.db", URL + ACCOUNT)
    private(tmp_path / "config.toml", TOKEN + canary.PASSWORD)
    private(tmp_path / "emulator.json", TOKEN)

def test_fine_what_was_asked_for():
    print(f"export CLOUDFLARE_API_TOKEN={TOKEN}\\nexport CLOUDFLARE_ACCOUNT_ID={ACCOUNT}")
    subprocess.run([sys.executable, "-S", "-c", "pass", "--account", ACCOUNT], check=True)
"""


def test_a_secret_fails_the_test_that_shows_it_wherever_it_is(tmp_path: Path) -> None:
    inner = tmp_path / "test_leaks.py"
    inner.write_text(LEAKS)
    ended = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "pytest", "-p", "canary", "-p", "no:cacheprovider"),
            *("-rA", "--tb=short", "--basetemp", str(tmp_path / "base"), str(inner)),
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "COLUMNS": "200",
        },
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    named = re.findall(r"^(PASSED|FAILED) \S+::(test_\w+)", ended.stdout, re.MULTILINE)
    seen = re.findall(r"^FAILED \S+::(test_\w+).* - A secret was seen", ended.stdout, re.MULTILINE)
    leaking = [name for _, name in named if name.startswith("test_leak")]
    assert len(leaking) == LEAKS.count("def test_leak") + 3 + 5, ended.stdout
    assert sorted(seen) == sorted(leaking), ended.stdout
    assert [name for how, name in named if how == "PASSED"] == [
        "test_fine_private_files",
        "test_fine_what_was_asked_for",
    ]
    assert all(
        kind in ended.stdout
        for kind in ("token in plain", "upload URL in plain", "proxy password in", "account in")
    )

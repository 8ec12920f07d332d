"""One emulator process per folder, apart from whoever started it.

It outlives its parent and Ctrl-C, keeps its port, account and token from one start to the next,
and ends by itself when nobody has used it for a while. Nothing of the server is imported here.
"""

from __future__ import annotations

import hmac
import http.client
import importlib.util
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from .endpoint import IDENTITY_PATH, NONCE_HEADER, DidNotStart, Endpoint, ExtraMissing
from .onlyone import only_one
from .routes import API

IDLE_SECONDS = 900.0
START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.02
# Windows knows no sessions: a console of its own keeps Ctrl-C away.
_APART_ON_WINDOWS: int = getattr(subprocess, "DETACHED_PROCESS", 0)
_LIBRARIES = ("starlette", "uvicorn", "httptools")
# The emulator needs none of these, and a process's environment can be read while it lives.
_PRIVATE = ("CLOUDFLARE_", "CF_", "CFUPLOAD_")


def attach_or_start(folder: Path, idle: float = IDLE_SECONDS) -> Endpoint:
    """Give the emulator of this folder, started if it is not running.

    Several processes may ask at once: they all get the same one. A new one ends after ``idle``
    seconds without a request. Raises `ExtraMissing`, or `DidNotStart` after half a minute.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = running(folder)
    if found is not None:
        return found
    with only_one(folder / "start.lock"):
        return running(folder) or _start(folder, idle)


def running(folder: Path) -> Endpoint | None:
    """Give the emulator of this folder if it answers and proves to be it; None otherwise."""
    remembered = _remembered(folder)
    return remembered if remembered is not None and _is_it(remembered) else None


def stop(folder: Path) -> bool:
    """End the emulator of this folder and wait for its end; False if there was none."""
    endpoint = running(folder)
    if endpoint is None:
        return False
    os.kill(endpoint.pid, signal.SIGTERM)
    # It holds this lock for as long as it lives.
    with only_one(folder / "data.lock", seconds=_STOP_SECONDS):
        return True


def _start(folder: Path, idle: float) -> Endpoint:
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise ExtraMissing(f"the emulator needs {', '.join(missing)}")
    before = _remembered(folder)
    token_file = folder / "token"
    with _private(token_file) as file:
        file.write((before.token if before else secrets.token_urlsafe(30)).encode())
    log = folder / "emulator.log"
    command = [
        *(sys.executable, "-m", __package__ or "", "--port", str(before.port if before else 0)),
        *("--or-another-port", "--idle", str(idle), "--data", str(folder / "data")),
        *("--account", before.account if before else secrets.token_hex(16)),
        *("--token-file", str(token_file), "--ready-file", str(folder / "emulator.json")),
    ]
    return _wait_for(_spawn(command, folder, log), folder, log)


def _spawn(command: list[str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    package_root = str(Path(__file__).resolve().parents[2])
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)
    }
    path = [package_root, *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(path)
    with _private(log) as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            creationflags=_APART_ON_WINDOWS,
        )
    # Reaps it when it ends; a parent that lives on would otherwise keep a zombie.
    threading.Thread(target=process.wait, daemon=True).start()
    return process


def _wait_for(process: subprocess.Popen[bytes], folder: Path, log: Path) -> Endpoint:
    deadline = time.monotonic() + START_SECONDS
    while process.returncode is None and time.monotonic() < deadline:
        endpoint = _remembered(folder)
        if endpoint is not None and endpoint.pid == process.pid and _is_it(endpoint):
            return endpoint
        time.sleep(_POLL_SECONDS)
    if process.returncode is None:
        process.kill()
    lines = log.read_text(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")
    raise DidNotStart(f"the emulator did not start: {last}")


def _remembered(folder: Path) -> Endpoint | None:
    """Read what the last emulator of this folder wrote; None if that cannot be read."""
    try:
        known = json.loads((folder / "emulator.json").read_bytes())
        port, pid, names = known["port"], known["pid"], (known["account"], known["token"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    # A signal to process 0 or -1 would be one to many.
    if not (_is_count(port) and port < 65536 and _is_count(pid)):
        return None
    if not all(isinstance(name, str) and re.fullmatch(r"[!-~]+", name) for name in names):
        return None
    return Endpoint(f"http://127.0.0.1:{port}{API}", *names, pid, port)


def _is_count(number: object) -> bool:
    return type(number) is int and number > 0


def _is_it(endpoint: Endpoint) -> bool:
    """Ask whether the process on this port is the emulator that wrote the endpoint down."""
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=2.0)
    nonce = secrets.token_hex(16)
    try:
        connection.request("GET", IDENTITY_PATH, headers={NONCE_HEADER: nonce})
        reply = connection.getresponse()
        said = json.loads(reply.read(4096)) if reply.status == 200 else None
    except (OSError, ValueError, RecursionError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    proof = str(said.get("proof")) if isinstance(said, dict) else ""
    return hmac.compare_digest(proof.encode(errors="replace"), endpoint.proof(nonce).encode())


def _private(path: Path) -> IO[bytes]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, 0o600), "wb")

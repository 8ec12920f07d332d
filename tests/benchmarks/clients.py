"""The four clients: how each is started to send files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.account import ACCOUNT, SINK
from benchmarks.serving import Server

HERE = Path(__file__).parent
TOKEN = "benchmark-token-of-no-account"  # opens nothing
CFUPLOAD = [sys.executable, "-P", "-m", "cfstream_upload"]
TUS_JS = "tus-js-client@4.3.1"

Command = Callable[[Server, Sequence[Path]], list[str]]


@dataclass(frozen=True)
class Client:
    """One client; ``missing`` says why it cannot be measured here."""

    name: str
    command: Command
    missing: str = ""


def environment(server: Server | None, state: Path) -> dict[str, str]:
    """What every client is started with; ``state`` is this run's folder of cfupload."""
    private = ("CLOUDFLARE_", "CF_", "CFUPLOAD_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(private)}
    clean |= {"CFUPLOAD_STATE_DIR": str(state), "CFUPLOAD_CONFIG": str(state / "config.toml")}
    if server is None:
        return clean
    clean |= {
        "CLOUDFLARE_API_BASE_URL": f"{server.base}/client/v4",
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        "CLOUDFLARE_API_TOKEN": TOKEN,
        "NODE_PATH": str(node_folder() / "node_modules"),
    }
    if server.authority is not None:
        names = ("CFUPLOAD_CA_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE")
        clean |= dict.fromkeys(names, str(server.authority))
    return clean


def cfupload(*options: str) -> Command:
    """``cfupload send`` with ``options``."""
    return lambda server, files: [*CFUPLOAD, "send", "-q", *options, *map(str, files)]


def _tuspy(server: Server, files: Sequence[Path]) -> list[str]:
    script = str(HERE / "tuspy_docs.py")
    return [sys.executable, "-P", script, server.stream, TOKEN, *map(str, files)]


def _tus_js(server: Server, files: Sequence[Path]) -> list[str]:
    return ["node", str(HERE / "tus_docs.cjs"), server.stream, TOKEN, *map(str, files)]


def _curl(server: Server, files: Sequence[Path]) -> list[str]:
    # One PATCH a file, nothing created, nothing asked: nobody can do less.
    command = ["curl", "-sSf", "-X", "PATCH", "-H", "Expect:", "-H", "Tus-Resumable: 1.0.0"]
    command += ["-H", "Upload-Offset: 0", "-H", "Content-Type: application/offset+octet-stream"]
    for file in files:
        command += ["-T", str(file), server.base + SINK]
    return command


def node_folder() -> Path:
    """Where tus-js-client is installed, once for all runs."""
    return Path(tempfile.gettempdir()) / f"cfupload-benchmark-{TUS_JS.replace('@', '-')}"


def _why_no_node() -> str:
    if not (shutil.which("node") and shutil.which("npm")):
        return "node or npm is not here"
    folder = node_folder()
    if not (folder / "node_modules" / "tus-js-client").exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder)]
        ended = subprocess.run([*install, TUS_JS], capture_output=True, check=False)
        if ended.returncode:
            return "npm could not install tus-js-client"
    return ""


def clients(options: Mapping[str, Sequence[str]]) -> list[Client]:
    """All four; ``options`` are cfupload's, by nothing but the key ``cfupload``."""
    return [
        Client("cfupload", cfupload(*options.get("cfupload", ()))),
        Client("tuspy", _tuspy),
        Client("tus-js-client", _tus_js, _why_no_node()),
        Client("curl", _curl, "" if shutil.which("curl") else "curl is not here"),
    ]

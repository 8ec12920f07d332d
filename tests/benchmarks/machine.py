"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import shutil
import ssl
import subprocess
from importlib import metadata
from pathlib import Path

from benchmarks.clients import TUS_JS
from cfstream_upload import __version__


def described(folder: Path) -> dict[str, str]:
    """Name and value of everything that a figure may depend on; ``folder`` held the files."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "file system of files and journal": _said("stat", "-f", "-c", "%T", str(folder)),
        "Python": platform.python_version(),
        "OpenSSL of Python": ssl.OPENSSL_VERSION,
        "cfupload": __version__,
        "tuspy": metadata.version("tuspy"),
        "curl": _curl(),
    }
    if shutil.which("node"):
        openssl = _said("node", "-p", "process.versions.openssl")
        found["tus-js-client"] = (
            f"{TUS_JS.rpartition('@')[2]}, Node {_said('node', '--version')} (OpenSSL {openssl})"
        )
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _curl() -> str:
    """Its version, and that of its TLS library."""
    words = _said("curl", "--version").partition("\n")[0].split()
    library = [word for word in words if "SSL" in word or "TLS" in word]
    return " ".join([*words[1:2], *library[:1]]) or "unknown"


def _said(*command: str) -> str:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return ended.stdout.strip()

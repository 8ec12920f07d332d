"""What a foreign client meets: the API, uploads behind a proxy, and a token-only port."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mp4 import padded_mp4

from cfstream_upload.emulator.endpoint import Endpoint
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.proxy import TcpProxy
from cfstream_upload.emulator.server import running

MIB = 1024 * 1024
CHUNK = 5 * MIB
SIZE = 2 * CHUNK + 12_345
SCRIPTS = Path(__file__).parent / "scripts"


@dataclass
class Stage:
    """A served Stream. Uploads by ``direct_user`` and by form pass the proxy, nothing else does."""

    folder: Path
    model: Stream
    endpoint: Endpoint
    proxy: TcpProxy

    @property
    def videos_url(self) -> str:
        return f"{self.endpoint.base_url}/accounts/{self.endpoint.account}/stream"

    @property
    def authorization(self) -> str:
        return f"Bearer {self.endpoint.token}"

    def file(self, name: str = "film.mp4", size: int = SIZE) -> Path:
        return padded_mp4(self.folder / name, size, sparse=False, seed=size)

    def holds(self, file: Path, *, uid: str | None = None) -> bool:
        """Whether there is exactly one video, this one, whole, with the bytes of ``file``."""
        (video,) = self.model.videos()
        state = video["status"]["state"]  # type: ignore[index]
        return (
            uid in (None, video["uid"])
            and state in ("queued", "inprogress", "ready")
            and self.model.sha256(str(video["uid"])) == digest(file)
        )

    def script(self, name: str, *arguments: object, **environment: object) -> Ended:
        """Run one of our scripts around somebody else's client, as a process."""
        program = ["node"] if name.endswith(".cjs") else [sys.executable, "-P"]
        given = {
            "CLOUDFLARE_BASE_URL": self.endpoint.base_url,
            "CLOUDFLARE_ACCOUNT_ID": self.endpoint.account,
            "CLOUDFLARE_API_TOKEN": self.endpoint.token,
            **{key: str(value) for key, value in environment.items()},
        }
        return run([*program, str(SCRIPTS / name), *map(str, arguments)], given)


@dataclass(frozen=True)
class Ended:
    """A process that ended."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> Any:  # noqa: ANN401  # what the script printed
        assert self.code == 0, self.err
        return json.loads(self.out)


def run(command: list[str], environment: dict[str, str] | None = None) -> Ended:
    """Run a client to its end."""
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextmanager
def staged(folder: Path, **service: Any) -> Iterator[Stage]:  # noqa: ANN401  # passed through
    """Serve a fresh Stream below ``folder``; ``service`` are its options."""
    # Of their own: the suite looks for those that are made unnamed in whatever a process shows,
    # and other people's clients show an upload URL, or take a token in their arguments.
    account, token = secrets.token_hex(16), secrets.token_urlsafe(30)
    model = Stream(data=folder / "stream", account=account, token=token, **service)
    with (
        running(model, with_token_port=True) as endpoint,
        TcpProxy("127.0.0.1", endpoint.port) as proxy,
    ):
        model.upload_base = f"http://127.0.0.1:{proxy.port}"
        yield Stage(folder, model, endpoint, proxy)

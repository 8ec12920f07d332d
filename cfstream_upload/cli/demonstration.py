"""``cfupload demo``: four acts on real sockets, each judged by what Stream holds.

The acts run the ordinary command; between it and the embedded Stream stands a proxy that harms the
bytes of uploads, while calls to the API pass beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cfstream_upload.errors import CfuploadError, ExtraMissing

if TYPE_CHECKING:
    from cfstream_upload.cli.desk import Desk
    from cfstream_upload.emulator.exchange import Exchange, Request
    from cfstream_upload.emulator.model import Stream
    from cfstream_upload.emulator.proxy import TcpProxy

MIB = 1024 * 1024
SIZE = 48 * MIB
RATE = 96 * MIB
PATIENCE = 60.0


class BrokenPromise(CfuploadError):
    """An act did not end as promised."""


@dataclass
class Watched:
    """The service, with a note of where each PATCH began and what was acknowledged then."""

    stream: Stream
    patches: list[tuple[int, int]] = field(default_factory=list)

    @property
    def account(self) -> str:
        """The account id."""
        return self.stream.account

    @property
    def token(self) -> str:
        """The API token."""
        return self.stream.token

    def begin(self, request: Request) -> Exchange:
        """Start an exchange, noted if it is a PATCH."""
        if request.method == "PATCH":
            from cfstream_upload.emulator.exchange import Request as Head

            head = Head("HEAD", request.path, request.query, {"tus-resumable": "1.0.0"})
            known = self.stream(head).headers.get("upload-offset", "0")
            self.patches.append((int(request.headers["upload-offset"]), int(known)))
        return self.stream.begin(request)


class Demonstration:
    """The four acts; `run` answers with the exit code: 0 only if each ended as promised."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._acts: list[dict[str, Any]] = []

    def run(self) -> int:
        """Play all acts in a folder of their own, which is removed after them."""
        started = time.monotonic()
        folder = Path(tempfile.mkdtemp(prefix="cfupload-demo-"))
        try:
            with self._stage(folder):
                for act in (self._clean, self._cut, self._failed, self._killed):
                    self._play(act)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        seconds = round(time.monotonic() - started, 1)
        self._say("")
        self._say(f"All four acts ended as promised, in {seconds} s.")
        self._desk.answered("acts", "act", self._acts)
        return 0

    @contextmanager
    def _stage(self, folder: Path) -> Iterator[None]:
        try:
            from cfstream_upload.emulator.pages import Pages
            from cfstream_upload.emulator.server import running
        except ImportError as missing:
            raise ExtraMissing(
                f"The demo needs the extra 'emulator' ({missing.name} is missing)",
                "Run: pip install 'cfstream-upload[emulator]'",
            ) from None
        from cfstream_upload.emulator.model import Stream
        from cfstream_upload.emulator.proxy import TcpProxy

        self._folder = folder
        self._stream = Stream(data=folder / "stream")
        self._watched = Watched(self._stream)
        with (
            running(self._watched, pages=Pages(self._stream)) as endpoint,
            TcpProxy("127.0.0.1", endpoint.port) as proxy,
        ):
            self._proxy: TcpProxy = proxy
            self._stream.upload_base = f"http://127.0.0.1:{proxy.port}"
            proxy.limit_rate(RATE)
            self._say(f"Watch it in a browser: http://127.0.0.1:{endpoint.port}/")
            with self._living_in(
                folder,
                {
                    "CLOUDFLARE_API_BASE_URL": endpoint.base_url,
                    "CLOUDFLARE_ACCOUNT_ID": endpoint.account,
                    "CLOUDFLARE_API_TOKEN": endpoint.token,
                    "CFUPLOAD_STATE_DIR": str(folder / "state"),
                    "CFUPLOAD_CONFIG": str(folder / "config.toml"),
                },
            ):
                yield

    @contextmanager
    def _living_in(self, folder: Path, account: dict[str, str]) -> Iterator[None]:
        """Work in ``folder`` on the demo's own account, and on nothing of the user's."""
        before, home = dict(os.environ), Path.cwd()
        for name in list(os.environ):
            if name.startswith(("CFUPLOAD_", "CLOUDFLARE_", "CF_", "GITHUB_")):
                del os.environ[name]
        os.environ.update(account)
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(home)
            os.environ.clear()
            os.environ.update(before)

    def _play(self, act: Callable[[], None]) -> None:
        number = len(self._acts) + 1
        title, _, rest = (act.__doc__ or "").partition("\n")
        self._say("")
        self._say(f"--- Act {number}: {title}")
        if told := " ".join(rest.split()):
            self._say(told)
        started = time.monotonic()
        act()
        self._acts.append({"act": title, "seconds": round(time.monotonic() - started, 2)})
        self._run("list", check=0)

    # --- the acts --------------------------------------------------------------------------------

    def _clean(self) -> None:
        """A clean line."""
        file = self._video("clean.mp4")
        self._run("send", file.name, check=0)
        self._promise_one(file)

    def _cut(self) -> None:
        """The line is cut at half, once.

        The upload asks Stream how far it got and goes on from there.
        """
        file = self._video("cut.mp4")
        self._watched.patches.clear()
        self._proxy.cut_after(SIZE // 2)
        self._run("send", file.name, check=0)
        self._promise_one(file)
        began = [offset for offset, _ in self._watched.patches]
        again = sum(max(0, known - offset) for offset, known in self._watched.patches)
        places = ", ".join(f"{offset / MIB:.1f}" for offset in began)
        self._say(f"Chunks began at {places} MiB; acknowledged bytes sent again: {again}.")
        self._promise(again == 0, "acknowledged bytes were sent again")

    def _failed(self) -> None:
        """The upload's line dies at half and stays dead; the same command is run until it works.

        Each failure deletes its video, and after three retries there is one.
        """
        file = self._video("failed.mp4")
        for _ in range(3):
            with self._dying_line(SIZE // 2):
                self._run("send", "--retries", "0", file.name, check=6)
            self._promise(not self._pending(), "a pending upload was left")
            self._promise(not self._named(file), "a failed video was left")
        self._run("send", file.name, check=0)
        self._promise_one(file)

    def _killed(self) -> None:
        """A kill -9 in mid-upload, and the sweep after it."""
        file = self._video("killed.mp4")
        before = self._proxy.bytes_up
        self._say("$ cfupload send killed.mp4 & kill -9 $!")
        shown = None if self._desk.common.mode == "text" else subprocess.DEVNULL
        command = [sys.executable, "-m", "cfstream_upload", "send", file.name]
        process = subprocess.Popen(command, stdout=shown, stderr=shown)
        self._until(lambda: self._proxy.bytes_up - before > SIZE // 2)
        process.kill()
        process.wait()
        if shown is None and sys.stderr.isatty():
            sys.stderr.write("\n")  # a killed process leaves its bar, and the cursor behind it
        self._promise(len(self._pending()) == 1, "the killed upload should be pending")
        self._run("list", "--state", "pendingupload", check=0)
        self._run("cleanup", "--orphans", "--yes", check=0)
        self._promise(not self._pending(), "the sweep left a pending upload")
        self._run("send", file.name, check=0)
        self._promise_one(file)

    # --- what they need --------------------------------------------------------------------------

    def _video(self, name: str) -> Path:
        from cfstream_upload.emulator.footage import padded_mp4

        return padded_mp4(self._folder / name, SIZE, sparse=False, seed=len(self._acts))

    @contextmanager
    def _dying_line(self, count: int) -> Iterator[None]:
        """The upload's line dies with the ``count``-th byte from now, until the block ends."""
        self._proxy.die_after(count)
        try:
            yield
        finally:
            self._proxy.revive()

    def _run(self, *arguments: str, check: int) -> None:
        """Run the ordinary command, in this process: starting twenty of them would take longer."""
        from cfstream_upload.cli.app import run

        self._say("$ cfupload " + " ".join(arguments))
        with self._hidden():
            ended = run(list(arguments))
        self._promise(ended == check, f"exit code {ended} where {check} was promised")

    @contextmanager
    def _hidden(self) -> Iterator[None]:
        """Where stdout carries a document, the acts' own output goes nowhere."""
        if self._desk.common.mode == "text":
            yield
            return
        with (
            Path(os.devnull).open("w") as nowhere,
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
        ):
            yield

    def _until(self, condition: Callable[[], bool]) -> None:
        ends = time.monotonic() + PATIENCE
        while not condition():
            self._promise(time.monotonic() < ends, "the upload did not get on")
            time.sleep(0.01)

    def _pending(self) -> list[dict[str, Any]]:
        return [video for video in self._videos() if _state(video) == "pendingupload"]

    def _named(self, file: Path) -> list[dict[str, Any]]:
        return [video for video in self._videos() if video["meta"].get("name") == file.name]

    def _videos(self) -> list[dict[str, Any]]:
        videos: list[dict[str, Any]] = json.loads(json.dumps(self._stream.videos()))
        return videos

    def _promise_one(self, file: Path) -> None:
        """Exactly one video of ``file``, whole, with its digest, and nothing pending."""
        videos = self._named(file)
        self._promise(len(videos) == 1, f"{len(videos)} videos of {file.name}, not one")
        self._promise(not self._pending(), "a pending upload was left")
        with file.open("rb") as opened:
            sent = hashlib.file_digest(opened, "sha256").hexdigest()
        stored = self._stream.sha256(videos[0]["uid"])
        self._promise(sent == stored, "the video is not the file that was sent")
        self._say(f"One video, nothing pending. SHA-256 {stored[:16]}... is that of the file.")

    def _promise(self, kept: bool, words: str) -> None:
        if not kept:
            raise BrokenPromise(f"Act {len(self._acts) + 1} did not end as promised: {words}")

    def _say(self, words: str) -> None:
        if self._desk.common.mode == "text":
            self._desk.console.line(words)


def _state(video: dict[str, Any]) -> str:
    return str(video["status"]["state"])

"""Rows 100 and 101: names that an enemy chose, of files here and of videos on Stream."""

from __future__ import annotations

import base64
import contextlib
import os
import pty
import re
import select
import struct
import subprocess
import time
from pathlib import Path

from matrix.rows import Scene, row
from matrix.scenes import digest, on_sockets
from mp4 import padded_mp4
from served import COMMAND, Served

from cfstream_upload.cli.app import run
from cfstream_upload.emulator.exchange import Request, converse

NAMES = [
    "esc\x1b[66;6Hmove", "\x1b[2J\x1b[31mred", "osc\x1b]0;title\x07",
    "\x1b]8;;http://evil/\x1b\\link",
    "\x1b]52;c;ZXZpbA==\x07", "\x1bc", "\x1b[6n", "\x1bP1$r\x1b\\", "c1\x9b66;6Hmove",
    "\x9d0;t\x9c",
    "\x85next", "cr\rlf\n", "\nerror: forged\n  hint: none", "tab\tbed", "bel\x07",
    "back\b\b\bspace",
    "del\x7f", "nul-less\x01\x02", "rtl\u202egpj", "iso\u2066late\u2069", "zero\u200bwidth",
    "bom\ufeff", "lines\u2028and\u2029", "fill\u3164er", "\udcff\udcfe", "half\udced",
    "[/x]", "[bold]b[/bold]", "[link=http://evil]x", "{0}{name}", "%s%n%x", "$(touch evil)", "`id`",
    "; rm -rf x", "'\"", "\\x1b", "--help", "-", "-rf", "~", "\u00e9\u0301\U0001f3a5", "a" * 251,
    "::error::x",
    "##[command]x", "../x", " lead and trail ", "CON", "name=a,b",
]  # fmt: skip

DIVISION = "\u2215"
"""No file name holds a slash: this one looks like it."""

CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def assert_harmless(text: str) -> None:
    """No byte below 0x20 but line feed, no DEL, no C1, no direction mark, no lone surrogate."""
    assert not CONTROL.search(text), repr(CONTROL.findall(text))


def _files(folder: Path) -> list[Path]:
    """A small video under each name; the bytes differ, so that no two are one."""
    made = []
    for number, name in enumerate(NAMES):
        ending = "" if name in ("--help", "-", "-rf", "~") else ".mp4"
        path = folder / f"{name.replace('/', DIVISION)}{ending}"
        made.append(padded_mp4(path, 60_000, sparse=False, seed=number))
    assert len({path.name for path in made}) == len(NAMES)
    return made


def on_terminal(
    folder: Path, *arguments: str, columns: int = 80, term: str = "xterm-256color"
) -> tuple[int, bytes]:
    """Run the command at a pseudo-terminal that wide: its exit code, and all that it was given."""
    import fcntl
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, stdin=slave, stdout=slave, stderr=slave,
        env={**os.environ, "TERM": term},
    )  # fmt: skip
    os.close(slave)
    screen = b""
    ends = time.monotonic() + 90
    with contextlib.suppress(OSError):
        while time.monotonic() < ends:
            if not select.select([master], [], [], 0.2)[0]:
                continue
            if not (part := os.read(master, 65536)):
                break
            screen += part
    os.close(master)
    return process.wait(30), screen


def _shown(screen: bytes) -> str:
    """What a terminal was given, its own line ends made plain."""
    return screen.decode("utf-8", "surrogateescape").replace("\r\n", "\n")


def _all_arrived(stream: Served, paths: list[Path]) -> None:
    videos = stream.videos()
    assert sorted(stream.model.sha256(v["uid"]) for v in videos) == sorted(map(digest, paths))
    assert "pendingupload" not in stream.states()


@row(100, "two dozen names")
def _hostile_file_names(scene: Scene) -> None:
    """Names of escapes, markup, options: one video each, no control byte on the terminal."""
    stream = on_sockets(scene)
    paths = _files(stream.folder)[::2]
    arguments = [path.name for path in paths]
    code, screen = on_terminal(
        stream.folder, "--no-color", "--no-progress", "send", "--", *arguments
    )
    shown = _shown(screen)
    assert code == 0, shown
    assert_harmless(shown)
    assert "esc\\x1b[66;6Hmove" in shown
    assert "\nerror: forged" not in shown
    _all_arrived(stream, paths)
    some = arguments[::3]
    again = stream.run("send", "--json", "--", *some)
    assert again.code == 0
    assert again.document["summary"]["already"] == len(some)
    assert_harmless(again.out)
    assert not (stream.folder / "evil").exists()
    assert stream.journal() == []


@row(100, "beside the bar")
def _hostile_file_names_in_the_bar(scene: Scene) -> None:
    """The same names while a bar is drawn: only the bar's own sequences reach the terminal."""
    stream = on_sockets(scene)
    paths = _files(stream.folder)[1::2]
    stream.proxy.limit_rate(1_000_000)
    code, screen = on_terminal(stream.folder, "send", "--", *[path.name for path in paths])
    assert code == 0
    shown = re.sub(r"\x1b\[(?:[0-9;]*m|[0-9]*[AGK]|2K|\?25[hl])", "", _shown(screen))
    assert_harmless(shown.replace("\r", ""))
    assert "\x1b[66;6H" not in _shown(screen)
    _all_arrived(stream, paths)


@row(101, "list, get, status")
def _hostile_video_names(scene: Scene) -> None:
    """Videos of such names: `list` and `get` show them harmless; none of them is changed."""
    stream = on_sockets(scene)
    for name in NAMES:
        value = base64.b64encode(name.encode("utf-8", "surrogatepass")).decode()
        headers = {
            "tus-resumable": "1.0.0", "upload-length": "9", "upload-metadata": f"name {value}",
            "authorization": f"Bearer {stream.model.token}", "host": "127.0.0.1:9",
        }  # fmt: skip
        path = f"/client/v4/accounts/{stream.model.account}/stream"
        request = Request("POST", path, {"direct_user": "true"}, headers)
        converse(stream.model, request)
    before = stream.videos()
    assert len(before) > 40
    scene.monkeypatch.chdir(stream.folder)
    capture = scene.request.getfixturevalue("capfd")
    for command in (["list"], ["list", "--json"], ["list", "--ndjson"], ["status"], ["cleanup"]):
        assert run(command) == 0
        told = capture.readouterr()
        if command == ["list"]:
            assert "esc\\x1b[66;6Hmove" in told.out
        assert_harmless(told.out.replace("\t", " ") + told.err)
    for video in before[:12]:
        assert run(["get", video["uid"]]) == 0
        assert_harmless(capture.readouterr().out)
    code, screen = on_terminal(stream.folder, "--no-color", "list")
    assert code == 0
    assert_harmless(_shown(screen))
    assert stream.videos() == before

"""Uploads of bytes from memory by tus, as fast as Python can: what the embedded Stream takes.

``tus_sender.py PORT SIZE COUNT [keep]``: so many uploads at once, each on one connection of its
own, in PATCHes of 200 MiB. Account and token are in the environment. Tells the seconds from the
first byte to the last reply and its CPU meanwhile, then deletes what it sent; with ``keep`` it
tells the SHA-256 of each by UID instead.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

CHUNK = 200 * 1024 * 1024
BLOCK = memoryview(bytes(4 * 1024 * 1024))
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00"


class Sender:
    """One upload on one connection."""

    def __init__(self, port: int, account: str, number: int, size: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port))
        self._stream = f"/client/v4/accounts/{account}/stream"
        # Each has bytes of its own.
        self._first = (MP4 + number.to_bytes(8, "big"))[:size]
        self._size = size
        headers = self._asked(
            f"POST {self._stream}?direct_user=true", 201, f"Upload-Length: {size}", bearer=True
        )
        self.uid = headers["stream-media-id"]
        self._path = "/" + headers["location"].split("/", 3)[3]

    def send(self) -> None:
        """Send everything."""
        for offset in range(0, self._size, CHUNK):
            length = min(CHUNK, self._size - offset)
            self._ask(
                f"PATCH {self._path}",
                "Content-Type: application/offset+octet-stream",
                f"Upload-Offset: {offset}",
                length=length,
            )
            if offset == 0:
                self._sock.sendall(self._first)
                length -= len(self._first)
            for at in range(0, length, len(BLOCK)):
                self._sock.sendall(BLOCK[: length - at])
            kept = int(self._reply(204)["upload-offset"])
            if kept != min(offset + CHUNK, self._size):
                sys.exit(f"{kept} bytes were kept")

    def digest(self) -> str:
        """The SHA-256 of what was sent."""
        known = hashlib.sha256(self._first)
        left = self._size - len(self._first)
        for at in range(0, left, len(BLOCK)):
            known.update(BLOCK[: left - at])
        return known.hexdigest()

    def delete(self) -> None:
        """Delete the video."""
        self._asked(f"DELETE {self._stream}/{self.uid}", 200, bearer=True)

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def _asked(self, first: str, status: int, *headers: str, bearer: bool) -> dict[str, str]:
        token = os.environ.get("CLOUDFLARE_API_TOKEN", "")
        self._ask(first, *headers, *([f"Authorization: Bearer {token}"] if bearer else []))
        return self._reply(status)

    def _ask(self, first: str, *headers: str, length: int = 0) -> None:
        lines = [f"{first} HTTP/1.1", "Host: 127.0.0.1", "Tus-Resumable: 1.0.0", *headers]
        self._sock.sendall("\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode())

    def _reply(self, status: int) -> dict[str, str]:
        came = b""
        while b"\r\n\r\n" not in came and (block := self._sock.recv(65_536)):
            came += block
        head = came.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        if head[0].split()[1:2] != [str(status)]:
            sys.exit(f"answered with {head[0]!r} in place of {status}")
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}


def main() -> None:
    port, size, count = map(int, sys.argv[1:4])
    account = os.environ["CLOUDFLARE_ACCOUNT_ID"]
    senders = [Sender(port, account, number, size) for number in range(count)]
    together = threading.Barrier(count + 1)

    def sent(sender: Sender) -> None:
        together.wait()
        sender.send()

    with ThreadPoolExecutor(count) as pool:
        under_way = [pool.submit(sent, sender) for sender in senders]
        together.wait()
        began, cpu = time.monotonic(), time.process_time()
        for one in under_way:
            one.result()
        taken = {"seconds": time.monotonic() - began, "cpu": time.process_time() - cpu}
    keep = sys.argv[4:] == ["keep"]
    digests = {sender.uid: sender.digest() for sender in senders} if keep else {}
    for sender in senders:
        if not keep:
            sender.delete()
        sender.close()
    print(json.dumps({**taken, "digests": digests}))


if __name__ == "__main__":
    main()

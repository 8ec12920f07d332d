"""A process that speaks enough of Stream's API and of tus, and throws every body away.

Started by `serving`: prints one line of JSON with its port, then answers one line of JSON with
another until its standard input ends.
"""

from __future__ import annotations

import argparse
import contextlib
import email.utils
import json
import resource
import socket
import ssl
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.account import SINK, STREAM, Account, Asked, Fault, envelope
from benchmarks.connections import Connection, Plain, Secrets, Secured, break_off

_WORDS = {200: "OK", 201: "Created", 204: "No Content", 404: "Not Found", 408: "Request Timeout"}
_LINGER = 3.0


class Request:
    """The head of a request; ``rest`` are the bytes of its body that came with it."""

    def __init__(self, head: bytes, rest: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ")
        fields = (line.partition(":") for line in lines)
        self.headers = {name.lower(): value.strip() for name, _, value in fields}
        self.path = urlsplit(self.target).path
        self.rest = rest
        self.length = int(self.headers.get("content-length", "0"))


class Talk:
    """One connection, request after request."""

    def __init__(self, account: Account, connection: Connection, scheme: str) -> None:
        self._account = account
        self._connection = connection
        self._scheme = scheme

    def go_on(self) -> None:
        """Answer until the peer has no more to ask, or is cut off."""
        left = b""
        while (request := self._request(left)) is not None:
            if request.headers.get("expect", "").lower() == "100-continue":
                self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if not self._answered(request):
                return
            left = b""

    def _request(self, data: bytes) -> Request | None:
        while b"\r\n\r\n" not in data:
            more = self._connection.read()
            if not more:
                return None
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        return Request(head, rest)

    def _answered(self, request: Request) -> bool:
        """Whether the connection goes on."""
        if request.method == "PATCH":
            return self._patched(request)
        if request.path == STREAM:
            return self._collection(request)
        kind = "video" if request.path.startswith(STREAM + "/") else "upload"
        upload = self._account.uploads.get(request.path.rpartition("/")[2])
        self._note(Asked(request.method, kind, 200 if upload else 404))
        if upload is None:
            return self._reply(404, body=envelope(None, code=10003, text="Not found"))
        if request.method == "HEAD":
            return self._reply(
                200, {"Upload-Offset": upload.offset, "Upload-Length": upload.length}
            )
        if request.method == "DELETE":
            self._account.uploads.pop(upload.uid, None)
            return self._reply(200)
        return self._reply(200, body=envelope(upload.video))

    def _collection(self, request: Request) -> bool:
        if request.method == "GET":
            self._note(Asked("GET", "list", 200))
            videos = [upload.video for upload in list(self._account.uploads.values())]
            return self._reply(200, body=envelope(videos))
        headers = request.headers
        upload = self._account.creates(
            int(headers["upload-length"]), headers.get("upload-metadata", "")
        )
        self._note(Asked("POST", "create", 201))
        location = f"{self._scheme}://{headers['host']}/tus/{upload.uid}?tusv2=true"
        return self._reply(201, {"Location": location, "Stream-Media-Id": upload.uid})

    def _patched(self, request: Request) -> bool:
        offset = int(request.headers.get("upload-offset", "0"))
        uid = request.path.rpartition("/")[2]
        upload = self._account.uploads.get(uid)
        if upload is None:
            if request.path != SINK:
                return self._reply(404, body=envelope(None, code=10003, text="Not found"))
            upload = self._account.creates(request.length, "")
        asked = Asked("PATCH", "upload", 0, offset, upload.offset, request.length)
        fault = self._account.fault()
        asked.began = time.monotonic()
        self._note(asked)
        wanted = request.length if fault is None else int(request.length * fault.share)
        self._take(request, asked, wanted)
        asked.ended = time.monotonic()
        if offset != upload.offset:
            asked.status = 409
            return asked.came == request.length and self._reply(409)
        if fault is None or fault.keep:
            upload.offset += asked.came
        if fault is not None:
            return self._harmed(request, asked, fault)
        if asked.came < request.length:
            return False
        asked.status = 204
        return self._reply(204, {"Upload-Offset": upload.offset})

    def _take(self, request: Request, asked: Asked, wanted: int) -> None:
        """Throw away the body, up to ``wanted`` bytes of it."""
        skip, count = self._connection.skip, self._account.count
        asked.came = len(request.rest)
        count(asked.came)
        rate = self._account.rate
        with contextlib.suppress(OSError):
            while (left := wanted - asked.came) > 0 and (came := skip(left)) > 0:
                asked.came += came
                count(came)
                if rate is not None:
                    # What is not read yet fills the socket's buffer, and then the sender waits.
                    time.sleep(max(0.0, asked.began + asked.came / rate - time.monotonic()))

    def _harmed(self, request: Request, asked: Asked, fault: Fault) -> bool:
        asked.status = fault.status
        if not fault.status:
            break_off(self._connection.sock)
            return False
        body = envelope(None, code=fault.code, text="refused") if fault.code else b"timeout"
        self._reply(fault.status, {"Connection": "close"}, body)
        # With unread bytes a close would reset the connection, and the reply with it.
        self._connection.sock.shutdown(socket.SHUT_WR)
        until = time.monotonic() + _LINGER
        with contextlib.suppress(OSError):
            while time.monotonic() < until and self._connection.skip(request.length) > 0:
                pass
        return False

    def _reply(
        self, status: int, headers: dict[str, str | int] | None = None, body: bytes = b""
    ) -> bool:
        fields: dict[str, str | int] = {
            "Date": email.utils.formatdate(usegmt=True),
            "Tus-Resumable": "1.0.0",
            **(headers or {}),
        }
        if status != 204:
            fields["Content-Length"] = len(body)
        if body:
            fields["Content-Type"] = "application/json"
        lines = [f"HTTP/1.1 {status} {_WORDS.get(status, 'Refused')}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self._connection.write("\r\n".join([*lines, "", ""]).encode() + body)
        return True

    def _note(self, asked: Asked) -> None:
        with self._account.turn:
            self._account.asked.append(asked)


def _attended(sock: socket.socket, account: Account, secure: _Secure | None) -> None:
    sock.settimeout(120)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError, ssl.SSLError), sock:
        connection = Plain(sock) if secure is None else Secured(sock, *secure)
        Talk(account, connection, "https" if secure else "http").go_on()


_Secure = tuple[ssl.SSLContext, Secrets]


def _secure(certificate: str) -> _Secure:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # tickets would be records that `connections` had to count
    context.load_cert_chain(certificate)
    with tempfile.NamedTemporaryFile(prefix="cfupload-keys-", delete=False) as file:
        path = Path(file.name)
    secrets = Secrets(context, path)
    path.unlink()
    return context, secrets


def _accepting(listener: socket.socket, account: Account, secure: _Secure | None) -> None:
    while True:
        sock, _ = listener.accept()
        work = partial(_attended, sock, account, secure)
        threading.Thread(target=work, daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", help="PEM of key and chain; without one: plain HTTP")
    chosen = parser.parse_args()
    account = Account()
    secure = _secure(chosen.certificate) if chosen.certificate else None
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    threading.Thread(target=_accepting, args=(listener, account, secure), daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    for line in sys.stdin:
        told = account.ordered(json.loads(line))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({**told, "cpu": usage.ru_utime + usage.ru_stime}), flush=True)


if __name__ == "__main__":
    main()

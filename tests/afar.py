"""Real services that files are read from: a small web server, and moto's S3 as a process."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass
class Page:
    """What one address of the web server gives, and how it misbehaves."""

    data: bytes
    etag: str | None = ""
    """Empty: of the data."""
    modified: float | None = 1_700_000_000.0
    ranges: bool = True
    encoding: str = ""
    location: str = ""
    status: int = 0
    """Instead of an answer."""
    before: Callable[[Page, int], None] | None = None
    """Hears the number of each request before it is answered, with a page for this answer alone."""
    short: set[int] = field(default_factory=set)
    """Numbers of requests whose answers end too soon."""
    shifted: set[int] = field(default_factory=set)
    """Numbers of requests that are answered with the range after the one asked for."""
    cropped: set[int] = field(default_factory=set)
    """Numbers of requests that get less than the range that their answers tell of."""
    asked: list[dict[str, str]] = field(default_factory=list)

    def headers(self) -> dict[str, str]:
        told = {"Accept-Ranges": "bytes"}
        if self.etag is not None:
            told["ETag"] = self.etag or f'"{md5(self.data).hexdigest()}"'
        if self.modified is not None:
            told["Last-Modified"] = formatdate(self.modified, usegmt=True)
        if self.encoding:
            told["Content-Encoding"] = self.encoding
        return told


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        return None

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            self._answer(404, {}, b"")
            return
        with self.server.turn:
            number = len(page.asked)
            page.asked.append({**{k.lower(): v for k, v in self.headers.items()}, "": self.path})
        if page.before is not None:
            before, page = page.before, replace(page)
            before(page, number)
        if page.status:
            self._answer(page.status, {}, b"no")
        elif page.location:
            self._answer(302, {"Location": page.location}, b"")
        else:
            self._data(page, number)

    def _data(self, page: Page, number: int) -> None:
        told = page.headers()
        wanted = self.headers.get("If-Match")
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        if wanted is not None and wanted != told.get("ETag"):
            self._answer(412, told, b"")
        elif found is None or not page.ranges:
            self._answer(200, told, page.data)
        elif int(found[1]) >= len(page.data):
            self._answer(416, {**told, "Content-Range": f"bytes */{len(page.data)}"}, b"")
        else:
            by = int(number in page.shifted)
            first, last = int(found[1]) + by, min(int(found[2]) + by, len(page.data) - 1)
            told["Content-Range"] = f"bytes {first}-{last}/{len(page.data)}"
            body = page.data[first : last + 1]
            body = body[: len(body) // 2] if number in page.cropped else body
            self._answer(206, told, body, len(body) // 2 if number in page.short else None)

    def _answer(
        self, status: int, told: dict[str, str], body: bytes, sent: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in told.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent])
        self.close_connection = sent is not None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    pages: dict[str, Page]
    turn: threading.Lock

    def handle_error(self, request: object, client_address: object) -> None:
        return None  # a client that went away


@dataclass
class Web:
    """A web server: ``pages`` by path."""

    base: str
    pages: dict[str, Page]

    def put(self, path: str, page: Page) -> str:
        self.pages[path] = page
        return self.base + path


@contextmanager
def web() -> Iterator[Web]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.pages, server.turn = {}, threading.Lock()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield Web(f"http://127.0.0.1:{server.server_port}", server.pages)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


SECRET = "s3-key-of-this-test-alone"


def s3_environment(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@dataclass
class S3:
    """moto's server, and a client of it that is not ours."""

    port: int
    client: Any

    def bucket(self, name: str, *, versioned: bool = False) -> str:
        self.client.create_bucket(Bucket=name)
        if versioned:
            how = {"Status": "Enabled"}
            self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration=how)
        return name

    def put(self, bucket: str, key: str, data: bytes) -> str:
        self.client.put_object(Bucket=bucket, Key=key, Body=data)
        return f"s3://{bucket}/{key}"

    def delete(self, bucket: str, key: str) -> None:
        self.client.delete_object(Bucket=bucket, Key=key)

    @contextmanager
    def guarded(self) -> Iterator[dict[str, str]]:
        """IAM's rules hold; the environment of a user who is known and may do nothing."""
        from botocore.session import Session

        base = f"http://127.0.0.1:{self.port}"
        known = {"aws_access_key_id": "other", "aws_secret_access_key": "other-other"}
        with closing(
            Session().create_client("iam", region_name="us-east-1", endpoint_url=base, **known)
        ) as iam:
            iam.create_user(UserName="poor")
            key = iam.create_access_key(UserName="poor")["AccessKey"]
        rules = f"{base}/moto-api/reset-auth"
        # So many calls are let through before the rules hold.
        httpx.post(rules, content="0").raise_for_status()
        try:
            yield {
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            }
        finally:
            httpx.post(rules, content="inf").raise_for_status()


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def s3() -> Iterator[S3]:
    """Moto as a process, on a free port."""
    from botocore.session import Session

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-P", "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", f"-p{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    client = Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="other",
        aws_secret_access_key="other-other",
    )
    try:
        ends = time.monotonic() + 40
        while not _listens(port):
            assert process.poll() is None, "moto did not start"
            assert time.monotonic() < ends, "moto does not listen"
            time.sleep(0.05)
        yield S3(port, client)
    finally:
        client.close()
        process.terminate()
        process.wait()

"""A server of objects as Google documents its JSON API, of reading alone; written from those pages.

Objects have generations; of a bucket without versions only the live one is kept. An object that is
stored with ``Content-Encoding: gzip`` is decompressed for whoever does not accept gzip, and then
whole, whatever range was asked for. Tokens are given for a signed assertion (RFC 7523).
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_NUMBERS = count(1_700_000_000_000_001)


@dataclass
class Stored:
    """One generation of an object."""

    data: bytes
    encoding: str = ""
    generation: str = field(default_factory=lambda: str(next(_NUMBERS)))
    labels: dict[str, str] = field(default_factory=dict)

    def told(self, name: str) -> dict[str, Any]:
        created = int(self.generation) % 1_000_000
        told: dict[str, Any] = {
            "name": name,
            "size": str(len(self.data)),
            "generation": self.generation,
            "timeCreated": f"2026-03-01T10:00:00.{created:06d}Z",
            "updated": f"2026-03-01T10:00:{len(self.labels):02d}.000Z",
            "etag": f"CJ{self.generation}/{len(self.labels)}",
            "md5Hash": base64.b64encode(md5(self.data).digest()).decode(),
        }
        return {**told, "contentEncoding": self.encoding} if self.encoding else told


@dataclass
class Bucket:
    """Objects by name, each as its generations, the live one last; None is a deletion."""

    versions: bool = False
    objects: dict[str, list[Stored | None]] = field(default_factory=dict)

    def put(self, key: str, data: bytes, encoding: str = "") -> Stored:
        stored = Stored(data, encoding)
        self.objects[key] = [*self._kept(key), stored]
        return stored

    def delete(self, key: str) -> None:
        self.objects[key] = [*self._kept(key), None]

    def _kept(self, key: str) -> list[Stored | None]:
        return self.objects.get(key, []) if self.versions else []

    def get(self, key: str, generation: str | None) -> Stored | None:
        kept = self.objects.get(key, [None])
        if generation is None:
            return kept[-1]
        return next((one for one in kept if one and one.generation == generation), None)


@dataclass
class Google:
    """The service: ``buckets`` by name, who may read, and what it was asked."""

    base: str = ""
    buckets: dict[str, Bucket] = field(default_factory=dict)
    page: int = 1000
    tokens: set[str] | None = None
    """Who may read; None: anybody."""
    poor: set[str] = field(default_factory=set)
    """Tokens that are known and may read nothing."""
    key: rsa.RSAPrivateKey | None = None
    given: Iterator[int] = field(default_factory=count)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    twist: Callable[[dict[str, str], bytes], tuple[int, dict[str, str], bytes]] | None = None
    """Changes the answers of ranges: headers and body as they are; what is sent instead."""

    def account(self) -> dict[str, str]:
        """A service account's file, whose signatures the service believes."""
        self.key = self.key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": "films",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": "reader@films.iam.gserviceaccount.com",
            "token_uri": f"{self.base}/token",
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        return None

    def do_POST(self) -> None:
        sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        google = self.server.google
        assert self.path == "/token"
        assert google.key is not None
        head, _, signature = sent["assertion"][0].rpartition(".")
        google.key.public_key().verify(
            base64.urlsafe_b64decode(signature + "=="),
            head.encode(),
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
        assert google.tokens is not None
        token = f"token-{next(google.given)}"
        google.tokens.add(token)
        told = {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}
        self._json(200, told)

    def do_GET(self) -> None:
        google = self.server.google
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        google.asked.append(
            (parts.path, {**asked, **{k.lower(): v for k, v in self.headers.items()}})
        )
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token in google.poor:
            return self._refuse(403, "forbidden")
        if google.tokens is not None and token not in google.tokens:
            return self._refuse(401, "authError" if token else "required")
        found = re.fullmatch(r"(?:/download)?/storage/v1/b/([^/]+)/o(?:/([^/]+))?", parts.path)
        bucket = google.buckets.get(found[1]) if found else None
        if found is None or bucket is None:
            return self._refuse(404, "notFound")
        if found[2] is None:
            return self._list(bucket, asked)
        return self._object(bucket, unquote(found[2]), asked)

    def _object(self, bucket: Bucket, key: str, asked: dict[str, str]) -> None:
        stored = bucket.get(key, asked.get("generation"))
        if stored is None:
            return self._refuse(404, "notFound")
        if asked.get("ifGenerationMatch", stored.generation) != stored.generation:
            return self._refuse(412, "conditionNotMet")
        if asked.get("alt") != "media":
            return self._json(200, stored.told(key))
        told = {"x-goog-generation": stored.generation, "Content-Type": "video/mp4"}
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        gzips = "gzip" in self.headers.get("Accept-Encoding", "")
        if stored.encoding == "gzip" and not gzips:
            return self._answer(200, told, gzip.decompress(stored.data))
        if stored.encoding:
            told["Content-Encoding"] = stored.encoding
        if wanted is None:
            return self._answer(200, told, stored.data)
        first, last = int(wanted[1]), min(int(wanted[2]), len(stored.data) - 1)
        if first > last:
            return self._refuse(416, "requestedRangeNotSatisfiable")
        told["Content-Range"] = f"bytes {first}-{last}/{len(stored.data)}"
        twist = self.server.google.twist or (lambda told, data: (206, told, data))
        return self._answer(*twist(told, stored.data[first : last + 1]))

    def _list(self, bucket: Bucket, asked: dict[str, str]) -> None:
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
        rows: dict[str, Stored | None] = {}
        for name in sorted(bucket.objects, key=str.encode):
            stored, rest = bucket.get(name, None), name.removeprefix(prefix)
            if stored is None or not name.startswith(prefix):
                continue
            if delimiter and delimiter in rest:
                rows[prefix + rest.partition(delimiter)[0] + delimiter] = None
            else:
                rows[name] = stored
        after = base64.urlsafe_b64decode(asked.get("pageToken", "")).decode()
        names = [name for name in rows if name > after]
        most = min(int(asked.get("maxResults", 1000)), self.server.google.page)
        page: dict[str, Any] = {"kind": "storage#objects"}
        for name in names[:most]:
            stored = rows[name]
            if stored is None:
                page.setdefault("prefixes", []).append(name)
            else:
                page.setdefault("items", []).append(stored.told(name))
        if len(names) > most:
            page["nextPageToken"] = base64.urlsafe_b64encode(names[most - 1].encode()).decode()
        self._json(200, page)

    def _refuse(self, status: int, reason: str) -> None:
        one = {"message": "No.", "domain": "global", "reason": reason}
        self._json(status, {"error": {"code": status, "message": "No.", "errors": [one]}})

    def _json(self, status: int, told: dict[str, Any]) -> None:
        self._answer(
            status, {"Content-Type": "application/json"}, json.dumps(told, indent=1).encode()
        )

    def _answer(self, status: int, told: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in told.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    google: Google

    def handle_error(self, request: object, client_address: object) -> None:
        return None  # a client that went away


@contextmanager
def google() -> Iterator[Google]:
    """The service on a free port of this process."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.google = Google(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.google
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def google_of(patch: pytest.MonkeyPatch, folder: Path) -> Iterator[Google]:
    """The service with a bucket ``films`` that anybody may read, for commands in this process."""
    with google() as here:
        here.buckets["films"] = Bucket()
        for name in ("GOOGLE_APPLICATION_CREDENTIALS", "API_ENDPOINT_OVERRIDE"):
            patch.delenv(name, raising=False)
        patch.setenv("STORAGE_EMULATOR_HOST", here.base)
        patch.setenv("CLOUDSDK_CONFIG", str(folder / "gcloud"))
        patch.setenv("NO_GCE_CHECK", "true")
        # Smaller pieces, so that smaller files show the same.
        patch.setattr("cfstream_upload.remote.PIECE", 1024 * 1024)
        yield here

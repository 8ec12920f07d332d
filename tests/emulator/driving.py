"""Driving the embedded Stream in the words of its clients, in-process or over a socket."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from cfstream_upload.emulator.endpoint import Endpoint
from cfstream_upload.emulator.exchange import Reply, Request, Service, converse

BLOCK = 262_144
CHUNK = 5_242_880
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00"
ACCOUNT = "a" * 32
TOKEN = "emulator-token"
START = 1_800_000_000.0


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += seconds


@dataclass
class Upload:
    uid: str
    location: str

    @property
    def path(self) -> str:
        return urlsplit(self.location).path


def uids() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"{next(numbers):032x}"


def video_bytes(length: int) -> bytes:
    return (MP4 + bytes(range(256)) * (length // 256 + 1))[:length]


def metadata(**values: str | None) -> str:
    return ",".join(
        key if value is None else f"{key} {base64.b64encode(value.encode()).decode()}"
        for key, value in values.items()
    )


def form(
    data: bytes, field: str = "file", filename: str = "video.mp4", extra: str = ""
) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a form with one file, and perhaps a small field before it."""
    lines = [
        *(["--frontier", f'content-disposition: form-data; name="{extra}"', "", "x"] * bool(extra)),
        "--frontier",
        f'Content-Disposition: form-data; name="{field}"; filename="{filename}"',
        "Content-Type: video/mp4",
        "",
        "",
    ]
    body = "\r\n".join(lines).encode() + data + b"\r\n--frontier--\r\n"
    return {"content-type": "multipart/form-data; boundary=frontier"}, body


def document(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reply.body)
    return found


def result(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply.body
    found: dict[str, Any] = document(reply)["result"]
    return found


def code(reply: Reply) -> int:
    return int(document(reply)["errors"][0]["code"])


class Driver:
    """A client of Stream over anything that turns a request into a reply."""

    def __init__(
        self, send: Callable[[Request], Reply], account: str = ACCOUNT, token: str = TOKEN
    ) -> None:
        self.send = send
        self.account = account
        self.token = token

    def api(
        self,
        method: str,
        path: str = "/stream",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Reply:
        sent = {"authorization": f"Bearer {self.token}", **(headers or {})}
        whole = f"/client/v4/accounts/{self.account}{path}"
        return self.send(Request(method, whole, query or {}, sent, [body]))

    def post(self, length: int | str, *, direct_user: bool = True, **headers: str) -> Reply:
        sent = {"tus-resumable": "1.0.0", "upload-length": str(length), "host": "127.0.0.1"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.api("POST", query={"direct_user": "true"} if direct_user else {}, headers=sent)

    def create(self, length: int, *, direct_user: bool = True, **headers: str) -> Upload:
        reply = self.post(length, direct_user=direct_user, **headers)
        assert reply.status == 201, reply.body
        return Upload(reply.headers["stream-media-id"], reply.headers["location"])

    def direct_upload(self, seconds: int | None = 600, **said: object) -> Reply:
        known = {} if seconds is None else {"maxDurationSeconds": seconds}
        body = json.dumps({**known, **said}).encode()
        headers = {"content-type": "application/json", "host": "127.0.0.1"}
        return self.api("POST", "/stream/direct_upload", headers=headers, body=body)

    def form_upload(self, **said: object) -> Upload:
        made = result(self.direct_upload(**{"seconds": 600, **said}))  # type: ignore[arg-type]
        return Upload(made["uid"], made["uploadURL"])

    def post_form(self, upload: Upload, data: bytes, **options: str) -> Reply:
        headers, body = form(data, **options)
        return self.send(Request("POST", upload.path, (), {"host": "x", **headers}, [body]))

    def basic(self, data: bytes, **options: str) -> Reply:
        headers, body = form(data, **options)
        return self.api("POST", headers={**headers, "host": "127.0.0.1"}, body=body)

    def tus(self, method: str, upload: Upload, body: Iterable[bytes] = (), **headers: str) -> Reply:
        parts = urlsplit(upload.location)
        sent = {"tus-resumable": "1.0.0", "host": parts.netloc}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(Request(method, parts.path, parse_qsl(parts.query), sent, body))

    def head(self, upload: Upload, **headers: str) -> Reply:
        return self.tus("HEAD", upload, (), **headers)

    def offset(self, upload: Upload) -> int:
        reply = self.head(upload)
        assert reply.status == 200
        return int(reply.headers["upload-offset"])

    def patch(self, upload: Upload, offset: int, data: bytes, **headers: str) -> Reply:
        sent = {
            "content-type": "application/offset+octet-stream",
            "upload-offset": str(offset),
            "content-length": str(len(data)),
        }
        return self.tus("PATCH", upload, [data], **{**sent, **headers})

    def sent(self, length: int = 1000, upload_metadata: str = "", creator: str = "") -> Upload:
        upload = self.create(length, upload_metadata=upload_metadata, upload_creator=creator)
        assert self.patch(upload, 0, video_bytes(length)).status == 204
        return upload

    def send_head(self, path: str) -> Reply:
        return self.head(Upload("", f"http://127.0.0.1{path}?tusv2=true"))

    def send_patch(self, path: str, offset: int, data: bytes) -> Reply:
        return self.patch(Upload("", f"http://127.0.0.1{path}?tusv2=true"), offset, data)

    def get(self, uid: str) -> Reply:
        return self.api("GET", f"/stream/{uid}")

    def video(self, uid: str) -> dict[str, Any]:
        return result(self.get(uid))

    def state(self, uid: str) -> str:
        return str(self.video(uid)["status"]["state"])

    def listed(self, **query: str) -> list[str]:
        reply = self.api("GET", query=query)
        assert reply.status == 200, reply.body
        return [video["uid"] for video in document(reply)["result"]]

    def delete(self, uid: str) -> Reply:
        return self.api("DELETE", f"/stream/{uid}")

    def edit(self, uid: str, changes: Mapping[str, object]) -> Reply:
        return self.api("POST", f"/stream/{uid}", body=json.dumps(changes).encode())

    def storage(self, **query: str) -> dict[str, Any]:
        return result(self.api("GET", "/stream/storage-usage", query=query))


def in_process(service: Service) -> Driver:
    return Driver(lambda request: converse(service, request), service.account, service.token)


def over_http(endpoint: Endpoint, client: httpx.Client) -> Driver:
    origin = endpoint.base_url.removesuffix("/client/v4")

    def send(request: Request) -> Reply:
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        content = b"".join(request.body)
        reply = client.request(
            request.method,
            origin + request.path,
            params=dict(request.pairs()),
            headers=headers,
            content=content or None,
        )
        return Reply(reply.status_code, dict(reply.headers), reply.content)

    return Driver(send, endpoint.account, endpoint.token)

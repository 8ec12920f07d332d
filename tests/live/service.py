"""Stream as the live suite talks to it: plain HTTP, nothing of the client that it judges."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

BLOCK = 262_144
SMALLEST_CHUNK = 5_242_880
CHUNK_TYPE = "application/offset+octet-stream"
SAMPLE = Path(__file__).parent.parent.parent / "examples" / "sample.mp4"
TUS = {"tus-resumable": "1.0.0"}
_TRIES = 5


@dataclass(frozen=True)
class Upload:
    """A video that was created; ``url`` is where its bytes go."""

    uid: str
    length: int
    url: str = field(repr=False)
    token: str | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def authorization(self) -> dict[str, str]:
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}


class Live:
    """One account. Everything that is made here carries the mark, and is deleted by its UID.

    ``scale`` multiplies every wait: 1 for Cloudflare, far less for a model of it.
    """

    def __init__(self, base: str, account: str, token: str, scale: float) -> None:
        self.base = base.rstrip("/")
        self.account = account
        self.scale = scale
        self.mark = f"cfupload-live-{secrets.token_hex(6)}"
        self.left: list[str] = []
        self._token = token
        self._made: list[str] = []
        self._http = httpx.Client(timeout=60.0)

    def close(self) -> None:
        self._http.close()

    # --- time ------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        time.sleep(seconds * self.scale)

    def until(
        self, condition: Callable[[], bool], seconds: float, every: float = 1.0
    ) -> tuple[float, float] | None:
        """Ask until the answer is yes: real seconds at the last no (0: none) and at the yes."""
        begun, last_no = time.monotonic(), 0.0
        while True:
            asked = time.monotonic() - begun
            if condition():
                return last_no, time.monotonic() - begun
            last_no = asked
            if asked > seconds * self.scale:
                return None
            self.wait(every)

    def moment(self, seconds: float) -> str:
        """The time in so many seconds (never scaled), in RFC 3339."""
        when = datetime.now(UTC) + timedelta(seconds=seconds)
        return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    # --- the Video API ---------------------------------------------------------------------------

    def api(
        self,
        method: str,
        path: str = "/stream",
        *,
        token: str | None = None,
        whole_path: str | None = None,
        **more: Any,  # noqa: ANN401  # httpx's own
    ) -> httpx.Response:
        """One call, again after each 429; ``token`` and ``whole_path`` in place of the usual."""
        headers = {"authorization": f"Bearer {token or self._token}", **more.pop("headers", {})}
        url = f"{self.base}{whole_path or f'/accounts/{self.account}{path}'}"
        for _ in range(_TRIES):
            reply = self._http.request(method, url, headers=headers, **more)
            if reply.status_code != 429:
                return reply
            after = reply.headers.get("retry-after", "")
            self.wait(min(310, int(after) if after.isdigit() else 60))
        return self._http.request(method, url, headers=headers, **more)

    def create(
        self,
        length: int,
        *,
        direct_user: bool = True,
        minutes: int | None = 1,
        **metadata: str,
    ) -> Upload:
        """Create a video that reserves ``minutes`` (None: Stream's default)."""
        reply = self.try_create(length, self.metadata(minutes, **metadata), direct_user)
        assert reply.status_code == 201, f"create: {reply.status_code} {reply.text[:300]}"
        return self.made(reply, length, direct_user)

    def try_create(self, length: int, metadata: str, direct_user: bool = True) -> httpx.Response:
        """Ask for a video; pass the reply to `made` or `forgotten`."""
        headers = {**TUS, "upload-length": str(length), "upload-creator": self.mark}
        query = {"direct_user": "true"} if direct_user else {}
        reply = self.api("POST", params=query, headers={**headers, "upload-metadata": metadata})
        if uid := reply.headers.get("stream-media-id"):
            self._made.append(uid)
        return reply

    def made(self, reply: httpx.Response, length: int, direct_user: bool = True) -> Upload:
        url = reply.headers["location"]
        token = None if direct_user else self._token
        host, own = urlsplit(url).hostname or "", urlsplit(self.base).hostname
        if token and host != own and not host.endswith(".cloudflare.com"):
            raise AssertionError(f"the token is not given to {host}")
        return Upload(reply.headers["stream-media-id"], length, url, token, reply.headers)

    @staticmethod
    def metadata(minutes: int | None = 1, **values: str) -> str:
        if minutes is not None:
            values = {"maxdurationseconds": str(60 * minutes), **values}
        return ",".join(
            f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items()
        )

    def shown(self, uid: str) -> dict[str, Any]:
        """The video as the API shows it; a 404 is believed only when it is repeated."""
        reply = self._looked(uid)
        assert reply.status_code == 200, f"GET: {reply.status_code} {reply.text[:300]}"
        video: dict[str, Any] = reply.json()["result"]
        return video

    def exists(self, uid: str) -> bool:
        return self._looked(uid).status_code == 200

    def _looked(self, uid: str) -> httpx.Response:
        for _ in range(_TRIES):
            reply = self.api("GET", f"/stream/{uid}")
            if reply.status_code != 404:
                return reply
            self.wait(1)
        return self.api("GET", f"/stream/{uid}")

    def listed(self, **query: str) -> list[str]:
        """The UIDs of this run that a list shows."""
        reply = self.api("GET", params={"creator": self.mark, **query})
        assert reply.status_code == 200, f"list: {reply.status_code} {reply.text[:300]}"
        return [video["uid"] for video in reply.json()["result"] if video["creator"] == self.mark]

    def minutes_used(self) -> tuple[float, float]:
        """Minutes of storage that are used, and that were bought."""
        usage = self.api("GET", "/stream/storage-usage").json()["result"]
        return float(usage["totalStorageMinutes"]), float(usage["totalStorageMinutesLimit"])

    def delete(self, uid: str) -> httpx.Response:
        return self.api("DELETE", f"/stream/{uid}")

    # --- the upload URL --------------------------------------------------------------------------

    def tus(
        self,
        method: str,
        upload: Upload,
        content: bytes | Iterator[bytes] | None = None,
        **headers: str,
    ) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._http.request(
            method, upload.url, headers={**TUS, **upload.authorization, **sent}, content=content
        )

    def head(self, upload: Upload) -> httpx.Response:
        return self.tus("HEAD", upload)

    def patch(self, upload: Upload, offset: int, data: bytes) -> httpx.Response:
        return self.tus("PATCH", upload, data, upload_offset=str(offset), content_type=CHUNK_TYPE)

    def sent(self) -> Upload:
        """Create a small video and send it whole."""
        content = SAMPLE.read_bytes()
        upload = self.create(len(content))
        reply = self.patch(upload, 0, content)
        assert reply.status_code in (200, 204), f"PATCH: {reply.status_code} {reply.text[:300]}"
        return upload

    # --- forms -----------------------------------------------------------------------------------

    def try_direct_upload(self, **more: str) -> httpx.Response:
        """Ask for a URL that takes one form."""
        asked = {"maxDurationSeconds": 60, "creator": self.mark, **more}
        reply = self.api("POST", "/stream/direct_upload", json=asked)
        if reply.is_success:
            self._made.append(reply.json()["result"]["uid"])
        return reply

    def direct_upload(self) -> tuple[str, str]:
        """Get the UID and the URL of a form."""
        reply = self.try_direct_upload()
        assert reply.is_success, f"direct_upload: {told(reply)}"
        result = reply.json()["result"]
        return result["uid"], result["uploadURL"]

    def form(self, url: str) -> httpx.Response:
        """Send the sample in a form."""
        return self._http.post(url, files={"file": ("live.mp4", SAMPLE.read_bytes(), "video/mp4")})

    def plain(
        self,
        method: str,
        url: str,
        content: Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request without the token."""
        return self._http.request(method, url, content=content, headers=headers)

    def basic(self, name: str) -> httpx.Response:
        """Send the sample in a form to the API itself."""
        files = {"file": (name, SAMPLE.read_bytes(), "video/mp4")}
        reply = self.api("POST", files=files, headers={"upload-creator": self.mark})
        if reply.is_success:
            self._made.append(reply.json()["result"]["uid"])
        return reply

    # --- afterwards ------------------------------------------------------------------------------

    def clean(self) -> None:
        """Delete what was made, each by its UID; what cannot be deleted is kept in ``left``."""
        made, self._made = self._made, []
        self.left += [uid for uid in made if not self._deleted(uid)]

    def clean_what_was_never_told(self) -> None:
        """Delete what this run made without hearing of it: the mark is this run's alone."""
        try:
            self._made += self.listed()
        except (httpx.HTTPError, AssertionError):
            self.left.append(f"perhaps more, with the creator {self.mark}")
        self.clean()

    def _deleted(self, uid: str) -> bool:
        for _ in range(_TRIES):
            try:
                if self.delete(uid).status_code in (200, 204, 404):
                    return True
            except httpx.HTTPError:
                pass
            self.wait(2)
        return False


class HalfPatch:
    """A PATCH of a whole upload that is sent bit by bit, and perhaps never to its end."""

    def __init__(self, upload: Upload) -> None:
        parts = urlsplit(upload.url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.netloc, timeout=60)
        self._connection.putrequest("PATCH", f"{parts.path}?{parts.query}")
        headers = {"content-type": CHUNK_TYPE, "upload-offset": "0", **TUS, **upload.authorization}
        for name, value in {**headers, "content-length": str(upload.length)}.items():
            self._connection.putheader(name, value)
        self._connection.endheaders()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, data: bytes) -> None:
        self._connection.send(data)

    def status(self) -> str:
        """The status of the reply, or what became of the connection."""
        try:
            return str(self._connection.getresponse().status)
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__


def told(reply: httpx.Response) -> str:
    """A reply in a few words: status, kind of body, the envelope's codes."""
    kind = body_kind(reply)
    if kind != "json":
        return f"{reply.status_code} {kind}"
    errors = json.loads(reply.content).get("errors") or []
    codes = ", ".join(str(error.get("code")) for error in errors)
    return f"{reply.status_code} json {codes}".strip()


def body_kind(reply: httpx.Response) -> str:
    """What an error's body is: ``empty``, ``json`` (an envelope) or ``text``."""
    if not reply.content:
        return "empty"
    try:
        return "json" if isinstance(json.loads(reply.content), dict) else "text"
    except ValueError:
        return "text"

"""URLs: an upload address of a reply, an API base, a proxy; other parsers read them too."""

from __future__ import annotations

import functools
import ipaddress
import posixpath
import re
from urllib.parse import unquote

import httpx
from hypothesis import strategies as st
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from cfstream_upload import credentials
from cfstream_upload.errors import ConfigProblem, UsageProblem
from cfstream_upload.wire import (
    UPLOAD_HOSTS,
    Patience,
    UnacceptableUrl,
    Wire,
    acceptable_api_base,
    acceptable_upload_url,
)

from .target import Target, near

API = "https://api.cloudflare.com/client/v4"
LOCAL = "http://127.0.0.1:8787/client/v4"
TOKEN = "fuzz-token-77"
# No parser at all: the only shape that an upload address of Stream may have.
_PLAIN = re.compile(
    r"https://(?:upload\.cloudflarestream\.com|upload\.videodelivery\.net)(?:[/?].*)?"
)
WORDS = [
    "https://", "http://", "//", "://", "file://", "upload.cloudflarestream.com",
    "upload.videodelivery.net", "api.cloudflare.com", "evil.example", "127.0.0.1", "localhost",
    "[::1]", "[::ffff:127.0.0.1]", "@", ":", ":443", ":0443", ":0", ":65536", ":4_43", "/", "\\",
    "?", "#", "..", "/../", "%2f", "%2e%2e", "%5c", "%00", "%", "\r\n", "\t", " ", ".", "\u3002",
    "\uff0f", "\u2100", "xn--", "\u0131", "0x7f.1", "2130706433", "0177.0.0.1", "/client/v4",
    "/client/v4x", ";", "user:pw", "\x00", "\ud800", "[", "]", "[v1.a]", "%25eth0", "tus/", "e"
]  # fmt: skip
_joined = st.lists(st.sampled_from(WORDS) | st.text(max_size=2), max_size=9).map("".join)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _second(text: str) -> Url:
    """``text`` as another library reads it, which would connect there."""
    try:
        return parse_url(text)
    except LocationParseError:
        raise AssertionError(f"accepted, and no URL to urllib3: {text!r}") from None


def _host(url: Url) -> str:
    return (url.host or "").strip("[]")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(data: bytes) -> None:
    """An upload address, an API base, and where the token would go."""
    text = data.decode("utf-8", "surrogatepass") if _is_text(data) else data.decode("latin-1")
    for base in (API, LOCAL):
        _upload(text, base)
        _token_stays(text, base)
    try:
        base = acceptable_api_base(text)
    except UnacceptableUrl as refusal:
        assert len(text) < 20 or text not in str(refusal)
        return
    url = _second(base)
    assert (url.auth, url.query, url.fragment) == (None, None, None), base
    assert url.scheme == "https" or _is_this_machine(_host(url)), base
    assert acceptable_api_base(base) == base
    _upload(f"{base}/x", base)


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _upload(location: str, base: str) -> None:
    try:
        accepted = acceptable_upload_url(location, base)
    except UnacceptableUrl:
        return
    url, api = _second(accepted), _second(base)
    if _is_this_machine(_host(api)):
        allowed = {_host(api), *UPLOAD_HOSTS}
        assert _host(url) in allowed, accepted
    if _host(url) in UPLOAD_HOSTS:
        assert _PLAIN.fullmatch(accepted), accepted
        assert (url.scheme, url.port) == ("https", None), accepted
    else:
        assert _is_this_machine(_host(url)), accepted
    assert not url.auth
    assert re.fullmatch(r"[!-~]+", accepted), accepted
    assert acceptable_upload_url(accepted, base) == accepted


@functools.cache
def answering(base: str) -> tuple[Wire, list[httpx.Request]]:
    """A wire whose every request is answered with 200, and the list of what it sent."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    return Wire(api_base=base, token=TOKEN, transport=httpx.MockTransport(answer)), seen


def _token_stays(text: str, base: str) -> None:
    wire, seen = answering(base)
    seen.clear()
    try:
        wire.request("GET", text, headers={}, patience=Patience())
    except UnacceptableUrl:
        assert not seen
        return
    (request,) = seen
    url, api = _second(str(request.url)), _second(base)
    assert not url.auth, text
    if "authorization" not in request.headers:
        return
    assert (url.scheme, url.host, url.port) == (api.scheme, api.host, api.port), text
    path = unquote(url.path or "")
    assert path == "/client/v4" or path.startswith("/client/v4/"), text
    assert (posixpath.normpath(path) + "/").startswith("/client/v4/"), text


def check_proxy(data: bytes) -> None:
    """A proxy's URL: what settings accept, the wire takes and another parser reads alike."""
    text = data.decode("utf-8", "surrogateescape")
    for flag in (False, True):
        try:
            url = credentials.proxy_url(text, "HTTPS_PROXY", flag=flag)
        except (ConfigProblem, UsageProblem) as refusal:
            assert len(text) < 12 or text not in refusal.message + refusal.hint
            continue
        Wire(api_base=API, token=None, proxy=url).close()
        second = _second(url)
        assert second.scheme == "http", url
        assert second.host, url
        assert not (flag and second.auth), url
        masked = credentials.without_password(url)
        assert masked.startswith("http://***@" if second.auth else "http://"), masked
        assert masked.count("@") == bool("@" in url), masked


TARGETS = [
    Target("url", near("url", WORDS) | _joined.map(_bytes), check_url, 800),
    Target("proxy", near("proxy", WORDS) | _joined.map(_bytes), check_proxy, 400),
]

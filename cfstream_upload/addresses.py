"""Which URLs this program connects to, judged by the parser that will connect. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urljoin, urlsplit

from .lean import without
from .patience import UnacceptableUrl

# Its command line brings click, pygments and rich's markup.
with without("httpx._main"):
    import httpx

UPLOAD_HOSTS = frozenset({"upload.cloudflarestream.com", "upload.videodelivery.net"})
"""Where Stream takes uploads; a `Location` anywhere else is refused."""

_DEFAULT_PORT = {"http": 80, "https": 443}
# The characters of RFC 3986: where only these occur, URL parsers have little to disagree about.
_URL_TEXT = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]{1,8192}")
_GLUED_PORT = re.compile(r"\](?!:|$)")  # "[::1]80" has a port to some parsers, none to others
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")


def acceptable_api_base(text: str) -> str:
    """The API base without a trailing slash: https, or http on loopback; else `UnacceptableUrl`."""
    if set("?#@") & set(text):
        raise UnacceptableUrl("the API base holds more than scheme, host and path")
    url = parsed(text)
    if url.scheme != "https" and not is_loopback(url.host):
        raise UnacceptableUrl(f"{url.host}: http is for this machine only, use https")
    return str(url).rstrip("/")


def acceptable_upload_url(location: str, api_base: str) -> str:
    """The absolute upload URL that a create reply's ``location`` means, or `UnacceptableUrl`.

    It must be https on one of Stream's upload hosts, port 443, or on the API's own host where
    that is loopback (any port, http too). A relative one is resolved against ``api_base``, for
    which the create URL may be given. The parser that judges is the one that connects.
    """
    api = parsed(api_base)
    if not _URL_TEXT.fullmatch(location) or "#" in location:
        raise UnacceptableUrl("the upload address is no proper URL")
    try:
        # On the raw text: httpx would first tidy away what is wrong with it, such as ":4_43".
        joined = urljoin(api_base, location)
    except ValueError:
        raise UnacceptableUrl("the upload address is no proper URL") from None
    url = parsed(joined)
    if is_loopback(api.host) and url.host == api.host:
        return str(url)
    if url.host not in UPLOAD_HOSTS:
        raise UnacceptableUrl(f"{url.host}: not one of Stream's upload hosts")
    if url.scheme != "https" or url.port is not None:
        raise UnacceptableUrl(f"{url.host}: the upload address is not https on port 443")
    return str(url)


def acceptable_proxy(text: str) -> httpx.URL:
    """An ``http://`` URL of a proxy, perhaps with user and password; else `UnacceptableUrl`."""
    try:
        url = httpx.URL(text)
        host = url.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        raise UnacceptableUrl("the proxy is no proper URL") from None
    glued = _GLUED_PORT.search(text.rpartition("@")[2].rstrip("/"))
    if url.scheme != "http" or not is_host(host) or glued:
        raise UnacceptableUrl("the proxy must be an http:// URL")
    return url


def is_host(text: str) -> bool:
    """Whether ``text`` is a host's name or address as every parser reads it."""
    return _HOST.fullmatch(text) is not None


def parsed(text: str) -> httpx.URL:
    """An absolute http or https URL on which two parsers agree."""
    if not _URL_TEXT.fullmatch(text):
        raise UnacceptableUrl("not a proper URL")
    try:
        url, other = httpx.URL(text), urlsplit(text)
        host, port = url.raw_host.decode("ascii"), url.port
        url.host.encode()  # decoded: "xn--" may stand before what no name can be
        theirs = other.hostname, other.port
    except (httpx.InvalidURL, ValueError):
        raise UnacceptableUrl("not a proper URL") from None
    if url.scheme not in _DEFAULT_PORT or other.scheme != url.scheme or "@" in other.netloc:
        raise UnacceptableUrl("not a plain http or https URL")
    if _GLUED_PORT.search(other.netloc):
        raise UnacceptableUrl("not a proper URL")
    default = _DEFAULT_PORT[url.scheme]
    if not is_host(host) or theirs != (host, port if other.port != default else default):
        raise UnacceptableUrl("not a proper URL")
    # Written "Https", a scheme keeps its default port at first, and would be another origin.
    return url if url.port is None else httpx.URL(str(url))


def origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    """Scheme, host and port: what a credential belongs to."""
    return url.scheme, url.raw_host, url.port


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

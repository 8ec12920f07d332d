"""What a name means: a path of this machine, or a place beyond it. Pure.

A place is a URL with a scheme of `SCHEMES`; everything else is a path, whatever it looks like. What
may be a secret in a URL, its query, is kept apart at once: the text that is shown, recorded and
compared never has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import unquote, urlsplit

from cfstream_upload.errors import FileProblem, UsageProblem

SCHEMES = ("s3", "gs", "https", "http", "sftp")
"""Of places beyond this machine; ``file://`` is a path."""

BUCKETS = frozenset({"s3", "gs"})
"""Of objects in buckets: a key is any text, and nothing in it is an escape."""

MAGIC = frozenset("*?[")
"""Characters that make a pattern of a name."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_UNFIT = re.compile("[\x00-\x20\x7f\ud800-\udfff]")
_GOOGLES = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]\Z", re.ASCII)
_PORTS = {"http": 80, "https": 443, "sftp": 22}


@dataclass(frozen=True, slots=True)
class Location:
    """A place beyond this machine.

    ``text`` is the URL that is shown and recorded: without query and fragment. ``host`` is the
    bucket of s3 and gs, else a host's name, ``port`` 0 where none is named; ``path`` what follows
    it: a key as it is, else percent-encoded as in the URL. ``query`` may be a secret.
    """

    scheme: str
    text: str
    host: str
    path: str
    port: int = 0
    user: str = ""
    query: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The whole URL, for reading alone: it may hold a secret."""
        return f"{self.text}?{self.query}" if self.query else self.text

    @property
    def name(self) -> str:
        """The last part of the path, decoded; the host's where there is none."""
        last = self.path.rstrip("/").rpartition("/")[2]
        return (last if self.scheme in BUCKETS else unquote(last)) or self.host

    @property
    def is_folder(self) -> bool:
        """Whether it is meant as a folder: a name that ends in ``/``, or a bucket alone."""
        return not self.path or self.path.endswith("/")

    @property
    def is_pattern(self) -> bool:
        """Whether its path may be a pattern; in URLs of the web these characters are themselves."""
        return self.scheme not in ("http", "https") and not MAGIC.isdisjoint(self.path)

    @property
    def numbers(self) -> tuple[int, int]:
        """What stands for device and inode: two halves of a digest, the same on every machine."""
        port = "" if self.port in (0, _PORTS.get(self.scheme)) else f":{self.port}"
        same = f"{self.scheme}://{self.host}{port}/{self.path}"
        digest = sha256(same.encode("utf-8")).digest()
        return int.from_bytes(digest[:8]), int.from_bytes(digest[8:16])


def is_url(name: str) -> bool:
    """Whether ``name`` is that of a place beyond this machine; a quick look, nothing is judged."""
    found = _URL.match(name)
    return found is not None and found[1].lower() in SCHEMES


def located(name: str) -> Location | None:
    """The place that ``name`` means, None for a path of this machine.

    Raises `UsageProblem` for a URL of a kind that is not known, with a password, or malformed.
    """
    found = _URL.match(name)
    if found is None or found[1].lower() == "file":
        return None
    scheme, rest = found[1].lower(), found[2]
    if scheme not in SCHEMES:
        known = ", ".join(f"{one}://" for one in (*SCHEMES, "file"))
        raise UsageProblem(
            f"{scheme}:// is no kind of source that is known",
            f"Known are {known}. A file of such a name: write ./ before it.",
        )
    if _UNFIT.search(rest if scheme not in BUCKETS else rest.replace(" ", "")):
        raise UsageProblem(f"This {scheme}:// URL has characters that a URL cannot have", _SPELL)
    return _bucket(scheme, rest) if scheme in BUCKETS else _web(scheme, rest)


def path_of(name: str) -> str:
    """``name`` as a path: a ``file://`` URL is the path it means. Raises `UsageProblem`."""
    found = _URL.match(name)
    if found is None or found[1].lower() != "file":
        return name
    host, slash, path = found[2].partition("/")
    if host not in ("", "localhost") or not slash or not path:
        raise UsageProblem("This file:// URL names no file of this machine", "Like: file:///a.mp4")
    # Imported here: it brings a whole HTTP client.
    from urllib.request import url2pathname

    return url2pathname("/" + path)


_SPELL = "Write it as a browser shows it, with %20 for a space."


_CREDENTIALS = {
    "s3": "AWS_PROFILE, or AWS_ACCESS_KEY_ID and its like, carry them.",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS names the file that carries them.",
}


def _bucket(scheme: str, rest: str) -> Location:
    bucket, _, key = rest.partition("/")
    if "@" in bucket:
        raise _credentials(scheme, _CREDENTIALS[scheme])
    if not bucket:
        raise UsageProblem(
            f"This {scheme}:// URL names no bucket", f"Like: {scheme}://bucket/folder/a.mp4"
        )
    # S3's own rules are left to the service, for those that only speak S3 have others.
    if scheme == "gs" and not _GOOGLES.match(bucket):
        raise UsageProblem(
            "This gs:// URL names no bucket that could be",
            "A bucket's name has 3 to 222 small letters, digits, and - _ . between them.",
        )
    return Location(scheme, f"{scheme}://{bucket}/{key}", bucket, key)


def _web(scheme: str, rest: str) -> Location:
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        host, port = (parts.hostname or "").lower(), parts.port or 0
    except ValueError:
        raise UsageProblem(f"This {scheme}:// URL is malformed", _SPELL) from None
    if not host:
        raise UsageProblem(f"This {scheme}:// URL names no host", f"Like: {scheme}://host/a.mp4")
    user = parts.username or ""
    if scheme == "sftp":
        if parts.password is not None:
            raise _credentials(scheme, "An SSH key or agent carries them.")
        # No query, no fragment: what looks like one is a part of the name.
        path = rest.partition("/")[2]
        query = ""
    else:
        if user or parts.password is not None:
            raise _credentials(scheme, "A signed URL carries them in its query.")
        path, query = parts.path.removeprefix("/"), parts.query
    named = f"[{host}]" if ":" in host else host
    shown = f"{user}@{named}" if user else named
    shown = f"{shown}:{port}" if port not in (0, _PORTS[scheme]) else shown
    return Location(scheme, f"{scheme}://{shown}/{path}", host, path, port, user, query)


def _credentials(scheme: str, hint: str) -> UsageProblem:
    return UsageProblem(f"A {scheme}:// URL must not hold credentials", hint)


def no_folder(where: Location) -> FileProblem:
    """A folder was named where no folder can be listed."""
    return FileProblem(f"folders of the web cannot be listed: {where.text}", "Name each file.")

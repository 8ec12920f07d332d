"""Secrets as they come in: the token and where it is kept, the proxy and its password.

No message of this file quotes what it judges, for that may be a secret.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from cfstream_upload.errors import ConfigProblem, UsageProblem

COMMAND_TIMEOUT = 30.0

_LARGEST = 64 * 1024
_TOKEN = re.compile(r"[!-~]{1,4096}\Z")
_GLOBAL_KEY = re.compile(r"[0-9a-f]{37}\Z")
_PROXY = re.compile(r"[!-\[\]-~]+\Z")  # some parsers take a backslash for a slash
_CLOUDFLARE_SECRETS = {
    "CLOUDFLARE_API_TOKEN", "CF_API_TOKEN", "CLOUDFLARE_API_KEY", "CF_API_KEY",
}  # fmt: skip
_JOURNAL = re.compile(r"postgres(ql)?://[!-~]*\Z")
_PASSWORDS = {"password", "sslpassword"}
_PROXIES = ("CFUPLOAD_PROXY", "https_proxy", "HTTPS_PROXY")


class Secret:
    """A text that shows as ``***``, cannot be pickled, and is had by `reveal` alone."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: for the request that needs it and for nothing else."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


def checked(text: str, origin: str) -> Secret:
    """``text`` as a token, if it is one printable ASCII line. Raises `ConfigProblem`."""
    if _GLOBAL_KEY.match(text):
        raise ConfigProblem(
            f"{origin} looks like the global API key",
            "Make an API token with Stream: Edit on this account instead.",
        )
    if not _TOKEN.match(text):
        what = "empty" if not text else "not one line of printable ASCII without spaces"
        raise ConfigProblem(f"The token of {origin} is {what}", "Copy the token alone, once more.")
    return Secret(text)


def from_file(path: Path, origin: str) -> Secret:
    """The token in ``path``, less one trailing newline. Raises `ConfigProblem`.

    A regular file that anybody but its owner can read is refused.
    """
    try:
        with path.open("rb") as file:
            refuse_if_shared(file.fileno(), path)
            content = file.read(_LARGEST)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a proper path"
        raise ConfigProblem(
            f"The token file of {origin} cannot be read: {path}: {why}",
            "Name a file that holds the token alone.",
        ) from None
    return checked(_decoded(content), origin)


def refuse_if_shared(descriptor: int, path: Path) -> None:
    """Raises `ConfigProblem` for a regular file, open as ``descriptor``, that others can read."""
    if sys.platform == "win32":
        return
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
        raise ConfigProblem(
            f"Others can read {path}, which holds a secret",
            f"Run: chmod 600 {path}   (a mounted secret: give it the mode 0400)",
        )


def from_command(command: str, origin: str, environ: Mapping[str, str]) -> Secret:
    """What ``command`` prints, less one trailing newline; run without a shell, for 30 s at most.

    It sees the environment without Cloudflare's tokens and keys; nothing it prints is shown.
    Raises `ConfigProblem`.
    """
    import shlex
    import subprocess

    words: list[str] | str
    try:
        # Windows itself takes a line apart, and its paths are full of backslashes.
        words = command if sys.platform == "win32" else shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise ConfigProblem(
            f"The command of {origin} is no command", "Like: pass show cloudflare/stream"
        )
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: text for name, text in environ.items() if name not in _CLOUDFLARE_SECRETS},
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        why = f"gave no token within {COMMAND_TIMEOUT:.0f} s"
    except (OSError, ValueError) as error:
        why = f"cannot be run ({getattr(error, 'strerror', None) or 'not a proper command'})"
    else:
        if done.returncode == 0:
            return checked(_decoded(done.stdout), origin)
        why = f"failed with status {done.returncode}"
    raise ConfigProblem(f"The command of {origin} {why}", "Run it yourself and see what it says.")


def _decoded(content: bytes) -> str:
    # Bytes that are no UTF-8 become a character that no token has, to be refused.
    return one_line(content.decode("utf-8", "replace"))


def one_line(text: str) -> str:
    """``text`` less one line end."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def proxy_url(text: str, origin: str, *, flag: bool = False) -> str:
    """``text`` as ``http://[user:password@]host[:port]``; the scheme may be left out.

    Raises `ConfigProblem`, for a ``flag`` `UsageProblem`: also where that holds a password.
    """
    from urllib.parse import urlsplit

    problem = UsageProblem if flag else ConfigProblem
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        good = parts.scheme == "http" and bool(parts.hostname) and (parts.port or 1) > 0
        good = good and parts.path in ("", "/") and not parts.query and not parts.fragment
    except ValueError:
        good = False
    if flag and "@" in text:
        raise problem(
            "--proxy takes no user or password: every process can read a command line",
            "Put the whole URL into HTTPS_PROXY.",
        )
    if not good or not _PROXY.match(url) or not _is_connectable(url):
        raise problem(
            f"The proxy of {origin} is no URL of an http proxy",
            "Like http://proxy.example.com:3128",
        )
    return url.removesuffix("/")


def _is_connectable(url: str) -> bool:
    """Whether the parser that will connect takes ``url``: the HTTP library comes with it."""
    from cfstream_upload.wire import UnacceptableUrl, acceptable_proxy

    try:
        acceptable_proxy(url)
    except UnacceptableUrl:
        return False
    return True


def journal_url(text: str, origin: str, *, flag: bool = False) -> str:
    """``text`` as libpq's ``postgresql://`` URL.

    Raises `ConfigProblem`, for a ``flag`` `UsageProblem`: also where that holds a password.
    """
    problem = UsageProblem if flag else ConfigProblem
    if flag and passwords_in(text):
        raise problem(
            "--journal takes no password: every process can read a command line",
            "Use libpq's own means (PGPASSFILE, PGSERVICE, PGPASSWORD), or put the whole URL into "
            "CFUPLOAD_JOURNAL.",
        )
    if not _JOURNAL.match(text):
        raise problem(
            f"The journal of {origin} is no URL of a PostgreSQL database",
            "Like postgresql://user@db.example.com/cfupload",
        )
    return text


def passwords_in(url: str) -> list[str]:
    """The passwords in a ``postgresql://`` URL, as written and as meant: before ``@``, or named."""
    from urllib.parse import unquote

    rest = url.partition("://")[2]
    address, _, query = rest.partition("?")
    # To libpq a question mark before the first slash may belong to the password.
    userinfo = (address if "@" in address or "/" in address else rest).rpartition("@")[0]
    found = [userinfo.partition(":")[2]]
    for pair in query.partition("#")[0].split("&"):
        name, _, value = pair.partition("=")
        found += [value] if unquote(name).strip().lower() in _PASSWORDS else []
    return [form for text in found if text for form in dict.fromkeys((text, unquote(text)))]


def without_secrets(url: str) -> str:
    """``url`` of a database with ``***`` for each password in it."""
    for password in sorted(passwords_in(url), key=len, reverse=True):
        url = url.replace(password, "***")
    return url


def without_password(url: str) -> str:
    """``url`` with ``***`` for the user and password before its last ``@``."""
    scheme, separator, rest = url.rpartition("://")
    _, at, host = rest.rpartition("@")
    return f"{scheme}{separator}***@{host}" if at else url


def secrets_of(environ: Mapping[str, str]) -> list[str]:
    """The secrets that stand in the environment, whether this run uses them or not."""
    from urllib.parse import unquote

    found = [environ.get(name, "") for name in sorted(_CLOUDFLARE_SECRETS)]
    for name in _PROXIES:
        userinfo = environ.get(name, "").rpartition("://")[2].rpartition("@")[0]
        password = userinfo.partition(":")[2]
        found += [password, unquote(password)]
    found += [*passwords_in(environ.get("CFUPLOAD_JOURNAL", "")), environ.get("PGPASSWORD", "")]
    return [secret for secret in found if secret]


def goes_direct(base: str, exceptions: str, origin: str) -> bool:
    """Whether all hosts that an upload over ``base`` needs are named in ``exceptions``.

    ``exceptions`` is as in NO_PROXY: hosts or domains, split by commas, or ``*``. Raises
    `ConfigProblem` where it names some of the hosts and not others: one way serves them all.
    """
    from urllib.parse import urlsplit

    from cfstream_upload.wire import UPLOAD_HOSTS

    api = urlsplit(base).hostname or ""
    hosts = [api] if _is_loopback(api) else [api, *sorted(UPLOAD_HOSTS)]
    names = [name.strip().lower().removesuffix(":443") for name in exceptions.split(",")]
    left = [host for host in hosts if not any(_covers(name, host) for name in names)]
    if left and len(left) < len(hosts):
        raise ConfigProblem(
            f"{origin} names some of the hosts that are needed, and not others",
            f"Add {','.join(left)} to it, or take the others out.",
        )
    return not left


def _covers(name: str, host: str) -> bool:
    if name == "*":
        return True
    domain = name.removeprefix("*").lstrip(".")
    return bool(domain) and f".{host}".endswith(f".{domain}")


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

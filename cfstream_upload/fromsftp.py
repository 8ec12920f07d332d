"""Files on SSH servers, over asyncssh: hosts must be known, keys and agents tell who asks.

fsspec's own ways over SSH take any host's key, so they are not used.
"""

from __future__ import annotations

import asyncio
import posixpath
import stat
from collections.abc import AsyncIterator
from urllib.parse import quote, unquote

import asyncssh

from cfstream_upload.errors import FileProblem
from cfstream_upload.locations import Location
from cfstream_upload.stored import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    Facts,
    Hiccup,
    changed,
    forbidden,
    missing,
    whole,
)

_WHO = "Try: sftp {}   It must connect without a question: known_hosts, a key or an agent."


class Host:
    """One account on one host, as `ssh` would reach it: its config, known hosts, keys and agent."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None
        self._files: dict[str, asyncssh.SFTPClientFile] = {}

    async def facts(self, where: Location, pinned: Facts | None) -> Facts:
        """What the service tells now."""
        try:
            return _facts(where, await (await self._opened(where, pinned)).stat())
        except (asyncssh.Error, OSError) as error:
            raise self._meaning(error, where) from None

    async def read(self, where: Location, start: int, stop: int, pinned: Facts) -> bytes:
        """One range, held to what ``pinned`` tells."""
        try:
            file = await self._opened(where, pinned)
            async with asyncio.timeout(READ_TIMEOUT):
                data: object = await file.read(stop - start, start)
        except (asyncssh.Error, OSError) as error:
            raise self._meaning(error, where) from None
        return whole(data if isinstance(data, bytes) else b"", start, stop)

    async def below(self, folder: Location, *, deep: bool) -> AsyncIterator[tuple[str, Facts]]:
        """What a folder holds."""
        pending = [""]
        while pending:
            inner = pending.pop()
            try:
                client = await self._connected(folder)
                entries = await client.readdir(_path(folder) + "/" + inner)
            except (asyncssh.Error, OSError) as error:
                raise self._meaning(error, folder) from None
            deeper = []
            for entry in sorted(entries, key=lambda one: str(one.filename)):
                name, mode = str(entry.filename), entry.attrs.permissions or 0
                if stat.S_ISREG(mode):
                    told = Facts(entry.attrs.size or 0, modified_ns=_moment(entry.attrs))
                    yield quote(posixpath.join(inner, name)), told
                elif stat.S_ISDIR(mode) and name not in (".", "..") and deep:
                    deeper.append(posixpath.join(inner, name))
            pending += reversed(deeper)

    async def release(self, where: Location) -> None:
        """Let go of what was kept for a source."""
        file = self._files.pop(where.path, None)
        if file is not None:
            try:
                await file.close()
            except (asyncssh.Error, OSError):
                return

    async def close(self) -> None:
        """Close every connection."""
        self._files.clear()
        if self._connection is not None:
            self._connection.abort()
            await self._connection.wait_closed()
        self._connection = self._client = None

    async def _connected(self, where: Location) -> asyncssh.SFTPClient:
        async with self._turn:
            if self._client is None:
                self._connection = await asyncssh.connect(
                    where.host,
                    port=where.port or (),
                    username=where.user or (),
                    password=None,
                    connect_timeout=CONNECT_TIMEOUT,
                    login_timeout=CONNECT_TIMEOUT,
                    keepalive_interval=READ_TIMEOUT / 2,
                )
                self._client = await self._connection.start_sftp_client()
            return self._client

    async def _opened(self, where: Location, pinned: Facts | None) -> asyncssh.SFTPClientFile:
        file = self._files.get(where.path)
        if file is not None:
            return file
        client = await self._connected(where)
        file = await client.open(_path(where), "rb")
        # Opened anew after a cut: the name may lead to another file by now.
        if pinned is not None and _facts(where, await file.stat()) != pinned:
            await file.close()
            raise changed(where)
        # Two ranges may have opened it at the same time.
        kept = self._files.setdefault(where.path, file)
        if kept is not file:
            await file.close()
        return kept

    def _meaning(self, error: Exception, where: Location) -> Exception:
        if isinstance(error, asyncssh.SFTPNoSuchFile | asyncssh.SFTPNoSuchPath):
            return missing(where)
        who = f"{where.user}@{where.host}" if where.user else where.host
        who = f"-P {where.port} {who}" if where.port else who
        if isinstance(error, asyncssh.SFTPPermissionDenied):
            return forbidden(where, "permission denied", "Check its permissions there.")
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            words = f"the host's key is not known: {where.text}"
            return FileProblem(words, _WHO.format(who))
        if isinstance(error, asyncssh.PermissionDenied):
            return forbidden(where, "no way to log in", _WHO.format(who))
        if isinstance(error, asyncssh.SFTPFailure):
            return FileProblem(f"the server cannot read it: {where.text}", "Is it a file?")
        self._forget()
        return Hiccup(f"{where.host}: the connection failed")

    def _forget(self) -> None:
        """Begin anew: after a cut nothing of a connection can be used."""
        self._files.clear()
        if self._connection is not None:
            self._connection.abort()
        self._connection = self._client = None


def _path(where: Location) -> str:
    # As of curl and others: the path begins at the root, "~" at home.
    path = unquote(where.path)
    return path.removeprefix("~/") if path.startswith("~/") else "/" + path.rstrip("/")


def _facts(where: Location, told: asyncssh.SFTPAttrs) -> Facts:
    mode = told.permissions
    if mode is not None and not stat.S_ISREG(mode):
        what = "this is a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise FileProblem(f"{what}: {where.text}", "A folder's name ends with a slash.")
    if told.size is None:
        raise FileProblem(f"the server tells no size: {where.text}", "Copy it first.")
    return Facts(told.size, modified_ns=_moment(told))


def _moment(told: asyncssh.SFTPAttrs) -> int:
    return (told.mtime or 0) * 1_000_000_000 + (told.mtime_ns or 0)

"""Sockets that wait in slices: the network backend below httpcore.

httpcore's own sockets sleep in the kernel until bytes come or a timeout per read ends: they see no
cancel flag, and a reply that drips a byte at a time outlives every timeout. Here every wait (name
look-up, connect, TLS handshake, write, read) lasts at most `SLICE` and asks the request's `Watch`
between two slices. One thread runs one request, so the watch is found by the thread.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import ipaddress
import os
import queue
import re
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeVar

import httpcore

from .patience import (
    NotSent,
    Watch,
)

_STAGGER = 0.3  # seconds before the next address of a host is tried beside the first
_READ = 64 * 1024
_UNSENT_BLOCKS = 2  # blocks that the kernel may hold unsent, so that "sent" means nearly gone
_LEAST_UNSENT, _MOST_UNSENT = 128 * 1024, 2 * 1024 * 1024

_T = TypeVar("_T")
_Address = tuple[int, int, int, str, Any]
_Selector: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_IN_PROGRESS = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0)}
_INTERIM = re.compile(rb"(?:HTTP/1\.[01] 1\d\d.*?\r?\n\r?\n)*", re.DOTALL)


class Sockets(httpcore.NetworkBackend):
    """httpcore's network backend; `watched` sets the watch of the requests of this thread."""

    def __init__(self, connect_timeout: float) -> None:
        self._connect_timeout = connect_timeout
        self._thread = threading.local()

    @contextlib.contextmanager
    def watched(self, watch: Watch) -> Iterator[None]:
        """Let ``watch`` judge every wait of this thread."""
        self._thread.watch = watch
        try:
            yield
        finally:
            del self._thread.watch

    @property
    def watch(self) -> Watch:
        """The watch of the request that this thread runs."""
        watch: Watch = self._thread.watch
        return watch

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Look the host up and connect to the address that answers first."""
        watch = self.watch
        watch.connecting(self._connect_timeout)
        try:
            sock = _first_to_answer(_look_up(host, port, watch), watch)
        except OSError as trouble:
            raise _no_connection(trouble, host, watch) from None
        if not watch.secure:
            watch.connected()
        return _Stream(sock, self, host, tls=False)


class _Stream(httpcore.NetworkStream):
    """One connection: a non-blocking socket, waited for in slices."""

    def __init__(self, sock: socket.socket, sockets: Sockets, host: str, *, tls: bool) -> None:
        self._sock = sock
        self._sockets = sockets
        self._host = host
        self._tls = tls
        self._early = bytearray()  # what the peer said while we were still writing
        self._unsent = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to ``max_bytes``; empty when the peer has closed its side."""
        watch = self._sockets.watch
        watch.replying()
        if not self._early:
            try:
                self._early += self._until_done(lambda: self._sock.recv(max_bytes))
            except (OSError, ValueError):
                raise httpcore.ReadError from None
            watch.peer_closed = not self._early
        count = max_bytes
        if watch.bodiless and (blank := self._early.find(b"\r\n\r\n")) >= 0:
            # A body that should not be there would be taken for the next reply: it is left here,
            # and a connection with something left is not used again.
            count = min(count, blank + 4)
        data = bytes(self._early[:count])
        del self._early[:count]
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send it all, or raise WriteError: httpcore then reads the reply that may be there."""
        left = memoryview(buffer)
        try:
            unsent = min(_MOST_UNSENT, _UNSENT_BLOCKS * len(buffer))
            self._keep_unsent(max(_LEAST_UNSENT, unsent))
            while left:
                left = left[self._send_some(left) :]
        except (OSError, ValueError):
            raise httpcore.WriteError from None

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """The same connection under TLS; the certificate must name ``server_hostname``."""
        host = server_hostname or self._host
        try:
            sock = ssl_context.wrap_socket(
                self._sock,
                server_hostname=host,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,  # a reply without a length could be cut unnoticed
            )
            self._sock = sock
            self._until_done(sock.do_handshake)
        except ssl.SSLCertVerificationError as trouble:
            self.close()
            raise NotSent(
                "certificate", f"{host}: certificate refused: {trouble.verify_message}"
            ) from None
        except (OSError, ValueError) as trouble:
            self.close()
            why = getattr(trouble, "reason", None) or "the connection was closed"
            raise NotSent("tls", f"{host}: TLS handshake failed: {why}") from None
        except BaseException:
            self.close()
            raise
        self._sockets.watch.connected()
        return _Stream(sock, self._sockets, host, tls=True)

    def close(self) -> None:
        """Close the socket at once."""
        self._sock.close()

    def get_extra_info(self, info: str) -> object:
        """What httpcore asks: ``ssl_object``, and ``is_readable`` of an idle connection."""
        if info == "ssl_object" and self._tls:
            return self._sock
        if info == "is_readable":
            try:
                # An idle connection that has something to say is closed or out of step.
                unread = isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0
                unread = unread or bool(self._early)
                return unread or _ready(self._sock, selectors.EVENT_READ, 0) != 0
            except (OSError, ValueError):
                return True
        return None

    def _until_done(self, action: Callable[[], _T]) -> _T:
        watch = self._sockets.watch
        since = time.monotonic()
        while True:
            pause = watch.slice(since)
            try:
                return action()
            except (BlockingIOError, ssl.SSLWantReadError):
                event = selectors.EVENT_READ
            except ssl.SSLWantWriteError:
                event = selectors.EVENT_WRITE
            _ready(self._sock, event, pause)

    def _keep_unsent(self, count: int) -> None:
        """Let the kernel hold at most ``count`` bytes that have not left yet."""
        option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if option is None or count == self._unsent:
            return
        self._unsent = count
        with contextlib.suppress(OSError):  # no TCP: a test's pair of sockets
            self._sock.setsockopt(socket.IPPROTO_TCP, option, count)

    def _send_some(self, left: memoryview) -> int:
        """Wait until the socket takes something; the count of bytes that it took."""
        watch = self._sockets.watch
        since = time.monotonic()
        while True:
            pause = watch.slice(since)
            # Before TLS stands, an https request's bytes are only talk with the proxy.
            watch.sent = watch.sent or self._tls or not watch.secure
            try:
                return self._sock.send(left)
            except (BlockingIOError, ssl.SSLWantWriteError):
                event = selectors.EVENT_WRITE
            except ssl.SSLWantReadError:
                event = selectors.EVENT_READ
            if len(self._early) < _READ:
                event |= selectors.EVENT_READ
            ready = _ready(self._sock, event, pause)
            if ready & selectors.EVENT_WRITE:
                # OpenSSL tells only of whole sends. Room in the kernel means that bytes have moved.
                since = time.monotonic()
            if ready & selectors.EVENT_READ:
                self._listen()

    def _listen(self) -> None:
        """Take what the peer says before its time; a final reply, or its end, stops the write."""
        try:
            data = self._sock.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return  # TLS's own messages, such as session tickets, are no reply
        self._early += data
        if not data or _final_reply_begun(self._early):
            raise httpcore.WriteError


def _final_reply_begun(early: bytearray) -> bool:
    interim = _INTERIM.match(early)
    rest = early[interim.end() :] if interim else early
    return len(rest) > len(b"HTTP/1.1 ") and not rest.startswith(b"1", len(b"HTTP/1.1 "))


def _ready(sock: socket.socket, events: int, seconds: float) -> int:
    with _Selector() as selector:
        selector.register(sock, events)
        return next((ready for _, ready in selector.select(seconds)), 0)


def _look_up(host: str, port: int, watch: Watch) -> list[_Address]:
    if _is_literal(host):
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    answers: queue.SimpleQueue[list[_Address] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, ValueError) as trouble:
            answers.put(trouble)

    since = time.monotonic()
    try:
        # getaddrinfo cannot be interrupted: its thread is left behind. Not threading.Thread, whose
        # start() waits for ever for a thread that finds no memory to begin with.
        _thread.start_new_thread(ask, ())
    except RuntimeError:
        raise NotSent("local", "this machine has no more threads") from None
    while True:
        pause = watch.slice(since)
        with contextlib.suppress(queue.Empty):
            answer = answers.get(timeout=pause)
            if isinstance(answer, list):
                return answer
            reason: Literal["dns", "proxy"] = "proxy" if watch.proxied else "dns"
            raise NotSent(reason, f"{host}: the name could not be resolved")


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _first_to_answer(addresses: list[_Address], watch: Watch) -> socket.socket:
    """Connect to all addresses, each a little after the one before; the first to answer wins."""
    waiting = addresses[::-1]
    trying: set[socket.socket] = set()
    failure = OSError(errno.EHOSTUNREACH, "no address")
    since = next_at = time.monotonic()
    try:
        with _Selector() as selector:
            while waiting or trying:
                pause = watch.slice(since)
                now = time.monotonic()
                if waiting and now >= next_at:
                    next_at = now + _STAGGER
                    try:
                        sock = _begin(waiting.pop())
                    except OSError as trouble:
                        failure, next_at = trouble, 0.0
                        continue
                    trying.add(sock)
                    selector.register(sock, selectors.EVENT_WRITE, sock)
                if waiting:
                    pause = min(pause, next_at - now)
                for key, _ in selector.select(pause):
                    answered: socket.socket = key.data
                    code = answered.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    trying.remove(answered)
                    if code == 0:
                        return answered
                    selector.unregister(answered)
                    answered.close()
                    failure, next_at = OSError(code, os.strerror(code)), 0.0
    finally:
        for sock in trying:
            sock.close()
    raise failure


def _begin(address: _Address) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(where)
        if code not in _IN_PROGRESS:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock


def _no_connection(trouble: OSError, host: str, watch: Watch) -> NotSent:
    why = os.strerror(trouble.errno) if trouble.errno else "no connection"
    if trouble.errno in _EXHAUSTED:
        return NotSent("local", why)
    if watch.proxied:
        return NotSent("proxy", f"proxy {host}: {why}")
    return NotSent("refused", f"{host}: {why}")

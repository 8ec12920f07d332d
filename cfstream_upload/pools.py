"""Connections to be used again: httpcore's pools, their TLS, and the proxy before them.

`Wire` alone decides what goes over them, and to whom.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import httpcore

from .lean import without
from .patience import NotSent
from .sockets import Sockets

with without("httpx._main"):
    import httpx

_KEEP_ALIVE = 20.0  # seconds an idle connection is kept: well below what servers and routers do


class Pools(httpx.BaseTransport):
    """httpcore's pools: one for https, perhaps through the proxy, one for http on loopback."""

    def __init__(self, sockets: Sockets, ca_cert: Path | None, proxy: httpx.URL | None) -> None:
        self._sockets = sockets
        self._ca_cert = ca_cert
        self._proxy = proxy
        self._lock = threading.Lock()
        self._pools: dict[str, httpcore.ConnectionPool] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request``; the body of the reply is read from the connection."""
        url = request.url
        response = self._pool(url.scheme).handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
            )
        )
        return httpx.Response(
            response.status, headers=response.headers, stream=_ReplyStream(response)
        )

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()

    def _pool(self, scheme: str) -> httpcore.ConnectionPool:
        with self._lock:
            if scheme not in self._pools:
                self._pools[scheme] = self._made(scheme)
            return self._pools[scheme]

    def _made(self, scheme: str) -> httpcore.ConnectionPool:
        # No limit on connections: a wait for a free one would see no cancel flag.
        if scheme == "http":
            return httpcore.ConnectionPool(
                max_connections=None, keepalive_expiry=_KEEP_ALIVE, network_backend=self._sockets
            )
        context = _tls_context(self._ca_cert)
        if self._proxy is None:
            return httpcore.ConnectionPool(
                context,
                max_connections=None,
                keepalive_expiry=_KEEP_ALIVE,
                network_backend=self._sockets,
            )
        proxy = self._proxy
        return httpcore.HTTPProxy(
            httpcore.URL(
                scheme=proxy.raw_scheme, host=proxy.raw_host, port=proxy.port, target=b"/"
            ),
            proxy_auth=(proxy.username.encode(), proxy.password.encode())
            if proxy.userinfo
            else None,
            ssl_context=context,
            max_connections=None,
            keepalive_expiry=_KEEP_ALIVE,
            network_backend=self._sockets,
        )


class _ReplyStream(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


def _tls_context(ca_cert: Path | None) -> ssl.SSLContext:
    try:
        if ca_cert is not None:
            context = ssl.create_default_context(cafile=ca_cert)
        else:
            context = httpx.create_ssl_context(trust_env=False)
            # Beside certifi's: a company's own authority lives in the system's store.
            context.load_default_certs()
    except OSError:
        raise NotSent("certificate", "the file of trusted certificates cannot be read") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python writes the keys of every connection to the file that SSLKEYLOGFILE names.
    context.keylog_filename = None  # type: ignore[assignment]  # a path, say the stubs
    return context

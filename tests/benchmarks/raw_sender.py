"""One PATCH of zeros from memory, as fast as Python can: what the server itself can take."""

from __future__ import annotations

import os
import socket
import ssl
import sys

from benchmarks.account import SINK

port, size = int(sys.argv[1]), int(sys.argv[2])
sock = socket.create_connection(("127.0.0.1", port))
if authority := os.environ.get("CFUPLOAD_CA_CERT"):
    context = ssl.create_default_context(cafile=authority)
    sock = context.wrap_socket(sock, server_hostname="127.0.0.1")
sock.sendall(f"PATCH {SINK} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
zeros = bytes(4 * 1024 * 1024)
for at in range(0, size, len(zeros)):
    sock.sendall(zeros[: size - at])
if not sock.recv(100).startswith(b"HTTP/1.1 204"):
    sys.exit("refused")

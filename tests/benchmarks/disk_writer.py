"""``disk_writer.py FILE SIZE``: zeros in blocks of 256 KiB, and no more; tells the seconds."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

path, size = sys.argv[1], int(sys.argv[2])
block = memoryview(bytes(256 * 1024))
number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
began = time.monotonic()
for at in range(0, size, len(block)):
    os.write(number, block[: size - at])
print(time.monotonic() - began)
os.close(number)
Path(path).unlink()

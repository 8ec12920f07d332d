"""Files by tuspy, one after the other, as its README and Cloudflare's page on tus show it."""

from __future__ import annotations

import sys

from tusclient.client import TusClient

endpoint, token, *paths = sys.argv[1:]
for path in paths:
    client = TusClient(endpoint, headers={"Authorization": f"Bearer {token}"})
    uploader = client.uploader(path, chunk_size=50 * 1024 * 1024)
    uploader.upload()

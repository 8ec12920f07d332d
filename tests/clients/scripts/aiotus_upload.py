"""aiotus, used as its README does: ``FILE ENDPOINT CHUNK``. Prints the upload URL, or null."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import aiotus


async def main(path: str, endpoint: str, chunk: str) -> None:
    headers = {"Authorization": f"Bearer {os.environ['CLOUDFLARE_API_TOKEN']}"}
    config = aiotus.RetryConfiguration(retry_attempts=3, max_retry_period_seconds=0.1)
    with Path(path).open("rb") as file:
        url = await aiotus.upload(
            endpoint,
            file,
            {"name": b"film.mp4", "requiresignedurls": None},
            config=config,
            headers=headers,
            chunksize=int(chunk),
        )
    print(json.dumps(None if url is None else str(url)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""tuspy as its README uses it, with its own URL storage: ``FILE ENDPOINT STORAGE``.

Prints where it began, or the status and the body that it was refused with.
"""

from __future__ import annotations

import json
import os
import sys

from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed
from tusclient.storage.filestorage import FileStorage


def main(path: str, endpoint: str, storage: str) -> int:
    headers = {"Authorization": f"Bearer {os.environ['CLOUDFLARE_API_TOKEN']}"}
    try:
        uploader = TusClient(endpoint, headers=headers).uploader(
            path,
            chunk_size=5 * 1024 * 1024,
            metadata={"name": "film.mp4"},
            store_url=True,
            url_storage=FileStorage(storage),
        )
        begun = uploader.offset
        uploader.upload()
    except (TusCommunicationError, TusUploadFailed) as error:
        content = error.response_content
        text = content.decode() if isinstance(content, bytes) else content
        print(json.dumps({"status": error.status_code, "body": text}))
        return 1
    print(json.dumps({"begun": begun, "offset": uploader.offset}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

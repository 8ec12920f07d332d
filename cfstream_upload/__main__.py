"""``python -m cfstream_upload`` is ``cfupload``."""

from __future__ import annotations

from cfstream_upload.cli import main

if __name__ == "__main__":
    main()

"""Fixtures for tests of your own uploader: the embedded Stream in place of Cloudflare.

To change: nothing. It goes beside your tests; pip install 'cfstream-upload[emulator]' pytest.
"""

from __future__ import annotations

pytest_plugins = ["cfstream_upload.testing"]

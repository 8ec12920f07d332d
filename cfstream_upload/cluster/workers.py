"""Workers of our own on this machine (``--cluster local:N``): what they are given. Pure."""

from __future__ import annotations

import os

from cfstream_upload.config import Settings

_ELSEWHERE = ("CLOUDFLARE_API_TOKEN_FILE", "CFUPLOAD_TOKEN_COMMAND", "CFUPLOAD_PROFILE")


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables by which a process of ours finds exactly these settings.

    They are handed over by the pipe that starts the process: not in its arguments, nor through a
    scheduler.
    """
    # A journal that machines share, where there is one; its password travels as the token does.
    found = {
        "CFUPLOAD_JOURNAL": settings.journal.reveal() if settings.journal else "",
        "CFUPLOAD_PLACE": settings.place,
        "CLOUDFLARE_API_BASE_URL": settings.base,
        "CLOUDFLARE_ACCOUNT_ID": settings.account,
        "CLOUDFLARE_API_TOKEN": settings.token.reveal(),
        "CFUPLOAD_STATE_DIR": os.fspath(settings.state_dir),
        "CFUPLOAD_HOST_ID": settings.host_id or "",
        "CFUPLOAD_CA_CERT": os.fspath(settings.ca_cert) if settings.ca_cert else "",
        "CFUPLOAD_PROXY": settings.proxy.reveal() if settings.proxy else "",
    }
    # Whether a proxy is passed by is decided: by these settings, not once more by a worker.
    direct = dict.fromkeys(("NO_PROXY", "no_proxy"), "" if settings.proxy else "*")
    return found | direct | dict.fromkeys(_ELSEWHERE, "")

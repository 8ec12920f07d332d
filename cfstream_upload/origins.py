"""The places a setting may come from, and the name of the one it came from.

The first of these that has a value wins, and its name is kept for ``config show``:

1. a flag,
2. the profile that ``--profile`` (or ``CFUPLOAD_PROFILE``) names,
3. the environment, where an empty variable counts as not set,
4. the profile ``default`` of the config file.

Before them all comes what a Python program gives to `cfstream_upload.settings`; its rank is 0.

Names that begin with ``old_`` are what the variables were called once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cfstream_upload import profiles

APP = "cfupload"
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "account_id": ("CLOUDFLARE_ACCOUNT_ID",),
    "old_account_id": ("CF_ACCOUNT_ID",),
    "api_token": ("CLOUDFLARE_API_TOKEN",),
    "api_token_file": ("CLOUDFLARE_API_TOKEN_FILE",),
    "token_command": ("CFUPLOAD_TOKEN_COMMAND",),
    "old_api_token": ("CF_API_TOKEN",),
    "api_base_url": ("CLOUDFLARE_API_BASE_URL",),
    "ca_cert": ("CFUPLOAD_CA_CERT", "SSL_CERT_FILE"),
    "proxy": ("CFUPLOAD_PROXY", "https_proxy", "HTTPS_PROXY"),
    "no_proxy": ("no_proxy", "NO_PROXY"),
    "label": ("CFUPLOAD_LABEL",),
    "ci_run": ("GITHUB_RUN_ID", "CI_PIPELINE_ID"),
    "state_dir": ("CFUPLOAD_STATE_DIR",),
    "host_id": ("CFUPLOAD_HOST_ID",),
    "journal": ("CFUPLOAD_JOURNAL",),
    "place": ("CFUPLOAD_PLACE",),
}
MEANINGS: Mapping[str, str] = {
    "account_id": "The account: 32 hex digits.",
    "old_account_id": "An old name of CLOUDFLARE_ACCOUNT_ID; warns.",
    "api_token": "The token; Stream: Edit on one account is enough.",
    "api_token_file": "A file that holds the token.",
    "token_command": "A command that prints the token.",
    "old_api_token": "An old name of CLOUDFLARE_API_TOKEN; warns.",
    "api_base_url": "Another API; http only on loopback.",
    "ca_cert": "Trust these certificates (PEM).",
    "proxy": "An http:// proxy; a password may stand in it.",
    "no_proxy": "Hosts that are reached without the proxy.",
    "label": "Travels in the marker; read by send alone.",
    "ci_run": "The label where no other is set.",
    "state_dir": "Where the journal and the locks are.",
    "host_id": "This machine's name in markers: 32 hex digits.",
    "journal": "A journal that machines share: postgresql://…; a password may stand in it.",
    "place": "Machines whose same paths are not the same files have different places.",
}
"""What the variables of each setting are for."""
FLAGS = frozenset({"profile", "ca_cert", "proxy", "label", "journal", "place"})
"""The settings that have an option too."""


@dataclass(frozen=True)
class Found:
    """A value, the name it was found under, and where; ``rank`` is the place's number."""

    name: str
    text: str
    origin: str
    rank: int


class Layers:
    """All places at once. Raises `ConfigProblem` where the config file cannot be read."""

    def __init__(
        self,
        flags: Mapping[str, object],
        environ: Mapping[str, str],
        given: Mapping[str, str] | None = None,
    ) -> None:
        self.environ = environ
        self._given = given or {}
        self.file = profiles.read(config_path(environ))
        self.profile = _profile(flags, environ)
        named = "" if self.profile[1] == "default" else self.profile[0]
        self._flags = flags
        self._named_profile = f"profile {named}"
        self._named = self.file.named(named) if named else {}
        self._default = self.file.profiles.get(profiles.DEFAULT_PROFILE, {})

    def find(self, *names: str) -> Found | None:
        """The value of whichever of ``names`` stands in the first place that has any."""
        places: tuple[Callable[[str], tuple[str, str] | None], ...] = (
            self._argument, self._flag, self._named_key, self._variable, self._default_key,
        )  # fmt: skip
        for rank, place in enumerate(places):
            for name in names:
                if found := place(name):
                    return Found(name, *found, rank)
        return None

    def _argument(self, name: str) -> tuple[str, str] | None:
        value = self._given.get(name)
        return None if value is None else (value, f"settings({name}=)")

    def _flag(self, name: str) -> tuple[str, str] | None:
        value = self._flags.get(name) if name in FLAGS else None
        return None if value is None else (str(value), "--" + name.replace("_", "-"))

    def _named_key(self, name: str) -> tuple[str, str] | None:
        return self._key(self._named, name, self._named_profile)

    def _variable(self, name: str) -> tuple[str, str] | None:
        for variable in VARIABLES[name]:
            if text := self.environ.get(variable):
                return text, variable
        return None

    def _default_key(self, name: str) -> tuple[str, str] | None:
        return self._key(self._default, name, "default profile")

    def _key(self, profile: Mapping[str, str], name: str, origin: str) -> tuple[str, str] | None:
        text = profile.get(name)
        if not text:
            return None
        if name in ("ca_cert", "api_token_file"):
            # A path in a file is meant from that file, not from where the command is typed.
            text = os.fspath(self.file.path.parent / expanded(text))
        return text, origin


def _profile(flags: Mapping[str, object], environ: Mapping[str, str]) -> tuple[str, str]:
    """The profile's name, and what named it."""
    if flags.get("profile"):
        return str(flags["profile"]), "--profile"
    if named := environ.get("CFUPLOAD_PROFILE"):
        return named, "CFUPLOAD_PROFILE"
    return profiles.DEFAULT_PROFILE, "default"


def config_path(environ: Mapping[str, str]) -> Path:
    """Where the config file is, or would be: ``CFUPLOAD_CONFIG``, or the platform's folder."""
    if named := environ.get("CFUPLOAD_CONFIG"):
        return expanded(named).absolute()
    import platformdirs

    return platformdirs.user_config_path(APP, appauthor=False) / "config.toml"


def expanded(text: str) -> Path:
    """``text`` as a path, with a leading ``~`` replaced where that home is known."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)

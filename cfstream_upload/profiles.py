"""The config file: ``[profiles.NAME]`` in TOML, private as soon as it holds a secret."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfstream_upload.credentials import passwords_in, refuse_if_shared
from cfstream_upload.errors import ConfigProblem, UsageProblem
from cfstream_upload.nearest import did_you_mean
from cfstream_upload.ownership import written_by_others
from cfstream_upload.statedir import write_private

DEFAULT_PROFILE = "default"
KEYS = (
    "account_id", "api_token", "api_token_file", "token_command", "api_base_url", "ca_cert",
    "proxy", "label", "journal", "place",
)  # fmt: skip
"""What a profile may hold."""

_TOKENS = {"api_token", "api_token_file", "token_command"}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_POSITION = re.compile(r"at line \d+, column \d+")
_LARGEST = 1024 * 1024


@dataclass(frozen=True)
class ConfigFile:
    """What stands in the file at ``path``; a file that is not there holds nothing."""

    path: Path
    profiles: Mapping[str, Mapping[str, str]]
    warnings: tuple[str, ...] = ()

    def named(self, name: str) -> Mapping[str, str]:
        """The profile called ``name``. Raises `ConfigProblem`."""
        if name in self.profiles:
            return self.profiles[name]
        raise ConfigProblem(
            f"There is no profile {name!r} in {self.path}",
            did_you_mean(name, sorted(self.profiles)),
        )


def read(path: Path) -> ConfigFile:
    """The config file at ``path``. Raises `ConfigProblem`; its text quotes no value."""
    document = _document(path)
    profiles = _table(document.get("profiles", {}), "profiles", path)
    warnings = [f"{path}: {name!r} is not known here" for name in document if name != "profiles"]
    known: dict[str, dict[str, str]] = {}
    for profile, keys in profiles.items():
        known[profile] = {}
        for key, value in _table(keys, f"profiles.{profile}", path).items():
            if key not in KEYS:
                warnings.append(f"{path}: {key!r} in profile {profile!r} is not known here")
            elif not isinstance(value, str):
                raise ConfigProblem(f"{path}: {key} in profile {profile!r} is not text", _QUOTES)
            else:
                known[profile][key] = value
    return ConfigFile(path, known, tuple(warnings))


_QUOTES = 'Write it in quotes: key = "value"'


def write(path: Path, profile: str, key: str, text: str | None) -> None:
    """Set ``key`` of ``profile`` to ``text``, or take it out where that is None; mode 0600.

    What is not known here is kept. Raises `UsageProblem` and `ConfigProblem`.
    """
    import tomli_w

    if not _NAME.match(profile):
        raise UsageProblem(
            f"{profile!r} cannot name a profile", "Use letters, digits, '_' and '-'."
        )
    # Through a link to the file itself: people keep such files elsewhere and link to them.
    path = path.resolve()
    document = _document(path)
    keys = _table(document.setdefault("profiles", {}), "profiles", path).setdefault(profile, {})
    _table(keys, f"profiles.{profile}", path)
    for other in _TOKENS if key in _TOKENS and text is not None else {key}:
        keys.pop(other, None)
    if text is not None:
        keys[key] = text
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, tomli_w.dumps(document).encode())
    except (OSError, UnicodeEncodeError) as error:
        why = getattr(error, "strerror", None) or "text that is no Unicode"
        raise ConfigProblem(
            f"The config file {path} cannot be written: {why}", "Choose another: CFUPLOAD_CONFIG."
        ) from None


def _document(path: Path) -> dict[str, Any]:
    # It names commands to run and the host that gets the token.
    if why := written_by_others(path):
        raise ConfigProblem(
            f"The config file {path} is not obeyed: {why}",
            f"Run: chmod o-w {path}   (after a look at what it says), or name another.",
        )
    content = b""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST)
            document = tomllib.loads(content.decode())
            if _holds_secret(document):
                refuse_if_shared(file.fileno(), path)
    except FileNotFoundError:
        return {}
    except (OSError, RecursionError) as error:
        why = getattr(error, "strerror", None) or "nested too deeply"
        raise ConfigProblem(
            f"The config file {path} cannot be read: {why}",
            "Fix it, or name another: CFUPLOAD_CONFIG.",
        ) from None
    except ValueError as error:
        raise ConfigProblem(
            f"The config file {path} is not proper TOML{_place(error, content)}",
            "Fix it by hand, or move it away and run: cfupload config set",
        ) from None
    return document


def _place(error: ValueError, content: bytes) -> str:
    """Of the parser's words only the position: the rest may quote the file."""
    if isinstance(error, UnicodeDecodeError):
        content = content[: error.start]
    elif not str(error).endswith("(at end of document)"):
        where = _POSITION.search(str(error))
        return f" {where[0]}" if where else ""
    lines = content.count(b"\n") + 1
    return f" at line {lines}"


def _holds_secret(document: Mapping[str, Any]) -> bool:
    profiles = document.get("profiles")
    tables = profiles.values() if isinstance(profiles, dict) else ()
    return any(
        "api_token" in keys
        or "@" in str(keys.get("proxy", ""))
        or passwords_in(str(keys.get("journal", "")))
        for keys in tables
        if isinstance(keys, dict)
    )


def _table(value: object, name: str, path: Path) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise ConfigProblem(f"{path}: {name} is not a table", f"Write it as [{name}].")

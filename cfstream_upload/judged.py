"""Each setting by itself: what it may be, and what of it may be shown.

A message never quotes a value that may be a secret pasted into the wrong place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from cfstream_upload import credentials
from cfstream_upload.attempt import is_label, is_uid
from cfstream_upload.credentials import Secret
from cfstream_upload.errors import ConfigProblem, UsageProblem
from cfstream_upload.origins import APP, Found, Layers, expanded
from cfstream_upload.ownership import written_by_others

DEFAULT_BASE = "https://api.cloudflare.com/client/v4"

_GIVEN = "this command"
"""Where a value to be written comes from, in words."""

_MAKE_HOST_ID = 'Make one: python3 -c "import secrets; print(secrets.token_hex(16))"'


def shown(name: str, text: str) -> str:
    """``text`` of the setting ``name``, secrets masked."""
    if name == "api_token":
        return "***"
    if name == "account_id" and not is_uid(text.strip().lower()):
        return "(not 32 hex digits)"
    if name in ("proxy", "api_base_url"):
        return credentials.without_password(text)
    if name == "journal":
        return credentials.without_secrets(text)
    return text


def account(found: Found | None, environ: Mapping[str, str], *, need: bool) -> str:
    """32 hex digits; empty where none is given and none is needed."""
    if found is None:
        if not need:
            return ""
        _missing("account", "CLOUDFLARE_ACCOUNT_ID", "account_id", environ)
    return _judged_account(found.text, found.origin)


def _judged_account(text: str, origin: str) -> str:
    account = text.strip().lower()
    if not is_uid(account):
        raise ConfigProblem(
            f"The account of {origin} is not 32 hex digits",
            "The dashboard shows the account id; it is no token and no e-mail address.",
        )
    return account


def token(found: Found | None, layers: Layers) -> Secret:
    """The token itself, of a file or a command where one of these is named."""
    if found is None:
        _missing("API token", "CLOUDFLARE_API_TOKEN", "api_token", layers.environ)
    if found.name == "api_token_file":
        return credentials.from_file(expanded(found.text), found.origin)
    if found.name == "token_command":
        return credentials.from_command(found.text, found.origin, layers.environ)
    return credentials.checked(found.text, found.origin)


def _missing(what: str, variable: str, key: str, environ: Mapping[str, str]) -> NoReturn:
    hint = f"Set {variable}, or run: cfupload config set {key}"
    if key == "api_token" and (environ.get("CLOUDFLARE_API_KEY") or environ.get("CF_API_KEY")):
        hint = f"The global API key is not used. Make a token with Stream: Edit and set {variable}."
    raise ConfigProblem(f"There is no {what}", hint)


def base(layers: Layers) -> str:
    """Where the API is, without a trailing slash."""
    found = layers.find("api_base_url")
    if found is None or found.text == DEFAULT_BASE:
        return DEFAULT_BASE
    return _judged_base(found.text, found.origin)


def _judged_base(text: str, origin: str) -> str:
    # The one judge of URLs comes with the whole HTTP library: only an unusual base pays for it.
    from cfstream_upload.wire import UnacceptableUrl, acceptable_api_base

    try:
        return acceptable_api_base(text)
    except UnacceptableUrl as refusal:
        raise ConfigProblem(
            f"The API base of {origin} is not acceptable: {refusal}", f"Like {DEFAULT_BASE}"
        ) from None


def state_dir(layers: Layers) -> Path:
    """Where the journal is; not looked at."""
    if found := layers.find("state_dir"):
        return expanded(found.text).absolute()
    import platformdirs

    return platformdirs.user_state_path(APP, appauthor=False)


def label(layers: Layers) -> str:
    """What travels in markers; that of a CI run only where it can."""
    found = layers.find("label") or layers.find("ci_run")
    if found is None or not found.text:
        return ""
    if found.name == "ci_run":
        return found.text if is_label(found.text) else ""
    return _name("label", found.text, found.origin, _problem(found))


def host_id(layers: Layers) -> str | None:
    """The name for markers that is to be used, 32 hex digits."""
    found = layers.find("host_id")
    if found and not is_uid(found.text):
        raise ConfigProblem(f"{found.origin} is not 32 lower-case hex digits", _MAKE_HOST_ID)
    return found.text if found else None


def ca_cert(layers: Layers) -> Path | None:
    """The file of certificates, which was read."""
    found = layers.find("ca_cert")
    if found is None:
        return None
    path = expanded(found.text).absolute()
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        content, why = b"", getattr(error, "strerror", None) or "not readable"
    else:
        why = "it holds no certificate in PEM form"
        if others := written_by_others(path):
            content, why = b"", others
    if b"-----BEGIN " not in content:
        raise _problem(found)(
            f"The certificates of {found.origin} cannot be used: {path}: {why}",
            "Name a PEM file that can be read.",
        )
    return path


def proxy(layers: Layers, base: str) -> Secret | None:
    """The proxy on the way to ``base``."""
    found = layers.find("proxy")
    if found is None or not found.text:
        return None
    url = credentials.proxy_url(found.text, found.origin, flag=found.rank == 1)
    # What was said on purpose for this run is not taken back by the environment.
    passed_over = layers.find("no_proxy") if found.rank > 2 else None
    if passed_over and credentials.goes_direct(base, passed_over.text, passed_over.origin):
        return None
    return Secret(url)


def journal(layers: Layers) -> Secret | None:
    """The URL of the journal that machines share."""
    found = layers.find("journal")
    if found is None or not found.text:
        return None
    return Secret(credentials.journal_url(found.text, found.origin, flag=found.rank == 1))


def place(layers: Layers) -> str:
    """What tells this machine's paths from the same ones elsewhere."""
    found = layers.find("place")
    if found is None or not found.text:
        return ""
    return _name("place", found.text, found.origin, _problem(found))


_Problem = type[UsageProblem | ConfigProblem]


def _problem(found: Found) -> _Problem:
    return UsageProblem if found.rank == 1 else ConfigProblem


def _name(what: str, text: str, origin: str, problem: _Problem = ConfigProblem) -> str:
    if not is_label(text):
        cannot = "cannot travel in a marker" if what == "label" else "is no name"
        raise problem(
            f"The {what} of {origin} {cannot}",
            "Use 1 to 64 of the letters A-Z a-z 0-9 _ . : / @ + - and begin with a letter, "
            "a digit, _ or -.",
        )
    return text


def settable(name: str, text: str) -> str:
    """``text`` as it is to stand in the config file under ``name``."""
    if not text.strip():
        raise ConfigProblem(
            f"The value for {name} is empty",
            f"Give one; or take {name} out of the file: cfupload config unset {name}",
        )
    match name:
        case "account_id":
            return _judged_account(text, _GIVEN)
        case "api_token":
            return credentials.checked(credentials.one_line(text), _GIVEN).reveal()
        case "api_base_url":
            return _judged_base(text, _GIVEN)
        case "proxy":
            return credentials.proxy_url(text, _GIVEN)
        case "journal":
            return credentials.journal_url(text, _GIVEN)
        case "label" | "place":
            return _name(name, text, _GIVEN)
        case "api_token_file" | "ca_cert":
            return os.fspath(expanded(text).absolute())
    return text

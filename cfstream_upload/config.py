"""Where every setting comes from: flag, profile, environment, config file or default.

The places and their order are in module `origins`. Here each value is judged and the defaults
stand. A message never quotes a value that may be a secret pasted into the wrong place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from cfstream_upload import credentials, profiles
from cfstream_upload.attempt import is_label, is_uid
from cfstream_upload.credentials import Secret
from cfstream_upload.errors import CfuploadError, ConfigProblem, UsageProblem
from cfstream_upload.nearest import did_you_mean
from cfstream_upload.origins import APP, Found, Layers, config_path, expanded
from cfstream_upload.ownership import written_by_others
from cfstream_upload.profiles import DEFAULT_PROFILE, KEYS

__all__ = [
    "DEFAULT_BASE",
    "KEYS",
    "Examined",
    "Secret",
    "Setting",
    "Settings",
    "config_path",
    "examine",
    "explain",
    "no_settings",
    "resolve",
    "set_value",
    "warnings",
]

DEFAULT_BASE = "https://api.cloudflare.com/client/v4"

_ACCOUNT = ("account_id", "old_account_id")
_TOKEN = ("api_token", "api_token_file", "token_command", "old_api_token")
_MAKE_HOST_ID = 'Make one: python3 -c "import secrets; print(secrets.token_hex(16))"'


@dataclass(frozen=True)
class Settings:
    """What a command works with. ``base`` has no trailing slash, ``account`` is 32 hex digits.

    Without an account or a token needed, those two may be empty. ``proxy`` is an ``http://`` URL,
    perhaps with a password, and so is ``journal``, a ``postgresql://`` URL; machines whose same
    paths are not the same files differ in ``place``. ``warnings`` are lines to be shown once.
    """

    base: str
    account: str
    token: Secret
    state_dir: Path
    label: str
    host_id: str | None
    ca_cert: Path | None
    proxy: Secret | None
    journal: Secret | None = None
    place: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """One line of ``config show``: secrets are masked already."""

    name: str
    value_shown: str
    origin: str


@dataclass(frozen=True)
class Examined:
    """The settings as far as they are sound, and by name what is wrong with the others.

    What is missing or wrong is empty in ``settings``, ``base`` too. ``shown`` is as `explain` has
    it.
    """

    settings: Settings
    problems: Mapping[str, CfuploadError]
    shown: tuple[Setting, ...] = ()


_T = TypeVar("_T")


def resolve(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    need_account: bool = True,
    read_label: bool = True,
    given: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of this run. Raises `ConfigProblem`, or `UsageProblem` for a flag.

    ``flags`` may hold ``profile``, ``ca_cert``, ``proxy``, ``label``, ``journal`` and ``place``.
    Without ``need_account`` nothing that only a request to Cloudflare needs is read or judged: no
    token, certificate or proxy. The label is read for sending alone. ``given`` holds settings by
    the names that `cfstream_upload.settings` has for them; they come before all others.
    """
    layers = Layers(flags, environ, given)
    account, token = layers.find(*_ACCOUNT), layers.find(*_TOKEN)
    base = _base(layers)
    return Settings(
        base=base,
        account=_account(account, environ, need=need_account),
        token=_token(token, layers) if need_account else Secret(""),
        state_dir=_state_dir(layers),
        label=_label(layers) if read_label else "",
        host_id=_host_id(layers),
        ca_cert=_ca_cert(layers) if need_account else None,
        proxy=_proxy(layers, base) if need_account else None,
        journal=_journal(layers),
        place=_place(layers),
        warnings=_warnings(layers),
    )


def examine(flags: Mapping[str, object], environ: Mapping[str, str]) -> Examined:
    """The settings with every problem that `resolve` would raise one after the other.

    Where the config file cannot be read, only the state directory is known.
    """
    problems: dict[str, CfuploadError] = {}

    def tried(name: str, judge: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return judge()
        except CfuploadError as problem:
            problems[name] = problem
            return otherwise

    layers = tried("config", lambda: Layers(flags, environ), None)
    if layers is None:
        return Examined(no_settings(environ), problems)
    base = tried("base", lambda: _base(layers), "")
    account = layers.find(*_ACCOUNT)
    settings = Settings(
        base=base,
        account=tried("account", lambda: _account(account, environ, need=True), ""),
        token=tried("token", lambda: _token(layers.find(*_TOKEN), layers), Secret("")),
        state_dir=_state_dir(layers),
        label=tried("label", lambda: _label(layers), ""),
        host_id=tried("host_id", lambda: _host_id(layers), None),
        ca_cert=tried("ca_cert", lambda: _ca_cert(layers), None),
        proxy=tried("proxy", lambda: _proxy(layers, base or DEFAULT_BASE), None),
        journal=tried("journal", lambda: _journal(layers), None),
        place=tried("place", lambda: _place(layers), ""),
        warnings=_warnings(layers),
    )
    return Examined(settings, problems, tuple(_explained(layers)))


def no_settings(environ: Mapping[str, str]) -> Settings:
    """Empty settings but for the state directory, which no config file has a say in."""
    apart = Layers({}, {**environ, "CFUPLOAD_CONFIG": os.devnull, "CFUPLOAD_PROFILE": ""})
    return Settings("", "", Secret(""), _state_dir(apart), "", None, None, None)


def _warnings(layers: Layers) -> tuple[str, ...]:
    found = [layers.find(*_ACCOUNT), layers.find(*_TOKEN)]
    return (
        *layers.file.warnings,
        *(
            f"{one.origin} is an old name: use CLOUDFLARE_{one.origin.removeprefix('CF_')}"
            for one in found
            if one and one.name.startswith("old_")
        ),
    )


def warnings(flags: Mapping[str, object], environ: Mapping[str, str]) -> tuple[str, ...]:
    """What `resolve` would warn of. Raises `ConfigProblem` as `explain` does."""
    return _warnings(Layers(flags, environ))


def _places(layers: Layers) -> list[Setting]:
    """The config file and the profile that the settings come from."""
    path = layers.file.path
    environ = layers.environ
    named = "CFUPLOAD_CONFIG" if environ.get("CFUPLOAD_CONFIG") else "default"
    there = "" if path.exists() else " (no such file yet)"
    name, origin = layers.profile
    return [Setting("config", f"{path}{there}", named), Setting("profile", name, origin)]


def explain(flags: Mapping[str, object], environ: Mapping[str, str]) -> list[Setting]:
    """Every setting with its value and origin, secrets masked; values are not judged.

    No token file is read and no token command run. Raises `ConfigProblem` where the config file
    itself cannot be read.
    """
    layers = Layers(flags, environ)
    return [*_places(layers), *_explained(layers)]


def _explained(layers: Layers) -> list[Setting]:
    rows: list[Setting] = []

    def add(name: str, found: Found | None, default: str = "") -> None:
        if found is None:
            rows.append(Setting(name, default, "default" if default else "not set"))
        else:
            rows.append(Setting(name, _shown(name, found.text), found.origin))

    add("account_id", layers.find(*_ACCOUNT))
    token = layers.find(*_TOKEN)
    add("api_token", token)
    if token and token.name in ("api_token_file", "token_command"):
        how = "the file named by" if token.name == "api_token_file" else "the command named by"
        rows[-1] = Setting("api_token", "***", f"{how} {token.origin}")
    add("api_base_url", layers.find("api_base_url"), DEFAULT_BASE)
    add("state_dir", layers.find("state_dir"), os.fspath(_state_dir(layers)))
    add("label", layers.find("label") or layers.find("ci_run"))
    add("host_id", layers.find("host_id"))
    add("ca_cert", layers.find("ca_cert"))
    add("proxy", layers.find("proxy"))
    add("no_proxy", layers.find("no_proxy"))
    add("journal", layers.find("journal"), "SQLite in the state directory")
    add("place", layers.find("place"))
    return rows


def set_value(
    name: str, text: str | None, environ: Mapping[str, str], *, profile: str = DEFAULT_PROFILE
) -> Path:
    """Write ``name`` into ``profile`` of the config file, or take it out where ``text`` is None.

    The file is replaced whole, mode 0600; its comments are lost. Of ``api_token``,
    ``api_token_file`` and ``token_command`` a profile keeps the one that was set last. A token may
    end in a newline. Returns the file's path. Raises `UsageProblem` for an unknown name,
    `ConfigProblem` for a value that cannot be.
    """
    if name not in KEYS:
        raise UsageProblem(f"There is no setting {name!r}", did_you_mean(name, KEYS))
    path = config_path(environ)
    profiles.write(path, profile, name, None if text is None else _settable(name, text))
    return path


def held(name: str, environ: Mapping[str, str], *, profile: str = DEFAULT_PROFILE) -> str | None:
    """What ``profile`` of the config file holds under ``name``, secrets masked; or None."""
    text = profiles.read(config_path(environ)).profiles.get(profile, {}).get(name)
    return None if text is None else _shown(name, text)


def _settable(name: str, text: str) -> str:
    """``text`` as it is to stand in the file under ``name``."""
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
        case "place":
            _check_place(text, _GIVEN)
        case "label":
            _check_label(text, _GIVEN)
        case "api_token_file" | "ca_cert":
            return os.fspath(expanded(text).absolute())
    return text


_GIVEN = "this command"
"""Where a value to be written comes from, in words."""


# --- one setting each ----------------------------------------------------------------------------


def _shown(name: str, text: str) -> str:
    if name == "api_token":
        return "***"
    if name == "account_id" and not is_uid(text.strip().lower()):
        return "(not 32 hex digits)"
    if name in ("proxy", "api_base_url"):
        return credentials.without_password(text)
    if name == "journal":
        return credentials.without_secrets(text)
    return text


def _account(found: Found | None, environ: Mapping[str, str], *, need: bool) -> str:
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


def _token(found: Found | None, layers: Layers) -> Secret:
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


def _base(layers: Layers) -> str:
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


def _state_dir(layers: Layers) -> Path:
    if found := layers.find("state_dir"):
        return expanded(found.text).absolute()
    import platformdirs

    return platformdirs.user_state_path(APP, appauthor=False)


def _label(layers: Layers) -> str:
    found = layers.find("label") or layers.find("ci_run")
    if found is None or not found.text:
        return ""
    if found.name == "ci_run":
        return found.text if is_label(found.text) else ""
    _check_label(found.text, found.origin, UsageProblem if found.rank == 1 else ConfigProblem)
    return found.text


def _check_label(
    text: str, origin: str, problem: type[UsageProblem | ConfigProblem] = ConfigProblem
) -> None:
    if not is_label(text):
        raise problem(
            f"The label of {origin} cannot travel in a marker",
            "Use 1 to 64 of the letters A-Z a-z 0-9 _ . : / @ + - and begin with a letter, "
            "a digit, _ or -.",
        )


def _host_id(layers: Layers) -> str | None:
    found = layers.find("host_id")
    if found and not is_uid(found.text):
        raise ConfigProblem(f"{found.origin} is not 32 lower-case hex digits", _MAKE_HOST_ID)
    return found.text if found else None


def _ca_cert(layers: Layers) -> Path | None:
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
        problem = UsageProblem if found.rank == 1 else ConfigProblem
        raise problem(
            f"The certificates of {found.origin} cannot be used: {path}: {why}",
            "Name a PEM file that can be read.",
        )
    return path


def _proxy(layers: Layers, base: str) -> Secret | None:
    found = layers.find("proxy")
    if found is None or not found.text:
        return None
    url = credentials.proxy_url(found.text, found.origin, flag=found.rank == 1)
    # What was said on purpose for this run is not taken back by the environment.
    passed_over = layers.find("no_proxy") if found.rank > 2 else None
    if passed_over and credentials.goes_direct(base, passed_over.text, passed_over.origin):
        return None
    return Secret(url)


def _journal(layers: Layers) -> Secret | None:
    found = layers.find("journal")
    if found is None or not found.text:
        return None
    return Secret(credentials.journal_url(found.text, found.origin, flag=found.rank == 1))


def _place(layers: Layers) -> str:
    found = layers.find("place")
    if found is None or not found.text:
        return ""
    _check_place(found.text, found.origin, UsageProblem if found.rank == 1 else ConfigProblem)
    return found.text


def _check_place(
    text: str, origin: str, problem: type[UsageProblem | ConfigProblem] = ConfigProblem
) -> None:
    if not is_label(text):
        raise problem(
            f"The place of {origin} is no name",
            "Use 1 to 64 of the letters A-Z a-z 0-9 _ . : / @ + - and begin with a letter, "
            "a digit, _ or -.",
        )

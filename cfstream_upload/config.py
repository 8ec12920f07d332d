"""Where every setting comes from: flag, profile, environment, config file or default.

The places and their order are in module `origins`, what each value may be in `judged`. Here they
become the settings of a run, and what ``cfupload config`` shows and changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cfstream_upload import judged, profiles
from cfstream_upload.credentials import Secret
from cfstream_upload.errors import CfuploadError, UsageProblem
from cfstream_upload.judged import DEFAULT_BASE
from cfstream_upload.nearest import did_you_mean
from cfstream_upload.origins import Found, Layers, config_path
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

_ACCOUNT = ("account_id", "old_account_id")
_TOKEN = ("api_token", "api_token_file", "token_command", "old_api_token")


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
    base = judged.base(layers)
    return Settings(
        base=base,
        account=judged.account(account, environ, need=need_account),
        token=judged.token(token, layers) if need_account else Secret(""),
        state_dir=judged.state_dir(layers),
        label=judged.label(layers) if read_label else "",
        host_id=judged.host_id(layers),
        ca_cert=judged.ca_cert(layers) if need_account else None,
        proxy=judged.proxy(layers, base) if need_account else None,
        journal=judged.journal(layers),
        place=judged.place(layers),
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
    base = tried("base", lambda: judged.base(layers), "")
    account = layers.find(*_ACCOUNT)
    settings = Settings(
        base=base,
        account=tried("account", lambda: judged.account(account, environ, need=True), ""),
        token=tried("token", lambda: judged.token(layers.find(*_TOKEN), layers), Secret("")),
        state_dir=judged.state_dir(layers),
        label=tried("label", lambda: judged.label(layers), ""),
        host_id=tried("host_id", lambda: judged.host_id(layers), None),
        ca_cert=tried("ca_cert", lambda: judged.ca_cert(layers), None),
        proxy=tried("proxy", lambda: judged.proxy(layers, base or DEFAULT_BASE), None),
        journal=tried("journal", lambda: judged.journal(layers), None),
        place=tried("place", lambda: judged.place(layers), ""),
        warnings=_warnings(layers),
    )
    return Examined(settings, problems, tuple(_explained(layers)))


def no_settings(environ: Mapping[str, str]) -> Settings:
    """Empty settings but for the state directory, which no config file has a say in."""
    apart = Layers({}, {**environ, "CFUPLOAD_CONFIG": os.devnull, "CFUPLOAD_PROFILE": ""})
    return Settings("", "", Secret(""), judged.state_dir(apart), "", None, None, None)


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
            rows.append(Setting(name, judged.shown(name, found.text), found.origin))

    add("account_id", layers.find(*_ACCOUNT))
    token = layers.find(*_TOKEN)
    add("api_token", token)
    if token and token.name in ("api_token_file", "token_command"):
        how = "the file named by" if token.name == "api_token_file" else "the command named by"
        rows[-1] = Setting("api_token", "***", f"{how} {token.origin}")
    add("api_base_url", layers.find("api_base_url"), DEFAULT_BASE)
    add("state_dir", layers.find("state_dir"), os.fspath(judged.state_dir(layers)))
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
    profiles.write(path, profile, name, None if text is None else judged.settable(name, text))
    return path


def held(name: str, environ: Mapping[str, str], *, profile: str = DEFAULT_PROFILE) -> str | None:
    """What ``profile`` of the config file holds under ``name``, secrets masked; or None."""
    text = profiles.read(config_path(environ)).profiles.get(profile, {}).get(name)
    return None if text is None else judged.shown(name, text)

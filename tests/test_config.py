from __future__ import annotations

import copy
import os
import pickle
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cfstream_upload import config, credentials
from cfstream_upload.config import Secret, Settings
from cfstream_upload.errors import CfuploadError, ConfigProblem, UsageProblem

ACCOUNT = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
TOKEN = "Canary_token-0123456789abcdefghijklmnopq"
posix = pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")

Environ = dict[str, str]


@pytest.fixture
def environ(tmp_path: Path) -> Environ:
    return {
        "CFUPLOAD_CONFIG": str(tmp_path / "config.toml"),
        "CFUPLOAD_STATE_DIR": str(tmp_path / "state"),
        "PATH": os.environ.get("PATH", ""),
    }


def with_credentials(environ: Environ, **more: str) -> Environ:
    return {
        **environ,
        "CLOUDFLARE_API_TOKEN": TOKEN,
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        **more,
    }


def write_config(environ: Environ, text: str, mode: int = 0o600) -> Path:
    path = Path(environ["CFUPLOAD_CONFIG"])
    path.write_text(text)
    path.chmod(mode)
    return path


def origin_of(name: str, flags: dict[str, object], environ: Environ) -> str:
    return next(s.origin for s in config.explain(flags, environ) if s.name == name)


def refusal(environ: Environ, flags: dict[str, object] | None = None) -> CfuploadError:
    with pytest.raises((ConfigProblem, UsageProblem)) as caught:
        config.resolve(flags or {}, environ)
    error = caught.value
    assert error.message
    assert error.hint
    assert "\n" not in error.message + error.hint
    return error


# --- where a value comes from --------------------------------------------------------------------


def test_the_environment_alone_is_enough(environ: Environ, tmp_path: Path) -> None:
    assert config.resolve({}, with_credentials(environ)) == Settings(
        base="https://api.cloudflare.com/client/v4",
        account=ACCOUNT,
        token=Secret(TOKEN),
        state_dir=tmp_path / "state",
        label="",
        host_id=None,
        ca_cert=None,
        proxy=None,
    )


def test_each_place_beats_the_next_and_is_named(environ: Environ) -> None:
    write_config(
        environ,
        '[profiles.default]\nlabel = "from-default"\n[profiles.work]\nlabel = "from-work"\n',
    )
    found = {}
    for flags, more in (
        ({}, {}),
        ({}, {"CFUPLOAD_LABEL": "from-environment"}),
        ({"profile": "work"}, {"CFUPLOAD_LABEL": "from-environment"}),
        ({"profile": "work", "label": "from-flag"}, {"CFUPLOAD_LABEL": "from-environment"}),
    ):
        asked: dict[str, object] = dict(flags)
        settings = config.resolve(asked, with_credentials(environ, **more))
        found[settings.label] = origin_of("label", asked, {**environ, **more})
    assert found == {
        "from-default": "default profile",
        "from-environment": "CFUPLOAD_LABEL",
        "from-work": "profile work",
        "from-flag": "--label",
    }


def test_the_default_profile_still_fills_in_for_a_named_one(environ: Environ) -> None:
    write_config(
        environ,
        f'[profiles.default]\naccount_id = "{ACCOUNT}"\n[profiles.work]\napi_token = "{TOKEN}"\n',
    )
    settings = config.resolve({"profile": "work"}, environ)
    assert (settings.account, settings.token.reveal()) == (ACCOUNT, TOKEN)


def test_a_token_file_in_the_environment_beats_a_token_in_the_default_profile(
    environ: Environ, tmp_path: Path
) -> None:
    write_config(environ, '[profiles.default]\napi_token = "from-the-file"\n')
    kept = tmp_path / "token"
    kept.write_text(TOKEN)
    kept.chmod(0o600)
    more = {"CLOUDFLARE_ACCOUNT_ID": ACCOUNT, "CLOUDFLARE_API_TOKEN_FILE": str(kept)}
    assert config.resolve({}, {**environ, **more}).token.reveal() == TOKEN


def test_an_empty_variable_is_not_set(environ: Environ) -> None:
    write_config(environ, f'[profiles.default]\naccount_id = "{OTHER}"\n')
    settings = config.resolve({}, with_credentials(environ, CLOUDFLARE_ACCOUNT_ID=""))
    assert settings.account == OTHER


def test_the_old_names_work_with_a_warning(environ: Environ) -> None:
    old = {**environ, "CF_API_TOKEN": TOKEN, "CF_ACCOUNT_ID": ACCOUNT}
    settings = config.resolve({}, old)
    assert (settings.account, settings.token.reveal()) == (ACCOUNT, TOKEN)
    assert len(settings.warnings) == 2
    assert "CLOUDFLARE_API_TOKEN" in settings.warnings[1]


def test_the_new_names_beat_the_old_ones_silently(environ: Environ) -> None:
    settings = config.resolve({}, with_credentials(environ, CF_ACCOUNT_ID=OTHER, CF_API_TOKEN="x"))
    assert (settings.account, settings.warnings) == (ACCOUNT, ())


def test_the_run_of_a_ci_labels_it_last_of_all(environ: Environ) -> None:
    ci = with_credentials(environ, GITHUB_RUN_ID="4711")
    assert config.resolve({}, ci).label == "4711"
    write_config(environ, '[profiles.default]\nlabel = "mine"\n')
    assert config.resolve({}, ci).label == "mine"


def test_a_profile_that_is_not_there_is_refused(environ: Environ) -> None:
    write_config(environ, '[profiles.work]\nlabel = "x"\n')
    error = refusal(with_credentials(environ), {"profile": "wrok"})
    assert error.exit_code == 3
    assert "work" in error.hint


def test_an_unknown_key_warns_and_is_passed_over(environ: Environ) -> None:
    write_config(environ, '[profiles.default]\nacount_id = "x"\n')
    settings = config.resolve({}, with_credentials(environ))
    assert "'acount_id'" in settings.warnings[0]


def test_what_is_missing_is_named(environ: Environ) -> None:
    assert "CLOUDFLARE_ACCOUNT_ID" in refusal({**environ, "CLOUDFLARE_API_TOKEN": TOKEN}).hint
    assert "CLOUDFLARE_API_TOKEN" in refusal({**environ, "CLOUDFLARE_ACCOUNT_ID": ACCOUNT}).hint


def test_the_global_key_is_no_token(environ: Environ) -> None:
    account = {**environ, "CLOUDFLARE_ACCOUNT_ID": ACCOUNT}
    key = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234"
    assert "global" in refusal({**account, "CLOUDFLARE_API_KEY": key}).hint
    assert "global" in refusal({**account, "CLOUDFLARE_API_TOKEN": key}).message


def test_without_need_of_an_account_nothing_secret_is_read(
    environ: Environ, tmp_path: Path
) -> None:
    trace = tmp_path / "ran"
    settings = config.resolve(
        {}, {**environ, "CFUPLOAD_TOKEN_COMMAND": f"touch {trace}"}, need_account=False
    )
    assert (settings.account, bool(settings.token)) == ("", False)
    assert not trace.exists()


# --- the token -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    ["two words-canary", "canary\n", "canary\x1b[31m", "canary\xe9", "Bearer canary", "canary\x7f"],
)
def test_a_token_that_is_not_one_printable_line_is_refused_without_being_shown(
    token: str, environ: Environ
) -> None:
    error = refusal(with_credentials(environ, CLOUDFLARE_API_TOKEN=token))
    assert error.exit_code == 3
    assert "canary" not in error.message + error.hint


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_token_file_loses_one_line_end(ending: str, environ: Environ, tmp_path: Path) -> None:
    kept = tmp_path / "token"
    kept.write_bytes((TOKEN + ending).encode())
    kept.chmod(0o600)
    more = {"CLOUDFLARE_ACCOUNT_ID": ACCOUNT, "CLOUDFLARE_API_TOKEN_FILE": str(kept)}
    assert config.resolve({}, {**environ, **more}).token.reveal() == TOKEN


def test_a_token_file_with_two_line_ends_is_refused(environ: Environ, tmp_path: Path) -> None:
    kept = tmp_path / "token"
    kept.write_text(TOKEN + "\n\n")
    kept.chmod(0o600)
    more = {"CLOUDFLARE_ACCOUNT_ID": ACCOUNT, "CLOUDFLARE_API_TOKEN_FILE": str(kept)}
    assert TOKEN not in refusal({**environ, **more}).message


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_token_that_others_can_read_is_refused(
    mode: int, environ: Environ, tmp_path: Path
) -> None:
    kept = tmp_path / "token"
    kept.write_text(TOKEN)
    kept.chmod(mode)
    more = {"CLOUDFLARE_ACCOUNT_ID": ACCOUNT, "CLOUDFLARE_API_TOKEN_FILE": str(kept)}
    assert "chmod 600" in refusal({**environ, **more}).hint
    write_config(environ, f'[profiles.default]\napi_token = "{TOKEN}"\n', mode)
    assert "chmod 600" in refusal({**environ, "CLOUDFLARE_ACCOUNT_ID": ACCOUNT}).hint


@posix
def test_a_config_file_without_a_secret_may_be_read_by_others(environ: Environ) -> None:
    write_config(environ, f'[profiles.default]\naccount_id = "{OTHER}"\n', 0o644)
    settings = config.resolve({}, {**environ, "CLOUDFLARE_API_TOKEN": TOKEN})
    assert settings.account == OTHER


def python_command(tmp_path: Path, code: str) -> str:
    script = tmp_path / "give token.py"
    script.write_text(code)
    return f"'{sys.executable}' '{script}'"


def test_a_token_command_runs_without_a_shell_and_without_other_tokens(
    environ: Environ, tmp_path: Path
) -> None:
    command = python_command(
        tmp_path,
        "import os, sys\n"
        "assert sys.argv[1:] == ['$HOME', ';', 'false']\n"
        "assert not [name for name in os.environ if 'API_TOKEN' in name or 'API_KEY' in name]\n"
        f"assert os.environ['KEPT'] == 'yes'\nprint('{TOKEN}')\n",
    )
    write_config(
        environ,
        f'[profiles.work]\ntoken_command = """{command} $HOME ; false"""\n',
    )
    more = with_credentials(
        environ, CLOUDFLARE_API_TOKEN="wrong", CF_API_TOKEN="x", CF_API_KEY="x", KEPT="yes"
    )
    assert config.resolve({"profile": "work"}, more).token.reveal() == TOKEN


def test_a_failing_token_command_says_nothing_of_its_output(
    environ: Environ, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = python_command(
        tmp_path, f"import sys\nprint('{TOKEN}')\nprint('{TOKEN}', file=sys.stderr)\nsys.exit(7)\n"
    )
    more = {"CLOUDFLARE_ACCOUNT_ID": ACCOUNT, "CFUPLOAD_TOKEN_COMMAND": command}
    error = refusal({**environ, **more})
    assert "status 7" in error.message
    seen = capfd.readouterr()
    assert TOKEN not in error.message + error.hint + seen.out + seen.err


@pytest.mark.parametrize("command", ["no-such-command-anywhere", "'unbalanced", " "])
def test_a_token_command_that_cannot_run_is_refused(command: str, environ: Environ) -> None:
    more = {"CLOUDFLARE_ACCOUNT_ID": ACCOUNT, "CFUPLOAD_TOKEN_COMMAND": command}
    assert refusal({**environ, **more}).exit_code == 3


def test_a_token_command_is_not_waited_for_for_ever(
    environ: Environ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "COMMAND_TIMEOUT", 0.2)
    command = python_command(tmp_path, "import time\ntime.sleep(20)\n")
    more = {"CLOUDFLARE_ACCOUNT_ID": ACCOUNT, "CFUPLOAD_TOKEN_COMMAND": command}
    assert "within" in refusal({**environ, **more}).message


def test_a_secret_hides_and_does_not_travel() -> None:
    secret = Secret(TOKEN)
    assert f"{secret} {secret!r} {[secret]}" == "*** *** [***]"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)
    assert not hasattr(secret, "__dict__")


def test_settings_show_no_secret(environ: Environ) -> None:
    more = with_credentials(environ, HTTPS_PROXY="http://me:canary-pass@proxy.example:3128")
    shown = repr(config.resolve({}, more))
    assert TOKEN not in shown
    assert "canary-pass" not in shown


# --- the other values ----------------------------------------------------------------------------


@pytest.mark.parametrize("account", [TOKEN, "0123", ACCOUNT + "0", "../" + ACCOUNT[3:], "ä" * 32])
def test_an_account_that_is_none_is_refused_without_being_shown(
    account: str, environ: Environ
) -> None:
    error = refusal(with_credentials(environ, CLOUDFLARE_ACCOUNT_ID=account))
    assert error.exit_code == 3
    assert account not in error.message + error.hint


def test_capitals_and_a_newline_of_an_account_are_forgiven(environ: Environ) -> None:
    more = with_credentials(environ, CLOUDFLARE_ACCOUNT_ID=ACCOUNT.upper() + "\n")
    assert config.resolve({}, more).account == ACCOUNT


@pytest.mark.parametrize(
    "base", ["http://api.example.com", "https://user:pass@api.cloudflare.com", "file:///etc", "x"]
)
def test_an_api_base_of_plain_http_or_worse_is_refused(base: str, environ: Environ) -> None:
    error = refusal(with_credentials(environ, CLOUDFLARE_API_BASE_URL=base))
    assert error.exit_code == 3
    assert "pass" not in error.message


def test_an_api_base_on_this_machine_may_be_http(environ: Environ) -> None:
    more = with_credentials(environ, CLOUDFLARE_API_BASE_URL="http://127.0.0.1:8787/client/v4/")
    assert config.resolve({}, more).base == "http://127.0.0.1:8787/client/v4"


def test_a_host_id_is_32_hex_digits(environ: Environ) -> None:
    assert config.resolve({}, with_credentials(environ, CFUPLOAD_HOST_ID=OTHER)).host_id == OTHER
    error = refusal(with_credentials(environ, CFUPLOAD_HOST_ID="ci"))
    assert "token_hex" in error.hint


def test_a_label_that_cannot_travel_is_the_fault_of_who_gave_it(environ: Environ) -> None:
    assert refusal(with_credentials(environ), {"label": "ü"}).exit_code == 2
    assert refusal(with_credentials(environ, CFUPLOAD_LABEL="ü")).exit_code == 3
    assert config.resolve({"label": ""}, with_credentials(environ, CFUPLOAD_LABEL="x")).label == ""


def test_other_commands_do_not_read_the_label(environ: Environ) -> None:
    more = with_credentials(environ, CFUPLOAD_LABEL="ü")
    assert config.resolve({}, more, read_label=False).label == ""


def test_trusted_certificates_must_be_a_pem_file(environ: Environ, tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    assert refusal(with_credentials(environ, SSL_CERT_FILE=str(pem))).exit_code == 3
    pem.write_text("no certificate")
    assert refusal(with_credentials(environ), {"ca_cert": str(pem)}).exit_code == 2
    pem.write_text("-----BEGIN CERTIFICATE-----\n")
    assert config.resolve({}, with_credentials(environ, SSL_CERT_FILE=str(pem))).ca_cert == pem


def test_a_path_in_the_config_file_starts_at_that_file(
    environ: Environ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    write_config(environ, '[profiles.default]\nca_cert = "ca.pem"\n')
    monkeypatch.chdir("/")
    assert config.resolve({}, with_credentials(environ)).ca_cert == tmp_path / "ca.pem"


def proxy_of(environ: Environ, **more: str) -> str | None:
    proxy = config.resolve({}, with_credentials(environ, **more)).proxy
    return proxy.reveal() if proxy else None


def test_a_proxy_comes_from_the_environment_with_its_password(environ: Environ) -> None:
    assert proxy_of(environ, HTTPS_PROXY="http://me:pw@p.example:1/") == "http://me:pw@p.example:1"
    assert proxy_of(environ, https_proxy="p.example:3128") == "http://p.example:3128"


@pytest.mark.parametrize("text", ["socks5://p:1", "http://", "http://p:99999", "http://p/a", "a b"])
def test_a_proxy_of_another_kind_is_refused(text: str, environ: Environ) -> None:
    assert refusal(with_credentials(environ, HTTPS_PROXY=text)).exit_code == 3
    assert refusal(with_credentials(environ), {"proxy": text}).exit_code == 2


def test_a_proxy_password_on_the_command_line_is_refused(environ: Environ) -> None:
    for text in ("http://me:canary@p:1", "me:canary@p:1", "socks5://me:canary@p"):
        error = refusal(with_credentials(environ), {"proxy": text})
        assert error.exit_code == 2
        assert "canary" not in error.message + error.hint


@pytest.mark.parametrize(
    ("exceptions", "direct"),
    [
        ("*", True),
        ("localhost,.corp.example", False),
        (".cloudflare.com,cloudflarestream.com,*.videodelivery.net", True),
        ("api.cloudflare.com:443, upload.cloudflarestream.com,upload.videodelivery.net", True),
        ("flare.com", False),
        ("", False),
    ],
)
def test_no_proxy_is_honoured(exceptions: str, direct: bool, environ: Environ) -> None:
    proxy = proxy_of(environ, HTTPS_PROXY="http://p:1", NO_PROXY=exceptions)
    assert (proxy is None) is direct


def test_a_no_proxy_for_some_of_the_hosts_is_refused(environ: Environ) -> None:
    more = {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.cloudflare.com"}
    error = refusal(with_credentials(environ, **more))
    assert "upload.cloudflarestream.com" in error.hint


def test_a_proxy_given_by_flag_is_not_taken_back_by_no_proxy(environ: Environ) -> None:
    settings = config.resolve({"proxy": "http://p:1"}, with_credentials(environ, NO_PROXY="*"))
    assert settings.proxy == Secret("http://p:1")


def test_an_emulator_on_this_machine_needs_only_itself_in_no_proxy(environ: Environ) -> None:
    more = {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "localhost,127.0.0.1"}
    local = {"CLOUDFLARE_API_BASE_URL": "https://127.0.0.1:8787"}
    assert proxy_of(environ, **more, **local) is None


# --- show and set --------------------------------------------------------------------------------


def test_show_masks_every_secret_and_names_where_it_is_kept(environ: Environ) -> None:
    shown = {
        s.name: s
        for s in config.explain(
            {},
            {
                **environ,
                "CFUPLOAD_TOKEN_COMMAND": f"echo {TOKEN}",
                "CLOUDFLARE_ACCOUNT_ID": TOKEN,
                "HTTPS_PROXY": "http://me:canary@p:1",
                "CLOUDFLARE_API_BASE_URL": "https://me:canary@api.example",
            },
        )
    }
    text = repr(list(shown.values()))
    assert TOKEN not in text
    assert "canary" not in text
    assert shown["api_token"].value_shown == "***"
    assert shown["api_token"].origin == "the command named by CFUPLOAD_TOKEN_COMMAND"
    assert shown["proxy"].value_shown == "http://***@p:1"
    assert shown["label"].origin == "not set"


def test_show_works_where_nothing_is_set(environ: Environ) -> None:
    shown = {s.name: (s.value_shown, s.origin) for s in config.explain({}, environ)}
    assert shown["api_base_url"] == (config.DEFAULT_BASE, "default")
    assert shown["api_token"] == ("", "not set")


@posix
def test_set_writes_a_private_file_and_keeps_what_it_does_not_know(environ: Environ) -> None:
    path = write_config(environ, 'future = 1\n[profiles.default]\nnew_key = "kept"\n', 0o644)
    config.set_value("api_token", TOKEN + "\n", environ)
    config.set_value("account_id", ACCOUNT, environ, profile="work")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert tomllib.loads(path.read_text()) == {
        "future": 1,
        "profiles": {
            "default": {"new_key": "kept", "api_token": TOKEN},
            "work": {"account_id": ACCOUNT},
        },
    }
    assert [entry.name for entry in path.parent.iterdir()] == ["config.toml"]


def test_set_makes_the_folder_and_what_was_set_is_found(environ: Environ, tmp_path: Path) -> None:
    environ["CFUPLOAD_CONFIG"] = str(tmp_path / "not" / "yet" / "config.toml")
    config.set_value("api_token", TOKEN, environ)
    config.set_value("account_id", ACCOUNT, environ)
    settings = config.resolve({}, environ)
    assert (settings.token.reveal(), settings.account) == (TOKEN, ACCOUNT)


def test_set_without_a_value_takes_the_key_out(environ: Environ) -> None:
    path = config.set_value("label", "x", environ)
    config.set_value("label", None, environ)
    assert tomllib.loads(path.read_text()) == {"profiles": {"default": {}}}


def test_a_profile_keeps_the_way_to_the_token_that_was_set_last(environ: Environ) -> None:
    path = config.set_value("api_token", TOKEN, environ)
    config.set_value("token_command", "pass show stream", environ)
    assert TOKEN not in path.read_text()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("account_id", TOKEN),
        ("api_token", "two canary words"),
        ("api_token", ""),
        ("api_token", "\n"),
        ("label", "ü"),
        ("proxy", "socks5://p"),
        ("api_base_url", "http://api.example.com"),
        ("token_command", ""),
    ],
)
def test_set_refuses_a_bad_value_and_changes_nothing(
    name: str, text: str, environ: Environ
) -> None:
    path = write_config(environ, 'kept = "as it was"\n')
    with pytest.raises(ConfigProblem) as caught:
        config.set_value(name, text, environ)
    assert "canary" not in caught.value.message
    assert TOKEN not in caught.value.message
    assert path.read_text() == 'kept = "as it was"\n'


def test_set_refuses_a_name_or_profile_that_cannot_be(environ: Environ) -> None:
    with pytest.raises(UsageProblem, match="no setting"):
        config.set_value("api_key", "x", environ)
    with pytest.raises(UsageProblem, match="cannot name"):
        config.set_value("label", "x", environ, profile="a.b")


@posix
def test_set_writes_through_a_link(environ: Environ, tmp_path: Path) -> None:
    kept = tmp_path / "kept.toml"
    kept.write_text("")
    Path(environ["CFUPLOAD_CONFIG"]).symlink_to(kept)
    config.set_value("label", "x", environ)
    assert Path(environ["CFUPLOAD_CONFIG"]).is_symlink()
    assert "label" in kept.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "api_token = canary",
        "[canary]\n[canary]\n",
        "[profiles.default\n",
        "profiles = 1\n",
        "[profiles]\ndefault = 'x'\n",
        "[profiles.default]\nlabel = 7\n",
    ],
)
def test_a_damaged_config_file_is_refused_without_quoting_it(text: str, environ: Environ) -> None:
    write_config(environ, text)
    error = refusal(with_credentials(environ))
    assert error.exit_code == 3
    assert "canary" not in error.message + error.hint


def test_bytes_that_are_no_text_are_refused(environ: Environ) -> None:
    Path(environ["CFUPLOAD_CONFIG"]).write_bytes(b"\xff\x00")
    assert "TOML" in refusal(with_credentials(environ)).message


def test_a_home_that_nobody_has_is_no_crash(environ: Environ) -> None:
    more = with_credentials(
        environ, CLOUDFLARE_API_TOKEN="", CLOUDFLARE_API_TOKEN_FILE="~nobody9/t"
    )
    assert refusal(more).exit_code == 3


def test_settings_are_read_without_the_http_library(environ: Environ) -> None:
    code = (
        "import os, sys\nfrom cfstream_upload import config\n"
        "config.resolve({}, os.environ)\n"
        "print([n for n in ('httpx', 'rich', 'typer', 'tomli_w', 'subprocess')"
        " if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**with_credentials(environ), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"

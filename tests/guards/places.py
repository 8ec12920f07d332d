"""S1 to S7: where secrets may go."""

from __future__ import annotations

from guards.guard import Guard

_REPLY = "                    return _reply(response, max_body, watch, self._redactor)\n"
_FOLLOWED = """\
                    reply = _reply(response, max_body, watch, self._redactor)
                    if 300 <= reply.status < 400 and "location" in reply.headers:
                        return self.request(
                            method, reply.headers["location"], headers=headers, patience=patience
                        )
                    return reply
"""
_FIELDS = '        fields = {"user-agent": "cfstream-upload"}\n'
_READING_NETRC = """\
        import netrc
        import os

        if found := netrc.netrc(os.environ["NETRC"]).authenticators(url.host):
            self._token = found[2]
"""

PLACES = (
    Guard(
        "S1", "test_wire.py::test_the_token_goes_below_the_api_base_and_nowhere_else",
        "the list of what may have the token", "wire.py",
        "if self._token is not None and self._below_api(url):", "if self._token is not None:",
    ),
    Guard(
        "S1", "test_wire.py::test_no_other_host_is_ever_connected",
        "other hosts are judged as upload hosts", "wire.py",
        "if method in _OF_UPLOADS or origin(url) != origin(self._api):",
        "if method in _OF_UPLOADS:",
    ),
    Guard(
        "S1", "test_wire.py::test_a_redirect_is_a_reply_and_nobody_follows_it",
        "no redirect is followed", "wire.py", _REPLY, _FOLLOWED,
    ),
    Guard(
        "S1", "test_walls.py::"
        "test_no_redirect_of_any_kind_leads_the_token_or_anything_else_to_a_stranger",
        "no redirect is followed, and other hosts are judged", "wire.py", _REPLY, _FOLLOWED,
        more=(("wire.py", "if method in _OF_UPLOADS or origin(url) != origin(self._api):",
               "if not method:"),),
    ),
    Guard(
        "S1", "test_fuzz.py::test_hostile_input_ends_in_words_of_ours[url]",
        "a path that hides its steps", "wire.py",
        'if _HIDDEN_STEP.search(url.raw_path.partition(b"?")[0].decode("ascii")):', "if False:",
    ),
    Guard(
        "S2", "test_config.py::test_the_global_key_is_no_token",
        "a global key is known by its form", "credentials.py",
        "if _GLOBAL_KEY.match(text):", "if False:",
    ),
    Guard(
        "S2", "test_wire.py::test_a_caller_cannot_pass_headers_that_are_the_wires",
        "headers with credentials are the wire's alone", "wire.py",
        "        if not _OURS.isdisjoint(fields):\n", "        if False:\n",
    ),
    Guard(
        "S3", "test_wire.py::test_a_hostile_location_is_refused",
        "https on port 443", "addresses.py",
        'if url.scheme != "https" or url.port is not None:', "if False:",
    ),
    Guard(
        "S3", "test_wire.py::test_a_location_on_streams_hosts_or_the_loopback_api_is_accepted",
        "loopback is for an API on loopback", "addresses.py",
        "if is_loopback(api.host) and url.host == api.host:", "if False:",
    ),
    Guard(
        "S3", "test_walls.py::test_no_location_that_a_server_gives_leads_to_a_stranger",
        "a reply's address is judged where it comes in, and where it is used", "stream.py",
        'url = acceptable_upload_url(reply.headers.get("location", ""), self._videos)',
        'url = reply.headers.get("location", "")',
        more=(("wire.py", "return httpx.URL(acceptable_upload_url(text, str(self._api)))",
               "return url"),),
    ),
    Guard(
        "S3", "test_walls.py::test_no_url_of_a_journal_leads_to_a_stranger",
        "an address is judged where it is used", "wire.py",
        "return httpx.URL(acceptable_upload_url(text, str(self._api)))", "return url",
    ),
    Guard(
        "S3", "test_fuzz.py::test_what_was_found_once_stays_right[proxy]",
        "a port glued to an IPv6 address", "addresses.py",
        "if url.scheme != \"http\" or not is_host(host) or glued:",
        "if url.scheme != \"http\" or not is_host(host):",
    ),
    Guard(
        "S4", "test_wire.py::test_loopback_http_and_the_environment_need_no_proxy",
        "this machine is asked without the proxy", "pools.py",
        '        if scheme == "http":\n', '        if scheme == "http" and self._proxy is None:\n',
    ),
    Guard(
        "S4", "test_wire.py::test_loopback_http_and_the_environment_need_no_proxy",
        "nobody reads a netrc", "wire.py", _FIELDS, _FIELDS + _READING_NETRC,
    ),
    Guard(
        "S4", "test_config.py::test_a_proxy_of_another_kind_is_refused",
        "the one kind of proxy", "credentials.py",
        "if not good or not _PROXY.match(url) or not _is_connectable(url):", "if False:",
    ),
    Guard(
        "S4", "test_walls.py::"
        "test_no_variable_makes_python_write_down_the_keys_of_a_connection",
        "SSLKEYLOGFILE is not heeded", "pools.py",
        "    context.keylog_filename = None  # type: ignore[assignment]  # a path, say the stubs\n",
        "",
    ),
    Guard(
        "S5", "test_config_command.py::"
        "test_a_token_on_the_command_line_is_refused_and_not_repeated",
        "`config set token` takes no value", "cli/configuration.py",
        'if key == "api_token" and value is not None:', "if False:",
    ),
    Guard(
        "S5", "test_config.py::test_a_proxy_password_on_the_command_line_is_refused",
        "`--proxy` takes no password", "credentials.py",
        'if flag and "@" in text:', "if False:",
    ),
    Guard(
        "S5", "test_config.py::"
        "test_a_token_command_runs_without_a_shell_and_without_other_tokens",
        "a child's environment has no secrets", "credentials.py",
        " if name not in _CLOUDFLARE_SECRETS}", "}",
    ),
    Guard(
        "S5", "test_config.py::"
        "test_a_token_command_runs_without_a_shell_and_without_other_tokens",
        "no shell", "credentials.py",
        "            words,\n            stdin",
        "            command, shell=True,\n            stdin",
    ),
    Guard(
        "S5", "test_walls.py::"
        "test_a_run_speaks_to_its_two_hosts_alone_and_shows_no_secret_in_any_argv",
        "no other program is started", "wire.py",
        '        self._redactor.add(token or "")\n',
        '        self._redactor.add(token or "")\n'
        "        __import__('subprocess').run(['sleep', '1', '-t', token], check=False)\n",
    ),
    Guard(
        "S6", "test_safetext.py::test_a_secret_is_replaced_in_every_form",
        "base64 is known too", "safetext.py",
        "    for text in _base64_forms(raw):\n", "    for text in ():\n",
    ),
    Guard(
        "S6", "test_wire.py::test_nothing_secret_is_logged_even_at_debug",
        "httpcore logs no header", "wire.py",
        'logging.getLogger("httpcore").setLevel(logging.INFO)\n', "",
    ),
    Guard(
        "S6", "test_wire.py::test_a_transports_errors_are_put_in_our_words",
        "foreign words are dropped", "wire.py",
        'return Lost("cut", f"{host}: the connection was cut")',
        'return Lost("cut", f"{host}: {trouble}")',
    ),
    Guard(
        "S6", "test_walls.py::test_secrets_that_a_server_repeats_are_in_no_message",
        "a server's words are redacted", "envelope.py",
        "texts.append(redact(text)[:300])", "texts.append(text[:300])",
    ),
    Guard(
        "S6", "test_canary.py::"
        "test_a_secret_fails_the_test_that_shows_it_wherever_it_is",
        "files are searched", "../tests/canary.py",
        "        data = path.read_bytes()\n", '        data = b""\n',
    ),
    Guard(
        "S7", "test_security.py::test_a_bug_shows_no_local_variable",
        "the last boundary of a command", "cli/everywhere.py",
        "                return desk.reported(described(bug))\n", "                raise\n",
        more=(("cli/app.py",
               "        return _told(described(bug), arguments)\n", "        raise\n"),),
    ),
    Guard(
        "S7", "test_security.py::test_a_bug_outside_of_every_command_is_told_in_two_lines",
        "the boundary around all commands", "cli/app.py",
        "        return _told(described(bug), arguments)\n", "        raise\n",
    ),
    Guard(
        "S7", "test_security.py::test_a_library_that_cannot_be_loaded_is_told_in_two_lines",
        "the boundary around the loading of commands", "cli/__init__.py",
        "        _tell_of_bug(bug)\n", "        raise\n",
    ),
    Guard(
        "S7", "test_security.py::"
        "test_what_typer_would_show_of_an_error_has_no_local_variable",
        "Typer's own tracebacks", "cli/app.py",
        "    pretty_exceptions_enable=False,\n    pretty_exceptions_show_locals=False,\n",
        "    pretty_exceptions_show_locals=True,\n",
    ),
    Guard(
        "S7", "test_walls.py::test_a_thread_that_dies_tells_where_and_not_what",
        "a thread's last words are ours", "cli/__init__.py",
        "    threading.excepthook = _died\n", "",
    ),
)  # fmt: skip

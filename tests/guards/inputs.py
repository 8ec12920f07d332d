"""S8 to S13 and S19: what comes from others, and how it leaves."""

from __future__ import annotations

from guards.guard import Guard

_FUZZ = "test_fuzz.py::test_hostile_input_ends_in_words_of_ours"

INPUTS = (
    Guard(
        "S8", "test_safetext.py::"
        "test_whatever_comes_leaves_as_one_short_line_and_twice_is_once",
        "what cannot be printed is escaped", "safetext.py",
        '_SHOWN_UNPRINTABLE = {"Zs", "Co"}', '_SHOWN_UNPRINTABLE = {"Zs", "Co", "Cf"}',
    ),
    Guard(
        "S8", "test_safetext.py::test_a_name_cannot_command_github_actions",
        "a line does not begin with ::", "safetext.py",
        'return f"\\\\{line}" if line.lstrip().startswith("::") else line', "return line",
    ),
    Guard(
        "S8", "test_hostile_text.py::"
        "test_no_name_does_anything_to_a_terminal_as_argument_of_any_command",
        "whatever a terminal gets is made safe", "console.py",
        "line = safe(self._redact(text), limit)", "line = self._redact(text)",
    ),
    Guard(
        "S8", "test_hostile_text.py::test_no_word_of_a_server_does_anything_to_a_terminal",
        "an error is made safe", "console.py",
        "        line = self._clean(text)\n        shown", "        line = text\n        shown",
    ),
    Guard(
        "S8", "test_hostile_text.py::test_markup_of_rich_is_shown_as_it_is",
        "no markup is read", "console.py",
        '            self._err.write(f"{shown} {line}\\n")\n',
        "            from rich.text import Text\n\n"
        '            self._err.write(f"{shown} {Text.from_markup(line)}\\n")\n',
    ),
    Guard(
        "S9", "test_journal.py::test_everything_is_for_its_owner_alone",
        "a file is made with mode 0600", "statedir.py",
        "        os.close(os.open(path, flags, 0o600))\n",
        "        os.close(os.open(path, flags, 0o644))\n",
    ),
    Guard(
        "S9", "test_journal.py::test_a_link_in_place_of_the_directory_or_the_file_is_refused",
        "the directory is no link", "statedir.py",
        "        status = folder.lstat()\n", "        status = folder.stat()\n",
    ),
    Guard(
        "S9", "test_journal.py::test_a_link_in_place_of_the_directory_or_the_file_is_refused",
        "a file of it is no link", "statedir.py",
        "            status = path.lstat()\n", "            status = path.stat()\n",
        more=(("statedir.py", "        if not stat.S_ISREG(path.lstat().st_mode):\n",
               "        if False:\n"),),
    ),
    Guard(
        "S9", "test_config.py::test_a_token_that_others_can_read_is_refused",
        "the mode of what holds a token", "credentials.py",
        "if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:", "if False:",
    ),
    Guard(
        "S9", "test_private_state.py::"
        "test_a_folder_above_that_everybody_may_write_to_is_refused",
        "the folders above are judged", "ownership.py",
        "elif status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:",
        "elif False:",
    ),
    Guard(
        "S9", "test_private_state.py::test_what_belongs_to_somebody_else_is_refused",
        "the owner of a file", "statedir.py",
        "        if status.st_uid != os.geteuid():\n            raise JournalProblem(\n"
        '                f"{path} belongs',
        '        if False:\n            raise JournalProblem(\n                f"{path} belongs',
    ),
    Guard(
        "S9", "test_planted.py::"
        "test_a_config_file_that_everybody_may_write_to_is_not_obeyed",
        "a config file is its owner's", "profiles.py",
        "if why := written_by_others(path):", 'if why := "":',
    ),
    Guard(
        "S9", "test_planted.py::test_a_pipe_that_a_stranger_left_takes_no_log",
        "a log is no stranger's pipe", "console.py",
        "        if planted(path):\n", "        if path.is_file() and planted(path):\n",
    ),
    Guard(
        "S9", "test_planted.py::"
        "test_a_forged_endpoint_ends_no_process_and_gets_no_video",
        "the embedded Stream's folder is ours", "cli/desk.py",
        "        if not check_folder(place):\n            break\n", "        break\n",
        more=(("cli/desk.py", "        prepare_folder(place)\n", "        pass\n"),),
    ),
    Guard(
        "S9", "test_planted.py::"
        "test_nothing_is_written_through_a_link_in_the_embedded_streams_folder",
        "and so is each file of it", "cli/desk.py",
        "    check_private(folder, ", "    check_private(folder / 'elsewhere', ",
    ),
    Guard(
        "S9", "test_planted.py::"
        "test_what_stands_in_an_endpoint_file_is_judged_before_it_is_used",
        "numbers of processes are counts", "emulator/detached.py",
        "    return type(number) is int and number > 0\n", "    return isinstance(number, int)\n",
    ),
    Guard(
        "S9", "emulator/test_detached.py::"
        "test_who_took_the_port_over_is_not_believed_and_gets_no_token",
        "the embedded Stream proves itself without being told the token", "emulator/detached.py",
        "headers={NONCE_HEADER: nonce})",
        'headers={NONCE_HEADER: nonce, "authorization": f"Bearer {endpoint.token}"})',
    ),
    Guard(
        "S10", "test_journal.py::test_a_row_that_somebody_changed_is_noticed",
        "a row's seal", "rows.py",
        "    if seal != seal_of(values):\n", "    if not seal:\n",
    ),
    Guard(
        "S10", "test_private_state.py::test_a_forged_row_is_refused_and_named",
        "each value is judged", "rows.py",
        '    _judge(named)\n    file = Identity(\n', "    file = Identity(\n",
    ),
    Guard(
        "S10", "test_private_state.py::test_a_forged_row_deletes_no_video_of_others",
        "the marker on Stream, before a DELETE", "after.py",
        "        return seen.marker == attempt.marker\n"
        "    return seen.marker in (None, attempt.marker)\n",
        "        return True\n    return True\n",
    ),
    Guard(
        "S10", f"{_FUZZ}[row]", "each value is judged", "rows.py",
        '    _judge(named)\n    file = Identity(\n', "    file = Identity(\n",
    ),
    Guard(
        "S10", "test_forged_markers.py::"
        "test_markers_that_others_forged_leave_a_journal_that_opens",
        "a marker's label is one", "attempt.py",
        "    if label and not is_label(label):\n        return None\n", "",
    ),
    Guard(
        "S11", "test_wire.py::test_a_certificate_for_another_host_is_refused",
        "the name in the certificate", "pools.py",
        "    context.minimum_version = ssl.TLSVersion.TLSv1_2\n",
        "    context.minimum_version = ssl.TLSVersion.TLSv1_2\n"
        "    context.check_hostname = False\n",
    ),
    Guard(
        "S11", "test_wire.py::test_an_unknown_authority_is_refused",
        "who signed the certificate", "pools.py",
        "    context.minimum_version = ssl.TLSVersion.TLSv1_2\n",
        "    context.minimum_version = ssl.TLSVersion.TLSv1_2\n"
        "    context.check_hostname = False\n    context.verify_mode = ssl.CERT_NONE\n",
    ),
    Guard(
        "S11", "test_wire.py::test_old_tls_is_refused",
        "TLS 1.2 at least", "pools.py",
        "    context.minimum_version = ssl.TLSVersion.TLSv1_2\n",
        "    context.minimum_version = ssl.TLSVersion.TLSv1\n"
        '    context.set_ciphers("ALL:@SECLEVEL=0")\n',
    ),
    Guard(
        "S11", "test_walls.py::test_before_a_wrong_certificate_no_byte_of_a_request_leaves",
        "the name in the certificate", "pools.py",
        "    context.minimum_version = ssl.TLSVersion.TLSv1_2\n",
        "    context.minimum_version = ssl.TLSVersion.TLSv1_2\n"
        "    context.check_hostname = False\n",
    ),
    Guard(
        "S11", "test_planted.py::"
        "test_certificates_that_everybody_may_write_are_not_believed",
        "who may write the certificates", "judged.py",
        "if others := written_by_others(path):", 'if others := "":',
    ),
    Guard(
        "S11", "test_security.py::test_no_option_turns_verification_off",
        "no option turns it off", "cli/common.py", '"--no-color", help', '"--insecure", help',
    ),
    Guard(
        "S12", "test_wire.py::"
        "test_a_large_error_body_is_capped_in_memory_and_ends_the_connection",
        "a refusal is read up to 1 MiB", "wire.py",
        "        max_body = min(max_body, MAX_BODY)\n", "        max_body = 8 * MAX_BODY\n",
    ),
    Guard(
        "S12", "test_wire.py::test_an_encoded_reply_is_refused_and_none_is_asked_for",
        "an encoded reply is none", "wire.py",
        'if body and headers.get("content-encoding", "identity").strip().lower() != "identity":',
        "if False:",
    ),
    Guard(
        "S12", "test_wire.py::test_a_dripping_head_and_endless_1xx_end_at_the_deadline",
        "a request's own deadline", "patience.py",
        "            limits.append(self._started + self._patience.deadline)\n",
        "            limits.append(self._started + 20 * self._patience.deadline)\n",
    ),
    Guard(
        "S12", "test_tus.py::test_an_offset_is_plain_digits_or_nothing",
        "numbers are plain digits", "tus.py",
        "if not _NUMBER.match(text):", "if not text:",
    ),
    Guard(
        "S12", "test_walls.py::test_a_flood_ends_soon_and_leaves_the_memory_as_it_is",
        "a body's end is the cap", "wire.py",
        "            body += part[: max_body - len(body)]\n"
        "            if len(body) >= max_body:\n                break\n",
        "            body += part\n",
    ),
    Guard(
        "S12", "test_walls.py::test_a_list_without_end_is_given_up",
        "a list has so many pages", "stream.py",
        "for _ in range(MOST_PAGES):", "for _ in range(2 * MOST_PAGES):",
    ),
    Guard(
        "S13", "test_wire.py::test_a_token_that_no_header_may_hold_is_not_shown",
        "every header is judged before h11 sees it", "wire.py",
        "if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):", "if False:",
    ),
    Guard(
        "S13", "test_fields.py::test_what_stream_could_never_take_is_refused",
        "no control characters in a name", "video.py",
        "(not self.name.strip() or _CONTROL.search(self.name))", "not self.name.strip()",
    ),
    Guard(
        "S13", f"{_FUZZ}[metadata]", "keys of meta", "video.py",
        "if key in _RESERVED or not _META_KEY.match(key):", "if key in _RESERVED:",
    ),
    Guard(
        "S19", "test_hostile_text.py::test_whatever_a_document_holds_it_is_json_of_one_reading",
        "no NaN", "records.py",
        "(isinstance(content, float) and not math.isfinite(content))", "False",
        more=(("records.py", ", allow_nan=False", ""),),
    ),
    Guard(
        "S19", "test_schemas.py::test_a_document_fits_its_schema_and_with_new_fields_too",
        "documents keep their fields", "result.py",
        '"cleanup", "exit_code",', '"cleanup",',
    ),
    Guard(
        "S19", f"{_FUZZ}[envelope]", "numbers without end are none", "envelope.py",
        "return json.loads(body, parse_constant=_refused, parse_float=_finite)",
        "return json.loads(body)",
        more=(
            ("records.py", "(isinstance(content, float) and not math.isfinite(content))", "False"),
            ("records.py", ", allow_nan=False", ""),
        ),
    ),
)  # fmt: skip

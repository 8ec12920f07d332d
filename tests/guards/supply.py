"""S14 to S18 and S20: what the project asks for, takes in and gives out."""

from __future__ import annotations

from guards.guard import Guard

_LOCKED = "test_supply.py::test_what_the_project_asks_for_is_locked_within_its_range"
_RELEASE = "../.github/workflows/release.yml"

SUPPLY = (
    Guard(
        "S14", "test_security.py::test_the_documents_ask_for_the_least_token",
        "the page says which token", "../docs/usage.md",
        '"Stream: Edit" on one account', '"Account: Edit"',
    ),
    Guard(
        "S14", "test_doctor.py::"
        "test_a_token_that_can_only_read_is_named_before_the_first_create",
        "a refused edit is a missing right", "apichecks.py",
        "        return failed(\"permission\", words, _GIVE_EDIT, 3)\n",
        "        return fine(\"permission\", words)\n",
    ),
    Guard(
        "S15", _LOCKED, "what is asked for is locked", "../pyproject.toml",
        '    "trustme>=1.2,<2",\n', '    "trustme>=99,<100",\n',
    ),
    Guard(
        "S15", "test_supply.py::test_every_locked_package_has_digests_and_no_address",
        "each package has a digest", "../.ci/lock.txt",
        "\nh11==", "\nh11 @ https://evil.example/h11.whl\nhttp11==",
    ),
    Guard(
        "S15", "test_supply.py::test_nothing_that_the_program_or_its_tests_need_is_unlocked",
        "and so has what it needs", "../.ci/lock.txt", "\nh11==", "\nh12==",
    ),
    Guard(
        "S15", "test_supply.py::test_ci_installs_by_digest_and_then_knows_no_index",
        "CI takes in nothing without a digest", "../.ci/run",
        "download -q --require-hashes --only-binary :all:", "download -q",
    ),
    Guard(
        "S15", "test_layers.py::test_every_outside_library_that_is_imported_has_a_room",
        "a library has a room", "units.py",
        "from __future__ import annotations\n",
        "from __future__ import annotations\n\nimport requests\n",
    ),
    Guard(
        "S16", "test_supply.py::"
        "test_a_build_elsewhere_at_another_time_is_the_same_byte_for_byte",
        "nothing of the machine is packed", "../pyproject.toml", "[tool.hatch.version]\n",
        "[tool.hatch.build]\nreproducible = false\n\n[tool.hatch.version]\n",
    ),
    Guard(
        "S16", "test_supply.py::"
        "test_every_action_is_pinned_by_a_commit_and_its_version_is_told",
        "actions are pinned", _RELEASE,
        "actions/attest-build-provenance@", "actions/attest-build-provenance@v2 #",
    ),
    Guard(
        "S16", "test_supply.py::test_a_release_needs_no_password_no_cache_and_no_fork",
        "nobody publishes by himself", _RELEASE, "environment: pypi", "environment: none",
    ),
    Guard(
        "S17", "test_walls.py::"
        "test_a_run_speaks_to_its_two_hosts_alone_and_shows_no_secret_in_any_argv",
        "no look for updates", "wire.py",
        '        self._redactor.add(token or "")\n',
        '        self._redactor.add(token or "")\n'
        '        with contextlib.suppress(OSError):\n'
        '            __import__("socket").create_connection(("127.0.0.1", 1))\n',
    ),
    Guard(
        "S17", "test_wire.py::test_no_other_host_is_ever_connected",
        "other hosts are judged as upload hosts", "wire.py",
        "if method in _OF_UPLOADS or origin(url) != origin(self._api):",
        "if method in _OF_UPLOADS:",
    ),
    Guard(
        "S18", "test_supply.py::"
        "test_no_shell_no_eval_no_pickle_and_no_guessable_temporary_file",
        "no shell", "credentials.py",
        "            words,\n            stdin",
        "            words, shell=True,\n            stdin",
    ),
    Guard(
        "S20", "test_security.py::test_each_rule_names_its_tests_and_they_exist",
        "tests are named as they are", "../SECURITY.md",
        "test_wire.py::test_old_tls_is_refused", "test_wire.py::test_of_no_name",
    ),
)  # fmt: skip

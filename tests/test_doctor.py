"""`cfupload doctor`: each check as it passes and as it fails, and that nothing is ever created."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from inprocess import Doorway
from matrix.tlsfront import Authority, Front, connect_proxy, fronted, tls_to
from mp4 import boxes, padded_mp4, sample
from served import Ended, Ledger, Served

from cfstream_upload import apichecks, checks, config
from cfstream_upload.apichecks import Heard, Sweepable
from cfstream_upload.attempt import Attempt, Stage
from cfstream_upload.checks import Check, FileSeen, JournalSeen
from cfstream_upload.cli.app import run
from cfstream_upload.config import Secret, Settings
from cfstream_upload.doctor import Doctor
from cfstream_upload.emulator.access import Validity
from cfstream_upload.emulator.faults import Answer, CutAfter, Fault, Faulty, Hang
from cfstream_upload.emulator.model import Stream as Model
from cfstream_upload.emulator.server import running
from cfstream_upload.emulator.switches import Switches
from cfstream_upload.envelope import decipher
from cfstream_upload.errors import ConfigProblem, JournalProblem
from cfstream_upload.journal import Journal
from cfstream_upload.lock import hold, key_of
from cfstream_upload.source import Source
from cfstream_upload.wire import Wire

BASE = "http://127.0.0.1:9/client/v4"
NAMES = [
    "settings", "journal", "proxy", "network", "token", "account", "permission", "storage",
    "pending", "clock", "versions",
]  # fmt: skip
Looked = dict[str, Check]


@dataclass
class Practice:
    """A service, a state directory, and the doctor that looks at both, without a socket."""

    folder: Path
    model: Model
    faulty: Faulty
    doorway: Doorway
    settings: Settings

    def look(self, *paths: Path, **problems: Any) -> Looked:  # noqa: ANN401  # by name
        wire = Wire(
            api_base=BASE, token=self.settings.token.reveal() or None, transport=self.doorway
        )
        examined = config.Examined(self.settings, problems)
        found = list(Doctor(examined, [str(path) for path in paths], wire).checks())
        return {check.name: check for check in found}

    def file(self, name: str = "a.mp4", size: int = 60_000) -> Path:
        return padded_mp4(self.folder / name, size, sparse=False, seed=1)

    def strike(self, *faults: Fault) -> None:
        for fault in faults:
            self.faulty.set(fault)

    def upload(self, **metadata: str) -> str:
        """A pending upload that somebody made; its UID."""
        from emulator.driving import in_process
        from emulator.driving import metadata as encoded

        made = in_process(self.model).create(10, upload_metadata=encoded(**metadata))
        return made.uid


def practice(folder: Path, **service: Any) -> Practice:  # noqa: ANN401  # passed through
    model = Model(**service)
    faulty = Faulty(model)
    settings = Settings(
        BASE, model.account, Secret(model.token), folder / "state", "", None, None, None
    )
    return Practice(folder, model, faulty, Doorway(faulty), settings)


@pytest.fixture
def here(tmp_path: Path) -> Practice:
    return practice(tmp_path)


def statuses(looked: Looked) -> dict[str, str]:
    return {name: check.status for name, check in looked.items() if check.status != "ok"}


def heard(status: int, document: object) -> Heard:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Heard(decipher(status, {}, body))


def good(result: object) -> Heard:
    return heard(200, {"success": True, "result": result, "errors": [], "messages": []})


def bad(status: int, code: int, text: str = "no") -> Heard:
    return heard(status, {"success": False, "errors": [{"code": code, "message": text}]})


# --- the whole -----------------------------------------------------------------------------------


def test_on_a_fresh_account_everything_is_fine_and_nothing_is_made(here: Practice) -> None:
    looked = here.look(here.file())
    assert statuses(looked) == {}
    assert set(looked) >= set(NAMES) - {"settings"}
    assert not here.settings.state_dir.exists()
    assert here.model.videos() == []


def test_it_reads_and_edits_one_absent_video_and_asks_nothing_else(here: Practice) -> None:
    here.look(here.file())
    here.look(here.file())
    account = f"/client/v4/accounts/{here.model.account}"
    asked = [
        (call.method, re.sub(r"[0-9a-f]{32}$", "UID", call.path)) for call in here.doorway.calls
    ]
    assert asked == 2 * [
        ("GET", "/client/v4/user/tokens/verify"),
        ("GET", f"{account}/stream"),
        ("POST", f"{account}/stream/UID"),
        ("GET", f"{account}/stream/storage-usage"),
        ("GET", f"{account}/stream"),
    ]
    edits = {call.path for call in here.doorway.calls if call.method == "POST"}
    assert len(edits) == 2, "the UID is another one each time"


def test_a_check_that_fails_stops_no_other(here: Practice) -> None:
    here.strike(*(Fault(Answer(503), kind=kind, times=None) for kind in ("videos", "storage")))
    looked = here.look(here.folder / "missing.mp4")
    assert list(looked)[-1] == "versions"
    assert looked["file"].code == 4
    assert (looked["account"].status, looked["account"].code) == ("failed", 6)
    assert looked["token"].status == "ok"
    assert looked["storage"].status == "skipped"
    assert looked["clock"].status == "ok"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>login</html>", b"null", b"[]", b'{"success": true}', b"\xff" * 50,
     b'{"success": true, "result": {"uid": 7}, "errors": 9, "messages": [1]}', b"[" * 100_000],
    ids=range(8),
)  # fmt: skip
def test_garbage_is_a_failed_check(here: Practice, body: bytes) -> None:
    here.strike(Fault(Answer(200, {"content-type": "text/html"}, body), times=None))
    looked = here.look()
    assert checks.verdict(list(looked.values())) is not None
    assert looked["account"].status == "failed"
    assert looked["account"].code == 6


@pytest.mark.parametrize("effect", [CutAfter(), Hang()])
def test_an_api_that_never_replies_fails_the_network_and_skips_what_needs_it(
    here: Practice, effect: CutAfter | Hang
) -> None:
    here.strike(Fault(effect, times=None))
    looked = here.look()
    assert (looked["network"].status, looked["network"].code) == ("failed", 6)
    assert {looked[name].status for name in NAMES[4:10]} == {"skipped"}
    assert len(here.doorway.calls) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(503, {}, b"<html>"), "trouble"),
        (Answer(429, {"retry-after": "9"}), "no more calls"),
        (Answer(302, {"location": "http://login.example"}), "redirect"),
        (Answer(200, {}, b"<html>"), "not answer as"),
    ],
)
def test_an_api_that_is_not_itself_fails_the_network(
    here: Practice, answer: Answer, words: str
) -> None:
    here.strike(Fault(answer, kind="verify-user"))
    network = here.look()["network"]
    assert (network.status, network.code) == ("failed", 6)
    assert words in network.found


def test_the_most_urgent_failure_gives_the_exit_code_and_the_hint() -> None:
    made = [
        checks.fine("a", "x"),
        checks.failed("file", "x", "fix the file", 4),
        checks.skipped("b", "x"),
        checks.failed("journal", "x", "fix the journal", 10),
        checks.warned("c", "x", "y"),
    ]
    error = checks.verdict(made)
    assert isinstance(error, JournalProblem)
    assert error.message == "2 of 4 checks failed: file, journal"
    assert error.hint == "fix the journal"
    assert checks.verdict([made[0], made[2], made[4]]) is None


# --- token, account, permission ------------------------------------------------------------------


DAY = 24 * 3600.0


@pytest.mark.parametrize(
    ("validity", "status", "code", "words"),
    [
        (Validity(), "ok", 0, "without an end"),
        (Validity(expires_on=time.time() + 30 * DAY), "ok", 0, "active until 20"),
        (Validity(expires_on=time.time() + 2.5 * DAY), "warning", 0, "ends in 2d1"),
        (Validity(expires_on=time.time() - 60), "failed", 3, "expired"),
        (Validity(disabled=True), "failed", 3, "disabled"),
        (Validity(not_before=time.time() + DAY), "failed", 3, "not in force before"),
    ],
    ids=["endless", "long", "soon", "expired", "disabled", "early"],
)
def test_a_token_is_judged_by_what_verify_says_of_it(
    tmp_path: Path, validity: Validity, status: str, code: int, words: str
) -> None:
    token = practice(tmp_path, validity=validity).look()["token"]
    assert (token.status, token.code) == (status, code)
    assert words in token.found


def test_a_token_of_the_account_itself_is_verified_there(tmp_path: Path) -> None:
    looked = practice(tmp_path, switches=Switches(token_owner="account")).look()
    assert "the account's own" in looked["token"].found
    assert statuses(looked) == {}


@pytest.mark.parametrize("wrong", ["401", "403"])
def test_a_wrong_token_is_named_once(tmp_path: Path, wrong: Any) -> None:  # noqa: ANN401
    here = practice(tmp_path, switches=Switches(wrong_token=wrong))
    here.settings = replace(here.settings, token=Secret("some-other-token"))
    looked = here.look()
    assert (looked["token"].status, looked["token"].code) == ("failed", 3)
    skips = {"account", "permission", "storage", "pending"}
    assert dict.fromkeys(skips, "skipped") | {"token": "failed"} == statuses(looked)


def test_a_token_that_cannot_be_verified_may_still_be_good(here: Practice) -> None:
    here.strike(
        Fault(Answer(401, {}, _refusal(1000)), kind="verify-user", times=None),
        Fault(Answer(401, {}, _refusal(1000)), kind="verify-account", times=None),
    )
    looked = here.look()
    assert looked["token"].status == "warning"
    assert looked["permission"].status == "ok"


def _refusal(code: int) -> bytes:
    document = {"success": False, "errors": [{"code": code, "message": "no"}], "messages": None}
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("wrong", "words"), [("403", "not for account"), ("404", "knows no account")]
)
def test_a_wrong_account_is_told_from_a_wrong_token(
    tmp_path: Path,
    wrong: Any,  # noqa: ANN401
    words: str,
) -> None:
    here = practice(tmp_path, switches=Switches(wrong_account=wrong))
    here.settings = replace(here.settings, account="c" * 32)
    looked = here.look()
    assert looked["token"].status == "ok"
    assert (looked["account"].status, looked["account"].code) == ("failed", 3)
    assert words in looked["account"].found
    assert [call.method for call in here.doorway.calls] == ["GET", "GET"]


def test_a_token_without_stream_is_told_to_get_it() -> None:
    for code in (10000, 10009):
        check = apichecks.account(bad(403, code), "c" * 32, in_force=True)
        assert (check.status, check.code) == ("failed", 3)
        assert "no Stream permission" in check.found
        assert "Stream: Edit" in (check.advice or "")


@pytest.mark.parametrize(
    ("edited", "status"),
    [
        (bad(404, 10003), "ok"),
        (bad(403, 10000), "failed"),
        (bad(401, 10000), "failed"),
        (bad(400, 10005), "warning"),
        (bad(429, 971), "warning"),
        (good({}), "warning"),
        (heard(404, b"<html>"), "warning"),
        (heard(403, b"<html>"), "warning"),
        (Heard(None, words="cut"), "warning"),
    ],
    ids=range(9),
)
def test_only_streams_own_404_says_that_the_token_may_edit(edited: Heard, status: str) -> None:
    assert apichecks.permission(edited).status == status


def test_without_a_token_or_an_account_the_rest_is_still_looked_at(here: Practice) -> None:
    sound = here.settings
    here.settings = replace(sound, token=Secret(""))
    looked = here.look(here.file(), token=ConfigProblem("There is no API token", "Set it"))
    assert (looked["settings"].status, looked["settings"].code) == ("failed", 3)
    assert looked["network"].status == looked["clock"].status == looked["file"].status == "ok"
    assert looked["token"].found == "no token"
    here.settings = replace(sound, account="")
    looked = here.look(account=ConfigProblem("There is no account", "Set it"))
    assert (looked["token"].status, looked["account"].status) == ("ok", "skipped")


# --- storage and pending uploads -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "status", "code"), [(0, "failed", 5), (1, "warning", 0), (2, "ok", 0)]
)
def test_storage_is_judged_by_what_the_file_would_reserve(
    tmp_path: Path, limit: int, status: str, code: int
) -> None:
    here = practice(tmp_path, minutes_limit=limit)
    storage = here.look(here.file())["storage"]
    assert (storage.status, storage.code) == (status, code)


def test_storage_full_of_reservations_points_to_cleanup(tmp_path: Path) -> None:
    here = practice(tmp_path, minutes_limit=10)
    here.upload(maxdurationseconds="600")
    storage = here.look()["storage"]
    assert (storage.status, storage.code) == ("failed", 5)
    assert "cfupload cleanup" in (storage.advice or "")


@pytest.mark.parametrize("number", ["much", None, True, -1e400, float("nan"), 10**400, []])
def test_a_number_that_is_none_is_no_storage(number: object) -> None:
    usage = good({"totalStorageMinutes": 1, "totalStorageMinutesLimit": number})
    assert apichecks.storage(usage, []).status == "warning"


def test_several_files_may_not_fit_together() -> None:
    one = FileSeen("a", "MPEG-4", 1, 60.0, 120)
    usage = good({"totalStorageMinutes": 7.0, "totalStorageMinutesLimit": 10})
    assert apichecks.storage(usage, [one]).status == "ok"
    assert apichecks.storage(usage, [one, one]).status == "warning"
    assert apichecks.storage(usage, [one, replace(one, history="receipt")]).status == "ok"
    assert apichecks.storage(usage, [replace(one, reserved=None)]).status == "warning"


def test_pending_uploads_are_told_by_whose_they_are(here: Practice) -> None:
    Journal.open(here.settings.state_dir).close()
    with_journal = Journal.open(here.settings.state_dir)
    host = with_journal.host
    with_journal.close()
    here.upload(cfupload=f"1.{'a' * 32}.{host}", maxdurationseconds="600")
    here.upload(cfupload=f"1.{'a' * 32}.{'b' * 32}", maxdurationseconds="600")
    here.upload(name="holiday")
    found = here.look()["pending"].found
    assert found == (
        "3 unfinished upload(s): 1 of this machine, 1 of this tool elsewhere, 1 of other tools;"
        " they may hold 260 minutes"
    )


def test_what_cleanup_would_remove_is_a_warning() -> None:
    check = apichecks.pending(good([]), 1000, Sweepable("a" * 32, 2, 1))
    assert check.status == "warning"
    assert "cleanup removes 2" in (check.advice or "")
    assert "--orphans also 1" in (check.advice or "")
    assert apichecks.pending(bad(500, 1), 1000, Sweepable()).status == "warning"


# --- clock and proxy -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("off", "status"), [(0, "ok"), (59, "ok"), (-61, "warning"), (3600, "warning")]
)
def test_a_clock_that_is_off_is_a_warning(off: float, status: str) -> None:
    assert checks.clock(1_000_000.0, 1_000_000.0 + off).status == status
    assert ("behind" in checks.clock(1000.0, 1000.0 + off).found) == (off < -60)


def test_the_clock_is_compared_with_the_date_of_a_reply(tmp_path: Path) -> None:
    clock = practice(tmp_path, now=lambda: time.time() + 600).look()["clock"]
    assert clock.status == "warning"
    assert re.search(r"(9m5\d|10m00)s behind", clock.found)
    assert checks.clock(None, 1.0).status == "skipped"


def test_the_proxy_in_use_is_told_without_its_password() -> None:
    environ = {
        "CFUPLOAD_CONFIG": os.devnull,
        "CLOUDFLARE_ACCOUNT_ID": "a" * 32,
        "CLOUDFLARE_API_TOKEN": "secret-token",
        "HTTPS_PROXY": "http://me:hunter2@proxy.example:3128",
    }

    def proxy(**more: str) -> Check:
        examined = config.examine({}, environ | more)
        shown = {one.name: (one.value_shown, one.origin) for one in examined.shown}
        plain = examined.settings.base.startswith("http:")
        used, problem = bool(examined.settings.proxy), examined.problems.get("proxy")
        return checks.proxy(shown, problem, used=used, plain_http=plain)

    assert proxy().found == "http://***@proxy.example:3128 (HTTPS_PROXY)"
    assert "NO_PROXY takes Stream's hosts out of" in proxy(NO_PROXY="*").found
    assert "none" in proxy(HTTPS_PROXY="").found
    assert "plain http" in proxy(CLOUDFLARE_API_BASE_URL=BASE).found
    for wrong in ({"NO_PROXY": "api.cloudflare.com"}, {"HTTPS_PROXY": "socks5://me:hunter2@x"}):
        check = proxy(**wrong)
        assert (check.status, check.code) == ("failed", 3)
        assert "hunter2" not in check.found


def test_every_wrong_setting_is_told_and_not_the_first_alone(tmp_path: Path) -> None:
    environ = {
        "CFUPLOAD_CONFIG": os.devnull,
        "CFUPLOAD_STATE_DIR": str(tmp_path),
        "CLOUDFLARE_ACCOUNT_ID": "me@example.com",
        "CLOUDFLARE_API_TOKEN": "two words",
        "CLOUDFLARE_API_BASE_URL": "http://example.com",
        "SSL_CERT_FILE": str(tmp_path / "none.pem"),
        "CFUPLOAD_HOST_ID": "short",
        "CFUPLOAD_LABEL": "no label!",
    }
    examined = config.examine({}, environ)
    assert set(examined.problems) == {"account", "token", "base", "ca_cert", "host_id", "label"}
    looked = list(Doctor(examined, []).checks())
    assert sum(check.name == "settings" and check.code == 3 for check in looked) == 6
    assert {c.status for c in looked if c.name in NAMES[3:10]} == {"skipped"}
    assert "two words" not in str(looked)


def test_a_broken_config_file_leaves_the_checks_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[[")
    environ = {"CFUPLOAD_CONFIG": str(tmp_path / "c.toml"), "CFUPLOAD_STATE_DIR": str(tmp_path)}
    looked = {c.name: c for c in Doctor(config.examine({}, environ), []).checks()}
    assert (looked["settings"].status, looked["settings"].code) == ("failed", 3)
    assert looked["journal"].status == "ok"
    assert looked["network"].status == looked["proxy"].status == "skipped"


def test_old_names_of_variables_are_a_warning(tmp_path: Path) -> None:
    environ = {"CFUPLOAD_CONFIG": os.devnull, "CF_API_TOKEN": "x", "CF_ACCOUNT_ID": "a" * 32}
    examined = config.examine({}, environ | {"CFUPLOAD_STATE_DIR": str(tmp_path)})
    shown = {one.name: (one.value_shown, one.origin) for one in examined.shown}
    made = checks.settings(shown, examined.problems, examined.settings.warnings)
    assert [check.status for check in made] == ["ok", "warning", "warning"]
    assert made[0].found.startswith(f"token (CF_API_TOKEN), account {'a' * 32} (CF_ACCOUNT_ID)")


# --- journal and files ---------------------------------------------------------------------------


def attempt(here: Practice, path: Path, **facts: Any) -> Attempt:  # noqa: ANN401  # by name
    with Source.open(path) as source:
        identity = source.identity
    made = Attempt(
        id=os.urandom(16).hex(), host="b" * 32, label="", base=BASE, account=here.model.account,
        path=str(path), file=identity,
    )  # fmt: skip
    return replace(made, **facts)


def recorded(here: Practice, *rows: Attempt) -> None:
    journal = Journal.open(here.settings.state_dir)
    for row in rows:
        journal.record(row)
    journal.close()


@pytest.mark.parametrize(
    ("facts", "status", "words"),
    [
        ({"stage": Stage.STORED, "told": True}, "ok", f"sent already as {'d' * 32}"),
        ({"stage": Stage.CREATED, "offset": 30_000}, "ok", "29.3 KiB of it are on Stream"),
        ({"stage": Stage.CREATED, "doomed": "trouble"}, "ok", "failed, send removes that first"),
    ],
    ids=["receipt", "unfinished", "debt"],
)
def test_a_file_is_told_with_what_the_journal_knows_of_it(
    here: Practice, facts: dict[str, Any], status: str, words: str
) -> None:
    path = here.file()
    recorded(here, attempt(here, path, uid="d" * 32, **facts))
    check = here.look(path)["file"]
    assert check.status == status
    assert words in check.found
    assert ("would be reserved" in check.found) == ("doomed" in facts)


def test_an_unfinished_upload_of_another_version_is_told(here: Practice) -> None:
    path = here.file()
    row = attempt(here, path, uid="d" * 32, stage=Stage.CREATED)
    recorded(here, replace(row, file=replace(row.file, mtime_ns=1)))
    looked = here.look(path)
    assert "another version" in looked["file"].found
    assert looked["pending"].status == "warning"


def test_a_file_that_is_being_sent_is_busy(here: Practice) -> None:
    path = here.file()
    with Source.open(path) as source:
        file = source.identity
    key = key_of(BASE, here.model.account, file.device, file.inode)
    with hold(here.settings.state_dir / "locks", key):
        check = here.look(path)["file"]
    assert (check.status, check.code) == ("failed", 9)
    assert here.look(path)["file"].status == "ok"


def _cut_off(path: Path) -> None:
    path.write_bytes(sample()[: len(sample()) // 2])


def _without_video(path: Path) -> None:
    path.write_bytes(boxes(sample())["ftyp"])


@pytest.mark.parametrize(
    "spoil", [_cut_off, _without_video, Path.touch, Path.mkdir, os.mkfifo, lambda path: None]
)
def test_a_file_that_send_would_refuse_fails_alike(
    here: Practice, spoil: Callable[[Path], object]
) -> None:
    spoil(here.folder / "bad.mp4")
    check = here.look(here.folder / "bad.mp4")["file"]
    assert (check.status, check.code) == ("failed", 4)
    assert "bad.mp4" in check.found
    assert check.advice


def test_a_file_of_unknown_duration_is_a_warning() -> None:
    check = checks.file(FileSeen("a.ts", "MPEG-TS", 10, None, None))
    assert check.status == "warning"
    assert "--max-duration-seconds" in (check.advice or "")


def test_a_journal_is_told_with_its_rows_and_debts(here: Practice) -> None:
    path = here.file()
    row = attempt(here, path)
    recorded(
        here,
        replace(row, uid="d" * 32, stage=Stage.STORED),
        replace(row, uid="e" * 32, stage=Stage.CREATED),
        replace(row, uid="f" * 32, stage=Stage.CREATED, kept=True),
        replace(row, uid="0" * 32, stage=Stage.DISCARDING),
    )
    looked = here.look()
    assert looked["journal"].status == "warning"
    assert "1 receipt(s), 1 unfinished, 1 kept, 1 debt(s)" in looked["journal"].found
    assert "cleanup removes 1" in (looked["pending"].advice or "")


def test_little_room_beside_the_journal_is_a_warning() -> None:
    assert checks.journal(JournalSeen("/s", 10, free=1000)).status == "warning"
    assert checks.journal(JournalSeen("/s", 10, free=10**9)).status == "ok"


def test_a_journal_that_send_could_not_use_is_exit_10(
    here: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = here.settings.state_dir
    state.write_text("a file in its place")
    assert here.look()["journal"].code == 10
    here.settings = replace(here.settings, state_dir=state / "below")
    assert here.look()["journal"].code == 10
    here.settings = replace(here.settings, state_dir=here.folder / "new" / "deep")
    assert "will be made" in here.look()["journal"].found
    monkeypatch.setattr("cfstream_upload.statedir.file_system", lambda folder: "nfs4")
    check = here.look()["journal"]
    assert (check.status, check.code) == ("failed", 10)
    assert "network file system" in check.found
    assert not (here.folder / "new").exists()


def test_a_lost_or_damaged_journal_is_exit_10_and_stays_as_it_was(here: Practice) -> None:
    state = here.settings.state_dir
    Journal.open(state).close()
    path = state / "journal.db"
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    damaged = path.read_bytes()
    check = here.look(here.file())["journal"]
    assert check.code == 10
    assert "--rebuild" in (check.advice or "")
    assert path.read_bytes() == damaged
    path.unlink()
    assert here.look()["journal"].code == 10
    assert not path.exists()


def test_a_row_that_was_tampered_with_is_exit_10(here: Practice) -> None:
    path = here.file()
    recorded(here, attempt(here, path, uid="d" * 32, stage=Stage.STORED))
    database = sqlite3.connect(here.settings.state_dir / "journal.db")
    with database:
        database.execute("UPDATE attempts SET uid = ?", ("e" * 32,))
    database.close()
    looked = here.look(path)
    assert looked["journal"].code == 10
    assert looked["file"].status == "ok"


# --- the command ---------------------------------------------------------------------------------

Ran = Callable[..., Ended]


@pytest.fixture
def ran(capfd: pytest.CaptureFixture[str]) -> Ran:
    """Run a command in this process, which is quicker than starting one."""

    def command(*arguments: str) -> Ended:
        capfd.readouterr()
        code = run(list(arguments))
        told = capfd.readouterr()
        return Ended(code, told.out, told.err)

    return command


def test_the_command_tells_the_same_as_text_json_events_and_by_its_code(
    ran: Ran, stream: Served
) -> None:
    path = str(stream.file(size=60_000))
    text = ran("doctor", path)
    assert (text.code, text.err) == (0, "")
    names = ["settings", "journal", "file", *NAMES[2:]]
    assert [line.split()[1] for line in text.out.splitlines()] == names
    assert {line[:18].rstrip() for line in text.out.splitlines()} == {f"ok    {n}" for n in names}
    document = ran("doctor", "--json", path).document
    assert (document["version"], document["error"]) == (1, None)
    assert [check["name"] for check in document["checks"]] == names
    assert {tuple(check) for check in document["checks"]} == {("name", "status", "found", "advice")}
    events = [json.loads(line) for line in ran("doctor", "--ndjson", path).out.splitlines()]
    assert [(e["message_type"], e["name"]) for e in events] == [("check", name) for name in names]
    quiet = ran("doctor", "-q", path)
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert set(stream.methods()) == {"GET", "POST"}
    assert stream.videos() == []


def test_a_failure_is_told_in_every_form(ran: Ran, stream: Served) -> None:
    _cut_off(stream.folder / "half.mp4")
    path = str(stream.folder / "half.mp4")
    text = ran("doctor", path)
    assert text.code == 4
    (line,) = [line for line in text.out.splitlines() if line.startswith("FAIL")]
    assert re.search(
        r"^FAIL  file        the video is cut off, .*half\.mp4 -> Copy or export", line
    )
    assert text.err.startswith("error: 1 of 12 checks failed: file\n  hint: Copy or export")
    document = ran("doctor", "--json", path).document
    assert document["error"]["code"] == 4
    failures = [check for check in document["checks"] if check["status"] == "failed"]
    assert [check["name"] for check in failures] == ["file"]
    events = [json.loads(line) for line in ran("doctor", "--ndjson", path).out.splitlines()]
    assert (events[-1]["message_type"], events[-1]["code"]) == ("exit_error", 4)
    quiet = ran("doctor", "-q", path)
    assert (quiet.code, quiet.out) == (4, "")
    assert "checks failed: file" in quiet.err


def test_the_lines_fold_between_words_on_a_terminal() -> None:
    from cfstream_upload.cli.doctor import _lines

    check = checks.failed("file", "no such file: /a/b c\x1b.mp4", "Check the name. " * 5, 4)
    (whole,) = _lines(check, None)
    assert whole.startswith("FAIL  file        no such file: /a/b c\\x1b.mp4 -> Check")
    folded = _lines(check, 60)
    assert len(folded) > 1
    assert all(len(line) <= 60 for line in folded)
    assert all(line.startswith(" " * 18) for line in folded[1:])
    assert " ".join(" ".join(folded).split()) == " ".join(whole.split())
    narrow = _lines(check, 20)
    assert all(line.startswith(" " * 6) and line[6] != " " for line in narrow[1:])
    assert " ".join(" ".join(narrow).split()) == " ".join(whole.split())


def test_local_looks_at_the_embedded_stream(ran: Ran) -> None:
    ended = ran("--local", "doctor", "--json")
    try:
        assert ended.code == 0, ended.err
        assert "--local" in ended.document["checks"][0]["found"]
    finally:
        ran("emulator", "--stop")


def test_tls_trouble_is_in_plain_words_and_the_way_through_a_proxy_is_told(
    ran: Ran, stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(stream.environment["CLOUDFLARE_API_BASE_URL"].split(":")[2].split("/")[0])
    authority = Authority(stream.folder)
    heads: list[bytes] = []
    with fronted(tls_to(port, authority.context())) as front, fronted(connect_proxy(heads)) as via:
        _through(monkeypatch, front, via)
        check = _named(ran("doctor", "--json").document, "network")
        assert check["status"] == "failed"
        assert "certificate refused" in check["found"]
        assert "--ca-cert" in check["advice"]
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        ended = ran("doctor", "--json")
        assert ended.code == 0, ended.err
        check = _named(ended.document, "network")
        assert "through the proxy, trusting " in check["found"]
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        check = _named(ran("doctor", "--json").document, "network")
        assert "HTTPS_PROXY" in check["advice"]
    assert heads
    assert "hunter2" not in ended.out + ended.err


def _through(monkeypatch: pytest.MonkeyPatch, front: Front, via: Front) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", f"https://localhost:{front.port}/client/v4")
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@127.0.0.1:{via.port}")


def _named(document: Any, name: str) -> dict[str, str]:  # noqa: ANN401  # JSON
    (check,) = [check for check in document["checks"] if check["name"] == name]
    found: dict[str, str] = check
    return found


def _other_token(stream: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "some-other-token")


def _other_account(stream: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "c" * 32)


def _no_token(stream: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")


def _cut_file(stream: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    _cut_off(stream.folder / "big.mp4")


def _journal_in_a_file(stream: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    (stream.folder / "state").write_text("")


def _full_account(stream: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.model, "minutes_limit", 0)


def _unreached(stream: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", f"http://127.0.0.1:{_closed()}/client/v4")


def _closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_other_token, 3), (_other_account, 3), (_no_token, 3), (_cut_file, 4),
        (_journal_in_a_file, 10), (_full_account, 5), (_unreached, 6),
    ],
)  # fmt: skip
def test_it_ends_as_send_would(
    ran: Ran,
    stream: Served,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Served, pytest.MonkeyPatch], None],
    code: int,
) -> None:
    path = str(stream.file(size=60_000))
    spoil(stream, monkeypatch)
    assert ran("doctor", "-q", path).code == code
    assert "DELETE" not in stream.methods()
    assert ran("send", "-q", "--retries", "0", path).code == code


def test_a_token_that_a_server_repeats_is_masked(ran: Ran, stream: Served) -> None:
    token = stream.environment["CLOUDFLARE_API_TOKEN"]
    document = {"success": False, "errors": [{"code": 1, "message": f"bad {token}"}]}
    stream.strike(Fault(Answer(403, {}, json.dumps(document).encode()), times=None))
    for form in ([], ["--json"], ["--ndjson"]):
        ended = ran("doctor", *form)
        assert ended.code == 3
        assert "bad ***" in ended.out
        assert token not in ended.out + ended.err


# --- as a process --------------------------------------------------------------------------------


def test_a_token_that_can_only_read_is_named_before_the_first_create(
    stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(read_only_token="can-only-read-this")
    ledger = Ledger(Faulty(model), model)
    with running(ledger) as endpoint:
        monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", endpoint.base_url)
        monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", endpoint.account)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "can-only-read-this")
        ended = stream.run("doctor")
    assert ended.code == 3
    assert re.search(r"^FAIL  permission  the token can read but not change", ended.out, re.M)
    assert re.search(r"^ok    token ", ended.out, re.M)
    assert "can-only-read-this" not in ended.out + ended.err
    posts = [asked.path for asked in ledger.asked if asked.method == "POST"]
    assert len(posts) == 1
    assert re.fullmatch(r"/client/v4/accounts/[0-9a-f]{32}/stream/[0-9a-f]{32}", posts[0])
    assert {asked.method for asked in ledger.asked} == {"GET", "POST"}


def test_the_releases_of_extras_are_told_without_importing_them() -> None:
    script = (
        "import sys; from cfstream_upload import doctor\n"
        "print(dict(doctor._versions()))\n"
        "heavy = {'psycopg', 'distributed', 'aiobotocore', 's3fs', 'asyncssh', 'google.auth'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or None)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    told = ast.literal_eval(ended.stdout)
    for name in ("psycopg", "distributed", "aiobotocore", "s3fs", "asyncssh", "google-auth"):
        assert told[name] == metadata.version(name)


def test_without_a_network_and_with_a_damaged_journal_it_says_both(
    stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    _unreached(stream, monkeypatch)
    (stream.folder / "state").mkdir(mode=0o700)
    (stream.folder / "state" / "journal.db").write_text("no journal at all" * 100)
    ended = stream.run("doctor", "--json")
    assert ended.code == 10
    failures = {c["name"]: c for c in ended.document["checks"] if c["status"] == "failed"}
    assert set(failures) == {"journal", "network"}
    assert ended.document["error"]["code"] == 10
    assert "Traceback" not in ended.err


def test_ctrl_c_ends_it_at_once_and_keeps_what_was_found(stream: Served) -> None:
    stream.strike(Fault(Hang(), times=None))
    process = stream.start("doctor", "--json")
    stream.wait_until(lambda: bool(stream.ledger.asked))
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    out, _ = process.communicate(timeout=20)
    assert time.monotonic() - started < 3
    assert process.returncode == 130
    document = json.loads(out)
    assert document["error"]["code"] == 130
    assert _named(document, "journal")["status"] == "ok"

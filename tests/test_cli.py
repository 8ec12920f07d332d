"""What the commands print and how they end, on the embedded Stream over real sockets."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served import COMMAND, MIB, Ended, Served

from cfstream_upload.cli.app import run
from cfstream_upload.emulator.faults import Answer, Fault

Ran = Callable[..., Ended]


def at_terminal(answer: bytes, *arguments: str, folder: Path) -> tuple[int, str]:
    """Run a command at a pseudo-terminal where somebody types ``answer``; its code and screen."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    screen = b""
    answered = False
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        screen += part
        if not answered and b"[y/N]" in screen:
            os.write(master, answer)
            answered = True
    os.close(master)
    return process.wait(), screen.decode(errors="replace")


# --- send ----------------------------------------------------------------------------------------


def test_quiet_prints_the_uid_alone(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    ended = ran("send", "-q", "big.mp4")
    assert re.fullmatch(r"[0-9a-f]{32}\n", ended.out)
    assert ended.err == ""


def test_json_is_one_document_on_success(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    document = ran("send", "--json", "big.mp4").document
    (upload,) = document["uploads"]
    assert document["version"] == 1
    assert document["error"] is None
    assert (upload["outcome"], upload["exit_code"], upload["cleanup"]) == ("uploaded", 0, "none")
    assert upload["uid"] == stream.videos()[0]["uid"]
    assert upload["hls"].startswith("https://")
    assert document["summary"]["bytes"] == 100_000


def test_json_is_one_document_on_failure_too(ran: Ran) -> None:
    ended = ran("send", "--json", "missing.mp4")
    assert ended.code == 4
    assert ended.document["error"]["code"] == 4
    assert ended.document["uploads"][0]["outcome"] == "failed"


def test_every_command_answers_a_failure_in_json(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "wrong")
    for command in (["list"], ["cleanup", "--orphans", "-y"], ["get", "ab" * 16]):
        ended = ran(*command, "--json")
        assert ended.code == 3
        assert ended.document["error"]["code"] == 3


def test_events_are_one_object_a_line(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    events = [json.loads(line) for line in ran("send", "--ndjson", "big.mp4").out.splitlines()]
    kinds = [event["message_type"] for event in events]
    assert kinds[0] == "started"
    assert kinds[-2:] == ["uploaded", "summary"]
    assert all(event["version"] == 1 and event["time"] for event in events)


def test_events_are_appended_to_the_output_file(
    ran: Ran, stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.file(size=100_000)
    monkeypatch.setenv("CFUPLOAD_OUTPUT_FILE", str(stream.folder / "events"))
    ended = ran("send", "-q", "big.mp4")
    lines = (stream.folder / "events").read_text().splitlines()
    kinds = [json.loads(line)["message_type"] for line in lines]
    assert "uploaded" in kinds
    assert len(ended.out.split()) == 1


def test_options_of_everywhere_work_before_and_after_the_command(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    before = ran("--json", "send", "big.mp4").document
    after = ran("send", "big.mp4", "--json").document
    assert before["uploads"][0]["uid"] == after["uploads"][0]["uid"]


def test_an_option_is_also_a_variable(
    ran: Ran, stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.file(size=100_000)
    monkeypatch.setenv("CFUPLOAD_NAME", "from the environment")
    monkeypatch.setenv("CFUPLOAD_QUIET", "1")
    assert ran("send", "big.mp4").err == ""
    assert stream.videos()[0]["meta"]["name"] == "from the environment"


def test_a_flag_beats_a_variable(ran: Ran, stream: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    stream.file(size=100_000)
    monkeypatch.setenv("CFUPLOAD_NAME", "from the environment")
    ran("send", "--name", "from the flag", "big.mp4")
    assert stream.videos()[0]["meta"]["name"] == "from the flag"


def test_streams_fields_travel_with_the_create(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    ended = ran(
        "send", "--require-signed-urls", "--allowed-origin", "example.com", "--creator", "me",
        "--thumbnail-pct", "0.5", "--meta", "team=red", "--label", "night-7", "big.mp4",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    (video,) = stream.videos()
    assert video["requireSignedURLs"] is True
    assert video["allowedOrigins"] == ["example.com"]
    assert video["creator"] == "me"
    assert video["thumbnailTimestampPct"] == 0.5
    assert video["meta"]["team"] == "red"
    assert video["meta"]["cfupload"].endswith(".night-7")


def test_little_more_than_the_duration_is_reserved(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    ran("send", "big.mp4")
    assert stream.videos()[0]["maxDurationSeconds"] == 120


def test_other_options_for_a_file_that_was_sent_are_named(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    ran("send", "big.mp4")
    ended = ran("send", "--name", "other", "big.mp4")
    assert ended.code == 2
    assert "--name" in ended.err
    assert len(stream.videos()) == 1


def test_kept_on_purpose_is_resumed_by_the_next_run(ran: Ran, stream: Served) -> None:
    stream.file()
    stream.proxy.die_after(8 * MIB)
    ended = ran("send", "--on-failure", "keep", "--retries", "0", "--json", "big.mp4")
    assert ended.code == 6
    assert ended.document["uploads"][0]["cleanup"] == "kept"
    assert stream.states() == ["pendingupload"]
    assert ran("cleanup", "--orphans", "-y").code == 0
    assert stream.states() == ["pendingupload"]
    stream.proxy.revive()
    assert ran("send", "--json", "big.mp4").document["uploads"][0]["outcome"] == "resumed"


def test_a_closed_stdout_changes_no_outcome(stream: Served) -> None:
    path = stream.file(size=100_000)
    ended = subprocess.run(
        ["bash", "-c", 'exec "$@" >&-', "bash", *COMMAND, "send", path.name],
        cwd=stream.folder, check=False, capture_output=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert stream.whole(path)


# --- status, cleanup -----------------------------------------------------------------------------


def test_status_tells_receipts_and_interrupted_uploads(ran: Ran, stream: Served) -> None:
    stream.killed()
    stream.file("other.mp4", 100_000)
    ran("send", "other.mp4")
    rows: list[Any] = ran("status", "--json").document["journal"]
    assert sorted(row["condition"] for row in rows) == ["interrupted", "receipt"]
    assert ran("status").code == 0


def test_status_needs_no_token(ran: Ran, stream: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    stream.killed()
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    assert "interrupted" in ran("status").out


def test_cleanup_asks_at_a_terminal_and_a_no_deletes_nothing(stream: Served) -> None:
    stream.killed()
    code, screen = at_terminal(b"n\n", "cleanup", "--orphans", folder=stream.folder)
    assert code == 2
    assert "Delete 1 unfinished upload" in screen
    assert stream.states() == ["pendingupload"]


def test_cleanup_shows_the_table_and_a_yes_deletes(stream: Served) -> None:
    stream.killed()
    uid = stream.videos()[0]["uid"]
    code, screen = at_terminal(b"y\n", "cleanup", "--orphans", folder=stream.folder)
    assert code == 0
    assert uid in screen
    assert stream.states() == []


def test_a_dry_run_deletes_nothing(ran: Ran, stream: Served) -> None:
    stream.killed()
    ended = ran("cleanup", "--orphans", "-n", "--json")
    assert ended.document["swept"][0]["outcome"] == "would go"
    assert stream.states() == ["pendingupload"]


def test_cleanup_without_orphans_says_that_what_was_interrupted_stays(
    ran: Ran, stream: Served
) -> None:
    assert "interrupted" not in ran("cleanup").err
    stream.killed()
    ended = ran("cleanup")
    assert ended.code == 0
    assert "1 interrupted upload(s) stay" in ended.err
    assert "cfupload cleanup --orphans" in ended.err
    assert stream.states() == ["pendingupload"]


def test_a_dry_run_of_what_stream_did_not_list_is_not_told_as_all(ran: Ran, stream: Served) -> None:
    stream.killed()
    stream.strike(Fault(Answer(503), "GET", times=None))
    ended = ran("cleanup", "--orphans", "-n", "--json")
    assert ended.code == 6
    assert ended.document["error"]["code"] == 6
    assert ended.document["swept"][0]["outcome"] == "would go"


def test_an_upload_is_swept_by_its_uid(ran: Ran, stream: Served) -> None:
    stream.killed()
    assert ran("cleanup", stream.videos()[0]["uid"], "--yes").code == 0
    assert stream.states() == []


def test_a_lost_journal_is_rebuilt_with_its_receipts(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    uid = ran("send", "-q", "big.mp4").out.strip()
    (stream.folder / "state" / "journal.db").unlink()
    assert ran("status").code == 10
    assert ran("cleanup", "--rebuild").code == 2  # nobody to ask
    assert ran("status").code == 10
    assert ran("cleanup", "--rebuild", "--yes").code == 0
    rows: list[Any] = ran("status", "--json").document["journal"]
    assert [(row["uid"], row["condition"]) for row in rows] == [(uid, "receipt")]


# --- the account's videos ------------------------------------------------------------------------


def test_list_and_get_show_what_stream_has(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    uid = ran("send", "-q", "big.mp4").out.strip()
    assert uid in ran("list").out
    assert ran("list", "-q").out.strip() == uid
    assert ran("get", "--json", uid).document["videos"][0]["uid"] == uid
    assert "big.mp4" in ran("get", uid).out


def test_a_video_that_is_not_there_is_exit_5(ran: Ran) -> None:
    assert ran("get", "ab" * 16).code == 5
    assert ran("delete", "--yes", "ab" * 16).code == 5


def test_delete_needs_a_yes_and_drops_the_receipt(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    uid = ran("send", "-q", "big.mp4").out.strip()
    assert ran("delete", uid).code == 2
    assert len(stream.videos()) == 1
    assert ran("delete", "--yes", uid).code == 0
    assert stream.videos() == []
    assert ran("send", "big.mp4").code == 0
    assert len(stream.videos()) == 1


# --- without an account --------------------------------------------------------------------------


def test_local_keeps_videos_and_its_emulator_between_commands(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mp4 import padded_mp4

    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "never-sent-anywhere")
    path = padded_mp4(tmp_path / "a.mp4", 100_000)
    try:
        assert run(["--local", "send", "-q", str(path)]) == 0
        uid = capfd.readouterr().out.strip()
        assert run(["list", "--local", "-q"]) == 0
        assert capfd.readouterr().out.strip() == uid
        assert run(["emulator", "--stop"]) == 0
        assert run(["list", "--local", "-q"]) == 0
        assert uid in capfd.readouterr().out
    finally:
        run(["emulator", "--stop"])


def test_local_without_the_extra_says_what_to_install(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(["--local", "list"]) == 3
    assert "cfstream-upload[emulator]" in capfd.readouterr().err


def test_the_emulator_prints_where_it_is_and_ends_on_sigterm(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "emulator", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "}":
            lines.append(process.stdout.readline().decode().rstrip("\n"))
        found = json.loads("\n".join(lines))["emulator"]
        assert found["base_url"].endswith("/client/v4")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


@pytest.mark.long
def test_the_demo_keeps_its_promises(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*COMMAND, "demo", "--json"], capture_output=True, cwd=tmp_path, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert len(json.loads(ended.stdout)["acts"]) == 4


# --- help and start-up ---------------------------------------------------------------------------


def test_every_command_has_help_with_two_examples(capfd: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["send"], ["cleanup"], ["status"], ["list"], ["get"], ["delete"], ["emulator"], ["demo"],
        ["config", "show"], ["config", "set"], ["config", "path"], ["doctor"], ["help"],
    ):  # fmt: skip
        assert run([*command, "--help"]) == 0
        shown = capfd.readouterr().out
        assert shown.count("cfupload " + " ".join(command)) >= 2, command


def test_help_and_version_load_nothing_that_only_sending_needs() -> None:
    heavy = (
        "httpx httpcore tusclient requests aiohttp rich.progress pymediainfo sqlite3 starlette"
        " pydantic"
    )
    probe = (
        "import sys\n"
        "from cfstream_upload.cli import main\n"
        "try: main([sys.argv[1]])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules], file=sys.stderr)"
    )
    for option in ("--help", "--version"):
        ended = subprocess.run(
            [sys.executable, "-P", "-c", probe, option], capture_output=True, check=True
        )
        assert ended.stderr.decode().strip() == "[]", option


def test_ctrl_c_while_the_program_loads_is_two_lines_and_130(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    ended = subprocess.run(
        [sys.executable, "-c", "from cfstream_upload.cli import main; main(['list'])"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 130
    assert ended.stderr.decode().splitlines()[0] == "error: Interrupted"
    assert b"Traceback" not in ended.stderr


def test_the_table_of_exit_codes_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "exit-codes"]) == 0
    codes = [line.split("\t")[0] for line in capfd.readouterr().out.splitlines()[1:]]
    assert codes == ["0", *map(str, range(1, 12)), "130, 143"]


def test_a_run_that_waits_is_interrupted_within_a_second(stream: Served) -> None:
    path = stream.file(size=6 * MIB)
    stream.proxy.stall()
    process = stream.start("send", path.name)
    stream.wait_until(lambda: "POST" in stream.methods())
    time.sleep(0.3)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    stream.proxy.stall(False)
    assert process.returncode == 130
    assert time.monotonic() - started < 8


def test_a_debt_is_paid_although_the_list_fails(ran: Ran, stream: Served) -> None:
    stream.killed()
    stream.strike(Fault(Answer(503), method="GET", kind="videos", times=1))
    ended = ran("cleanup", "--orphans", "--yes", "--json")
    assert ended.code == 6
    assert ended.document["swept"][0]["outcome"] == "discarded"
    assert stream.states() == []


def test_what_cleanup_leaves_is_exit_7(ran: Ran, stream: Served) -> None:
    stream.killed()
    ended = ran("cleanup", "--orphans", "--yes", "--json", "--max-delete", "0")
    assert ended.code == 7
    assert ended.document["error"]["code"] == 7
    assert stream.states() == ["pendingupload"]


def test_a_sound_journal_is_not_rebuilt(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    ran("send", "big.mp4")
    before = (stream.folder / "state" / "journal.db").read_bytes()
    assert ran("cleanup", "--rebuild", "--yes").code == 2
    assert (stream.folder / "state" / "journal.db").read_bytes() == before


@pytest.mark.parametrize(
    "arguments", [["sned"], ["send"], ["send", "--bogus", "x"], ["list", "--state", "bogus"]]
)
def test_wrong_usage_is_one_json_document_too(ran: Ran, arguments: list[str]) -> None:
    ended = ran(*arguments, "--json")
    assert ended.code == 2
    assert ended.document["error"]["code"] == 2


def test_the_name_alone_shows_what_there_is(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "send" in capfd.readouterr().out


# --- many files ----------------------------------------------------------------------------------


def several(stream: Served, count: int, size: int = 100_000) -> list[str]:
    return [stream.file(f"{number}.mp4", size + number * 1000).name for number in range(count)]


def test_quiet_prints_the_uids_in_the_order_of_the_files(ran: Ran, stream: Served) -> None:
    # The first is by far the longest, and ends last.
    names = [stream.file("z.mp4", 12 * MIB).name, *several(stream, 3)]
    ended = ran("send", "-q", "-j", "4", *names)
    by_name = {video["meta"]["name"]: video["uid"] for video in stream.videos()}
    assert ended.out.split() == [by_name[name] for name in names]


def test_a_batch_exits_with_the_most_urgent_code_and_tells_of_each_file(
    ran: Ran, stream: Served
) -> None:
    names = several(stream, 2)
    (stream.folder / "no.mp4").write_bytes(b"no video")
    ended = ran("send", "--json", names[0], "no.mp4", "missing.mp4", names[1])
    assert ended.code == 4
    document = ended.document
    assert [upload["exit_code"] for upload in document["uploads"]] == [0, 4, 4, 0]
    assert document["summary"]["uploaded"] == 2
    assert document["summary"]["failed"] == 2
    assert document["error"] is None


def test_a_batch_ends_with_a_table_and_totals_on_stderr(ran: Ran, stream: Served) -> None:
    names = several(stream, 2)
    ended = ran("send", *names)
    assert len(ended.out.split()) == 2
    assert re.search(r"^0\.mp4 +uploaded +[0-9a-f]{32} +97\.7 KiB$", ended.err, re.MULTILINE)
    assert "2 files: 2 uploaded; 196 KiB sent in" in ended.err


def test_a_list_from_standard_input_is_sent(stream: Served) -> None:
    names = several(stream, 2)
    ended = subprocess.run(
        [*COMMAND, "send", "-q", "-0", "--files-from", "-"],
        cwd=stream.folder, input="\0".join([*names, ""]).encode(), capture_output=True, check=True,
    )  # fmt: skip
    assert len(ended.stdout.split()) == len(stream.videos()) == 2


def test_a_manifest_spares_what_was_sent_and_does_what_is_missing(
    ran: Ran, stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = several(stream, 3)
    ran("send", "--manifest", "sent.csv", *names[:2])
    stream.ledger.asked.clear()
    # Another machine: it has the manifest and no journal.
    monkeypatch.setenv("CFUPLOAD_STATE_DIR", str(stream.folder / "elsewhere"))
    document = ran("send", "--json", "--manifest", "sent.csv", *names).document
    outcomes = [upload["outcome"] for upload in document["uploads"]]
    assert outcomes == ["already", "already", "uploaded"]
    assert stream.methods() == ["POST", "PATCH", "GET"]
    assert len((stream.folder / "sent.csv").read_text().splitlines()) == 4


def test_a_manifest_on_a_full_disk_starts_no_more_files(
    ran: Ran, stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = several(stream, 3)
    honest, disk = os.fsync, (stream.folder / "sent.csv")

    def full(descriptor: int) -> None:
        if disk.exists() and os.path.samestat(os.fstat(descriptor), disk.stat()):
            raise OSError(errno.ENOSPC, "No space left on device")
        honest(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    ended = ran("send", "--json", "-j", "1", "--manifest", "sent.csv", *names)
    outcomes = [upload["outcome"] for upload in ended.document["uploads"]]
    assert (ended.code, outcomes) == (2, ["uploaded", "skipped", "skipped"])
    assert "No space left" in ended.document["error"]["message"]


def test_a_dry_run_asks_nobody_and_creates_nothing(ran: Ran, stream: Served) -> None:
    names = several(stream, 2)
    (stream.folder / "no.mp4").write_bytes(b"no video")
    ended = ran("send", "-n", "--json", "no.mp4", *names)
    assert ended.code == 4
    assert [upload.get("plan", "")[:12] for upload in ended.document["uploads"]] == [
        "", "would upload", "would upload",
    ]  # fmt: skip
    assert stream.methods() == []
    assert not (stream.folder / "state" / "journal.db").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "No file is named"),
        (("-0", "a.mp4"), "-0 is for a list"),
        (("--files-from", "none.txt"), "cannot be read"),
        (("--files-from", "empty.txt"), "is empty"),
        (("--name", "x", "a.mp4", "b.mp4"), "--name is for one file"),
        (("-j", "0", "a.mp4"), "--jobs takes"),
        (("--bwlimit", "fast", "a.mp4"), "is no size"),
        (("--manifest", "other.csv", "a.mp4"), "is no manifest of cfupload"),
    ],
)
def test_wrong_use_of_a_batch_is_one_line_and_a_hint(
    ran: Ran, stream: Served, arguments: tuple[str, ...], words: str
) -> None:
    (stream.folder / "empty.txt").write_text("")
    (stream.folder / "other.csv").write_text("name,size\nx,1\n")
    ended = ran("send", *arguments)
    assert ended.code == 2
    assert words in ended.err
    assert len(ended.err.splitlines()) == 2
    assert stream.methods() == []


def test_an_interrupted_batch_leaves_nothing_and_begins_nothing_more(stream: Served) -> None:
    names = [stream.file(f"{number}.mp4", 6 * MIB).name for number in range(4)]
    stream.proxy.limit_rate(2 * MIB)
    process = stream.start("send", "-q", "-j", "2", *names)
    stream.wait_until(lambda: len(stream.videos()) == 2)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert stream.videos() == []
    assert stream.journal() == []


def test_a_killed_batch_is_finished_by_the_same_command(stream: Served) -> None:
    names = [stream.file(f"{number}.mp4", 3 * MIB).name for number in range(4)]
    stream.proxy.limit_rate(4 * MIB)
    process = stream.start("send", "-q", "-j", "2", "--manifest", "sent.csv", *names)
    stream.wait_until(lambda: len(stream.videos()) >= 3)
    process.kill()
    process.communicate()
    stream.proxy.break_connections()
    stream.proxy.limit_rate(None)
    ended = stream.run("send", "-q", "-j", "2", "--manifest", "sent.csv", *names)
    assert ended.code == 0, ended.err
    assert sorted(ended.out.split()) == sorted(video["uid"] for video in stream.videos())
    assert len(stream.videos()) == 4
    assert "pendingupload" not in stream.states()


def test_a_dry_run_prints_no_uid_and_tells_scripts_of_plans(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    ran("send", "big.mp4", "--manifest", "sent.csv")
    assert ran("send", "-n", "-q", "big.mp4").out == ""
    (event, summary) = map(json.loads, ran("send", "-n", "--ndjson", "big.mp4").out.splitlines())
    assert (event["message_type"], event["outcome"]) == ("planned", "skipped")
    assert summary["message_type"] == "summary"


def test_a_dry_run_knows_the_manifest(
    ran: Ran, stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = several(stream, 2)
    ran("send", "--manifest", "sent.csv", names[0])
    monkeypatch.setenv("CFUPLOAD_STATE_DIR", str(stream.folder / "elsewhere"))
    uploads = ran("send", "-n", "--json", "--manifest", "sent.csv", *names).document["uploads"]
    assert [upload["plan"].partition(" as ")[0] for upload in uploads] == [
        "already sent", uploads[1]["plan"],
    ]  # fmt: skip
    (stream.folder / "broken.csv").write_text("a,b\n")
    assert ran("send", "-n", "--manifest", "broken.csv", *names).code == 2


def test_what_a_manifest_knows_is_waited_for_and_not_sent_again(
    ran: Ran, stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.file(size=100_000)
    uid = ran("send", "-q", "--manifest", "sent.csv", "big.mp4").out.strip()
    monkeypatch.setenv("CFUPLOAD_STATE_DIR", str(stream.folder / "elsewhere"))
    stream.ledger.asked.clear()
    ended = ran("send", "-q", "--manifest", "sent.csv", "--wait", "ready", "big.mp4")
    assert (ended.code, ended.out.strip()) == (0, uid)
    assert set(stream.methods()) == {"GET"}


def test_an_empty_name_sends_nothing(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    ended = ran("send", "")
    assert ended.code == 2
    assert stream.videos() == []


def test_trouble_with_the_manifest_is_an_event_too(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    (stream.folder / "folder").mkdir()
    told = ran("send", "--ndjson", "--manifest", "folder", "big.mp4")
    assert told.code == 2
    assert json.loads(told.out.splitlines()[-1])["message_type"] == "exit_error"


def test_a_journal_that_knows_better_beats_the_manifest(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    first = ran("send", "-q", "--manifest", "sent.csv", "big.mp4").out.strip()
    ran("delete", "--yes", first)
    second = ran("send", "-q", "big.mp4").out.strip()
    assert ran("send", "-q", "--manifest", "sent.csv", "big.mp4").out.strip() == second != first


def test_a_batch_that_was_left_at_the_second_ctrl_c_is_7(stream: Served) -> None:
    names = [stream.file(f"{number}.mp4", 12 * MIB).name for number in range(3)]
    stream.proxy.limit_rate(2 * MIB)
    stream.strike(Fault(Answer(503), "GET", times=None))
    process = stream.start("send", "-q", "-j", "2", *names)
    stream.wait_until(lambda: len(stream.videos()) == 2)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 7
    stream.faulty.clear()
    stream.proxy.limit_rate(None)
    assert stream.run("send", "-q", *names).code == 0
    assert len(stream.videos()) == 3

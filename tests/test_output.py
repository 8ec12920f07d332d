"""stdout as programs read it: documents, events and UIDs, when all goes well and when not."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from judging import complaints
from served import MIB, Ended, Served

from cfstream_upload.cli.app import command_names
from cfstream_upload.console import Console
from cfstream_upload.documents import KEYS

Ran = Callable[..., Ended]
UID = "ab" * 16
BIG = 24 * MIB


@pytest.fixture
def told(stream: Served, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """What was appended to the output file so far, each line held against the schema."""
    path = stream.folder / "events"
    monkeypatch.setenv("CFUPLOAD_OUTPUT_FILE", str(path))

    def records() -> list[dict[str, Any]]:
        lines = path.read_text().splitlines()
        assert [why for line in lines for why in complaints(line, line=True)] == []
        return [json.loads(line) for line in lines]

    return records


def kinds(records: list[dict[str, Any]]) -> list[str]:
    """The types in order, repetitions once."""
    found = [record["message_type"] for record in records]
    return [kind for place, kind in enumerate(found) if place == 0 or found[place - 1] != kind]


# --- events --------------------------------------------------------------------------------------


def test_every_event_of_an_upload_is_told_in_every_mode(
    ran: Ran, stream: Served, told: Callable[[], list[dict[str, Any]]]
) -> None:
    stream.file()
    stream.proxy.die_after(8 * MIB)
    assert ran("send", "--on-failure", "keep", "--retries", "0", "--json", "big.mp4").code == 6
    first = told()
    assert kinds(first) == ["started", "progress", "failed", "summary"]

    stream.proxy.revive()
    stream.proxy.cut_after(10 * MIB)
    assert ran("send", "-q", "big.mp4").code == 0
    second = told()[len(first) :]
    assert set(kinds(second)) == {
        "started", "resumed", "progress", "retrying", "uploaded", "summary",
    }  # fmt: skip
    assert kinds(second)[-2:] == ["uploaded", "summary"]
    (resumed,) = [one for one in second if one["message_type"] == "resumed"]
    (retrying,) = [one for one in second if one["message_type"] == "retrying"]
    assert 0 < resumed["bytes_acknowledged"] < resumed["total_bytes"] == BIG
    assert (retrying["tries"], retrying["file"]) == (1, "big.mp4")
    progress = [one for one in second if one["message_type"] == "progress"]
    assert all(one["bytes_acknowledged"] <= one["bytes_sent"] <= BIG for one in progress)

    stream.file("other.mp4")
    stream.proxy.die_after(8 * MIB)
    assert ran("send", "--retries", "0", "other.mp4").code == 6
    third = told()[len(first) + len(second) :]
    cleaning, cleaned, failed = third[-4:-1]
    assert kinds(third)[-4:] == ["cleaning_up", "cleaned_up", "failed", "summary"]
    assert cleaning["uid"] == cleaned["uid"]
    assert (failed["outcome"], failed["cleanup"], failed["exit_code"]) == ("failed", "confirmed", 6)
    assert failed["error"]["message"] == cleaning["message"][:1].upper() + cleaning["message"][1:]


def test_the_output_file_and_ndjson_tell_the_same(
    ran: Ran, stream: Served, told: Callable[[], list[dict[str, Any]]]
) -> None:
    stream.file(size=100_000)
    ended = ran("send", "--ndjson", "big.mp4", "gone.mp4")
    assert [json.loads(line) for line in ended.out.splitlines()] == told()
    assert {"started", "uploaded", "failed"} <= set(kinds(told())[:-1])
    assert (told()[-1]["message_type"], told()[-1]["file"]) == ("summary", None)


@pytest.mark.parametrize(
    "arguments", [["sned"], ["list", "--bogus"], ["get", "zz"], ["--json", "-q", "list"]]
)
def test_a_command_that_fails_says_so_in_an_event(
    ran: Ran, told: Callable[[], list[dict[str, Any]]], arguments: list[str]
) -> None:
    ran(*arguments)
    (record,) = told()
    assert (record["message_type"], record["code"], record["file"]) == ("exit_error", 2, None)
    assert record["hint"]


def test_what_cleanup_leaves_is_an_event_beside_its_document(
    ran: Ran, stream: Served, told: Callable[[], list[dict[str, Any]]]
) -> None:
    stream.file()
    stream.proxy.die_after(8 * MIB)
    ran("send", "--on-failure", "keep", "--retries", "0", "big.mp4")
    (uid,) = [video["uid"] for video in stream.videos()]
    ended = ran("cleanup", "--json", "--yes", "--max-delete", "0", uid)
    assert ended.code == ended.document["error"]["code"] == told()[-1]["code"] == 7
    assert told()[-1]["message_type"] == "exit_error"


def test_with_ndjson_wrong_usage_is_an_event_on_stdout(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_OUTPUT_FILE", "/no/such/folder/events")
    for arguments in (["sned"], ["list"]):
        ended = ran("--ndjson", *arguments)
        assert ended.code == 2
        assert json.loads(ended.out)["message_type"] == "exit_error"


def test_other_commands_tell_events_too(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    uid = ran("send", "-q", "big.mp4").out.strip()
    told = {
        command: [json.loads(line) for line in ran("--ndjson", *command.split()).out.splitlines()]
        for command in (
            "list", f"get {uid}", "status", "cleanup --orphans", "help exit-codes", "help schema",
            f"delete -y {uid}", "emulator --stop",
        )
    }  # fmt: skip
    first = {command.split()[0]: records[:1] for command, records in told.items() if records}
    assert first["list"][0]["video"]["uid"] == first["get"][0]["video"]["uid"] == uid
    assert first["status"][0]["condition"] == "receipt"
    assert first["delete"][0]["message_type"] == "deleted"
    assert first["emulator"][0]["emulator"] is None
    assert {one["message_type"] for one in told["help exit-codes"]} == {"exit_code"}
    assert {one["message_type"] for one in told["help schema"]} == {"schema"}
    assert told["cleanup --orphans"] == []


def test_a_line_of_the_output_file_is_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events"

    def write(number: int) -> None:
        # A console of its own, and so a descriptor of its own, as another process has.
        with Console(None, None, None, {}, output_file=path) as console:
            for _ in range(40):
                console.event({"message_type": "x", "text": str(number) * 50_000})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = [json.loads(line)["text"] for line in path.read_text().splitlines()]
    assert len(texts) == 160
    assert all(text == text[0] * 50_000 for text in texts)


# --- documents -----------------------------------------------------------------------------------


FAILURES: list[tuple[list[str], int, str]] = [
    (["send"], 2, "uploads"),
    (["send", "--bogus", "x"], 2, "uploads"),
    (["send", "--retries", "many", "x"], 2, "uploads"),
    (["send", "--stats", "never", "x"], 2, "uploads"),
    (["send", "--log-file", "/no/such/folder/log", "x"], 2, "uploads"),
    (["send", "--profile", "nobody", "x"], 3, "uploads"),
    (["list", "--state", "bogus"], 2, "videos"),
    (["get"], 2, "videos"),
    (["get", UID], 5, "videos"),
    (["delete", "-y", UID], 5, "videos"),
    (["status", "--bogus"], 2, "journal"),
    (["cleanup", "--ended"], 2, "swept"),
    (["cleanup", "--forget", UID], 2, "swept"),
    (["config", "set", "bogus", "1"], 2, "settings"),
    (["config", "bogus"], 2, "settings"),
    (["emulator", "--port", "x"], 2, "emulator"),
    (["demo", "--bogus"], 2, "acts"),
    (["help", "bogus"], 2, "error"),
    (["sned"], 2, "error"),
]


def test_a_failure_is_the_commands_own_document(ran: Ran) -> None:
    for arguments, code, key in FAILURES:
        for words in ([*arguments, "--json"], ["--json", *arguments]):
            ended = ran(*words)
            assert ended.code == code, words
            assert ended.document["error"]["code"] == code, words
            assert key in ended.document, words
            assert not ended.document[key] or key == "error", words
            assert ended.err.startswith("error: "), words


def test_the_totals_of_a_send_that_could_not_begin_hold_its_exit_code(ran: Ran) -> None:
    document = ran("send", "--json").document
    assert document["uploads"] == []
    assert document["summary"]["exit_code"] == 2


def test_the_variable_asks_for_json_and_a_name_after_the_dashes_does_not(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ran("get", "--", "--json").out == ""
    monkeypatch.setenv("CFUPLOAD_JSON", "1")
    assert ran("send").document["error"]["code"] == 2
    assert ran("send", "--quiet", "--bogus").out == ""


def test_every_command_that_ends_well_prints_its_document(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    uid = ran("send", "--json", "big.mp4").document["uploads"][0]["uid"]
    for command, key in (
        ("send -n big.mp4", "uploads"), ("list", "videos"), (f"get {uid}", "videos"),
        ("status", "journal"),
        ("cleanup --orphans", "swept"), ("config show", "settings"), ("config path", "settings"),
        ("config set label red", "settings"), ("help exit-codes", "exit_codes"),
        ("emulator --stop", "emulator"), (f"delete -y {uid}", "videos"),
    ):  # fmt: skip
        document = ran(*command.split(), "--json").document
        assert key in document, command
        assert document["error"] is None


def test_what_is_written_off_and_rebuilt_is_a_document_too(ran: Ran, stream: Served) -> None:
    stream.file(size=100_000)
    ran("send", "big.mp4")
    (stream.folder / "state" / "journal.db").write_bytes(b"no database " * 100)
    assert ran("cleanup", "--rebuild", "-n", "--json").document["journal"] == []
    (row,) = ran("cleanup", "--rebuild", "-y", "--json").document["journal"]
    assert row["condition"] == "receipt"


def test_the_documents_of_all_commands_are_known() -> None:
    names = command_names()
    told_otherwise = {"help", "completion"}
    assert names - told_otherwise <= set(KEYS)


# --- uids ----------------------------------------------------------------------------------------


def test_quiet_prints_uids_alone_in_the_order_of_the_files(ran: Ran, stream: Served) -> None:
    for name in ("b.mp4", "a.mp4"):
        stream.file(name, size=100_000)
    first = ran("send", "-q", "a.mp4").out.split()
    ended = ran("send", "-q", "b.mp4", "gone.mp4", "a.mp4")
    assert ended.code == 4
    by_name = {video["meta"]["name"]: video["uid"] for video in stream.videos()}
    assert ended.out.split() == [by_name["b.mp4"], by_name["a.mp4"]]
    assert first == [by_name["a.mp4"]]


def test_a_console_without_streams_still_writes_the_file(tmp_path: Path) -> None:
    with Console(None, io.StringIO(), None, {}, output_file=tmp_path / "events") as console:
        console.event({"message_type": "x"})
    record = json.loads((tmp_path / "events").read_text())
    assert record.pop("time")
    assert record == {"version": 1, "message_type": "x", "file": None}

"""The acceptance tests that started this project: real processes, real sockets.

What a signal or a kill strikes is started as a shell starts it; the other commands are forked.
"""

from __future__ import annotations

import hashlib
import signal

import cloudflare
import pytest
from served import MIB, Served

from cfstream_upload.emulator.faults import Answer, Fault

HALF_A_GIGABYTE = 500_000_000 + 1_234_567


def uid_in(text: str, words: str) -> str:
    """The UID behind ``words`` in a log."""
    (line,) = [line for line in text.splitlines() if line.startswith(words)]
    return line.removeprefix(words).strip()


def test_a_line_that_dies_at_half_leaves_nothing(stream: Served) -> None:
    path = stream.file(size=HALF_A_GIGABYTE, sparse=True)
    stream.proxy.die_after(HALF_A_GIGABYTE // 2)
    ended = stream.run("send", "--retries", "2", path.name)
    assert ended.code == 6
    assert stream.states() == []
    listed = stream.run("list", "--state", "pendingupload", "--json")
    assert listed.document["videos"] == []
    assert stream.journal() == []


def test_three_failures_and_three_retries_end_with_one_video(stream: Served) -> None:
    path = stream.file()
    for _ in range(3):
        stream.proxy.die_after(path.stat().st_size // 2)
        assert stream.run("send", "--retries", "0", path.name).code == 6
        stream.proxy.revive()
    assert stream.run("send", path.name).code == 0
    assert stream.whole(path)
    assert stream.journal() == []


def test_the_console_says_that_a_failed_upload_is_cleaned_up(stream: Served) -> None:
    path = stream.file()
    stream.proxy.die_after(MIB)
    ended = stream.run("send", "--retries", "0", path.name)
    uid = uid_in(ended.err, "Cleaning up failed upload: ")
    assert f"Successfully cleaned up failed upload: {uid}" in ended.err


def test_the_log_names_the_upload_and_the_journal_entry(stream: Served) -> None:
    path = stream.file()
    stream.proxy.die_after(MIB)
    log = stream.folder / "log.txt"
    ended = stream.run("--log-file", str(log), "send", "--retries", "0", path.name)
    lines = log.read_text()
    assert "Cleaned up failed upload from Cloudflare: " in lines
    assert "Cleaned up failed upload from journal: " in lines
    assert "Cleaned up" not in ended.err


# --- when clean-up runs, and when it does not ----------------------------------------------------


def test_a_server_that_never_answers_is_a_timeout_and_is_cleaned_up(stream: Served) -> None:
    path = stream.file()
    stream.proxy.stall()
    ended = stream.run("send", "--retries", "0", "--stall-timeout", "1s", path.name)
    stream.proxy.stall(False)
    assert ended.code == 6
    assert stream.states() == []


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_a_signal_rolls_the_upload_back(stream: Served, number: int, code: int) -> None:
    path = stream.file()
    stream.proxy.limit_rate(8 * MIB)
    process = stream.start("send", path.name)
    stream.wait_until(lambda: stream.proxy.bytes_up > 2 * MIB)
    process.send_signal(number)
    _, told = process.communicate(timeout=20)
    assert process.returncode == code, told
    assert stream.states() == []
    assert stream.journal() == []


def test_a_second_signal_leaves_a_debt_that_the_next_send_pays(stream: Served) -> None:
    path = stream.file()
    stream.proxy.limit_rate(8 * MIB)
    stream.strike(Fault(Answer(503), method="DELETE", times=None))
    process = stream.start("send", path.name)
    stream.wait_until(lambda: stream.proxy.bytes_up > 2 * MIB)
    process.send_signal(signal.SIGINT)
    stream.wait_until(lambda: "DELETE" in stream.methods())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 7
    assert [row["condition"] for row in stream.journal()] == ["debt"]
    assert stream.run("status").code == 7
    stream.faulty.clear()
    stream.proxy.limit_rate(None)
    assert stream.run("send", path.name).code == 0
    assert stream.whole(path)


def test_an_upload_that_stream_refuses_is_cleaned_up(stream: Served) -> None:
    path = stream.file()
    stream.strike(Fault(Answer(400), method="PATCH", times=None))
    ended = stream.run("send", path.name)
    assert ended.code == 5
    assert stream.states() == []


def test_nothing_is_cleaned_up_after_success(stream: Served) -> None:
    path = stream.file()
    ended = stream.run("send", path.name)
    assert ended.code == 0
    assert "DELETE" not in stream.methods()
    assert "leaning up" not in ended.err
    assert ended.out.strip() == stream.videos()[0]["uid"]


def test_nothing_is_cleaned_up_before_a_uid_exists(stream: Served) -> None:
    path = stream.file()
    refused = b'{"success":false,"errors":[{"code":10005,"message":"Bad Request"}],"messages":null}'
    stream.strike(Fault(Answer(400, {"content-type": "application/json"}, refused), method="POST"))
    ended = stream.run("send", path.name)
    assert ended.code == 5
    assert stream.methods() == ["POST"]
    assert stream.journal() == []


@pytest.mark.long
def test_a_failing_clean_up_does_not_hide_the_first_error_and_is_remembered(
    stream: Served,
) -> None:
    path = stream.file()
    stream.proxy.limit_rate(8 * MIB)
    stream.strike(Fault(Answer(500), method="DELETE", times=None))
    process = stream.start("send", path.name)
    stream.wait_until(lambda: stream.proxy.bytes_up > 2 * MIB)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 7
    assert b"Interrupted" in told
    stream.faulty.clear()
    assert stream.run("cleanup", "--yes").code == 0
    assert stream.states() == []
    assert stream.journal() == []


# --- resuming, killing, sweeping -----------------------------------------------------------------


def test_a_cut_line_resumes_without_sending_an_acknowledged_byte_again(stream: Served) -> None:
    path = stream.file()
    stream.proxy.cut_after(path.stat().st_size // 2)
    ended = stream.run("send", path.name, "--json")
    assert ended.code == 0
    assert ended.document["uploads"][0]["retries"] >= 1
    assert stream.whole(path)
    patches = [asked for asked in stream.ledger.asked if asked.method == "PATCH"]
    assert len(patches) >= 2
    assert all(asked.offset == asked.known for asked in patches)
    assert stream.methods().count("POST") == 1


def test_a_killed_upload_goes_on_where_stream_is(stream: Served) -> None:
    path = stream.killed(8 * MIB)
    stream.ledger.asked.clear()
    ended = stream.run("send", path.name, "--json")
    assert ended.code == 0
    upload = ended.document["uploads"][0]
    assert upload["outcome"] == "resumed"
    assert upload["resumed_from"] > 0
    assert stream.methods()[0] != "PATCH"
    assert "POST" not in stream.methods()
    assert stream.whole(path)


def test_cleanup_with_orphans_settles_what_a_killed_machine_left(stream: Served) -> None:
    stream.killed()
    assert stream.states() == ["pendingupload"]
    assert stream.run("cleanup", "--orphans").code == 2
    assert stream.states() == ["pendingupload"]
    assert stream.run("cleanup", "--orphans", "--yes").code == 0
    assert stream.states() == []
    assert stream.journal() == []


def test_cleanup_leaves_a_running_upload_alone(stream: Served) -> None:
    path = stream.file()
    stream.proxy.limit_rate(8 * MIB)
    process = stream.start("send", path.name)
    stream.wait_until(lambda: stream.proxy.bytes_up > 2 * MIB)
    swept = stream.run("cleanup", "--orphans", "--yes", "--json")
    assert swept.code == 0
    assert [row["outcome"] for row in swept.document["swept"]] == ["busy"]
    stream.proxy.limit_rate(None)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert stream.whole(path)


def test_a_second_process_with_the_same_file_is_busy(stream: Served) -> None:
    path = stream.file()
    (stream.folder / "link.mp4").hardlink_to(path)
    stream.proxy.limit_rate(8 * MIB)
    process = stream.start("send", path.name)
    stream.wait_until(lambda: stream.proxy.bytes_up > MIB)
    assert stream.run("send", "link.mp4").code == 9
    process.terminate()
    process.communicate(timeout=20)


def test_a_file_sent_before_prints_the_same_uid(stream: Served) -> None:
    path = stream.file()
    first = stream.run("send", "-q", path.name)
    again = stream.run("send", "-q", path.name)
    assert (again.code, again.out) == (0, first.out)
    assert len(stream.videos()) == 1
    assert stream.run("send", "--again", path.name).code == 0
    assert len(stream.videos()) == 2


# --- an independent client -----------------------------------------------------------------------


def test_the_official_sdk_lists_gets_and_deletes_what_was_sent(stream: Served) -> None:
    path = stream.file()
    uid = stream.run("send", "-q", "--meta", "team=red", path.name).out.strip()
    environment = stream.environment
    account = environment["CLOUDFLARE_ACCOUNT_ID"]
    with cloudflare.Cloudflare(
        api_token=environment["CLOUDFLARE_API_TOKEN"],
        base_url=environment["CLOUDFLARE_API_BASE_URL"],
        max_retries=0,
    ) as client:
        assert [video.uid for video in client.stream.list(account_id=account)] == [uid]
        video = client.stream.get(uid, account_id=account)
        assert video is not None
        assert isinstance(video.meta, dict)
        assert video.meta["team"] == "red"
        assert video.meta["name"] == "big.mp4"
        client.stream.delete(uid, account_id=account)
    assert stream.videos() == []
    gone = stream.run("send", "--meta", "team=red", path.name)
    assert gone.code == 8
    assert "--again" in gone.err


def test_what_arrives_has_the_digest_of_what_was_sent(stream: Served) -> None:
    path = stream.file(size=24 * MIB + 4321)
    uid = stream.run("send", "-q", path.name).out.strip()
    assert stream.model.sha256(uid) == hashlib.sha256(path.read_bytes()).hexdigest()

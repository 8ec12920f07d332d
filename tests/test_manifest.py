"""The manifest of a batch: what it says, what it spares, and which ones are refused."""

from __future__ import annotations

import csv
import os
import stat
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cfstream_upload.errors import Busy, FileProblem, NotConfirmed, UsageProblem
from cfstream_upload.manifest import COLUMNS, Known, Manifest, target_of
from cfstream_upload.result import Result

TARGET = target_of("https://api.cloudflare.com/client/v4", "ab" * 16)
OPTIONS = "{}"
UID = "0123456789abcdef" * 2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sent.csv"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    video = tmp_path / 'big, "one"\n.mp4'
    video.write_bytes(b"12345")
    os.utime(video, (1000, 1000))
    return video


def recorded(path: Path, *results: Result) -> list[dict[str, str]]:
    with closing(Manifest(path, TARGET, OPTIONS)) as manifest:
        for result in results:
            manifest.record(result, 2000.0, 2001.5)
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def done(path: Path, video: Path, options: str = OPTIONS) -> Result | None:
    return Known(path, TARGET, options).done(str(video))


def sent(video: Path) -> Result:
    modified = video.stat().st_mtime_ns
    return Result(str(video), "uploaded", uid=UID, state="queued", size=5, modified=modified)


def test_a_line_says_what_became_of_a_file(path: Path, video: Path) -> None:
    (line,) = recorded(path, sent(video))
    assert tuple(line) == COLUMNS
    assert line["source"] == str(video)
    assert (line["uid"], line["state"], line["size"], line["outcome"]) == (
        UID, "queued", "5", "uploaded",
    )  # fmt: skip
    assert line["started"] == "1970-01-01T00:33:20.000Z"
    assert line["ended"] == "1970-01-01T00:33:21.500Z"


def test_a_failed_file_has_its_message_and_is_done_again(path: Path, video: Path) -> None:
    error = FileProblem("no\nvideo")
    (line,) = recorded(path, Result(str(video), "failed", size=5, exit_code=4, error=error))
    assert (line["outcome"], line["detail"]) == ("failed", "no video")
    assert done(path, video) is None


def test_a_file_that_was_sent_is_done(path: Path, video: Path) -> None:
    recorded(path, sent(video))
    result = done(path, video)
    assert result is not None
    assert (result.outcome, result.uid, result.size) == ("already", UID, 5)


def test_a_file_that_was_written_to_since_is_not_done(path: Path, video: Path) -> None:
    recorded(path, sent(video))
    os.utime(video, (3000, 3000))
    assert done(path, video) is None
    os.utime(video, (1000, 1000))
    video.write_bytes(b"123456")
    os.utime(video, (1000, 1000))
    assert done(path, video) is None


def test_a_file_sent_after_a_failure_has_one_line(path: Path, video: Path) -> None:
    failed = Result(str(video), "failed", exit_code=4, error=FileProblem("no"))
    recorded(path, failed)
    (line,) = recorded(path, sent(video))
    assert line["outcome"] == "uploaded"


def test_a_line_is_on_disk_before_the_run_ends(path: Path, video: Path) -> None:
    with closing(Manifest(path, TARGET, OPTIONS)) as manifest:
        manifest.record(sent(video), 2000.0, 2001.0)
        assert UID in path.read_text()


def test_a_torn_last_line_is_done_again(path: Path, video: Path) -> None:
    recorded(path, sent(video))
    with path.open("a") as file:
        file.write(f"{video.parent}/other.mp4,{UID},que")
    (line,) = recorded(path)
    assert line["source"] == str(video)


def test_the_manifest_keeps_its_mode_and_a_new_one_is_private(path: Path, video: Path) -> None:
    recorded(path, sent(video))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    recorded(path, sent(video))
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_manifest_of_another_account_is_refused_and_left_alone(path: Path, video: Path) -> None:
    recorded(path, sent(video))
    before = path.read_bytes()
    with pytest.raises(UsageProblem, match="another account"):
        Manifest(path, target_of("https://api.cloudflare.com/client/v4", "cd" * 16), OPTIONS)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    ["name,uid\na,b\n", "not a manifest", ",".join(COLUMNS) + "\na,b\n", 'a"b"c,"\n'],
)
def test_what_is_no_manifest_is_refused_and_left_alone(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(UsageProblem):
        Manifest(path, TARGET, OPTIONS)
    assert path.read_text() == content


def test_two_runs_do_not_write_one_manifest(path: Path, tmp_path: Path) -> None:
    with (
        Manifest.lock(tmp_path, path),
        pytest.raises(Busy, match="manifest"),
        Manifest.lock(tmp_path, path),
    ):
        pass


def test_a_manifest_that_cannot_be_written_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="cannot be"):
        Manifest(tmp_path / "none" / "sent.csv", TARGET, OPTIONS)


def test_a_name_that_is_no_unicode_is_found_again(path: Path, tmp_path: Path) -> None:
    video = tmp_path / os.fsdecode(b"\xff.mp4")
    video.write_bytes(b"12345")
    os.utime(video, (1000, 1000))
    with closing(Manifest(path, TARGET, OPTIONS)) as manifest:
        manifest.record(sent(video), time.time(), time.time())
    assert done(path, video) is not None


def test_a_device_is_no_manifest(path: Path) -> None:
    path.symlink_to("/dev/zero")
    with pytest.raises(UsageProblem, match="no regular file"):
        Manifest(path, TARGET, OPTIONS)


def test_another_file_of_the_same_name_and_size_is_not_done(path: Path, video: Path) -> None:
    recorded(path, sent(video))
    os.utime(video, (900, 900))
    assert done(path, video) is None


def test_other_create_options_are_not_done(path: Path, video: Path) -> None:
    recorded(path, sent(video))
    assert done(path, video, '{"name": "other"}') is None


def test_a_file_that_is_away_for_a_run_keeps_its_line(path: Path, video: Path) -> None:
    recorded(path, sent(video))
    gone = Result(str(video), "failed", exit_code=4, error=FileProblem("no such file"))
    skipped = Result(str(video), "skipped", exit_code=130)
    (line,) = recorded(path, gone, skipped)
    assert (line["outcome"], line["uid"]) == ("uploaded", UID)


def test_a_file_that_was_not_begun_has_a_line_in_the_end(path: Path, video: Path) -> None:
    (line,) = recorded(path, Result(str(video), "skipped", exit_code=130))
    assert line["outcome"] == "skipped"
    assert done(path, video) is None


def test_a_video_whose_wait_failed_is_done(path: Path, video: Path) -> None:
    error = NotConfirmed("not ready after 30m")
    failed = replace(sent(video), outcome="failed", waited=True, exit_code=8, error=error)
    (line,) = recorded(path, failed)
    assert (line["outcome"], line["detail"]) == ("uploaded", "not ready after 30m")
    assert done(path, video) is not None


def test_a_name_with_a_carriage_return_breaks_nothing(path: Path, tmp_path: Path) -> None:
    video = tmp_path / "Icon\r"
    video.write_bytes(b"12345")
    recorded(path, sent(video))
    assert done(path, video) is not None


def test_a_line_that_a_full_disk_tore_is_taken_back(
    path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Manifest(path, TARGET, OPTIONS)) as manifest:
        before = path.read_bytes()
        half = os.open(path, os.O_WRONLY | os.O_APPEND)
        file = manifest._file

        class Full:
            def write(self, data: bytes) -> int:
                return os.write(half, data[:10])

            def __getattr__(self, name: str) -> object:
                return getattr(file, name)

        monkeypatch.setattr(manifest, "_file", Full())
        with pytest.raises(UsageProblem, match="No space left"):
            manifest.record(sent(video), 2000.0, 2001.0)
        os.close(half)
        assert path.read_bytes() == before


def test_a_secret_in_a_detail_is_hidden(path: Path, video: Path) -> None:
    error = FileProblem("no video: hunter2")
    with closing(Manifest(path, TARGET, OPTIONS, lambda text: text.replace("hunter2", "*"))) as one:
        one.record(Result(str(video), "failed", size=5, exit_code=4, error=error), 1.0, 2.0)
    assert "hunter2" not in path.read_text()


def test_columns_that_somebody_added_are_not_thrown_away(path: Path, video: Path) -> None:
    recorded(path, sent(video))
    path.write_text("".join(f"{line},x\n" for line in path.read_text().splitlines()))
    with pytest.raises(UsageProblem, match="other columns"):
        Manifest(path, TARGET, OPTIONS)


def test_the_first_run_of_all_makes_a_private_state_directory(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        with Manifest.lock(tmp_path / "state", tmp_path / "sent.csv"):
            assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    finally:
        os.umask(before)


@pytest.mark.parametrize("harm", [None, "twice", "windows", "torn", "marked"])
def test_only_a_manifest_that_needs_it_is_written_anew(
    path: Path, video: Path, harm: str | None
) -> None:
    recorded(path, sent(video))
    good = path.read_bytes()
    harmed = {
        None: good,
        "twice": good + good.split(b"\n", 1)[1],
        "windows": good.replace(b"\n", b"\r\n", 1),
        "torn": good + b"half a li",
        "marked": b"\xef\xbb\xbf" + good,
    }
    path.write_bytes(harmed[harm])
    before = path.stat().st_ino
    with closing(Manifest(path, TARGET, OPTIONS)) as manifest:
        assert manifest.done(str(video))
    # The name of the video has a line end in it: that looks like one line too many.
    assert path.read_bytes() == good
    assert done(path, video)
    if harm is not None:
        assert path.stat().st_ino != before


def test_a_tidy_manifest_is_only_read(path: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.mp4"
    plain.write_bytes(b"12345")
    recorded(path, sent(plain))
    before = path.stat()
    with closing(Manifest(path, TARGET, OPTIONS)) as manifest:
        assert manifest.done(str(plain))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

"""``--skip-existing``: read the file, ask Stream for a video with the same digest first."""

from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import xxhash
from inprocess import MIB, Stage, Waiting, stage
from served import Ended, Served

from cfstream_upload import events
from cfstream_upload.cli.app import run
from cfstream_upload.emulator.faults import Answer, Fault, Faulty
from cfstream_upload.existing import find_existing
from cfstream_upload.sending import Sending, Wishes
from cfstream_upload.video import VideoOptions
from cfstream_upload.waiting import Goal

SKIP = Wishes(skip_existing=True)


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path)


@pytest.fixture
def video(scene: Stage) -> Path:
    return scene.file(3 * MIB)


def _on_another_machine(scene: Stage) -> Stage:
    scene.calls.clear()
    return replace(scene, state="elsewhere")


def test_a_file_sent_elsewhere_prints_that_uid_and_creates_nothing(
    scene: Stage, video: Path
) -> None:
    first = scene.send(video, SKIP)
    (shown,) = scene.model.videos()
    assert isinstance(shown["meta"], dict)
    assert shown["meta"]["cfupload_source"] == xxhash.xxh3_128(video.read_bytes()).hexdigest()
    copy = scene.folder / "copy.mp4"
    shutil.copy(video, copy)
    other = _on_another_machine(scene)
    found = other.send(copy, SKIP)
    assert (found.exit_code, found.outcome, found.uid) == (0, "already", first.uid)
    assert (found.sent, found.attempts, found.state) == (0, 1, "queued")
    assert found.links["hls"]
    assert other.methods() == ["GET"]
    # It is another machine's video: nothing is recorded here.
    assert other.open_rows() == []


def test_other_bytes_are_sent(scene: Stage, video: Path) -> None:
    scene.send(video, SKIP)
    other = scene.file(3 * MIB, "other.mp4", seed=7)
    assert scene.send(other, SKIP).outcome == "uploaded"
    assert len(scene.states()) == 2


def test_a_pending_or_failed_video_does_not_count(scene: Stage, video: Path) -> None:
    scene.service = Faulty(scene.model, [Fault(Answer(502), "PATCH", times=None)])
    scene.policy = replace(scene.policy, keep_failed=True)
    assert scene.send(video, SKIP).cleanup == "kept"
    scene.service = scene.model
    other = _on_another_machine(scene)
    sent = other.send(video, SKIP)
    assert sent.outcome == "uploaded"
    scene.model.fail(str(sent.uid), "ERR_UNKNOWN")
    scene.clock.now += 60
    assert replace(scene, state="third").send(video, SKIP).outcome == "uploaded"


def test_the_oldest_of_several_is_taken_and_a_size_that_differs_is_none(
    scene: Stage, video: Path
) -> None:
    first = scene.send(video, SKIP)
    scene.send(video, Wishes(again=True, skip_existing=True))
    digest = xxhash.xxh3_128(video.read_bytes()).hexdigest()
    with scene.session() as session:
        found = find_existing(session, "x", digest, 3 * MIB)
        assert found
        assert found.uid == first.uid
        assert find_existing(session, "x", digest, 3 * MIB + 1) is None
        assert find_existing(session, "x", "0" * 32, 3 * MIB) is None


def test_a_receipt_comes_first_and_the_file_is_not_read(scene: Stage, video: Path) -> None:
    # Sent without the option: its create options are the same, and so it is the receipt.
    first = scene.send(video)
    scene.heard.clear()
    second = scene.send(video, SKIP)
    assert (second.outcome, second.uid) == ("already", first.uid)
    assert not [event for event in scene.heard if isinstance(event, events.Reading)]


def test_an_unfinished_upload_comes_first_too(scene: Stage, video: Path) -> None:
    scene.service = Faulty(scene.model, [Fault(Answer(502), "PATCH", times=None)])
    scene.policy = replace(scene.policy, keep_failed=True)
    kept = scene.send(video)
    scene.service = scene.model
    assert scene.send(video, SKIP).uid == kept.uid


def test_without_the_option_nothing_is_read_or_listed(scene: Stage, video: Path) -> None:
    scene.send(video)
    (shown,) = scene.model.videos()
    assert isinstance(shown["meta"], dict)
    assert set(shown["meta"]) == {"cfupload", "name"}
    assert scene.methods() == ["POST", "PATCH", "GET"]


def test_trouble_with_the_list_is_retried_and_then_6_before_anything_is_created(
    scene: Stage, video: Path
) -> None:
    down = Fault(Answer(502), "GET", "videos", times=2)
    scene.service = Faulty(scene.model, [down])
    assert scene.send(video, SKIP).exit_code == 0
    other = scene.file(3 * MIB, "other.mp4", seed=7)
    scene.service = Faulty(scene.model, [replace(down, times=None)])
    scene.calls.clear()
    assert scene.send(other, SKIP).exit_code == 6
    assert set(scene.methods()) == {"GET"}
    assert scene.open_rows() == []


def test_reading_shows_its_progress_and_ends_at_a_signal(scene: Stage) -> None:
    path = scene.file(20 * MIB)
    interruption = Waiting(scene.clock)
    heard: list[events.Reading] = []

    def stop(event: events.Event) -> None:
        if isinstance(event, events.Reading):
            heard.append(event)
            interruption.stop(signal.SIGTERM)

    with scene.session(interruption) as session:
        session.tell = stop
        result = Sending(session, str(path), SKIP).run()
    assert (result.exit_code, result.outcome, result.uid) == (143, "interrupted", None)
    assert [(event.read, event.size) for event in heard] == [(0, 20 * MIB)]
    assert scene.methods() == []


def test_what_was_found_is_waited_for_as_well(scene: Stage, video: Path) -> None:
    first = scene.send(video, SKIP)
    result = _on_another_machine(scene).send(video, replace(SKIP, wait=Goal("ready")))
    assert (result.uid, result.outcome, result.state) == (first.uid, "already", "ready")


def test_a_digest_changes_no_create_option() -> None:
    metadata = VideoOptions().metadata("1.a.b", "file.mp4", 240, "d1")
    assert metadata["cfupload_source"] == "d1"
    assert VideoOptions().canonical() == "{}"


def test_again_and_skip_existing_contradict_each_other(
    stream: Served, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stream.folder)
    stream.file(size=100_000)

    def ran(*arguments: str) -> Ended:
        code = run(list(arguments))
        told = capfd.readouterr()
        return Ended(code, told.out, told.err)

    assert "contradict" in ran("send", "--again", "--skip-existing", "big.mp4").err
    assert stream.videos() == []
    uid = ran("send", "--skip-existing", "-q", "big.mp4").out
    monkeypatch.setenv("CFUPLOAD_STATE_DIR", str(stream.folder / "elsewhere"))
    monkeypatch.setenv("CFUPLOAD_SKIP_EXISTING", "1")
    assert ran("send", "-q", "big.mp4").out == uid
    # A flag beats a variable that contradicts it.
    assert ran("send", "--again", "-q", "big.mp4").out != uid

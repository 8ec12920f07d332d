"""`cfstream_upload` as a Python program uses it."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from served import MIB, Served

import cfstream_upload
from cfstream_upload import (
    Interruption,
    Result,
    VideoOptions,
    errors,
    events,
    send,
    settings,
)
from cfstream_upload.calling import carried_aside
from cfstream_upload.session import Session

TOKEN = "canary-canary-canary-canary-canary-cana"
ACCOUNT = "ab" * 16


def small(stream: Served, name: str = "small.mp4") -> Path:
    return stream.file(name, size=100_000)


def large(stream: Served) -> Path:
    """Of several chunks: while the first is under way, nobody can think it whole."""
    return stream.file(size=12 * MIB, sparse=True)


# --- the package ---------------------------------------------------------------------------------


def test_every_name_that_the_package_offers_is_there() -> None:
    for name in cfstream_upload.__all__:
        assert getattr(cfstream_upload, name) is not None
        assert name in dir(cfstream_upload)
    assert cfstream_upload.errors.Busy is errors.Busy
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = cfstream_upload.nothing  # type: ignore[attr-defined]  # that is the point


def test_importing_the_package_imports_no_library() -> None:
    words = "import sys, cfstream_upload; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-P", "-c", words], capture_output=True, text=True, check=True
    )
    tops = {name.partition(".")[0] for name in ended.stdout.split()}
    assert not tops & {"httpx", "httpcore", "typer", "rich", "tusclient", "sqlite3", "threading"}


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert (Path(cfstream_upload.__file__).parent / "py.typed").is_file()


# --- settings ------------------------------------------------------------------------------------


def test_settings_may_be_given_and_come_before_the_environment(tmp_path: Path) -> None:
    environ = {
        "CLOUDFLARE_API_TOKEN": "another", "CLOUDFLARE_ACCOUNT_ID": "cd" * 16,
        "CFUPLOAD_LABEL": "theirs", "HTTPS_PROXY": "http://theirs:1", "NO_PROXY": "*",
        "CFUPLOAD_CONFIG": os.devnull,
    }  # fmt: skip
    given = settings(
        api_token=TOKEN, account_id=ACCOUNT, state_dir=tmp_path, label="ours",
        proxy="http://user:password@ours:1", environ=environ,
    )  # fmt: skip
    assert (given.account, given.token.reveal()) == (ACCOUNT, TOKEN)
    assert (given.state_dir, given.label) == (tmp_path, "ours")
    assert given.proxy is not None
    assert given.proxy.reveal() == "http://user:password@ours:1"
    assert settings(environ=environ).token.reveal() == "another"


def test_settings_show_no_secret(tmp_path: Path) -> None:
    given = settings(
        api_token=TOKEN, account_id=ACCOUNT, state_dir=tmp_path, proxy="http://u:hunter22@p:1"
    )
    assert TOKEN not in repr(given)
    assert "hunter22" not in repr(given)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"api_token": TOKEN}, "There is no account"),
        ({"account_id": ACCOUNT}, "There is no API token"),
        ({"account_id": ACCOUNT, "api_token": ""}, r"settings\(api_token=\) is empty"),
        ({"account_id": "me@example.com", "api_token": TOKEN}, r"settings\(account_id=\) is not"),
        ({"account_id": ACCOUNT, "api_token": TOKEN, "label": "a b"}, r"settings\(label=\)"),
    ],
)
def test_wrong_settings_say_which_they_are(words: dict[str, str], said: str) -> None:
    with pytest.raises(errors.ConfigProblem, match=said) as caught:
        settings(**words)  # type: ignore[arg-type]  # a table of arguments
    assert caught.value.hint
    assert TOKEN not in str(caught.value)


# --- send ----------------------------------------------------------------------------------------


def test_send_takes_the_account_from_the_environment_and_tells_all(stream: Served) -> None:
    path = stream.file(size=6 * MIB)
    options = VideoOptions(name="x", meta=(("team", "red"),))
    heard: list[events.Event] = []
    hearers: set[threading.Thread] = set()

    def listen(event: events.Event) -> None:
        heard.append(event)
        hearers.add(threading.current_thread())

    result = send(path, options=options, on_event=listen)
    assert isinstance(result, Result)
    assert (result.outcome, result.exit_code, result.cleanup) == ("uploaded", 0, "none")
    assert (result.size, result.sent) == (6 * MIB, 6 * MIB)
    assert stream.whole(path)
    (video,) = stream.videos()
    assert (video["uid"], video["meta"]["name"]) == (result.uid, "x")
    assert hearers == {threading.current_thread()}
    assert [type(event) for event in heard if not isinstance(event, events.Progress)] == [
        events.Started, events.Created, events.Confirming,
    ]  # fmt: skip
    acknowledged = [e.acknowledged for e in heard if isinstance(e, events.Progress)]
    assert acknowledged == sorted(acknowledged)
    assert acknowledged[-1] == 6 * MIB
    assert send(os.fspath(path), options=options).outcome == "already"
    assert send(os.fsencode(path), options=options).uid == result.uid  # type: ignore[arg-type]  # os.walk gives such


def test_old_names_in_the_environment_are_told_as_a_notice(
    stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    monkeypatch.setenv("CF_API_TOKEN", stream.environment["CLOUDFLARE_API_TOKEN"])
    heard: list[events.Event] = []
    send(small(stream), on_event=heard.append)
    assert isinstance(heard[0], events.Notice)
    assert "CF_API_TOKEN is an old name" in heard[0].message


def test_errors_are_typed_and_raised_before_anything_is_created(
    stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small(stream)
    with pytest.raises(errors.FileProblem, match=r"nowhere\.mp4") as caught:
        send(stream.folder / "nowhere.mp4")
    assert caught.value.exit_code == 4
    with pytest.raises(errors.UsageProblem, match="meta"):
        send(path, options=VideoOptions(meta=(("name", "x"),)))
    with pytest.raises(errors.UsageProblem, match="label 'no label'"):
        send(path, label="no label")
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    with pytest.raises(errors.ConfigProblem, match="no API token"):
        send(path)
    assert stream.methods() == []


def test_threads_send_different_files_at_once_and_one_file_once(stream: Served) -> None:
    paths = [small(stream, f"{number}.mp4") for number in range(2)]
    account = settings()
    created = threading.Barrier(3)

    def meet(event: events.Event) -> None:
        if isinstance(event, events.Created):
            created.wait(20)

    # What is created can be sent only once both are.
    stream.proxy.stall()
    with ThreadPoolExecutor(2) as pool:
        sent = [pool.submit(send, path, account, on_event=meet) for path in paths]
        created.wait(20)
        with pytest.raises(errors.Busy, match="this process is already sending"):
            send(paths[0], account)
        stream.proxy.stall(False)
        uids = {future.result().uid for future in sent}
    assert {video["uid"] for video in stream.videos()} == uids
    assert len(uids) == 2


# --- stopping ------------------------------------------------------------------------------------


def nothing_left(stream: Served) -> bool:
    with Session(settings()) as session:
        return stream.videos() == [] and session.rows() == []


def test_an_interruption_rolls_back_and_stops_only_who_shares_it(stream: Served) -> None:
    path, other = large(stream), small(stream, "other.mp4")
    interruption = Interruption()
    stream.proxy.stall()
    with ThreadPoolExecutor(1) as pool:
        made = threading.Event()
        sending = pool.submit(
            send,
            path,
            on_event=lambda event: made.set() if isinstance(event, events.Created) else None,
            interruption=interruption,
        )
        assert made.wait(20)
        interruption.stop()
        with pytest.raises(errors.Interrupted) as caught:
            sending.result()
    stream.proxy.stall(False)
    assert caught.value.exit_code == 130
    assert nothing_left(stream)
    with pytest.raises(errors.Interrupted):
        send(other, interruption=interruption)
    assert send(other).outcome == "uploaded"


def test_what_a_callback_raises_comes_out_once_the_upload_is_rolled_back(stream: Served) -> None:
    path, other = large(stream), small(stream, "other.mp4")
    shared = Interruption()
    stream.proxy.stall()

    def clumsy(event: events.Event) -> None:
        if isinstance(event, events.Created):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        send(path, on_event=clumsy, interruption=shared)
    stream.proxy.stall(False)
    assert caught.value.__notes__ == [
        f"cfupload: {path}: rolled back, nothing is left on Stream",
    ]
    assert nothing_left(stream)
    assert send(other, interruption=shared).outcome == "uploaded"


def test_a_callback_that_raises_when_all_is_there_leaves_the_video(stream: Served) -> None:
    path = small(stream)

    def clumsy(event: events.Event) -> None:
        if isinstance(event, events.Confirming):
            stream.wait_until(lambda: "queued" in stream.states() or "ready" in stream.states())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        send(path, on_event=clumsy)
    assert stream.whole(path)
    assert send(path).uid == stream.videos()[0]["uid"]
    assert len(caught.value.__notes__) == 1


def test_ctrl_c_in_a_plain_program_rolls_back_and_is_a_keyboard_interrupt(stream: Served) -> None:
    path = large(stream)
    stream.proxy.stall()
    words = "import sys\nfrom cfstream_upload import send\nsend(sys.argv[1])"
    program = subprocess.Popen(
        [sys.executable, "-P", "-c", words, str(path)], stderr=subprocess.PIPE, text=True
    )
    stream.wait_until(lambda: stream.states() == ["pendingupload"], seconds=60)
    program.send_signal(signal.SIGINT)
    _, told = program.communicate(timeout=30)
    assert program.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in told
    assert f"cfupload: {path}: rolled back, nothing is left on Stream" in told
    assert nothing_left(stream)


@pytest.mark.parametrize(("obeys_at", "interrupts"), [(1, 1), (2, 2), (3, 3)])
def test_who_insists_is_let_go(obeys_at: int, interrupts: int) -> None:
    """Once rolls back, twice leaves a debt, three times leaves the thread alone."""
    let_end, ended = threading.Event(), threading.Event()
    counts: list[int] = []

    def work(interruption: Interruption, _: events.Listener) -> Result:
        for count in range(1, interrupts + 1):
            _thread.interrupt_main()
            while interruption.count < min(count, 2) and not let_end.wait(0.01):
                pass
            # The main thread is back in its wait only a moment after it asked.
            let_end.wait(0.4)
        if obeys_at == 3:
            let_end.wait(20)
        counts.append(interruption.count)
        ended.set()
        return Result("f.mp4", "failed", error=errors.LeftoverRemains("left"))

    with pytest.raises(KeyboardInterrupt) as caught:
        carried_aside(work, None, Interruption())
    (note,) = caught.value.__notes__
    assert ended.is_set() is (obeys_at < 3)
    assert ("left as it was" in note) is (obeys_at == 3)
    let_end.set()
    assert ended.wait(20)
    assert counts == [min(interrupts, 2)]


def test_a_program_without_room_for_a_thread_sends_nothing(
    stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small(stream)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError) as caught:
            send(path)
    assert caught.value.__notes__ == ["cfupload: nothing was sent"]
    assert stream.methods() == []


def test_a_callback_that_dawdles_misses_only_what_is_overtaken() -> None:
    heard: list[events.Event] = []
    said = threading.Event()

    def work(_: Interruption, tell: events.Listener) -> Result:
        tell(events.Started("f", 3))
        said.wait(20)
        for number in range(3):
            tell(events.Progress("f", number, number, 3))
        tell(events.Confirming("f", "u"))
        tell(events.Progress("f", 3, 3, 3))
        return Result("f", "uploaded")

    def dawdle(event: events.Event) -> None:
        heard.append(event)
        said.set()
        if isinstance(event, events.Started):
            threading.Event().wait(0.3)

    assert carried_aside(work, dawdle, Interruption()).outcome == "uploaded"
    assert heard == [
        events.Started("f", 3),
        events.Progress("f", 2, 2, 3),
        events.Confirming("f", "u"),
        events.Progress("f", 3, 3, 3),
    ]


def test_a_bug_below_comes_out_as_it_is() -> None:
    def work(_: Interruption, __: events.Listener) -> Result:
        raise LookupError("a bug")

    with pytest.raises(LookupError, match="a bug"):
        carried_aside(work, None, Interruption())

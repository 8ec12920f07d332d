"""``send --cluster``: real workers of Dask, real deaths, and what the scheduler never sees."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import canary
import pytest
from crews import Fleet, fleet
from served import MIB, Ended

from cfstream_upload.cli.app import run
from cfstream_upload.cluster.place import Place
from cfstream_upload.interruption import Interruption

pytest.importorskip("distributed", reason="the extra 'fleet' is not installed")

Send = Callable[..., Ended]

DASHBOARD = 8787
"""Where the page of Dask's scheduler is, unless told otherwise."""


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("fleet"), workers=3) as made:
        yield made


@pytest.fixture
def send(crew: Fleet, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Send:
    """Run ``send`` in this process, by the fleet unless told otherwise."""
    for name, value in crew.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(crew.stream.folder)
    crew.stream.proxy.limit_rate(None)

    def command(*arguments: str, cluster: str = crew.address) -> Ended:
        capfd.readouterr()
        code = run(["send", "--cluster", cluster, *arguments])
        told = capfd.readouterr()
        return Ended(code, told.out, told.err)

    return command


def videos(crew: Fleet, *paths: Path) -> list[Any]:
    """The videos with the bytes of ``paths``; each is there once, and past pending."""
    found = []
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        (one,) = [
            one for one in crew.stream.videos() if crew.stream.model.sha256(one["uid"]) == digest
        ]
        assert one["status"]["state"] != "pendingupload"
        found.append(one)
    return found


def meanwhile(crew: Fleet, condition: Callable[[], bool], act: Callable[[], None]) -> None:
    """Have ``act`` done in a thread as soon as ``condition`` holds."""

    def wait() -> None:
        crew.stream.wait_until(condition)
        act()

    threading.Thread(target=wait, daemon=True).start()


def test_every_file_arrives_once_and_each_event_names_its_worker(crew: Fleet, send: Send) -> None:
    paths = [crew.stream.file(f"one-{n}.mp4", MIB + n) for n in range(6)]
    before = len(crew.stream.videos())
    ended = send("--ndjson", *[path.name for path in paths])
    assert ended.code == 0, ended.err
    assert len(crew.stream.videos()) == before + 6
    videos(crew, *paths)
    events = [json.loads(line) for line in ended.out.splitlines()]
    for path in paths:
        own = [one for one in events if one["file"] == path.name]
        assert {one["worker"] for one in own} <= {"a", "b", "c"}
        kinds = [one["message_type"] for one in own if one["message_type"] != "progress"]
        assert kinds == ["started", "uploaded"]
    assert len({one["worker"] for one in events if one.get("worker")}) > 1
    assert events[-1]["message_type"] == "summary"


def test_no_token_and_no_upload_url_passes_the_scheduler(crew: Fleet, send: Send) -> None:
    path = crew.stream.file("secret.mp4", 2 * MIB)
    ended = send("-vv", path.name)
    assert ended.code == 0, ended.err
    assert path.name.encode() in crew.recorder.seen
    assert not canary.sightings(bytes(crew.recorder.seen))


def test_a_manifest_makes_the_same_command_do_nothing_more(crew: Fleet, send: Send) -> None:
    paths = [crew.stream.file(f"listed-{n}.mp4", MIB + 100 + n) for n in range(3)]
    names = [path.name for path in paths]
    first = send("-q", "--manifest", "sent.csv", *names)
    assert first.code == 0, first.err
    assert first.out.split() == [one["uid"] for one in videos(crew, *paths)]
    asked = len(crew.stream.ledger.asked)
    again = send("-q", "--manifest", "sent.csv", *names)
    assert (again.code, again.out) == (0, first.out)
    assert len(crew.stream.ledger.asked) == asked


def test_a_killed_workers_file_is_adopted_by_another(crew: Fleet, send: Send) -> None:
    path = crew.stream.file("adopted.mp4", 12 * MIB)
    crew.stream.proxy.limit_rate(6 * MIB)
    up = crew.stream.proxy.bytes_up
    first = len(crew.stream.ledger.asked)
    dead: list[str] = []

    def strike() -> None:
        dead.append(crew.holder(path) or "")
        crew.dismiss(dead[0])
        crew.stream.proxy.limit_rate(None)

    meanwhile(crew, lambda: crew.stream.proxy.bytes_up - up > 7 * MIB, strike)
    ended = send("--json", path.name)
    assert ended.code == 0, ended.err
    (upload,) = ended.document["uploads"]
    assert upload["outcome"] == "resumed"
    assert upload["worker"] not in dead
    videos(crew, path)
    asked = crew.stream.ledger.asked[first:]
    assert [one.method for one in asked].count("POST") == 1
    patches = [one for one in asked if one.method == "PATCH"]
    assert len(patches) > 1
    assert all(one.offset == one.known for one in patches), "an acknowledged byte was sent again"


def test_ctrl_c_rolls_back_at_every_worker(crew: Fleet, send: Send) -> None:
    paths = [crew.stream.file(f"stopped-{n}.mp4", 12 * MIB + n) for n in range(4)]
    before = [one["uid"] for one in crew.stream.videos()]
    crew.stream.proxy.limit_rate(3 * MIB)
    up = crew.stream.proxy.bytes_up

    def both() -> bool:
        return crew.stream.proxy.bytes_up - up > 2 * MIB

    meanwhile(crew, both, lambda: os.kill(os.getpid(), signal.SIGINT))
    ended = send("--json", *[path.name for path in paths])
    assert ended.code == 130, ended.err
    assert [one["uid"] for one in crew.stream.videos()] == before
    outcomes = [one["outcome"] for one in ended.document["uploads"]]
    busy = len(crew.workers)
    assert (outcomes.count("interrupted"), outcomes.count("skipped")) == (busy, 4 - busy)
    assert "confirmed" in [one["cleanup"] for one in ended.document["uploads"]]


def test_jobs_are_counted_over_all_workers(crew: Fleet, send: Send) -> None:
    paths = [crew.stream.file(f"queued-{n}.mp4", MIB + 50 + n) for n in range(3)]
    ended = send("--ndjson", "-j", "1", *[path.name for path in paths])
    assert ended.code == 0, ended.err
    told = [json.loads(line) for line in ended.out.splitlines()]
    kinds = [one["message_type"] for one in told if one["message_type"] in ("started", "uploaded")]
    assert kinds == ["started", "uploaded"] * 3


@pytest.fixture
def doctor(
    crew: Fleet, send: Send, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], dict[str, str]]:
    """What it says of the cluster, where it ends with some code."""
    del send  # its variables
    monkeypatch.setenv("CFUPLOAD_CLUSTER", crew.address)

    def command(code: int) -> dict[str, str]:
        capfd.readouterr()
        ended = run(["doctor", "--json"])
        out = capfd.readouterr().out
        assert ended == code, out
        found: dict[str, str] = json.loads(out)["checks"][-1]
        assert found["name"] == "cluster"
        return found

    return command


def test_doctor_asks_the_cluster_whether_each_of_its_workers_may_send(
    crew: Fleet, send: Send, doctor: Callable[[int], dict[str, str]]
) -> None:
    # Who is asked compares journals: there is to be one.
    assert send(crew.stream.file("asked.mp4", MIB).name).code == 0
    there = f"{crew.address}: {len(crew.workers)} workers, {len(crew.workers)} at once"
    # Workers take a while to come, and without one it is a warning.
    crew.stream.wait_until(lambda: there in doctor(0)["found"])
    assert doctor(0)["found"] == f"{there}; each may send for this command"


def test_a_worker_of_another_version_or_without_a_token_is_named(
    crew: Fleet, send: Send, doctor: Callable[[int], dict[str, str]], tmp_path: Path
) -> None:
    older = tmp_path / "older.py"
    older.write_text("import cfstream_upload\ncfstream_upload.__version__ = '0.0.1'\n")
    path = crew.stream.file("unsent.mp4", MIB)
    before = len(crew.stream.videos())
    crew.hire("older", "--preload", str(older))
    crew.hire("poor", CLOUDFLARE_API_TOKEN="")
    misfits, ends = {"older", "poor"}, time.monotonic() + 40
    while misfits and time.monotonic() < ends:
        ended = send(path.name)
        if ended.code == 0:  # they are still starting
            before, path = before + 1, crew.stream.file(f"early{time.time()}.mp4", MIB + 7)
            continue
        assert ended.code == 3
        lines = ended.err.splitlines()[-2:]
        (named,) = [name for name in misfits if f"worker {name} " in lines[0]]
        expected = "has cfupload 0.0.1" if named == "older" else "There is no API token"
        assert expected in lines[0]
        assert lines[1].startswith("  hint: ")
        # Which of the two is told first is their addresses' to say.
        assert any(name in doctor(3)["found"] for name in misfits)
        crew.dismiss(named)
        misfits.remove(named)
    assert not misfits
    assert len(crew.stream.videos()) == before


def test_a_cluster_of_our_own_takes_no_port_that_others_are_known_by() -> None:
    from cfstream_upload.cluster.dispatch import Dispatch

    with ExitStack() as stack:
        with suppress(OSError):  # somebody may have it already
            stack.enter_context(socket.create_server(("127.0.0.1", DASHBOARD)))
        own = Dispatch(
            Place(workers=1), "cfupload-x", queue.SimpleQueue(), Interruption(), environment={}
        )
        stack.callback(own.close)
        # Where its port is taken Dask warns and leaves a socket open: both are errors here.
        own.start()


def test_a_lost_scheduler_loses_nothing_and_the_rest_goes_by_a_local_cluster(
    crew: Fleet, send: Send
) -> None:
    paths = [crew.stream.file(f"late-{n}.mp4", 9 * MIB + n) for n in range(4)]
    names = [path.name for path in paths]
    crew.stream.proxy.limit_rate(3 * MIB)
    up = crew.stream.proxy.bytes_up
    meanwhile(crew, lambda: crew.stream.proxy.bytes_up - up > 7 * MIB, crew.scheduler.kill)
    ended = send("--manifest", "late.csv", *names)
    assert ended.code in (6, 7), ended.err
    assert "is gone" in ended.err
    crew.stream.proxy.limit_rate(None)
    again = send("--manifest", "late.csv", *names, cluster="local:2")
    assert again.code == 0, again.err
    assert len(videos(crew, *paths)) == 4
    assert "pendingupload" not in crew.stream.states()

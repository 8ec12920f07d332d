"""Rows 70 to 73: one file and several processes; `machines` and `clocks` have 74 to 78.

Two runs in one process meet the kernel's locks as two processes do: a lock belongs to an open
file, and each run opens its own. Where the row is about processes, real ones run as well.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import matrix.clocks
import matrix.machines  # noqa: F401  their rows belong here
import pytest
from beside import before
from inprocess import MIB, Stage
from matrix.parts import staged_part, video
from matrix.rows import Scene, row
from matrix.scenes import dies, ends, on_sockets, staged, then, then_served
from matrix.watching import sweeps
from served import COMMAND, Served

from cfstream_upload.result import Result

# A process that has loaded all it needs waits for one line, and then is the command.
AT_THE_LINE = """
import sys
import cfstream_upload.sending, cfstream_upload.tus, cfstream_upload.cli.send
from cfstream_upload.cli import main
print("ready", flush=True)
sys.stdin.readline()
main()
"""


def _together(stream: Served, *commands: list[str]) -> list[tuple[int, str]]:
    """Run commands from the same instant on, the line being slow until one of them has ended.

    Exit codes and what they said.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", AT_THE_LINE, *command],
            cwd=stream.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )
        for command in commands
    ]  # fmt: skip
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        stream.proxy.limit_rate(MIB)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        stream.wait_until(lambda: any(p.poll() is not None for p in processes))
        stream.proxy.limit_rate(None)
        said = [process.communicate(timeout=60) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return [(p.returncode, err) for p, (_, err) in zip(processes, said, strict=True)]


@row(70, "two processes")
def _two_processes_one_file(scene: Scene) -> None:
    """Two processes send one file from the same instant on: one exits 0, one 9; one video."""
    stream = on_sockets(scene)
    path = stream.file(size=6 * MIB)
    ended = sorted(_together(stream, ["send", path.name], ["send", path.name]))
    assert [code for code, _ in ended] == [0, 9], ended
    assert "another process (pid " in ended[1][1]
    assert stream.methods().count("POST") == 1
    then_served(stream, path)


@row(70, "many runs at once")
def _many_runs_at_once(scene: Scene) -> None:
    """Four runs begin one file at once, many times over: at least one exits 0, the rest 0 or 9."""
    for number in range(6):
        current = staged_part(scene, f"{number}")
        path = video(current, 6 * MIB)
        current.session().close()
        runs = _at_once([partial(current.send, path)] * 4)
        codes = sorted(result.exit_code for result in runs)
        assert codes[0] == 0
        assert set(codes) <= {0, 9}
        assert current.methods().count("POST") == 1
        then(current, path)


def _at_once(acts: Sequence[Callable[[], Result]]) -> list[Result]:
    """What became of acts that threads did from the same instant on."""
    barrier, results = threading.Barrier(len(acts)), []

    def run(act: Callable[[], Result]) -> None:
        barrier.wait()
        results.append(act())

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(acts)
    return results


# --- 71: other names -----------------------------------------------------------------------------


def _names(path: Path) -> list[str]:
    """Other names of one file."""
    folder, name = path.parent, path.name
    (folder / "hard.mp4").hardlink_to(path)
    (folder / "soft.mp4").symlink_to(name)
    (folder / "up").mkdir()
    (folder / "here").symlink_to(folder)
    others = ("hard.mp4", "soft.mp4", f"up/../{name}", f"./{name}", f"here/{name}")
    return [f"{folder}/{other}" for other in others]


@row(71, "links and detours")
def _other_names_of_one_file(scene: Scene) -> None:
    """A file is sent, and again by a hard link, a symbolic one, a detour: all busy, exit 9."""
    current = staged(scene)
    path = video(current)
    names = _names(path)
    codes: list[int] = []
    before(
        current, "PATCH", 2, lambda: codes.extend(current.send(Path(n)).exit_code for n in names)
    )
    ends(current.send(path), 0)
    assert codes == [9] * len(names)
    uid = then(current, path).uid
    # Once it is there, each name gives the same receipt.
    assert {current.send(Path(name)).uid for name in names} == {uid}
    assert len(current.states()) == 1


@row(71, "bind mount")
def _bind_mount_of_one_file(scene: Scene) -> None:
    """A file is sent, and at the same time by the name that a bind mount gives it: exit 9."""
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", str(scene.folder)]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("no right to mount here")
    stream = on_sockets(scene)
    stream.proxy.limit_rate(MIB)
    path = stream.file(size=12 * MIB)
    (stream.folder / "bound.mp4").touch()
    process = stream.start("send", path.name)
    stream.wait_until(lambda: stream.proxy.bytes_up > MIB)
    script = f'mount --bind {path.name} bound.mp4 && exec "$@"'
    bound = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *COMMAND, "send", "bound.mp4"],
        cwd=stream.folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    stream.proxy.limit_rate(None)
    process.communicate(timeout=60)
    assert (bound.returncode, process.returncode) == (9, 0), bound.stderr
    then_served(stream, path)


# --- 72, 73: cleanup beside send -----------------------------------------------------------------


@row(72, "cleanup beside send")
def _cleanup_beside_a_living_send(scene: Scene) -> None:
    """Cleanup runs while a file is being sent: told busy and left alone, exit 0; one video."""
    stream = on_sockets(scene)
    stream.proxy.limit_rate(MIB)
    path = stream.file(size=12 * MIB)
    process = stream.start("send", path.name)
    stream.wait_until(lambda: stream.proxy.bytes_up > MIB)
    swept = stream.run("cleanup", "--orphans", "--yes", "--json")
    assert swept.code == 0
    assert [item["outcome"] for item in swept.document["swept"]] == ["busy"]
    stream.proxy.limit_rate(None)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert "DELETE" not in stream.methods()
    then_served(stream, path)


def _note(outcomes: list[str], current: Stage) -> None:
    outcomes.extend(sweeps(current))


@row(72, "cleanup at each request")
def _cleanup_at_each_request(scene: Scene) -> None:
    """Cleanup runs before each single request of a send: it deletes nothing; one video."""
    methods = ("POST", "PATCH", "PATCH", "PATCH", "GET")
    for number, method in enumerate(methods):
        current = staged_part(scene, f"{number}")
        path = video(current)
        nth = methods[: number + 1].count(method)
        outcomes: list[str] = []
        before(current, method, nth, partial(_note, outcomes, current))
        ends(current.send(path), 0)
        assert set(outcomes) <= {"busy"}
        assert outcomes or method == "GET"
        assert "DELETE" not in current.methods()
        then(current, path)


@row(73, "threads")
def _cleanup_and_send_after_a_crash(scene: Scene) -> None:
    """After a crash cleanup and send start together: send exits 0 or 9; later one video."""
    for number in range(8):
        current = staged_part(scene, f"{number}")
        path = video(current, 6 * MIB)
        dies(current, path, 1 + number % 4, ("after", "in its body")[number % 2 and number % 4 > 0])

        def cleanup(current: Stage = current, path: Path = path) -> Result:
            sweeps(current)
            return Result(file=str(path), outcome="skipped")

        sent = _at_once([cleanup, partial(current.send, path)])
        codes = {result.exit_code for result in sent if result.outcome != "skipped"}
        assert codes <= {0, 9}
        then(current, path)


@row(73, "two processes")
def _real_cleanup_and_send_after_a_kill(scene: Scene) -> None:
    """After SIGKILL a real cleanup and a real send start together: 0 or 9; later one video."""
    stream = on_sockets(scene)
    stream.proxy.limit_rate(8 * MIB)
    path = stream.file(size=6 * MIB)
    process = stream.start("send", path.name)
    stream.wait_until(lambda: stream.proxy.bytes_up > MIB)
    process.kill()
    process.communicate()
    cleaned, sent = _together(stream, ["cleanup", "--orphans", "--yes"], ["send", path.name])
    assert cleaned[0] == 0, cleaned
    assert sent[0] in (0, 9), sent
    then_served(stream, path)

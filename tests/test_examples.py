"""The examples do what they say, on the embedded Stream."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import pytest
from mp4 import sample
from served import MIB, Served

from cfstream_upload import Interruption, errors, events, send, settings
from cfstream_upload.manifest import Manifest
from cfstream_upload.session import Session

EXAMPLES = Path(__file__).parent.parent / "examples"
DOCS = Path(__file__).parent.parent / "docs"

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="needs bash")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """``cfupload`` on the path, as an installed package puts it there."""
    path = tmp_path / "bin" / "cfupload"
    path.parent.mkdir()
    _program(path, f'exec "{sys.executable}" -P -m cfstream_upload "$@"')
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RETRY_SECONDS", "0")
    return path


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run(*words: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload,no-any-return]  # passed through


def text_of(name: str) -> str:
    return (EXAMPLES / name).read_text(encoding="utf-8")


def nothing_owed() -> bool:
    with Session(settings()) as session:
        return all(row.stage.value == "stored" for row in session.rows())


# --- all of them ---------------------------------------------------------------------------------


def test_the_readme_lists_every_example() -> None:
    listed = set(re.findall(r"^\| `([^`]+)`", text_of("README.md"), re.MULTILINE))
    there = {path.name for path in EXAMPLES.iterdir() if path.is_file()}
    there |= {f"emulator/{path.name}" for path in (EXAMPLES / "emulator").glob("*.*")}
    there |= {"emulator/Dockerfile"}
    there |= {f"fleet/{path.name}" for path in (EXAMPLES / "fleet").glob("*.*")}
    assert listed == there - {"README.md"}


def test_every_example_says_what_it_does_and_what_to_change() -> None:
    for path in EXAMPLES.iterdir():
        if path.is_file() and path.suffix not in (".md", ".mp4"):
            head = path.read_text(encoding="utf-8")[:1500]
            assert "To change:" in head, path.name


@pytest.mark.parametrize("name", ["cron.sh", "retry.sh"])
def test_shellcheck_finds_nothing_in(name: str) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    ended = run("shellcheck", str(EXAMPLES / name))
    assert ended.returncode == 0, ended.stdout


def test_the_sample_is_the_one_that_ships_with_the_package() -> None:
    assert (EXAMPLES / "sample.mp4").read_bytes() == sample()


# --- the retry loop ------------------------------------------------------------------------------


@on_posix
@pytest.mark.parametrize(
    ("codes", "ends", "calls"),
    [
        ([0], 0, ["send"]),
        ([6, 6, 0], 0, ["send", "send", "send"]),
        ([7, 0, 0], 0, ["send", "cleanup", "send"]),
        ([7, 7, 0], 0, ["send", "cleanup", "send"]),
        ([9, 0], 0, ["send", "send"]),
        ([6, 6, 6], 6, ["send", "send", "send"]),
        *(([code], code, ["send"]) for code in (1, 2, 3, 4, 5, 8, 10, 11, 130, 143)),
    ],
)
def test_the_retry_loop_decides_by_the_exit_code(
    command: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    codes: list[int],
    ends: int,
    calls: list[str],
) -> None:
    # Each call is written down; the next exit code is taken from the list.
    (tmp_path / "codes").write_text("".join(f"{code}\n" for code in codes))
    _program(
        command,
        f'cd "{tmp_path}"; echo "$*" >> calls; code=$(head -n 1 codes); sed -i 1d codes; '
        'exit "$code"',
    )
    monkeypatch.setenv("TRIES", "3")
    ended = run(str(EXAMPLES / "retry.sh"), "a b.mp4", "--name", "x y")
    called = (tmp_path / "calls").read_text().splitlines()
    assert (ended.returncode, [one.split()[0] for one in called]) == (ends, calls)
    assert called[0] == "send --quiet a b.mp4 --name x y"
    assert [one for one in called if one.startswith("cleanup")] in ([], ["cleanup --yes"])


@on_posix
@pytest.mark.usefixtures("command")
def test_the_retry_loop_brings_a_file_over_a_line_that_fails(
    stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_RETRIES", "0")
    path = stream.file(size=6 * MIB)
    stream.proxy.cut_after(2 * MIB)
    ended = run(str(EXAMPLES / "retry.sh"), str(path))
    assert ended.returncode == 0, ended.stderr
    assert "try 1 of 5: trouble outlasted" in ended.stderr
    assert stream.whole(path)
    assert ended.stdout.strip() == stream.videos()[0]["uid"]


# --- CI ------------------------------------------------------------------------------------------


def scripts(text: str) -> list[str]:
    """The ``run:`` of each step of a workflow."""
    found: list[str] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        before, word, value = line.partition("run: ")
        if not word or before.strip(" -"):
            continue
        deeper = " " * (len(before) + 1)
        body = takewhile(lambda one, deeper=deeper: one.startswith(deeper), lines[number + 1 :])  # type: ignore[misc]  # bound now
        found.append(textwrap.dedent("\n".join(body)) if value == "|" else value)
    return found


def below(text: str, key: str) -> list[str]:
    """The lines below ``key:``, where it stands first, as far as they are indented deeper."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.strip() == f"{key}:")
    depth = len(lines[start]) - len(lines[start].lstrip())
    deeper = takewhile(lambda line: line.startswith(" " * (depth + 1)), lines[start + 1 :])
    return [line.strip() for line in deeper]


@on_posix
@pytest.mark.usefixtures("command")
def test_the_github_workflow_sends_tells_the_uid_and_cleans_up(
    stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = text_of("github-actions.yml")
    path = stream.file("trailer.mp4", size=100_000)
    output = stream.folder / "github-output"
    known = {
        "vars.CLOUDFLARE_ACCOUNT_ID": stream.environment["CLOUDFLARE_ACCOUNT_ID"],
        "secrets.CLOUDFLARE_API_TOKEN": stream.environment["CLOUDFLARE_API_TOKEN"],
        "github.workspace": str(stream.folder),
        "github.run_id": "42",
    }
    filled = re.sub(r"\$\{\{ (\S+) \}\}", lambda found: known.get(found[1], ""), text)
    for line in below(filled, "env"):
        name, _, value = line.partition(": ")
        monkeypatch.setenv(name, value)
    for name, value in {
        "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output),
        "GITHUB_RUN_ID": "42", "GITHUB_STEP_SUMMARY": str(stream.folder / "summary"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    install, *steps = scripts(filled)
    assert (install, len(steps)) == ("pip install cfstream-upload", 2)
    for step in steps:
        ended = run("bash", "-e", "-c", step, cwd=stream.folder)
        assert ended.returncode == 0, ended.stderr
    assert f"uid={stream.videos()[0]['uid']}" in output.read_text().splitlines()
    assert stream.whole(path)
    # The state is where the workflow saves it, under the label that it gives.
    assert (stream.folder / ".cfupload").is_dir()
    assert "run-42" in str(stream.videos()[0]["meta"]["cfupload"])


def test_the_github_workflow_pins_actions_and_keeps_the_state_of_a_failed_run() -> None:
    text = text_of("github-actions.yml")
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert used
    for action, comment in used:
        assert re.fullmatch(r"actions/[a-z/-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
    # actions/cache as a whole saves nothing after a failure.
    assert not re.search(r"actions/cache@", text)
    cleaning, saving = text.split("if: always()")[1:]
    assert "cfupload cleanup --orphans --yes" in cleaning
    assert "actions/cache/save@" in saving


@on_posix
@pytest.mark.usefixtures("command")
def test_the_gitlab_job_sends_and_hands_the_uid_on(
    stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, announce = text_of("gitlab-ci.yml").split("\nannounce:")
    path = stream.file("trailer.mp4", size=100_000)
    for name, value in {
        "CI": "true", "GITLAB_CI": "true", "CI_PROJECT_DIR": str(stream.folder),
        "CI_PIPELINE_ID": "77", "CI_COMMIT_TAG": "v1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    for line in below(upload, "variables"):
        name, _, value = line.partition(": ")
        monkeypatch.setenv(name, os.path.expandvars(value))
    for part in ("script", "after_script"):
        # One shell for each part, as GitLab's runner does it.
        lines = [line.removeprefix("- ") for line in below(upload, part)]
        ended = run("bash", "-eo", "pipefail", "-c", "\n".join(lines), cwd=stream.folder)
        assert ended.returncode == 0, ended.stderr
    name, _, uid = (stream.folder / "stream.env").read_text().strip().partition("=")
    assert below(upload, "reports") == ["dotenv: stream.env"]
    assert uid == stream.videos()[0]["uid"]
    assert stream.whole(path)
    (told,) = (line.removeprefix("- ") for line in below(announce, "script"))
    ended = run("bash", "-c", told, env={**os.environ, name: uid})
    assert ended.stdout.strip().endswith(uid)


# --- a machine that records ----------------------------------------------------------------------


@on_posix
@pytest.mark.usefixtures("command")
def test_the_cron_job_sends_what_is_new_and_speaks_only_of_failures(
    stream: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stream.folder / "new recordings"
    (folder / "deeper").mkdir(parents=True)

    def job() -> tuple[int, str, str]:
        ended = run(str(EXAMPLES / "cron.sh"), str(folder))
        return ended.returncode, ended.stdout, ended.stderr

    assert job() == (0, "", "")
    assert stream.methods() == []
    stream.file("new recordings/one.mp4", size=100_000)
    stream.file("new recordings/deeper/two.MOV", size=100_001)
    # What was written just now may not be whole yet.
    assert job() == (0, "", "")
    assert stream.methods() == []
    monkeypatch.setenv("SETTLED_MINUTES", "-1")
    assert job() == (0, "", "")
    assert len(stream.videos()) == 2
    (folder / "torn.mp4").write_bytes(b"no video" * 1000)
    before = stream.methods()
    with Manifest.lock(settings().state_dir, folder / ".cfupload.csv"):
        assert job() == (0, "", "")
    code, out, err = job()
    assert (code, err) == (4, "")
    assert "exit code 4" in out
    assert "torn.mp4" in out
    assert stream.methods() == before


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit; each may come several times."""
    found: dict[str, list[str]] = {}
    for line in text_of(name).splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@on_posix
def test_the_service_deletes_what_was_left(
    stream: Served, command: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _leave_something(stream)
    service = unit("cfupload-cleanup.service")
    # What systemd would set: the credential's folder, and the account of the environment file.
    (tmp_path / "token").touch(mode=0o600)
    (tmp_path / "token").write_text(stream.environment["CLOUDFLARE_API_TOKEN"] + "\n")
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    state, asking = service["Environment"]
    assert state == "CFUPLOAD_STATE_DIR=/var/lib/" + service["StateDirectory"][0]
    name, _, value = asking.strip('"').partition("=")
    monkeypatch.setenv(name, value.replace("%d", str(tmp_path)))
    (line,) = service["ExecStart"]
    program, *words = shlex.split(line)
    assert Path(program).name == command.name
    ended = run(str(command), *words)
    assert ended.returncode == 0, ended.stderr
    assert stream.videos() == []
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", stream.environment["CLOUDFLARE_API_TOKEN"])
    assert nothing_owed()


def _leave_something(stream: Served) -> None:
    """An upload that is given up in the middle of its rollback."""
    interruption = Interruption()

    def stop(event: events.Event) -> None:
        if isinstance(event, events.Created):
            interruption.stop()
            interruption.stop()

    stream.proxy.stall()
    with pytest.raises(errors.LeftoverRemains):
        send(stream.file(size=100_000), on_event=stop, interruption=interruption)
    stream.proxy.stall(False)
    assert stream.states() == ["pendingupload"]


def test_systemd_takes_the_units(command: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    units = [tmp_path / "cfupload-cleanup.service", tmp_path / "cfupload-cleanup.timer"]
    for path in units:
        # It looks whether the program is there.
        path.write_text(text_of(path.name).replace("/usr/local/bin/cfupload", str(command)))
    ended = run("systemd-analyze", "verify", *map(str, units))
    assert (ended.returncode, ended.stderr) == (0, "")


# --- Python --------------------------------------------------------------------------------------


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run an example's ``main`` in this process."""

    def main(name: str, *words: str) -> int:
        monkeypatch.setattr(sys, "argv", [name, *words])
        code: int = runpy.run_path(str(EXAMPLES / name))["main"]()
        return code

    return main


def test_the_python_example_prints_the_uid_and_the_progress(
    stream: Served, python: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    path = stream.file(size=100_000)
    assert python("send.py", str(path)) == 0
    told = capsys.readouterr()
    assert told.out.strip() == stream.videos()[0]["uid"]
    assert "100 %" in told.err
    assert stream.whole(path)
    assert python("send.py", "nowhere.mp4") == 4
    assert "nowhere.mp4" in capsys.readouterr().err


def test_the_python_example_in_threads_sends_all_and_tells_of_each(
    stream: Served, python: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(stream.file(f"{number}.mp4", size=100_000 + number)) for number in range(4)]
    assert python("send_many.py", *paths, "nowhere.mp4") == 4
    told = capsys.readouterr()
    lines = [line.split("\t") for line in told.out.splitlines()]
    assert [line[0] for line in lines] == [*paths, "nowhere.mp4"]
    assert [line[1] for line in lines] == ["uploaded"] * 4 + ["failed"]
    assert {line[2] for line in lines[:4]} == {video["uid"] for video in stream.videos()}
    assert told.err.count("begun as") == 4


@pytest.mark.parametrize("name", ["send.py", "send_many.py"])
def test_the_page_on_python_shows_the_examples_as_they_are(name: str) -> None:
    assert f"```python\n{text_of(name)}```" in (DOCS / "python.md").read_text(encoding="utf-8")

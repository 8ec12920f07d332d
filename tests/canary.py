"""A pytest plugin: no secret of a run may be seen where it does not belong.

Each process of the suite makes up a word of its own. It stands in the token, the account and the
upload URLs of every embedded Stream that a test makes without naming them, and in `PASSWORD`, for
tests with a proxy. What a test leaves is then searched for that word: captured stdout, stderr and
log, failures and their tracebacks, the words of our errors, arguments and output of every process
that was started, and the files below ``tmp_path``; plain, in hex, percent-encoded, and in base64
wherever the word stands in what was encoded. A hit fails the test.

`ALLOWED_FILES`, `ALLOWED_TEXT` and `ALLOWED_ARGUMENTS` are all that may hold it.
"""

from __future__ import annotations

import base64
import functools
import os
import re
import secrets
import stat
import subprocess
from collections.abc import Callable, Generator, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from cfstream_upload import errors
from cfstream_upload.emulator import detached, model
from cfstream_upload.emulator.exchange import Reply, Request

WORD = secrets.token_hex(6)
KINDS = {"t": "token", "u": "upload URL", "p": "proxy password", "a": "account"}
UPLOAD_KEY = f"{WORD}u{secrets.token_hex(4)}"
PASSWORD = f"{WORD}p{secrets.token_hex(4)}"

ALLOWED_FILES = {
    "journal.db*": "ua",  # an upload URL is what resumes an upload: private, by design
    "config.toml": "tpa",  # what a test, or `config set`, writes there
    "emulator.json": "ta",  # how the next command finds the embedded Stream
    "token": "t",  # handed to the embedded Stream, so that it is in no argv
}
"""Names of files that may hold a secret, and its kinds; nobody else may read such a file."""

ALLOWED_TEXT = re.compile(
    rb"export CLOUDFLARE_(?:API_TOKEN|ACCOUNT_ID)=\S+"  # `cfupload emulator` is asked for them
    rb'|"(?:token|account)": "[^"]+"'  # and with --json
    rb'|"name": "account_id",\s*"value": "\w+"|account_id\t\w+'  # `config show` is, too
    rb"|(?:account|the videos of) [0-9a-f]{32}"  # `doctor` names which one it asked about
)
ALLOWED_ARGUMENTS = {"--account"}
"""Options of the embedded Stream's own process; its account is made up, and no secret."""

_MEDIA = {".mp4", ".mov", ".mkv", ".webm"}
_MOST_BYTES = 1 << 20
_SERVICES_OWN = {"stream", "data"}  # folders of embedded Streams, which know their own secrets
_CHANGED = pytest.MonkeyPatch()
_found: list[str] = []


class Canaries:
    """In place of the module `secrets`: tokens and accounts with the word in them."""

    @staticmethod
    def token_urlsafe(_: int) -> str:
        return f"{WORD}t{secrets.token_urlsafe(20)}"

    @staticmethod
    def token_hex(count: int) -> str:
        return secrets.token_hex(count)


def account() -> str:
    # Its beginning is public: it names the customer in links.
    return f"{secrets.token_hex(8)}{WORD}a{secrets.token_hex(2)[:3]}"


def forms(word: str) -> dict[str, bytes]:
    """How ``word`` may be written, by the name of the form."""
    raw = word.encode()
    found = {
        "plain": raw,
        "hex": raw.hex().encode(),
        "upper hex": raw.hex().upper().encode(),
        "percent": "".join(f"%{byte:02x}" for byte in raw).encode(),
    }
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw)
        # Six bits a letter: only those that hold nothing of what stands around it.
        found[f"base64, {before} before"] = encoded[-(-8 * before // 6) : 8 * (before + 12) // 6]
    return found


_FORMS = forms(WORD)


def sightings(data: bytes, allowed: str = "") -> list[str]:
    """Every secret in ``data`` as its kind and form; plain ones of ``allowed`` kinds are none."""
    seen: set[str] = set()
    for form, text in _FORMS.items():
        at = data.find(text)
        while at >= 0:
            kind = chr(data[at + len(text)]) if len(data) > at + len(text) else ""
            if form != "plain":
                seen.add(f"a secret in {form}")
            elif kind not in allowed or not kind:
                seen.add(f"{KINDS.get(kind, 'a secret')} in {form}")
            at = data.find(text, at + 1)
    return sorted(seen)


def look(text: str | bytes, where: str) -> None:
    """Note every secret in a text that somebody may read."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if sightings(data):
        _found.extend(f"{where}: {one}" for one in sightings(ALLOWED_TEXT.sub(b"", data)))


def look_at_arguments(arguments: Any) -> None:  # noqa: ANN401  # whatever Popen takes
    """Note every secret in the command line of a process."""
    words = [arguments] if isinstance(arguments, str | bytes | os.PathLike) else list(arguments)
    before = b""
    for word in map(os.fsencode, words):
        if before.decode(errors="replace") not in ALLOWED_ARGUMENTS:
            _found.extend(f"the arguments of a process: {one}" for one in sightings(word))
        before = word


def look_into(folder: Path) -> None:
    """Note every secret in the names and contents of files below ``folder``."""
    for path, status in _files(folder):
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            continue
        name = os.fsencode(path.relative_to(folder))
        where = f"the file {path.name}"
        _found.extend(f"the name of a file: {one}" for one in sightings(name))
        if not status.st_size or path.suffix in _MEDIA:
            continue
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if not sightings(data):
            continue
        allowed = "".join(
            kinds for name, kinds in ALLOWED_FILES.items() if fnmatch(path.name, name)
        )
        if os.name != "nt" and status.st_mode & 0o077:
            allowed, where = "", f"{where}, which others can read"
        _found.extend(f"{where}: {one}" for one in sightings(data, allowed))


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for here, folders, names in os.walk(folder, onerror=lambda _: None):
        folders[:] = [name for name in folders if name not in _SERVICES_OWN]
        for name in names:
            path = Path(here, name)
            try:
                yield path, path.lstat()
            except OSError:
                continue


def found() -> list[str]:
    """What was noted since the last call."""
    noted = list(dict.fromkeys(_found))
    _found.clear()
    return noted


# --- where it is put, and where it is looked for --------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    del config
    change = _CHANGED.setattr
    change(model.Stream, "__init__", _with_canaries(model.Stream.__init__))
    change(model.Stream, "_create", _with_a_key(model.Stream._create))
    change(detached, "secrets", Canaries)
    change(errors.CfuploadError, "__init__", _heard(errors.CfuploadError.__init__))
    change(pytest.CaptureFixture, "readouterr", _read(pytest.CaptureFixture.readouterr))
    change(subprocess.Popen, "__init__", _started(subprocess.Popen.__init__))
    change(subprocess.Popen, "communicate", _ended(subprocess.Popen.communicate))


def pytest_unconfigure(config: pytest.Config) -> None:
    del config
    _CHANGED.undo()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    for name, text in report.sections:
        if name.endswith(call.when):  # those of earlier phases come again
            look(text, name)
    if report.failed:
        look(report.longreprtext, "the failure")
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if call.when == "call" and folder is not None:
        look_into(folder)
    if hits := found():
        report.outcome = "failed"
        report.longrepr = "\n".join(["A secret was seen (see tests/canary.py):", *hits])
    return report


def _with_canaries(make: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(make)
    def made(self: model.Stream, **options: Any) -> None:  # noqa: ANN401  # passed through
        options["account"] = options.get("account") or account()
        options["token"] = options.get("token") or Canaries.token_urlsafe(20)
        make(self, **options)

    return made


def _with_a_key(create: Callable[..., Reply]) -> Callable[..., Reply]:
    @functools.wraps(create)
    def created(self: model.Stream, request: Request) -> Reply:
        reply = create(self, request)
        if WORD not in self.token:
            return reply
        location = f"{reply.headers['location']}&key={UPLOAD_KEY}"
        return Reply(reply.status, {**reply.headers, "location": location}, reply.body)

    return created


def _heard(make: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(make)
    def made(self: errors.CfuploadError, *args: Any, **options: Any) -> None:  # noqa: ANN401
        make(self, *args, **options)
        look(f"{self.message}\n{self.hint}", f"the words of {type(self).__name__}")

    return made


def _read(read: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(read)
    def seen(self: pytest.CaptureFixture[Any]) -> Any:  # noqa: ANN401  # texts or bytes
        told = read(self)
        look(told.out, "stdout")
        look(told.err, "stderr")
        return told

    return seen


def _started(start: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(start)
    def started(self: object, args: Any, *rest: Any, **options: Any) -> None:  # noqa: ANN401
        look_at_arguments(args)
        start(self, args, *rest, **options)

    return started


def _ended(communicate: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(communicate)
    def ended(self: object, *args: Any, **options: Any) -> Iterable[Any]:  # noqa: ANN401
        told = communicate(self, *args, **options)
        for text in told:
            look(text or b"", "the output of a process")
        return told  # type: ignore[no-any-return]  # the pair that Popen gives

    return ended

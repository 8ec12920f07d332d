"""Files that people write or carry from elsewhere: manifest, config file, metadata."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tempfile
import tomllib
from pathlib import Path

from hypothesis import strategies as st

from cfstream_upload import config, profiles
from cfstream_upload.attempt import is_uid
from cfstream_upload.cli.metafile import read_meta
from cfstream_upload.emulator.metadata import read_metadata
from cfstream_upload.emulator.switches import Switches
from cfstream_upload.errors import ConfigProblem, UsageProblem
from cfstream_upload.manifest import COLUMNS, DONE, Known, Manifest, target_of
from cfstream_upload.tus import Upload
from cfstream_upload.video import LARGEST_METADATA, SOURCE_KEY, VideoOptions
from cfstream_upload.wire import Patience

from .target import Target, near, wrong
from .urls import API, answering

UID = "a" * 32
MARKER = f"1.{UID}.{'b' * 32}"
TARGET = target_of(API, "0" * 32)
FILE = "/fuzz/a.mp4"  # in the corpus; a check puts its own file there
MODIFIED, SIZE = "1700000000000000000", "4"
NONE = "44136fa355b3678a"  # the digest of no options


# --- manifests ------------------------------------------------------------------------------------


def check_manifest(data: bytes) -> None:
    """A CSV: it spares no file but one that it names with size, time, options and a UID."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        video, path = folder / "a.mp4", folder / "sent.csv"
        video.write_bytes(b"1234")
        os.utime(video, ns=(int(MODIFIED), int(MODIFIED)))
        content = data.replace(FILE.encode(), os.fsencode(video))
        path.write_bytes(content)
        try:
            known = Known(path, TARGET, "{}")
        except UsageProblem as refusal:
            assert str(path) in refusal.message
            return
        result = known.done(str(video))
        if result is not None:
            assert _tells(content, str(video)), "it claims more than it knows"
            assert is_uid(result.uid)
            assert result.size == len(b"1234")
        assert known.done(str(folder / "other.mp4")) is None
        before = dict(known._lines)
        Manifest(path, TARGET, "{}").close()
        assert Known(path, TARGET, "{}")._lines == before, "written anew it says something else"


def _tells(content: bytes, source: str) -> bool:
    """Whether the last whole record of ``source`` says that this very file was sent."""
    text = content.decode("utf-8-sig", "surrogateescape")
    records = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    last = [one for one in records if one["source"] == source][-1]
    wanted = {"size": SIZE, "modified": MODIFIED, "options": NONE, "target": TARGET}
    said = {name: last[name] for name in wanted}
    return said == wanted and last["outcome"] in DONE and is_uid(last["uid"])


_cell = (
    st.sampled_from([
        FILE, "/fuzz/./a.mp4", UID, UID.upper(), "ready", SIZE, "04", "\u0664", "4.0", "uploaded",
        "failed", "already", "resumed", "skipped", MODIFIED, NONE, TARGET, "", '"', "a\nb",
        "a\rb", "\ufeff", "\x00", "=1+1",
    ])
    | st.text(max_size=4)
)  # fmt: skip
_GOOD = [FILE, UID, "ready", SIZE, "", "", "uploaded", "", MODIFIED, NONE, TARGET]


def _manifest(head: list[str], rows: list[dict[int, str]], end: str) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator=end)
    writer.writerow(head)
    for changes in rows:
        writer.writerow([changes.get(number, good) for number, good in enumerate(_GOOD)])
    return buffer.getvalue().encode("utf-8", "surrogatepass")


_manifests = st.builds(
    _manifest,
    st.just(list(COLUMNS)),
    st.lists(st.dictionaries(st.integers(0, 10), _cell, max_size=2), min_size=1, max_size=3),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
_MANIFEST_WORDS = [
    *COLUMNS,
    FILE,
    UID,
    TARGET,
    NONE,
    MODIFIED,
    ",",
    '"',
    '""',
    "\n",
    "\r",
    "uploaded",
]


# --- the config file ------------------------------------------------------------------------------

_NO_TOML = re.compile(r"The config file \S+ is not proper TOML at line (\d+)(, column \d+)?")
_TOO_DEEP = "nested too deeply"
TOML_WORDS = [
    "[profiles.default]\n", "[profiles.x]\n", "[profiles", "]", "[[", "=", '"', "'", '"""', "\n",
    "\r\n", "#", ".", ",", "{", "}", "\\", "\\u0000", "\\ud800", "\x00", "\x7f", "\ufeff",
    "\u2028", "api_token", "token_command", "api_token_file", "account_id", "proxy", "label",
    "ca_cert", "api_base_url", "1", "nan", "1e9999", "0x" + "f" * 5000, "9" * 5000, "1979-13-45",
    "true", '"http://u:p@h"', "[" * 400, '"~nobody9/x"', '"/"', '"\\u0000"', " ", UID,
    '"canary canary"', "a.b.c = 1\n",
]  # fmt: skip


def check_config(data: bytes) -> None:
    """A config file: refused in words of ours, with its line and without its values."""
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "config.toml"
        path.write_bytes(data)
        path.chmod(0o600)
        environ = {"CFUPLOAD_CONFIG": str(path), "HOME": made, "CFUPLOAD_STATE_DIR": made}
        try:
            read = profiles.read(path)
        except ConfigProblem as refusal:
            _judge_refusal(refusal, data)
            assert config.examine({}, environ).problems
            return
        assert _as_toml(data) is not None, "read, although it is no TOML"
        secret = read.profiles.get("default", {})
        # A command would be run: that is what it is for, but not with what a fuzzer wrote.
        if not secret.get("token_command"):
            _judge_settings(environ, secret)


def _judge_refusal(refusal: ConfigProblem, data: bytes) -> None:
    assert refusal.hint
    if "not proper TOML" not in refusal.message:
        assert _as_toml(data) is not None or _TOO_DEEP in refusal.message
        return
    found = _NO_TOML.fullmatch(refusal.message)
    assert found or _has_endless_number(data), refusal.message
    if found:
        assert 1 <= int(found[1]) <= data.count(b"\n") + 1


def _has_endless_number(data: bytes) -> bool:
    """Python's limit of digits is the one fault of which the parser tells no place."""
    return re.search(rb"[0-9_]{4301}", data) is not None


def _as_toml(data: bytes) -> object | None:
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError):
        return None


def _judge_settings(environ: dict[str, str], held: dict[str, str] | object) -> None:
    examined = config.examine({}, environ)
    shown = config.explain({}, environ)
    words = [f"{problem.message} {problem.hint}" for problem in examined.problems.values()]
    told = " ".join([*words, *(one.value_shown for one in shown)])
    token = held.get("api_token", "") if isinstance(held, dict) else ""
    # A value that stands in honest words by itself proves nothing.
    if len(token) > 12 and isinstance(held, dict) and list(held.values()).count(token) == 1:
        assert token not in told, "a token is shown"
    settings = examined.settings
    assert not settings.account or is_uid(settings.account)
    assert not settings.token or re.fullmatch(r"[!-~]+", settings.token.reveal())


# --- metadata -------------------------------------------------------------------------------------


def check_metadata(data: bytes) -> None:
    """A file for ``--meta-file``: what is accepted arrives, read back by the embedded Stream."""
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "meta"
        path.write_bytes(data)
        try:
            meta = read_meta(path)
            options = VideoOptions(meta=tuple(meta.items())).checked()
        except UsageProblem as refusal:
            assert refusal.hint
            return
    wanted = options.metadata(MARKER, "a.mp4", 120, "xxh3:0")
    wire, seen = answering(API)
    url, headers = f"{API}/accounts/{UID}/stream", Upload(wire, 1, wanted).creation_headers()
    seen.clear()
    wire.request("POST", url, headers=headers, patience=Patience())
    (request,) = seen
    header = request.headers["upload-metadata"]
    assert re.fullmatch(r"[ -~]+", header)
    assert len(header) <= LARGEST_METADATA
    arrived = read_metadata(header, 0, Switches())["meta"]
    expected = {key: re.sub("[\ud800-\udfff]", "\ufffd", text) for key, text in meta.items()}
    expected |= {"name": "a.mp4", "cfupload": MARKER, SOURCE_KEY: "xxh3:0"}
    if arrived != expected:
        wrong(f"{expected} arrived as {arrived}")
    again = json.loads(options.canonical())
    assert dict(again.get("meta", ())) == meta


_META_VALUES = (
    st.text(max_size=12)
    | st.integers()
    | st.booleans()
    | st.floats()
    | st.none()
    | st.sampled_from([10**4299, 10**4400, "x" * 16000, "\ud800", "a,b c", "\x00", "\r\nX: y"])
)
_META_KEYS = st.sampled_from(["name", "a", "A", "a b", "cfupload", "expiry", "a,b", "k" * 65, ""])
_metas = st.dictionaries(_META_KEYS | st.text("abc_.-", max_size=3), _META_VALUES, max_size=4)


def _dumped(table: dict[str, object]) -> bytes:
    try:
        return json.dumps(table).encode()
    except ValueError:
        return b'{"a": ' + b"9" * 4400 + b"}"


TARGETS = [
    Target("manifest", _manifests | near("manifest", _MANIFEST_WORDS), check_manifest, 150),
    Target("config", near("config", TOML_WORDS), check_config, 300),
    Target("metadata", _metas.map(_dumped) | near("metadata", TOML_WORDS), check_metadata, 200),
]

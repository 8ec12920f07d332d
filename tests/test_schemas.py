"""The schemas of the package: right, complete, and refusing what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from judging import complaints, judge_output, validator
from served import Ended

from cfstream_upload import errors
from cfstream_upload.cli.schemas import schema_names, schema_text
from cfstream_upload.documents import KEYS, document, failure
from cfstream_upload.result import Result, summary

Ran = Callable[..., Ended]
UID = "ab" * 16
ERROR = {"code": 4, "message": "No such file", "hint": "Name another.", "uid": None}
UPLOAD = Result("a.mp4", "uploaded", UID, "queued", 10, 10, attempts=1).document()
FAILED = Result("a.mp4", "failed", exit_code=4, error=errors.FileProblem("no")).document()
SUMMARY = summary([], 1.5, 0)
ROW = {
    "file": "a.mp4", "condition": "debt", "stage": "created", "uid": UID, "attempt": UID,
    "account": UID, "size": 10, "acknowledged": 5, "why": "trouble",
}  # fmt: skip
SWEEP = {
    "uid": None, "attempt": UID, "file": "", "stage": "created", "why": "x", "outcome": "left"
}  # fmt: skip
VIDEO = {"uid": UID, "status": {"state": "ready"}, "size": -1, "more": [1]}
SETTING = {"name": "api_token", "value": "***", "origin": "CLOUDFLARE_API_TOKEN"}
CHECK = {"name": "token", "status": "failed", "found": "none", "advice": "Set one."}
CODE = {"code": "130, 143", "meaning": "interrupted", "action": "run it again"}
PAGE = {
    "path": ["cfupload"], "summary": "", "text": "", "examples": [], "arguments": [],
    "options": [], "pages": [],
}  # fmt: skip
EMULATOR = {"base_url": "http://x", "account": UID, "token": "t", "pid": 1, "port": 80}

WORKER = {
    "worker": "a:1", "host": "a", "pid": 1, "role": "sends", "label": "",
    "release": "1", "condition": "running", "seen": 0.5, "age": 9,
    "files": [
        {
            "file": "a", "uid": None, "phase": "sending", "acknowledged": 1, "sent": 1, "size": 2,
            "speed": None,
        }
    ],
    "speed": 1.5, "acknowledged": 1, "done": 0, "already": 0, "passed": 0, "failed": 0,
    "planned_files": 1,
    "planned_bytes": 2, "done_bytes": 0, "dashboard": None,
}  # fmt: skip
FLEET = {
    "workers": 1, "leaders": 1, "running": 1, "interrupted": 0, "kept": 0, "debts": 0,
    "receipts": 0, "done": 0, "already": 0, "passed": 0, "failed": 0,
    "speed": 1.5, "bytes_left": 1, "seconds_left": None,
    "dashboard": "http://d",
}  # fmt: skip

DOCUMENTS: dict[str, dict[str, Any]] = {
    "send": {"version": 1, "uploads": [UPLOAD, FAILED], "summary": SUMMARY, "error": None},
    "videos": document("videos", [VIDEO]),
    "journal": document("journal", [ROW]),
    "swept": document("swept", [SWEEP]),
    "settings": document("settings", [SETTING]),
    "checks": document("checks", [CHECK]),
    "exit_codes": document("exit_codes", [CODE]),
    "acts": document("acts", [{"act": "A clean line.", "seconds": 1.5}]),
    "schemas": document("schemas", [{"name": "send", "title": "x"}]),
    "topics": document("topics", [{"name": "exit-codes", "summary": "x"}]),
    "variables": document("variables", [{"name": "TERM", "meaning": "x", "option": ""}]),
    "command": document("command", {**PAGE, "pages": [PAGE]}),
    "emulator": document("emulator", EMULATOR),
    "workers": {**document("workers", [WORKER]), "fleet": FLEET},
    "failure": failure("sned", errors.UsageProblem("no")),
}
HEAD = {"version": 1, "time": "2026-01-31T12:00:00.000Z"}
EVENTS: dict[str, dict[str, Any]] = {
    "started": {"file": "a.mp4", "total_bytes": 10},
    "resumed": {"file": "a.mp4", "uid": UID, "bytes_acknowledged": 5, "total_bytes": 10},
    "progress": {
        "file": "a.mp4", "uid": None, "bytes_acknowledged": 0, "bytes_sent": 5, "total_bytes": 10,
        "bytes_per_second": 1.5, "seconds_remaining": None,
    },
    "retrying": {"file": "a.mp4", "message": "cut", "tries": 1, "seconds": 0.5},
    "cleaning_up": {"file": "a.mp4", "uid": UID, "message": "no more"},
    "cleaned_up": {"file": "a.mp4", "uid": UID, "attempt": UID},
    "uploaded": UPLOAD,
    "planned": {**UPLOAD, "outcome": "skipped", "plan": "would upload"},
    "ready": {"file": "a.mp4", "uid": UID, "state": "ready"},
    "failed": FAILED,
    "summary": {"file": None, **SUMMARY},
    "exit_error": {"file": None, **ERROR},
    "video": {"file": None, "video": VIDEO},
    "deleted": {"file": None, "uid": UID, "video": VIDEO},
    "journal": ROW,
    "swept": SWEEP,
    "setting": {"file": None, **SETTING},
    "check": {"file": None, **CHECK},
    "exit_code": {"file": None, **CODE},
    "act": {"file": None, "act": "A clean line.", "seconds": 1.5},
    "schema": {"file": None, "name": "send", "title": "x"},
    "emulator": {"file": None, "emulator": None},
    "worker": {"file": None, **WORKER},
    "fleet": {"file": None, **FLEET},
}  # fmt: skip


def event(kind: str, **changes: object) -> dict[str, Any]:
    return {**HEAD, "message_type": kind, **EVENTS[kind], **changes}


def _parts(schema: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  # JSON
    if isinstance(schema, dict):
        yield schema
    for part in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(part, dict | list):
            yield from _parts(part)


# --- the schemas themselves ----------------------------------------------------------------------


@pytest.mark.parametrize("name", schema_names())
def test_a_schema_is_one_of_2020_12_and_closed_to_no_new_field(name: str) -> None:
    schema = json.loads(schema_text(name))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:cfupload:schema:1:{name}"
    for part in _parts(schema):
        assert part.get("additionalProperties", True) is True
        assert "unevaluatedProperties" not in part
        assert {*part.get("required", ())} <= {*part.get("properties", part.get("required", ()))}


@pytest.mark.parametrize("name", schema_names())
def test_every_field_of_a_schema_says_what_it_is(name: str) -> None:
    for part in _parts(json.loads(schema_text(name))):
        if "description" in part:
            for field, told in part.get("properties", {}).items():
                assert field in ("message_type", "file") or {*told} & {"description", "$ref"}, field


def test_what_schemas_share_is_the_same_in_each() -> None:
    shared: dict[str, Any] = {}
    for name in schema_names():
        for part, told in json.loads(schema_text(name)).get("$defs", {}).items():
            assert shared.setdefault(part, told) == told, f"{part} in {name}"


# --- documents -----------------------------------------------------------------------------------


def test_each_schema_has_a_sample_here() -> None:
    assert {*DOCUMENTS, "event"} == {*schema_names()}
    assert set(EVENTS) == set(validator("event").schema["properties"]["message_type"]["enum"])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_fits_its_schema_and_with_new_fields_too(name: str) -> None:
    content = DOCUMENTS[name]
    assert complaints(json.dumps(content)) == []
    validator(name).validate({**content, "new": {"field": 1}})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_lacks_a_field_is_refused(name: str) -> None:
    content = DOCUMENTS[name]
    for field in content:
        assert not validator(name).is_valid({k: v for k, v in content.items() if k != field}), field
    assert not validator(name).is_valid({**content, "version": 2})
    assert not validator(name).is_valid({**content, "error": {**ERROR, "code": "4"}})
    lists = [field for field, value in content.items() if isinstance(value, list)]
    for field in lists:
        for part in content[field][0]:
            if part in ("more", "size") and name == "videos":
                continue
            row = {k: v for k, v in content[field][0].items() if k != part}
            assert not validator(name).is_valid({**content, field: [row]}), part


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outcome", "sent"), ("cleanup", "done"), ("uid", "xyz"), ("size", -1), ("sent", None),
        ("seconds", "1.5"), ("exit_code", 300), ("file", None), ("error", ERROR), ("hls", 7),
    ],
)  # fmt: skip
def test_a_wrong_upload_is_refused(field: str, value: object) -> None:
    upload = {**UPLOAD, field: value}
    assert not validator("send").is_valid({**DOCUMENTS["send"], "uploads": [upload]})
    assert not validator("event").is_valid(event("uploaded", **{field: value}))


def test_an_exit_code_without_an_error_is_refused() -> None:
    upload = {**FAILED, "error": None}
    assert not validator("send").is_valid({**DOCUMENTS["send"], "uploads": [upload]})


# --- events --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_fits_its_branch_and_with_new_fields_too(kind: str) -> None:
    validator("event").validate(event(kind, new=1))


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_that_lacks_a_field_or_is_of_no_kind_is_refused(kind: str) -> None:
    whole = event(kind)
    for field in whole:
        lacking = {k: v for k, v in whole.items() if k != field}
        assert not validator("event").is_valid(lacking), field
    assert not validator("event").is_valid({**whole, "message_type": "bogus"})
    assert not validator("event").is_valid({**whole, "time": "2026-01-31 12:00"})


def test_what_a_command_prints_wrongly_is_noticed() -> None:
    with pytest.raises(AssertionError, match="no schema describes"):
        judge_output('{"version": 1, "bogus": [], "error": null}\n')
    with pytest.raises(AssertionError, match="summary"):
        judge_output('{"version": 1, "uploads": [], "error": null}\n')
    with pytest.raises(AssertionError, match="total_bytes"):
        judge_output(json.dumps(event("started", total_bytes="7")) + "\n")
    judge_output("".join(json.dumps(event(kind)) + "\n" for kind in EVENTS))


# --- on failure ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [*KEYS, "sned"])
def test_a_failure_has_the_shape_of_the_commands_document(command: str) -> None:
    told = failure(command, errors.Refused("no", uid=UID))
    assert complaints(json.dumps(told)) == []
    assert KEYS.get(command, "error") in told
    assert told["error"]["code"] == 5


# --- cfupload help schema ------------------------------------------------------------------------


def test_help_schema_lists_and_prints_them(ran: Ran) -> None:
    listed = ran("help", "schema", "--json").document["schemas"]
    assert [one["name"] for one in listed] == schema_names()
    assert "event" in ran("help", "schema").out
    for name, meant in (("send", "send"), ("event", "event"), ("list", "videos")):
        assert ran("help", "schema", name).document == json.loads(schema_text(meant))
    lines = ran("help", "schema", "send", "--ndjson").out.splitlines()
    assert json.loads(lines[0])["schema"] == json.loads(schema_text("send"))


def test_a_schema_that_is_not_there_is_exit_2_and_the_nearest_is_named(ran: Ran) -> None:
    ended = ran("help", "schema", "vidoes")
    assert ended.code == 2
    assert "Did you mean videos?" in ended.err

"""Faults as people write them: what is read, and what is said of what cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfstream_upload.emulator.effects import (
    Answer,
    CutAfter,
    Delay,
    Drip,
    Effect,
    Expire,
    Fault,
    Gone,
    Hang,
    Interim,
    Lag,
    Late,
    LoseReply,
    Rate,
)
from cfstream_upload.emulator.faultscript import EFFECTS, WHO, parse_fault, parse_script
from cfstream_upload.emulator.faultspelling import spelled
from cfstream_upload.emulator.faultwords import BadFault

GOOD: list[tuple[str, Fault]] = [
    ("PATCH 3 cut=1MB", Fault(CutAfter(1 << 20), "PATCH", nth=3)),
    ("POST 1 lose", Fault(LoseReply(), "POST")),
    ("post lose", Fault(LoseReply(), "POST")),
    ("  HEAD\t2   hang  ", Fault(Hang(), "HEAD", nth=2)),
    ("GET hang acts", Fault(Hang(acts=True), "GET")),
    ("any cut", Fault(CutAfter(0))),
    ("PATCH reset=1.5k x2", Fault(CutAfter(1536, reset=True), "PATCH", times=2)),
    ("create stall=10s", Fault(Delay(10.0), "POST", "videos")),
    ("create 2 LATE=30s", Fault(Late(30.0), "POST", "videos", 2)),
    ("PATCH gone", Fault(Gone(), "PATCH")),
    ("ANY 5 expire", Fault(Expire(), nth=5)),
    ("list lag=5s *", Fault(Lag(5.0), "GET", "videos", times=None)),
    ("upload rate=10M *", Fault(Rate(10 << 20), None, "upload", times=None)),
    ("look drip", Fault(Drip(1.0), "GET", "video")),
    ("edit drip=10ms", Fault(Drip(0.01), "POST", "video")),
    ("storage 1xx", Fault(Interim(0.1), "GET", "storage")),
    ("DELETE 1xx=2s acts", Fault(Interim(2.0, acts=True), "DELETE")),
    ("verify lose", Fault(LoseReply(), "GET", ("verify-user", "verify-account"))),
    ("GET hang p=0.1 seed=7", Fault(Hang(), "GET", times=None, probability=0.1, seed=7)),
    ("GET hang p=.5 x3", Fault(Hang(), "GET", times=3, probability=0.5)),
    ("GET hang after=2m", Fault(Hang(), "GET", after=120.0)),
    ("OPTIONS 1000000 lose x1000000", Fault(LoseReply(), "OPTIONS", nth=10**6, times=10**6)),
]

BAD: list[tuple[str, int, str, str]] = [
    ("", 1, "", "a fault is missing"),
    ("   ", 1, "", "a fault is missing"),
    ("ptach 3 cut", 1, "ptach", "no request"),
    ("PATCH", 7, "", "what happens to it is missing"),
    ("PATCH 3", 9, "", "what happens to it is missing"),
    ("PATCH 0 lose", 7, "0", "from 1 to"),
    ("PATCH 1000001 lose", 7, "1000001", "from 1 to"),
    ("PATCH -1 lose", 7, "-1", "nothing that can happen"),
    ("PATCH 1 loose", 9, "loose", "nothing that can happen"),
    ("PATCH 1 lose=3", 9, "lose", "takes no value"),
    ("PATCH cut=big", 11, "big", "not a size"),
    ("PATCH cut=-1", 11, "-1", "not a size"),
    ("PATCH stall", 7, "stall", "needs a value"),
    ("PATCH stall=10", 13, "10", "not a time"),
    ("PATCH stall=0s", 13, "0s", "not a time"),
    ("PATCH rate=0", 12, "0", "bytes a second"),
    ("PATCH rate", 7, "rate", "needs a value"),
    ("PATCH status=99", 14, "99", "status from 200"),
    ("PATCH status=600", 14, "600", "status from 200"),
    ("PATCH status=503 body=xml", 23, "xml", "one of json, html, empty"),
    ("PATCH status=503 retry-after=", 30, "", "header"),
    ("PATCH lose acts", 12, "acts", "nothing that lose takes"),
    ("PATCH hang acts=1", 12, "acts", "takes no value"),
    ("PATCH lose x0", 12, "x0", "from 1 to"),
    ("PATCH lose x2 *", 15, "*", "said twice, or against x2"),
    ("PATCH lose p=0", 14, "0", "probability"),
    ("PATCH lose p=1.5", 14, "1.5", "probability"),
    ("PATCH lose p=0.5 p=0.5", 18, "p", "said twice"),
    ("PATCH lose seed=7", 12, "seed", "needs p="),
    ("PATCH lose p=0.5 seed=x", 23, "x", "whole number"),
    ("PATCH lose after=soon", 18, "soon", "not a time"),
    ("PATCH lose never", 12, "never", "nothing that lose takes"),
    ("create gone", 8, "gone", "names none"),
    ("PATCH lag=5s", 7, "lag", "only lists lag"),
]


@pytest.mark.parametrize(("text", "fault"), GOOD)
def test_a_fault_is_read(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault
    assert parse_fault(text).text == " ".join(text.split())


@pytest.mark.parametrize(("text", "column", "word", "said"), BAD)
def test_what_is_wrong_with_a_fault_is_said_with_its_place(
    text: str, column: int, word: str, said: str
) -> None:
    with pytest.raises(BadFault) as caught:
        parse_fault(text)
    assert (caught.value.column, caught.value.word) == (column, word)
    assert said in caught.value.message
    assert f"column {column}" in str(caught.value)


def test_a_wrong_word_is_told_with_those_that_are_right() -> None:
    for text, words in (("x lose", WHO), ("GET x", EFFECTS)):
        with pytest.raises(BadFault) as caught:
            parse_fault(text)
        assert set(caught.value.words) == set(words)


@pytest.mark.parametrize(
    ("text", "kind", "start"),
    [
        ("GET status=503", "text/html; charset=UTF-8", b"<html>"),
        ("GET status=404", "application/json", b'{"result": null'),
        ("GET status=404 body=html", "text/html; charset=UTF-8", b"<html>"),
        ("GET status=500 body=json", "application/json", b'{"result": null'),
        ("GET status=429 body=empty", None, b""),
        ("GET status=204", None, b""),
    ],
)
def test_a_status_has_the_body_that_the_api_or_the_edge_would_give(
    text: str, kind: str | None, start: bytes
) -> None:
    answer = parse_fault(f"{text} retry-after=5").effect
    assert isinstance(answer, Answer)
    assert answer.headers.get("content-type") == kind
    assert answer.headers["retry-after"] == "5"
    assert answer.body.startswith(start)
    assert bool(answer.body) == bool(start)


def test_a_script_has_comments_and_waits() -> None:
    script = (
        "# two cuts\nPATCH cut # the first\n\nwait 5s\nPATCH 2 cut after=1s\nWAIT 1m\nGET lose\n"
    )
    assert [(fault.nth, fault.after) for fault in parse_script(script)] == [
        (1, 0.0), (2, 6.0), (1, 65.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "line", "column"),
    [("GET lose\n\nGET loose", 3, 5), ("wait", 1, 1), ("\n wait 5", 2, 2), ("wait 1s 2s", 1, 1)],
)
def test_what_is_wrong_with_a_script_is_said_with_its_line(
    script: str, line: int, column: int
) -> None:
    with pytest.raises(BadFault) as caught:
        parse_script(script)
    assert (caught.value.line, caught.value.column) == (line, column)


SECONDS = st.integers(1, 3_600_000).map(lambda count: count / 1000)
MADE: st.SearchStrategy[Effect] = st.one_of(
    st.sampled_from([LoseReply(), Gone(), Expire()]),
    st.builds(CutAfter, st.integers(0, 10**12 - 1), st.booleans()),
    st.builds(Hang, st.booleans()),
    st.builds(Interim, SECONDS, st.booleans()),
    st.builds(Rate, st.integers(1, 10**12 - 1)),
    *[st.builds(make, SECONDS) for make in (Delay, Late, Drip)],
    st.tuples(
        st.integers(200, 599),
        st.sampled_from(["", " acts", " retry-after=7", " retry-after=x acts"]),
    ).map(lambda pair: parse_fault(f"GET status={pair[0]}{pair[1]}").effect),
)


@given(
    effect=MADE,
    who=st.sampled_from(
        [word for word in WHO if word not in ("create", "list", "storage", "verify")]
    ),
    nth=st.integers(1, 10**6),
    times=st.none() | st.integers(1, 10**6),
    chance=st.none() | st.integers(1, 1000).map(lambda count: count / 1000),
    after=st.just(0.0) | SECONDS,
    seed=st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_a_fault_that_is_written_is_read_as_the_same(
    effect: Effect, who: str, nth: int, times: int | None, chance: float | None,
    after: float, seed: int,
) -> None:  # fmt: skip
    method, kind = WHO[who]
    fault = Fault(effect, method, kind, nth, times, chance, seed if chance else 0, after)
    assert parse_fault(spelled(fault)) == fault


WORDS = st.sampled_from(
    [*WHO, *EFFECTS, "3", "x2", "*", "p=0.5", "seed=1", "acts", "cut=1MB", "lag=5s", "status=503",
     "retry-after=5", "body=html", "after=1s", "=", "x", "²", "\x1b[31m"]
)  # fmt: skip


@given(st.lists(WORDS | st.text(max_size=8), max_size=6).map(" ".join))
@settings(max_examples=100, deadline=None)
def test_any_line_is_a_fault_or_is_refused_with_a_place_in_it(text: str) -> None:
    try:
        fault = parse_fault(text)
    except BadFault as bad:
        fits = 1 <= bad.column <= len(text) + 2
    else:
        fits = parse_fault(fault.text) == fault
    assert fits

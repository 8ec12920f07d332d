from __future__ import annotations

import base64
import re
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfstream_upload.safetext import Redactor, no_command, safe

SECRET = "Canary+token/0123456789=abcdefgh"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\r\nb\t", r"a\x0d\x0ab\x09"),
        ("\x00\x7f\x9b0c", r"\x00\x7f\x9b0c"),
        ("gpj.\u202egnp", r"gpj.\u202egnp"),
        ("\u2066x\u2069\u200b\u200d\ufeff\u2060", r"\u2066x\u2069\u200b\u200d\ufeff\u2060"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\udcff\ud800", r"\udcff\ud800"),
        ("\u3164", r"\u3164"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_shown(text: str, shown: str) -> None:
    assert safe(text) == shown


@pytest.mark.parametrize(
    "text", ["Zürich 日本 👍🏽.mp4", "at 1.02.03\u202fPM.mov", "[red]x[/red] :x:"]
)
def test_honest_names_stay_as_they_are(text: str) -> None:
    assert safe(text) == text


def test_long_text_ends_in_dots_and_no_escape_is_cut() -> None:
    assert safe("x" * 400, 10) == "xxxxxxx..."
    assert safe("\x1b" * 400, 10) == r"\x1b..."
    assert safe("x" * 10, 10) == "x" * 10


@given(st.text(st.characters(), max_size=40), st.integers(8, 60))
def test_whatever_comes_leaves_as_one_short_line_and_twice_is_once(text: str, limit: int) -> None:
    shown = safe(text, limit)
    assert len(shown) <= limit
    assert safe(shown, limit) == shown
    assert not {unicodedata.category(letter) for letter in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        quote(SECRET, safe=""),
        re.sub("%..", lambda found: found[0].lower(), quote(SECRET, safe="")),
        "".join(f"%{byte:02x}" for byte in SECRET.encode()),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
    ],
)
def test_a_secret_is_replaced_in_every_form(form: str) -> None:
    redact = Redactor([SECRET])
    assert redact(f"before {form} after") == "before *** after"


@given(st.text("abc:", max_size=7), st.text("abc:", max_size=7))
def test_a_secret_inside_what_was_encoded_is_replaced(before: str, after: str) -> None:
    encoded = base64.b64encode((before + SECRET + after).encode()).decode()
    left = Redactor([SECRET])(encoded)
    assert "***" in left
    assert len(left) <= len(encoded) - len(SECRET)


def test_all_secrets_are_replaced_the_longer_first() -> None:
    redact = Redactor(["canary", "canary-and-more"])
    redact.add("another-one")
    assert redact("canary canary-and-more another-one") == "*** *** ***"


def test_a_redactor_without_secrets_or_with_tiny_ones_changes_nothing() -> None:
    assert Redactor()("text") == "text"
    assert Redactor(["", "a"])("a text") == "a text"


KEY = "https://upload.example/tus/0123456789abcdef?tusv2=true"


@pytest.mark.parametrize(
    "form",
    [
        "/tus/0123456789abcdef?tusv2=true",
        "/tus/0123456789abcdef",
        quote("/tus/0123456789abcdef", safe=""),
        quote("/tus/0123456789abcdef", safe="").lower(),
        b"/tus/0123456789abcdef".hex(),
        base64.b64encode(b"/tus/0123456789abcdef").decode(),
    ],
)
def test_an_upload_url_is_masked_and_its_video_is_not(form: str) -> None:
    redact = Redactor()
    redact.add_url(KEY)
    assert redact(f"a {form} b") == "a *** b"
    honest = "0123456789abcdef: https://customer.example/0123456789abcdef/watch"
    assert redact(honest) == honest


def test_of_an_upload_url_with_the_video_alone_the_host_is_part_of_the_key() -> None:
    redact = Redactor()
    redact.add_url("https://upload.example/0123456789abcdef?x=y")
    links = "https://customer.example/0123456789abcdef/watch"
    assert redact(links) == links
    assert redact("at https://upload.example/0123456789abcdef?x=y.") == "at https://***."


def test_the_newest_upload_urls_are_known() -> None:
    redact = Redactor()
    for number in range(40):
        redact.add_url(f"https://upload.example/tus/{number:016x}")
    shown = [number for number in range(40) if "***" not in redact(f"/tus/{number:016x}")]
    assert shown == list(range(24))


def test_a_redactor_does_not_show_what_it_hides() -> None:
    assert SECRET not in repr(Redactor([SECRET]))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("::error::x", r"\::error::x"),
        ("  ::stop-commands::x", r"\  ::stop-commands::x"),
        ("a ##[add-mask]x", r"a #\#[add-mask]x"),
        ("std::vector.mp4", "std::vector.mp4"),
    ],
)
def test_a_name_cannot_command_github_actions(line: str, shown: str) -> None:
    assert no_command(line) == shown

"""What a name means: a path, or a place beyond this machine; and what of it may be shown."""

from __future__ import annotations

import pytest

from cfstream_upload.errors import UsageProblem
from cfstream_upload.locations import is_url, located, path_of


@pytest.mark.parametrize(
    "name", ["big.mp4", "./s3:/b/k", "s3:/b/k", "a://b"[1:], "C:\\v.mp4", "-", "x s3://b/k", "s3:b"]
)
def test_what_has_no_scheme_is_a_path_of_this_machine(name: str) -> None:
    assert located(name) is None
    assert not is_url(name)
    assert path_of(name) == name


def test_a_file_url_is_the_path_it_means() -> None:
    assert path_of("file:///tmp/a%20b.mp4") == "/tmp/a b.mp4"
    assert path_of("FILE://localhost/a.mp4") == "/a.mp4"
    assert located("file:///a.mp4") is None
    for wrong in ("file://host/a.mp4", "file://a.mp4", "file://"):
        with pytest.raises(UsageProblem, match="no file of this machine"):
            path_of(wrong)


@pytest.mark.parametrize(
    ("name", "text", "last"),
    [
        ("s3://b/d/k #1?.mp4", "s3://b/d/k #1?.mp4", "k #1?.mp4"),
        ("S3://b", "s3://b/", "b"),
        ("GS://b-1.example/d/k #1?.mp4", "gs://b-1.example/d/k #1?.mp4", "k #1?.mp4"),
        ("HTTPS://Host.Example:443/a%20b.mp4?sig=x#t", "https://host.example/a%20b.mp4", "a b.mp4"),
        ("http://h:8080", "http://h:8080/", "h"),
        ("http://[::1]:80/v.mp4", "http://[::1]/v.mp4", "v.mp4"),
        ("sftp://me@host:22/~/v.mp4", "sftp://me@host/~/v.mp4", "v.mp4"),
    ],
)
def test_what_is_shown_of_a_url_has_no_query_and_names_its_last_part(
    name: str, text: str, last: str
) -> None:
    where = located(name)
    assert where is not None
    assert (where.text, where.name) == (text, last)
    # What was recorded means the same when it is read again.
    again = located(text)
    assert again is not None
    assert (again.text, again.numbers) == (text, where.numbers)


def test_numbers_tell_places_apart_and_nothing_else() -> None:
    def numbers(name: str) -> tuple[int, int]:
        where = located(name)
        assert where is not None
        return where.numbers

    assert numbers("https://h/a?x=1") == numbers("HTTPS://H:443/a#f")
    assert numbers("sftp://me@h/a") == numbers("sftp://you@h:22/a")
    different = {numbers(name) for name in ("https://h/a", "http://h/a", "https://h/b", "s3://h/a")}
    assert len(different) == 4
    assert numbers("gs://bucket/a") != numbers("s3://bucket/a")
    assert all(0 <= number < 2**64 for pair in different for number in pair)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ftp://host/a.mp4", "no kind of source that is known"),
        ("https://me:secret@host/a.mp4", "must not hold credentials"),
        ("https://me@host/a.mp4", "must not hold credentials"),
        ("sftp://me:secret@host/a.mp4", "must not hold credentials"),
        ("s3://key:secret@bucket/a.mp4", "must not hold credentials"),
        ("s3:///a.mp4", "names no bucket"),
        ("gs:///a.mp4", "names no bucket"),
        ("gs://secret@bucket/a.mp4", "must not hold credentials"),
        ("gs://No_Bucket!/a.mp4", "no bucket that could be"),
        ("https:///a.mp4", "names no host"),
        ("https://host:port/a.mp4", "malformed"),
        ("https://[::1/a.mp4", "malformed"),
        ("https://host/a b.mp4", "characters"),
        ("s3://b/a\n.mp4", "characters"),
        ("s3://b/a\udcff.mp4", "characters"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_without_being_quoted(name: str, words: str) -> None:
    with pytest.raises(UsageProblem, match=words) as refused:
        located(name)
    assert "secret" not in refused.value.message + refused.value.hint
    assert refused.value.exit_code == 2

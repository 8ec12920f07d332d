"""Files of the web: read in ranges, held to what was opened, and nothing of a URL's query told."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from afar import Page, Web, web
from carried import is_whole, send, video
from inprocess import MIB, Stage, Waiting, stage
from mp4 import sample
from served import Ended, Served

from cfstream_upload import events
from cfstream_upload.errors import FileProblem, UsageProblem
from cfstream_upload.remote import AHEAD, PIECE
from cfstream_upload.result import Result
from cfstream_upload.safetext import Redactor
from cfstream_upload.source import Source
from cfstream_upload.stores import Stores


@pytest.fixture(scope="module")
def site() -> Iterator[Web]:
    with web() as here:
        yield here


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path)


def _error(result: Result) -> str:
    assert result.error is not None
    return result.error.message


def test_a_url_is_sent_as_exactly_one_video_and_not_twice(scene: Stage, site: Web) -> None:
    data = video(scene.folder)
    url = site.put("/a%20b.mp4", Page(data))
    sent = send(scene, url)
    assert (sent.outcome, sent.size, sent.file) == ("uploaded", len(data), url)
    assert is_whole(scene, sent.uid, data)
    assert [video["meta"]["name"] for video in scene.model.videos()] == ["a b.mp4"]  # type: ignore[index]
    again = send(scene, url)
    assert (again.outcome, again.uid) == ("already", sent.uid)


def test_the_identity_of_a_url_is_the_same_for_everybody_and_changes_with_its_bytes(
    site: Web, tmp_path: Path
) -> None:
    for etag in ("", None, 'W/"weak"'):
        url = site.put("/same.mp4", Page(video(tmp_path, MIB), etag))
        seen = []
        for query in ("", "?sig=aaaaaaaaaaaaaaaaaaaa#t=1"):
            with Stores() as stores, stores.open(url + query) as source:
                seen.append(source.identity)
                assert source.path == url
                assert source.anywhere
        assert len(set(seen)) == 1
        site.put("/same.mp4", Page(video(tmp_path, MIB, seed=1), etag))
        with Stores() as stores, stores.open(url) as source:
            assert source.identity.samples != seen[0].samples
            now = source.identity
            assert (now.device, now.inode) == (seen[0].device, seen[0].inode)


def test_what_it_reads_is_what_a_local_file_gives(site: Web, tmp_path: Path) -> None:
    data = video(tmp_path, 9 * MIB + 7)
    url = site.put("/face.mp4", Page(data))
    with Source.open(tmp_path / "0.mp4") as local, Stores() as stores, stores.open(url) as far:
        assert far.full_digest(lambda: False) == local.full_digest(lambda: False)
        start = 5 * MIB - 3
        part = b"".join(far.blocks(start, 3 * MIB, block=65_536))
        assert part == data[start : start + 3 * MIB]
        there, here = far.probe(), local.probe()
        assert (there.format, there.duration, there.video_tracks) == (
            here.format, here.duration, here.video_tracks,
        )  # fmt: skip
        with pytest.raises(ValueError, match="outside"):
            next(far.blocks(len(data), 1))


def test_a_probe_of_a_large_file_with_its_index_at_the_end_asks_a_few_times(
    site: Web, tmp_path: Path
) -> None:
    page = Page(video(tmp_path, 40 * MIB))
    url = site.put("/large.mp4", page)
    with Stores() as stores, stores.open(url) as source:
        page.asked.clear()
        assert source.probe().video_tracks == 1
    assert len(page.asked) <= 6


def test_no_header_of_streams_goes_to_a_source_and_none_asks_for_an_encoding(
    scene: Stage, site: Web
) -> None:
    page = Page(video(scene.folder))
    send(scene, site.put("/plain.mp4", page))
    assert page.asked
    for headers in page.asked:
        assert headers["accept-encoding"] == "identity"
        assert not {"authorization", "cookie", "tus-resumable"} & set(headers)
        assert scene.model.token not in str(headers)


def test_a_short_answer_is_asked_for_again_and_never_taken_for_the_end(
    scene: Stage, site: Web
) -> None:
    data = video(scene.folder)
    page = Page(data, short={1, 4, 5})
    sent = send(scene, site.put("/short.mp4", page))
    assert sent.outcome == "uploaded"
    assert is_whole(scene, sent.uid, data)
    assert len({headers["range"] for headers in page.asked}) < len(page.asked) - 3
    assert any(isinstance(event, events.Retrying) for event in scene.heard)


def _is_of_the_upload(page: Page, number: int) -> bool:
    first, _, last = page.asked[number]["range"].removeprefix("bytes=").partition("-")
    return int(last) - int(first) >= MIB


@pytest.mark.parametrize("wrong", ["shifted", "cropped"])
def test_an_answer_that_is_not_of_its_range_is_asked_for_again(
    scene: Stage, site: Web, wrong: str
) -> None:
    data = video(scene.folder)

    def lie(page: Page, number: int) -> None:
        numbers: set[int] = getattr(page, wrong)
        if _is_of_the_upload(page, number) and not numbers:
            numbers.add(number)

    page = Page(data, before=lie)
    sent = send(scene, site.put("/wrong.mp4", page))
    assert sent.outcome == "uploaded"
    assert getattr(page, wrong)
    assert is_whole(scene, sent.uid, data)


def test_a_file_that_was_another_for_one_answer_is_refused(scene: Stage, site: Web) -> None:
    data, other = video(scene.folder), video(scene.folder, seed=3)
    struck: list[int] = []

    def blink(page: Page, number: int) -> None:
        if _is_of_the_upload(page, number) and not struck:
            struck.append(number)
            page.data, page.modified = other, 1_700_000_100.0

    sent = send(scene, site.put("/blinks.mp4", Page(data, None, before=blink)))
    assert struck
    assert sent.exit_code == 4
    assert scene.model.videos() == []


def test_a_change_met_while_reading_ahead_is_told_though_it_is_gone_again(
    site: Web, tmp_path: Path
) -> None:
    data, other = video(tmp_path, 3 * PIECE), video(tmp_path, 3 * PIECE, seed=3)
    struck = threading.Event()

    def blink(page: Page, number: int) -> None:
        ahead = page.asked[number]["range"].startswith(f"bytes={PIECE}-")
        if ahead and not struck.is_set():
            struck.set()
            page.data = other

    url = site.put("/ahead.mp4", Page(data, before=blink))
    with Stores() as stores, stores.open(url) as source:
        blocks = source.blocks(0, source.size, block=PIECE)
        assert next(blocks) == data[:PIECE]
        assert struck.wait(10)
        time.sleep(0.3)  # for the answer to be known, and the piece not asked for yet
        with pytest.raises(FileProblem, match="changed"):
            next(blocks)


def test_a_range_is_asked_for_with_the_tag_of_what_was_opened(scene: Stage, site: Web) -> None:
    page = Page(video(scene.folder, MIB))
    assert send(scene, site.put("/tagged.mp4", page)).outcome == "uploaded"
    tag = page.headers()["ETag"]
    assert {headers.get("if-match") for headers in page.asked[1:]} <= {tag, None}
    ranges = [one for one in page.asked if one["range"] != "bytes=0-0"]
    assert ranges
    assert {headers.get("if-match") for headers in ranges} == {tag}


def test_the_last_piece_waits_for_a_last_look(scene: Stage, site: Web) -> None:
    page = Page(video(scene.folder, MIB))
    with Stores() as stores, stores.open(site.put("/last.mp4", page)) as source:
        blocks = source.blocks(0, source.size, block=MIB // 2)
        next(blocks)
        page.data = page.data[:-1] + b"!"
        with pytest.raises(FileProblem, match="changed"):
            next(blocks)


@pytest.mark.parametrize("etag", ["", None])
def test_a_file_that_changes_while_it_is_sent_stops_the_upload_and_leaves_nothing(
    scene: Stage, site: Web, etag: str | None
) -> None:
    other = video(scene.folder, seed=3)

    def change(page: Page, number: int) -> None:
        if any("cfupload" in str(video["meta"]) for video in scene.model.videos()):
            page.data = other
            page.modified = None if page.modified is None else 1_700_000_100.0

    for modified in (1_700_000_000.0, None):
        page = Page(video(scene.folder), etag, modified, before=change)
        sent = send(scene, site.put("/changes.mp4", page))
        assert (sent.exit_code, sent.cleanup) == (4, "confirmed")
        assert "changed" in _error(sent)
        assert scene.model.videos() == []
    assert scene.open_rows() == []


def test_a_file_that_vanishes_while_it_is_sent_leaves_nothing(scene: Stage, site: Web) -> None:
    def vanish(page: Page, number: int) -> None:
        page.status = 404 if scene.model.videos() else 0

    sent = send(scene, site.put("/vanishes.mp4", Page(video(scene.folder), before=vanish)))
    assert (sent.exit_code, sent.cleanup) == (4, "confirmed")
    assert scene.model.videos() == []


def test_a_new_signed_url_goes_on_with_what_the_old_one_began_and_no_query_is_ever_told(
    scene: Stage, site: Web
) -> None:
    data = video(scene.folder)
    page = Page(data)
    url = site.put("/signed.mp4", page)
    first, second = "?X-Sig=first-secret-of-it&x=1", "?X-Sig=second-secret-of-it&x=1"

    def expire(page: Page, number: int) -> None:
        page.status = 403 if scene.model.videos() and page.asked[number][""].endswith(first) else 0

    page.before = expire
    scene.policy = type(scene.policy)(largest_chunk=5 * MIB, keep_failed=True)
    refused = send(scene, url + first)
    assert refused.exit_code == 4
    assert refused.error is not None
    assert "new one" in refused.error.hint
    done = send(scene, url + second)
    assert done.outcome in ("uploaded", "resumed")
    assert is_whole(scene, done.uid, data)
    with scene.session() as session:
        told = str([row.path for row in session.rows()])
    told += str((refused, done, scene.heard, scene.model.videos()))
    assert "secret" not in told
    assert url in told
    assert len(scene.model.videos()) == 1


def test_two_urls_that_differ_by_their_queries_only_are_refused() -> None:
    redactor = Redactor()
    stores = Stores(redactor)
    assert stores.admit("https://host/get?file=0123456789abcdef") == "https://host/get"
    assert "0123456789abcdef" not in redactor("it was 0123456789abcdef")
    with pytest.raises(UsageProblem, match="differ"):
        stores.admit("https://host/get?file=other")


def test_each_thing_a_server_may_answer_has_its_words(site: Web, tmp_path: Path) -> None:
    data = sample()
    cases = {
        "/whole": (Page(data, ranges=False), "cannot be read in ranges"),
        "/gzip": (Page(data, encoding="gzip"), "encoded"),
        "/empty": (Page(b""), "is empty"),
        "/denied": (Page(data, status=403), "not allowed"),
        "/teapot": (Page(data, status=418), "HTTP 418"),
        "/round": (Page(data, location="/round"), "too many redirects"),
    }
    with Stores() as stores:
        for path, (page, words) in cases.items():
            with pytest.raises(FileProblem, match=words):
                stores.open(site.put(path, page))
        with pytest.raises(FileProblem, match="no such file"):
            stores.open(site.base + "/nowhere.mp4")
        moved = site.put("/moved.mp4", Page(b"", location="/there.mp4"))
        site.put("/there.mp4", Page(data))
        with stores.open(moved) as source:
            assert b"".join(source.blocks(0, source.size)) == data


def test_a_source_that_is_silent_for_good_is_trouble_and_leaves_nothing(
    scene: Stage, site: Web
) -> None:
    def fail(page: Page, number: int) -> None:
        page.status = 503 if scene.model.videos() else 0

    scene.policy = type(scene.policy)(largest_chunk=5 * MIB, retries=1)
    sent = send(scene, site.put("/sick.mp4", Page(video(scene.folder), before=fail)))
    assert (sent.exit_code, sent.cleanup) == (6, "confirmed")
    assert "could not be read (127.0.0.1: HTTP 503)" in _error(sent)
    assert scene.model.videos() == []


def test_a_signal_ends_the_wait_for_a_silent_source_at_once(scene: Stage, site: Web) -> None:
    stop, silent = Waiting(scene.clock), threading.Event()
    stopped_at = [0.0]

    def fall_silent(page: Page, number: int) -> None:
        if scene.model.videos() and not silent.is_set():
            stopped_at[0] = time.monotonic()
            stop.stop()
            silent.wait(10)

    page = Page(video(scene.folder), before=fall_silent)
    sent = send(scene, site.put("/silent.mp4", page), stop=stop)
    took = time.monotonic() - stopped_at[0]
    silent.set()
    assert (sent.exit_code, sent.cleanup) == (130, "confirmed")
    assert took < 6
    assert scene.model.videos() == []


def test_reading_goes_on_while_bytes_are_sent_and_holds_no_more_than_a_few_pieces(
    site: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cfstream_upload.remote.PIECE", MIB)
    page = Page(video(tmp_path))
    url = site.put("/ahead.mp4", page)
    with Stores() as stores, stores.open(url) as source:
        page.asked.clear()
        blocks = source.blocks(0, source.size, block=MIB // 4)
        for _ in range(5):
            next(blocks)
            ends = time.monotonic() + 5
            # Nobody asks for more: whoever sends is busy with the block that was given.
            while len(page.asked) < AHEAD and time.monotonic() < ends:
                time.sleep(0.01)
        ends = time.monotonic() + 5
        while len(page.asked) <= AHEAD and time.monotonic() < ends:
            time.sleep(0.01)
        time.sleep(0.1)
        starts = [int(one["range"].partition("=")[2].partition("-")[0]) for one in page.asked]
        assert sorted(starts) == [number * MIB for number in range(AHEAD + 1)]


def test_no_output_file_or_record_of_the_command_holds_a_query(
    stream: Served, ran: Callable[..., Ended], site: Web, tmp_path: Path
) -> None:
    data = video(stream.folder, MIB)
    url = site.put("/told.mp4", Page(data))
    key = "X-Signature=very-secret-signature-of-a-url"
    (tmp_path / "list").write_text(f"{url}?{key}\n")
    told = ""
    for arguments in (
        ("doctor", f"{url}?{key}"),
        ("send", "--dry-run", f"{url}?{key}"),
        ("send", "-vvv", "--json", "--manifest", "m.csv", "--files-from", "list"),
        ("send", "--ndjson", "--skip-existing", f"{url}?{key}"),
        ("status", "--json"),
        (f"{url}?{key}",),
        ("send", f"{site.base}/none.mp4?{key}"),
    ):
        ended = ran(*arguments)
        told += ended.out + ended.err
    (tmp_path / "list").unlink()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "signature-of-a-url" not in told
    assert b"signature-of-a-url" not in kept
    assert f"{url}," in (tmp_path / "m.csv").read_text()
    assert len(stream.videos()) == 1


def test_names_that_are_no_source_end_the_command_before_anything_is_asked(
    stream: Served, ran: Callable[..., Ended]
) -> None:
    for name, code, words in (
        ("ftp://host/a.mp4", 2, "Known are s3://, gs://, https://, http://, sftp://, file://"),
        ("https://me:guess@host/a.mp4", 2, "must not hold credentials"),
        ("https://host.invalid/folder/", 4, "folders of the web cannot be listed"),
        ("file:///no/such/file.mp4", 4, "/no/such/file.mp4"),
    ):
        ended = ran("send", name)
        assert ended.code == code
        assert words in ended.err
        assert "guess" not in ended.err
    assert stream.ledger.asked == []


def test_a_source_that_pauses_for_longer_than_the_line_may_costs_a_try_and_no_byte(
    stream: Served, ran: Callable[..., Ended], site: Web, tmp_path: Path
) -> None:
    data = video(tmp_path, 11 * MIB)

    def pause(page: Page, number: int) -> None:
        if stream.videos() and not paused.is_set():
            paused.set()
            time.sleep(2.5)

    paused = threading.Event()
    url = site.put("/pauses.mp4", Page(data, before=pause))
    ended = ran("send", "--stall-timeout", "1s", "--json", url)
    assert ended.code == 0
    assert paused.is_set()
    assert [stream.model.sha256(video["uid"]) for video in stream.videos()] == [
        hashlib.sha256(data).hexdigest()
    ]


def test_no_thread_is_left_of_a_source_that_is_closed(site: Web) -> None:
    url = site.put("/threads.mp4", Page(sample()))
    before = {thread.name for thread in threading.enumerate()}
    with Stores() as stores, stores.open(url) as source:
        assert next(source.blocks(0, 4)) == sample()[:4]
        assert "reading" in {thread.name for thread in threading.enumerate()}
    assert "reading" not in {thread.name for thread in threading.enumerate()} - before

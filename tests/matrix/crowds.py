"""Rows 115 and 119: accounts with thousands of pending videos, or with too many in the queue."""

from __future__ import annotations

from inprocess import ACCOUNT, MIB, Stage
from matrix.rows import Scene, row
from matrix.scenes import assert_one, dies, digest, ends, staged, then, under

from cfstream_upload.emulator.exchange import Request, converse
from cfstream_upload.emulator.faults import Answer, Fault
from cfstream_upload.emulator.switches import Switches
from cfstream_upload.stream import Page
from cfstream_upload.sweeping import Choice, plan

SIZE = 12 * MIB
VIDEOS = f"/client/v4/accounts/{ACCOUNT}/stream"


def _crowd(current: Stage, count: int, together: int) -> set[str]:
    """So many pending videos, that many of each made in the very same moment."""
    # The reservations of so many are counted anew at each create, which takes minutes.
    current.model._limits.check = lambda seconds: None  # type: ignore[method-assign]
    library = current.model._library
    library.moment_of_creation = library.now  # type: ignore[method-assign]  # equal times
    headers = {
        "tus-resumable": "1.0.0", "upload-length": "9", "upload-metadata": "name eA==",
        "authorization": f"Bearer {current.model.token}", "host": "127.0.0.1:9",
    }  # fmt: skip
    made = set()
    for number in range(count):
        current.clock.now += number % together == 0
        request = Request("POST", VIDEOS, {"direct_user": "true"}, headers)
        made.add(converse(current.model, request).headers["stream-media-id"])
    return made


@row(115, "5,000 videos")
def _five_thousand_pending(scene: Scene) -> None:
    """5,000 are pending, hundreds of one moment: each listed once, calls bounded, none is swept."""
    for number, (inclusive, together, count) in enumerate([(True, 700, 5000), (False, 333, 2400)]):
        folder = scene.folder / str(number)
        folder.mkdir()
        switches = Switches(after_inclusive=inclusive)
        here = Scene(folder, scene.request)
        current = staged(here, switches=switches)
        made = _crowd(current, count, together)
        with current.session() as session:
            pages = list(session.api.pages({"status": "pendingupload"}, None, session.patience))
            calls = len(current.calls)
            if number == 0:
                assert plan(session, Choice(orphans=True)) == []
        found = [video.uid for page in pages if isinstance(page, Page) for video in page.videos]
        assert all(isinstance(page, Page) for page in pages)
        assert len(found) == len(made) == count
        assert set(found) == made
        assert calls <= 25
        if number:
            continue
        path = current.file(6 * MIB)
        dies(current, path, 1, "after")  # its lost create is to be found among them
        result = ends(current.send(path), 0)
        assert (len(current.states()), current.open_rows()) == (5001, [])
        assert current.model.sha256(str(result.uid)) == digest(path)


@row(115, "one moment for all")
def _more_in_one_moment_than_a_page(scene: Scene) -> None:
    """More are of one moment than a page holds: the list ends in an error, not in a part."""
    current = staged(scene)
    _crowd(current, 1500, 1500)
    with current.session() as session:
        pages = list(session.api.pages({}, None, session.patience))
    assert not isinstance(pages[-1], Page)
    assert len(pages) < 6


def _too_many() -> Answer:
    body = (
        b'{"success": false, "result": null, "messages": [], "errors":'
        b' [{"code": 10000, "message": "Too many queued videos: 120"}]}'
    )
    return Answer(429, {"content-type": "application/json"}, body)


@row(119, "for ever")
def _too_many_queued(scene: Scene) -> None:
    """429 on every create: no proof that nothing was made, so watched, exit 7; one video later."""
    current = staged(scene)
    path = current.file(SIZE)
    under(current, Fault(_too_many(), "POST", times=None))
    result = ends(current.send(path), 7, "not answered", "Too many queued videos: 120")
    assert result.cleanup == "pending"
    assert (current.states(), set(current.open_rows())) == ([], {"intended"})
    assert current.methods().count("POST") <= 3
    then(current, path, waits=26 * 3600.0)


@row(119, "for a while")
def _too_many_queued_once(scene: Scene) -> None:
    """The limit is passed once: the same run looks for the lost create and begins anew, exit 0."""
    current = staged(scene)
    path = current.file(SIZE)
    under(current, Fault(_too_many(), "POST"))
    assert_one(current, path, ends(current.send(path), 0))
    then(current, path, waits=26 * 3600.0)

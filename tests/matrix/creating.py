"""Rows 19 to 30: the create call is lost, late, doubled, refused, or answered wrongly."""

from __future__ import annotations

from faulted import envelope, html
from inprocess import MIB, Stage, stage
from matrix.between import Lost, Twice
from matrix.rows import Scene, row
from matrix.scenes import DAY, assert_none, assert_one, calm, ends, staged, then, under

from cfstream_upload import events
from cfstream_upload.emulator.faults import Answer, CutAfter, Effect, Fault, Hang, LoseReply
from cfstream_upload.result import Result

SIZE = MIB
"""One chunk: how many follow does not matter to a create."""

SECRET = "location-that-nobody-may-ask"


# --- shared checks -------------------------------------------------------------------------------


def _created(current: Stage) -> int:
    return current.methods().count("POST")


def _acts(status: int, location: str = "", uid: str = "") -> Answer:
    """A reply in place of Stream's own, which did make a video."""
    headers = {"location": location, "stream-media-id": uid}
    return Answer(status, {name: text for name, text in headers.items() if text}, acts=True)


def _answered_once(scene: Scene, name: str, effect: Effect, *words: str) -> Stage:
    """One such answer: what it made is found and removed, and a second create makes the video."""
    current = _stage(scene, f"once {name}")
    path = current.file(SIZE)
    under(current, Fault(effect, "POST"))
    result = ends(current.send(path), 0)
    assert result.attempts == _created(current) == 2
    assert_one(current, path, result)
    _says(current, *words)
    then(current, path)
    return current


def _answered_always(scene: Scene, name: str, effect: Effect, *words: str) -> Stage:
    """Such an answer for ever: 6, a few creates, nothing left; and no request went elsewhere."""
    current = _stage(scene, f"always {name}")
    path = current.file(SIZE)
    under(current, Fault(effect, "POST", times=None))
    ends(current.send(path), 6, *words)
    assert _created(current) == 3
    assert_none(current)
    assert not any(SECRET in call.path for call in current.calls)
    then(current, path)
    return current


def _stage(scene: Scene, name: str, **service: object) -> Stage:
    folder = scene.folder / name
    folder.mkdir()
    return stage(folder, **service)


def _says(current: Stage, *words: str) -> None:
    said = " ".join(event.message for event in _retries(current))
    for word in words:
        assert word in said, said


def _retries(current: Stage) -> list[events.Retrying]:
    return [event for event in current.heard if isinstance(event, events.Retrying)]


def _looked_between_creates(current: Stage) -> bool:
    """Whether Stream was asked for the lost video before the second create."""
    methods = current.methods()
    first = methods.index("POST")
    return "GET" in methods[first : methods.index("POST", first + 1)]


# --- lost, late, doubled -------------------------------------------------------------------------


@row(19, "the create never arrived")
def _lost_request(scene: Scene) -> None:
    """The create is lost on its way: looked for, made once more; its marker is watched."""
    current = staged(scene)
    path = current.file(SIZE)
    under(current, Fault(CutAfter(), "POST"))
    result = ends(current.send(path), 0)
    assert (result.attempts, _created(current)) == (2, 2)
    assert _looked_between_creates(current)
    assert_one(current, path, result)
    assert current.open_rows() == ["intended"]
    assert then(current, path).uid == result.uid
    current.clock.now += DAY
    assert then(current, path).uid == result.uid
    assert current.open_rows() == []


@row(20, "the create's reply is lost")
def _lost_reply(scene: Scene) -> None:
    """The create's reply is lost or never comes: what it made is deleted before the next create."""
    for name, effect in (("cut", LoseReply()), ("hangs", Hang(acts=True))):
        current = _answered_once(scene, name, effect)
        assert current.open_rows() == []


@row(21, "the create arrives 30 s late")
def _late_request(scene: Scene) -> None:
    """Stream acts on a lost create after the file was sent: the next command removes it."""
    current = staged(scene)
    path = current.file(SIZE)
    proxy = Lost(current, 30.0)
    current.service = proxy
    result = ends(current.send(path), 0)
    assert current.open_rows() == ["intended"]
    current.clock.now += 30
    proxy.deliver()
    assert sorted(current.states()) == ["pendingupload", "ready"]
    current.heard.clear()
    assert then(current, path).uid == result.uid
    assert sum(isinstance(event, events.CleanedUp) for event in current.heard) == 1
    assert current.open_rows() == []


@row(21, "the create arrives while the next one is under way")
def _late_in_the_run(scene: Scene) -> None:
    """Stream acts on a lost create seconds later: one video, and the leftover goes with it."""
    for seconds in (1.0, 4.0, 9.0):
        current = _stage(scene, str(seconds))
        path = current.file(SIZE)
        current.service = Lost(current, seconds)
        result = ends(current.send(path), 0)
        assert then(current, path).uid == result.uid
        assert current.open_rows() == []


@row(22, "the create is sent twice")
def _doubled(scene: Scene) -> None:
    """A proxy repeats the create and passes on either reply: the other video goes by its marker."""
    for given in (0, 1):
        current = _stage(scene, str(given))
        path = current.file(SIZE)
        current.service = Twice(current, given)
        result = ends(current.send(path), 0)
        assert then(current, path).uid == result.uid
        assert current.methods().count("DELETE") == 1
        assert current.open_rows() == []


@row(22, "the create is sent twice and not answered")
def _doubled_and_lost(scene: Scene) -> None:
    """A proxy repeats the create and loses both replies: both go, then one is made."""
    current = staged(scene)
    path = current.file(SIZE)
    current.service = Twice(current, None)
    result = ends(current.send(path), 0)
    assert_one(current, path, result)
    assert current.open_rows() == []
    then(current, path)


# --- answered wrongly ----------------------------------------------------------------------------


@row(23, "201 without the video's UID")
def _no_uid(scene: Scene) -> None:
    """A create reply names no video: what was made is deleted; for ever, 6 and nothing."""
    reply = _acts(201, "http://127.0.0.1:9/tus/abc")
    _answered_once(scene, "missing", reply, "names no video")
    _answered_always(scene, "missing", reply, "names no video")
    for uid in ("../../user/tokens", "A" * 32, "0" * 31):
        _answered_once(scene, f"{len(uid)}", _acts(201, "http://127.0.0.1:9/tus/a", uid))


@row(24, "upload address on another host")
def _evil_host(scene: Scene) -> None:
    """A create reply leads to another host: never asked, the video deleted, the host named."""
    for at, host in enumerate(("evil.example", "upload.cloudflarestream.com.evil.example")):
        reply = _acts(201, f"https://{host}/{SECRET}", "a" * 32)
        current = _answered_always(scene, str(at), reply, f"{host[1:]}: not one of Stream's upload")
        assert not any(SECRET in str(event) for event in current.heard)
    _answered_once(scene, "once", _acts(201, f"https://evil.example/{SECRET}", "a" * 32), "evil")


@row(25, "upload address over http")
def _plain_http(scene: Scene) -> None:
    """A create reply gives an address over plain http: never asked, what was made is deleted."""
    reply = _acts(201, f"http://upload.cloudflarestream.com/{SECRET}", "a" * 32)
    _answered_once(scene, "http", reply, "not https")
    _answered_always(scene, "http", reply, "not https")


@row(26, "500 with an upload address")
def _failed_with_location(scene: Scene) -> None:
    """A 500 that carries a Location is no create: found, deleted, made once more."""
    for status in (500, 503):
        reply = _acts(status, f"http://127.0.0.1:9/tus/{SECRET}", "a" * 32)
        current = _answered_once(scene, str(status), reply, f"HTTP {status}")
        assert not any(SECRET in call.path for call in current.calls)


# --- refused -------------------------------------------------------------------------------------


def _refused(scene: Scene, name: str, effect: Effect, code: int, *words: str) -> Result:
    """A plain refusal proves that nothing was made: one create, no row, nothing on Stream."""
    current = _stage(scene, name)
    path = current.file(SIZE)
    under(current, Fault(effect, "POST", times=None))
    result = ends(current.send(path), code, *words)
    assert _created(current) <= 2
    assert "PATCH" not in current.methods()
    assert_none(current)
    then(current, path)
    return result


@row(27, "401 and 403")
def _denied(scene: Scene) -> None:
    """The create is refused for its credentials: 3, nothing made, and the permission is named."""
    for status in (401, 403):
        _refused(scene, str(status), envelope(status, 10000), 3, "Stream: Edit", str(status))


@row(28, "413, no minutes left")
def _full(scene: Scene) -> None:
    """The account is full: 5, nothing made, and it says that pending uploads hold minutes too."""
    words = ("10011", "Pending uploads reserve minutes", "cfupload cleanup --orphans")
    _refused(scene, "told", envelope(413, 10011), 5, *words)
    current = _stage(scene, "real", minutes_limit=1)
    ends(current.send(current.file(SIZE)), 5, *words)
    assert_none(current)


@row(28, "413, minutes held by our own lost creates")
def _full_of_ours(scene: Scene) -> None:
    """The account is full of what lost creates of ours reserved: they go first, then it is sent."""
    current = _stage(scene, "ours", minutes_limit=3)
    other, path = current.file(SIZE, "other.mp4", seed=1), current.file(SIZE)
    under(current, Fault(LoseReply(), "POST"), Fault(html(502), "GET", "videos", times=None))
    ends(current.send(other), 7)
    assert current.states() == ["pendingupload"]
    calm(current)
    result = ends(current.send(path), 0)
    assert_one(current, path, result)


RETRY_AFTER: dict[str, tuple[float, float]] = {
    "5": (5.0, 60.0),
    "3600": (600.0, 660.0),
    "1000000000": (0.0, 60.0),
    "-7": (0.0, 60.0),
    "soon": (0.0, 60.0),
    "": (0.0, 60.0),
    "Wed, 21 Oct 2015 07:28:00 GMT": (0.0, 60.0),
}
"""What a 429 may ask for, and the seconds that the whole run may take then."""


@row(29, "429")
def _limited(scene: Scene) -> None:
    """A 429 waits as it was told, up to ten minutes: one video, and the wait is shown."""
    for at, (text, (least, most)) in enumerate(RETRY_AFTER.items()):
        current = _stage(scene, str(at))
        path = current.file(SIZE)
        refused = envelope(429, 10429)
        limited = Answer(429, {**refused.headers, "retry-after": text}, refused.body)
        under(current, Fault(limited, "POST"))
        started = current.clock.now
        result = ends(current.send(path), 0)
        assert least <= current.clock.now - started <= most, text
        assert max(event.seconds for event in _retries(current)) >= least
        _says(current, "HTTP 429")
        assert_one(current, path, result)
        assert then(current, path).uid == result.uid


@row(29, "429 for ever")
def _limited_for_ever(scene: Scene) -> None:
    """A 429 for ever: 7 after two creates, for it proves nothing; a day later the file is sent."""
    _unanswered_for_ever(scene, "429", envelope(429, 10429))


@row(30, "5xx")
def _server_errors(scene: Scene) -> None:
    """A 5xx to the create proves nothing: looked for, removed if it was made, made once more."""
    for status in (500, 502, 503, 504, 520, 524):
        _answered_once(scene, f"{status} acts", _acts(status), f"HTTP {status}")
        _answered_once(scene, f"{status}", envelope(status), f"HTTP {status}")


@row(30, "5xx for ever")
def _server_errors_for_ever(scene: Scene) -> None:
    """A 5xx for ever: 7 after two creates and never a third; a day later the file is sent."""
    for name, effect in (("json", envelope(503)), ("html", html(502))):
        _unanswered_for_ever(scene, name, effect)


def _unanswered_for_ever(scene: Scene, name: str, effect: Effect) -> None:
    current = _stage(scene, f"for ever {name}")
    path = current.file(SIZE)
    under(current, Fault(effect, "POST", times=None))
    for creates in (2, 2):
        ends(current.send(path), 7, "were not answered", "cfupload cleanup")
        assert _created(current) == creates
        assert (current.states(), current.open_rows()) == ([], ["intended", "intended"])
    then(current, path, waits=DAY + 3600)
    assert current.open_rows() == []

"""Stream's Video API: one call, one `Outcome`. The token is attached by `wire`, not here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from cfstream_upload.attempt import PENDING, Attempt, Failure, Reason, is_uid
from cfstream_upload.envelope import Answer, decipher
from cfstream_upload.outcome import (
    Absent,
    Created,
    Deleted,
    Denied,
    Found,
    NotMade,
    NotSent,
    Outcome,
    Seen,
    Trouble,
    Unanswered,
)
from cfstream_upload.video import Video, video_of
from cfstream_upload.wire import (
    Lost,
    Patience,
    Reply,
    UnacceptableUrl,
    Wire,
    acceptable_upload_url,
)
from cfstream_upload.wire import NotSent as NoConnection

PAGE = 1000
LIST_BYTES = 64 * 1024 * 1024
MOST_PAGES = 1000
_TOO_MANY = 429
_NOT_PROOF = {408, 409, 425, _TOO_MANY}


class Counter(Protocol):
    """Who counts the calls of the API, for it takes so many in five minutes."""

    def spent(self) -> None:
        """A call leaves."""

    def refused(self, retry_after: float | None) -> None:
        """It was answered with 429, and perhaps with how many seconds to wait."""


class Stream:
    """The Video API of one account. ``date`` is the last time its server told, epoch seconds."""

    def __init__(self, wire: Wire, base: str, account: str, counter: Counter | None = None) -> None:
        self._wire = wire
        self._counter = counter
        self._videos = f"{base}/accounts/{account}/stream"
        self.date: float | None = None

    def create(self, headers: Mapping[str, str], patience: Patience) -> Outcome:
        """POST a direct-user tus create; ``headers`` are those of tus."""
        url = f"{self._videos}?direct_user=true"
        self._count()
        try:
            reply = self._wire.request("POST", url, headers=headers, patience=patience)
        except NoConnection as error:
            if error.reason == "certificate":
                return NotMade(Failure(Reason.TROUBLE, str(error)))
            return NotSent(str(error))
        except Lost as error:
            return Unanswered(str(error))
        answer = self._deciphered(reply)
        if 200 <= reply.status < 300:
            return self._created(reply, answer)
        if answer.envelope and 400 <= reply.status < 500 and reply.status not in _NOT_PROOF:
            return NotMade(answer.failure("to create the video"))
        trouble = answer.trouble("Creating the video")
        return Unanswered(trouble.message, answer.retry_after, answer.date)

    def _created(self, reply: Reply, answer: Answer) -> Outcome:
        # The UID comes from this header only: Cloudflare says not to parse the URL for it.
        uid = reply.headers.get("stream-media-id", "")
        try:
            url = acceptable_upload_url(reply.headers.get("location", ""), self._videos)
        except UnacceptableUrl as error:
            return Unanswered(str(error), date=answer.date)
        if not is_uid(uid):
            return Unanswered("Stream's reply names no video", date=answer.date)
        return Created(uid, url, answer.date)

    def look(self, uid: str, patience: Patience) -> Outcome:
        """GET a video."""
        answer = self._ask("GET", f"/{uid}", patience)
        if isinstance(answer, Trouble):
            return answer
        video = video_of(answer.result) if answer.envelope and answer.success else None
        if answer.status == 200 and video is not None and video.uid == uid:
            links = tuple(video.links.items())
            return Seen(
                video.state, video.marker_text, video.expiry, answer.date, video.detail, links
            )
        if answer.status == 404 and answer.envelope and not answer.success:
            return Absent(answer.date)
        if answer.denied:
            return Denied(answer.failure("to show the video"))
        return answer.trouble("Asking for the video")

    def delete(self, uid: str, patience: Patience) -> Outcome:
        """DELETE a video. Neither 200 nor 404 proves that it is gone."""
        answer = self._ask("DELETE", f"/{uid}", patience)
        if isinstance(answer, Trouble):
            return answer
        if 200 <= answer.status < 300 or answer.status == 404:
            return Deleted()
        if answer.denied:
            return Denied(answer.failure("to delete the video"))
        return answer.trouble("Deleting the video")

    def find(self, attempt: Attempt, patience: Callable[[], Patience]) -> Outcome:
        """The pending videos that carry the attempt's marker, and whether its UID is listed."""
        uids: list[str] = []
        listed, date = False, None
        # A lost create has no bytes: it is pending, whenever it was made. A UID is absent only
        # where no state lists it.
        lost = attempt.uid is None
        filters = {"status": PENDING} if lost else {}
        for page in self.pages(filters, None if lost else attempt.since, patience):
            if not isinstance(page, Page):
                return page
            date = page.date
            for video in page.videos:
                listed = listed or video.uid == attempt.uid
                if video.marker_text == attempt.marker and video.state == PENDING:
                    uids.append(video.uid)
        return Found(tuple(uids), listed, date)

    def pages(
        self,
        filters: Mapping[str, str],
        since: float | None,
        patience: Callable[[], Patience],
    ) -> Iterator[Page | Trouble | Denied]:
        """Every page of a list, oldest first; a `Trouble` or `Denied` ends it.

        Stream has no page numbers: the next page starts at a creation time, and whether that bound
        is inclusive is not known. So it is set one step before the last, and repeats are dropped.
        """
        query = {"asc": "true", "limit": str(PAGE), **filters}
        if since is not None:
            # An hour of doubt: the Date of a reply may be later than the creation it announced.
            moment = datetime.fromtimestamp(max(0.0, since - 3600), UTC)
            query["start"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        seen: set[str] = set()
        for _ in range(MOST_PAGES):
            page = self._page(query, patience())
            if not isinstance(page, Page):
                yield page
                return
            fresh = [video for video in page.videos if video.uid not in seen]
            seen.update(video.uid for video in fresh)
            yield Page(tuple(fresh), page.date)
            if page.length < PAGE:
                return
            times = sorted({video.created for video in page.videos})
            bound = times[-2 if len(times) > 1 and fresh else -1] if times else None
            if bound is None or (not fresh and bound == query.get("start")):
                break
            query["start"] = bound
        yield Trouble("the list cannot be read to its end")

    def _page(self, query: Mapping[str, str], patience: Patience) -> Page | Trouble | Denied:
        answer = self._ask("GET", f"?{urlencode(query)}", patience, max_body=LIST_BYTES)
        if isinstance(answer, Trouble):
            return answer
        if answer.status == 200 and answer.success and isinstance(answer.result, list):
            videos = [video for item in answer.result if (video := video_of(item)) is not None]
            return Page(tuple(videos), answer.date, len(answer.result))
        if answer.denied or (answer.envelope and answer.status in (400, 404)):
            return Denied(answer.failure("to list the videos"))
        return answer.trouble("Listing the videos")

    def get(self, uid: str, patience: Patience) -> Answer | Trouble:
        """GET a video as Stream tells it."""
        return self._ask("GET", f"/{uid}", patience)

    def edit(self, uid: str, changes: Mapping[str, Any], patience: Patience) -> Answer | Trouble:
        """POST changed fields of a video; ``meta`` is replaced as a whole."""
        body = json.dumps(changes).encode()
        return self._ask("POST", f"/{uid}", patience, body=body)

    def _ask(
        self,
        method: str,
        rest: str,
        patience: Patience,
        *,
        body: bytes | None = None,
        max_body: int | None = None,
    ) -> Answer | Trouble:
        headers = {"accept": "application/json"}
        if body is not None:
            headers |= {"content-type": "application/json", "content-length": str(len(body))}
        self._count()
        try:
            reply = self._wire.request(
                method,
                self._videos + rest,
                headers=headers,
                body=None if body is None else iter((body,)),
                patience=patience,
                **({} if max_body is None else {"max_body": max_body}),
            )
        except (NoConnection, Lost) as error:
            return Trouble(str(error))
        return self._deciphered(reply)

    def _deciphered(self, reply: Reply) -> Answer:
        answer = decipher(reply.status, reply.headers, reply.body, reply.redact)
        self.date = answer.date or self.date
        if answer.status == _TOO_MANY and self._counter is not None:
            self._counter.refused(answer.retry_after)
        return answer

    def _count(self) -> None:
        if self._counter is not None:
            self._counter.spent()


@dataclass(frozen=True, slots=True)
class Page:
    """Videos of one page; ``length`` counts what Stream sent, repeats included."""

    videos: tuple[Video, ...]
    date: float | None
    length: int = 0

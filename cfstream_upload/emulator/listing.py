"""``GET /accounts/{id}/stream``: filters, order, and the cursor made of ``created``.

https://developers.cloudflare.com/api/resources/stream/methods/list/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import fields
from .envelopes import bad_request, success
from .exchange import Reply
from .library import Library
from .switches import Switches
from .videos import STATES, Video

MOST = 1000


@dataclass(frozen=True)
class Filters:
    """What a list was asked for; None or empty where the query did not say.

    ``after`` and ``before`` are the cursor: exact nanoseconds, ends as the switches have them.
    """

    statuses: frozenset[str]
    ids: frozenset[str]
    names: frozenset[str]
    creator: str | None
    video_name: str | None
    search: str | None
    recorded: bool
    after: int | None
    before: int | None
    ascending: bool
    counts: bool
    limit: int


def read_filters(pairs: Sequence[tuple[str, str]], switches: Switches) -> Filters:
    """Read the query of a list; refuse values that are out of range. Unknown names are ignored."""
    query = dict(pairs)
    statuses = _many(query, "status")
    if not statuses <= set(STATES):
        raise bad_request("status is not a known state")
    if query.get("type", "vod") not in ("vod", "live"):
        raise bad_request("type must be vod or live")
    return Filters(
        statuses=statuses,
        ids=_many(query, "id"),
        names=_many(query, "name"),
        creator=query.get("creator"),
        video_name=query.get("video_name"),
        search=query.get("search"),
        recorded=query.get("type") == "live" or "live_input_id" in query,
        after=_bound(query, ("start", "after"), 0 if switches.after_inclusive else 1),
        before=_bound(query, ("end", "before"), 1 if switches.before_inclusive else 0),
        ascending=_flag(query, "asc"),
        counts=_flag(query, "include_counts"),
        limit=_limit(query.get("limit", str(MOST))),
    )


def answer_list(library: Library, filters: Filters, switches: Switches, lag: float = 0.0) -> Reply:
    """Answer with one page. ``total`` ignores the cursor and the limit, ``range`` the limit.

    ``lag`` is in seconds, and counts where it is longer than that of the switches.
    """
    matching = [video for video in library.listed(lag) if _matches(video, library, filters)]
    in_range = [video for video in matching if _within(video, filters)]
    ordered = in_range if filters.ascending else in_range[::-1]
    page = [library.shown(video) for video in ordered[: filters.limit]]
    if not filters.counts:
        return success(page)
    shape = int if switches.total_as == "int" else str
    return success(page, total=shape(len(matching)), range=shape(len(in_range)))


def _matches(video: Video, library: Library, filters: Filters) -> bool:
    name = str(video.meta.get("name", ""))
    return (
        not filters.recorded
        and (not filters.statuses or library.state(video) in filters.statuses)
        and (not filters.ids or video.uid in filters.ids)
        and (not filters.names or not filters.names.isdisjoint((name, video.uid)))
        and filters.creator in (None, video.creator)
        and filters.video_name in (None, name)
        and (filters.search is None or filters.search.lower() in name.lower())
    )


def _within(video: Video, filters: Filters) -> bool:
    return (filters.after is None or video.created >= filters.after) and (
        filters.before is None or video.created < filters.before
    )


def _many(query: Mapping[str, str], name: str) -> frozenset[str]:
    return frozenset(part.strip() for part in query.get(name, "").split(",") if part.strip())


def _flag(query: Mapping[str, str], name: str) -> bool:
    value = query.get(name, "false")
    if value not in ("true", "false"):
        raise bad_request(f"{name} must be true or false")
    return value == "true"


def _bound(query: Mapping[str, str], names: tuple[str, str], shift: int) -> int | None:
    for name in names:
        if name in query:
            return fields.moment(name, query[name]) + shift
    return None


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
        raise bad_request(f"limit must be between 1 and {MOST}")
    return int(text)

"""``cfupload list``, ``get`` and ``delete``: the account's videos, whoever made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.everywhere import with_everywhere
from cfstream_upload.cli.groups import option
from cfstream_upload.errors import NoSuchVideo, UsageProblem

if TYPE_CHECKING:
    from cfstream_upload.session import Session
    from cfstream_upload.video import Video


STATES = ("pendingupload", "downloading", "queued", "inprogress", "ready", "error")
"""What ``--state`` may name."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("list")(with_everywhere(list_videos))
    app.command("get")(with_everywhere(get))
    app.command("delete")(with_everywhere(delete))


def list_videos(
    desk: Desk,
    state: Annotated[
        str | None, option("--state", metavar="STATE", help="Only this state, like pendingupload.")
    ] = None,
    creator: Annotated[
        str | None, option("--creator", metavar="TEXT", help="Only this creator.")
    ] = None,
) -> int:
    """List the account's videos, the oldest first.

    Examples:

        cfupload list

        cfupload list --state pendingupload --json
    """
    from cfstream_upload.stream import Page
    from cfstream_upload.sweeping import api_problem

    state = state.lower() if state else None
    filters = {k: v for k, v in (("status", state), ("creator", creator)) if v is not None}
    found: list[Video] = []
    with desk.session() as session:
        for page in session.api.pages(filters, None, session.patience):
            if not isinstance(page, Page):
                raise api_problem(page)
            found += page.videos
    if desk.common.mode == "json":
        desk.console.document({"version": 1, "videos": [v.raw for v in found], "error": None})
    elif desk.common.mode == "ndjson":
        for video in found:
            desk.console.event({"message_type": "video", "video": video.raw})
    elif desk.common.mode == "quiet":
        for video in found:
            desk.console.line(video.uid)
    elif not found:
        desk.console.line("No videos.")
    else:
        desk.console.table(
            ["UID", "STATE", "SIZE", "CREATED", "NAME"], [_line(video) for video in found]
        )
    return 0


def _line(video: Video) -> list[str]:
    from cfstream_upload.units import human_size

    shown = "-" if video.size is None else human_size(video.size)
    return [video.uid, video.state, shown, video.created[:19].replace("T", " "), video.name]


def get(desk: Desk, uid: Annotated[str, typer.Argument(metavar="UID")]) -> int:
    """Show one video as Stream describes it.

    Examples:

        cfupload get 0123456789abcdef0123456789abcdef

        cfupload get --json 0123456789abcdef0123456789abcdef
    """
    with desk.session() as session:
        video = looked_up(session, uid_of(uid))
    show(desk, video)
    return 0


def show(desk: Desk, video: Video) -> None:
    """Tell of one video as the mode wants it."""
    if desk.common.mode == "json":
        desk.console.document({"version": 1, "videos": [video.raw], "error": None})
    elif desk.common.mode == "ndjson":
        desk.console.event({"message_type": "video", "video": video.raw})
    elif desk.common.mode == "quiet":
        desk.console.line(video.uid)
    else:
        for name, value in _facts(video):
            if value:
                desk.console.line(f"{name:<13} {value}")


def _facts(video: Video) -> list[tuple[str, str]]:
    raw: Any = video.raw
    return [
        ("uid", video.uid),
        ("state", video.state),
        ("error", video.detail),
        ("name", video.name),
        ("size", str(raw.get("size") or "")),
        ("created", video.created),
        ("uploadExpiry", str(raw.get("uploadExpiry") or "")),
        *((name, link or "") for name, link in video.links.items()),
    ]


def looked_up(session: Session, uid: str) -> Video:
    """The video ``uid``. Raises `NoSuchVideo`, or what the call met."""
    from cfstream_upload.outcome import Trouble
    from cfstream_upload.sweeping import api_problem
    from cfstream_upload.video import video_of

    answer = session.api.get(uid, session.patience())
    if isinstance(answer, Trouble):
        raise api_problem(answer)
    video = video_of(answer.result) if answer.success else None
    if video is not None:
        return video
    if answer.status == 404 and answer.envelope:
        raise NoSuchVideo(f"Stream has no video {uid}", "See: cfupload list", uid=uid)
    raise _problem(answer, "to show the video")


def delete(
    desk: Desk,
    uid: Annotated[str, typer.Argument(metavar="UID")],
    yes: Annotated[bool, option("-y", "--yes", help="Do not ask.", env=False)] = False,
) -> int:
    """Delete any video, and drop its receipt.

    Examples:

        cfupload delete 0123456789abcdef0123456789abcdef

        cfupload delete --yes 0123456789abcdef0123456789abcdef
    """
    from cfstream_upload.removing import remove

    uid = uid_of(uid)
    with desk.session() as session:
        video = looked_up(session, uid)
        if not yes and not desk.console.ask(f"Delete {video.name or 'the video'} ({uid})?"):
            raise UsageProblem("Nothing was deleted", "To delete without a question: --yes")
        remove(session, uid)
    if desk.common.mode == "json":
        desk.console.document({"version": 1, "videos": [video.raw], "error": None})
    elif desk.common.mode == "ndjson":
        desk.console.event({"message_type": "deleted", "uid": uid, "video": video.raw})
    else:
        desk.console.line(uid if desk.common.mode == "quiet" else f"Deleted {uid}")
    return 0


def _problem(answer: Any, what: str) -> Exception:  # noqa: ANN401  # an Answer, imported lazily
    from cfstream_upload.outcome import Denied
    from cfstream_upload.sweeping import api_problem

    return api_problem(Denied(answer.failure(what)) if answer.denied else answer.trouble(what))


def uid_of(text: str) -> str:
    """The UID that somebody typed. Raises `UsageProblem`."""
    from cfstream_upload.attempt import is_uid

    uid = text.strip().lower()
    if not is_uid(uid):
        raise UsageProblem(f"{text!r} is no UID", "A UID has 32 hex digits: cfupload list")
    return uid

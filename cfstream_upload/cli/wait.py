"""``cfupload wait``: until a video can be played, or is encoded."""

from __future__ import annotations

from typing import Annotated

import typer

from cfstream_upload.cli.arriving import WAIT, goal_of
from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.everywhere import with_everywhere
from cfstream_upload.cli.groups import option
from cfstream_upload.cli.videos import show, uid_of
from cfstream_upload.errors import CfuploadError


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("wait")(with_everywhere(wait))


def wait(
    desk: Desk,
    uid: Annotated[str, typer.Argument(metavar="UID")],
    until: Annotated[
        str, option("--wait", metavar=WAIT, help="Until the video is this far.")
    ] = "ready",
    wait_timeout: Annotated[
        str, option("--wait-timeout", metavar="TIME", help="How long that may take.")
    ] = "30m",
) -> int:
    """Wait until a video is encoded, or as far as --wait says; exits 8 when that took too long.

    Nothing is sent or deleted.

    Examples:

        cfupload wait 0123456789abcdef0123456789abcdef

        cfupload wait --wait-timeout 5m 0123456789abcdef0123456789abcdef
    """
    from cfstream_upload.interruption import Interruption, signals_as
    from cfstream_upload.result import error_document
    from cfstream_upload.waiting import Vigil

    uid, goal, interruption = uid_of(uid), goal_of(until, wait_timeout), Interruption()
    with signals_as(interruption), desk.session(interruption=interruption) as session:
        vigil = Vigil(session, uid, goal)
        try:
            video = vigil.wait()
        except CfuploadError as error:
            if desk.common.mode != "json":
                raise
            desk.console.problem(error)
            seen = [] if vigil.video is None else [vigil.video.raw]
            desk.console.document({"version": 1, "videos": seen, "error": error_document(error)})
            return error.exit_code
    if desk.common.mode != "ndjson":
        # There its `ready` event was told.
        show(desk, video)
    return 0

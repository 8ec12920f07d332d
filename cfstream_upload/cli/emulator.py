"""``cfupload emulator`` and ``cfupload demo``: the embedded Stream."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cfstream_upload.cli.desk import Desk, local_folder, state_dir
from cfstream_upload.cli.emulating import ServerOptions, exports, serve
from cfstream_upload.cli.everywhere import with_everywhere
from cfstream_upload.cli.faultoptions import FaultOptions
from cfstream_upload.cli.groups import option

if TYPE_CHECKING:
    from cfstream_upload.emulator.endpoint import Endpoint


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("emulator")(with_everywhere(emulator))
    app.command("demo")(with_everywhere(demo))


def emulator(
    desk: Desk,
    options: ServerOptions,
    faults: FaultOptions,
    stop: Annotated[
        bool, option("--stop", help="End the one that --local started.", env=False)
    ] = False,
) -> int:
    """Run the embedded Stream as a server, until Ctrl-C or SIGTERM.

    Examples:

        cfupload emulator --port 8787

        cfupload emulator --data ./stream --seed 1

        cfupload emulator --fault 'PATCH 3 cut=1MB'

        cfupload emulator --stop
    """
    if stop:
        from cfstream_upload.emulator import detached

        ended = detached.stop(local_folder(state_dir()))
        if not _told(desk, None):
            desk.console.line("Stopped." if ended else "No embedded Stream was running.")
        return 0
    return serve(desk, options, faults, lambda endpoint: _tell(desk, endpoint))


def _tell(desk: Desk, endpoint: Endpoint) -> None:
    if not _told(desk, endpoint):
        for line in exports(endpoint):
            desk.console.line(line)


def _told(desk: Desk, endpoint: Endpoint | None) -> bool:
    """Tell a program where the embedded Stream is, or that none is left; False for a person."""
    from cfstream_upload.documents import document

    content = None if endpoint is None else asdict(endpoint)
    if desk.common.mode == "json":
        desk.console.document(document("emulator", content))
    elif desk.common.mode == "ndjson":
        desk.console.event({"message_type": "emulator", "emulator": content})
    return desk.common.mode in ("json", "ndjson")


def demo(desk: Desk) -> int:
    """Show what happens when things break.

    Four acts on real sockets, in about twenty seconds.

    Examples:

        cfupload demo

        cfupload demo --json
    """
    from cfstream_upload.cli.demonstration import Demonstration

    return Demonstration(desk).run()

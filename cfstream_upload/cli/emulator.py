"""``cfupload emulator`` and ``cfupload demo``: the embedded Stream."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cfstream_upload.cli.desk import Desk, state_dir
from cfstream_upload.cli.everywhere import with_everywhere
from cfstream_upload.cli.faultoptions import FaultOptions, told
from cfstream_upload.cli.groups import option
from cfstream_upload.errors import ExtraMissing, UsageProblem

if TYPE_CHECKING:
    from cfstream_upload.emulator.endpoint import Endpoint


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("emulator")(with_everywhere(emulator))
    app.command("demo")(with_everywhere(demo))


def emulator(
    desk: Desk,
    faults: FaultOptions,
    port: Annotated[
        int | None,
        option("--port", metavar="N", help="The port to listen on [any].", min=0, max=65535),
    ] = None,
    stop: Annotated[
        bool, option("--stop", help="End the one that --local started.", env=False)
    ] = False,
) -> int:
    """Run the embedded Stream as a server, until Ctrl-C.

    Examples:

        cfupload emulator --port 8787

        cfupload emulator --fault 'PATCH 3 cut=1MB'

        cfupload emulator --stop
    """
    from cfstream_upload.emulator import detached

    if stop:
        ended = detached.stop(state_dir() / "local")
        if not _told(desk, None):
            desk.console.line("Stopped." if ended else "No embedded Stream was running.")
        return 0
    return _serve(desk, port or 0, faults)


def _serve(desk: Desk, port: int, faults: FaultOptions) -> int:
    wanted = faults.script()
    try:
        from cfstream_upload.emulator import server
    except ImportError as missing:
        raise ExtraMissing(
            f"The embedded Stream needs the extra 'emulator' ({missing.name} is missing)",
            "Run: pip install 'cfstream-upload[emulator]'",
        ) from None
    from cfstream_upload.emulator.model import Stream
    from cfstream_upload.emulator.stage import Stage

    try:
        listener = server.listen(port)
    except OSError as error:
        raise UsageProblem(
            f"Port {port} cannot be used ({error.strerror})", "Choose another, or none at all."
        ) from None
    served = Stage(
        Stream(),
        listener,
        faults=wanted,
        token_listener=server.listen_beside(listener),
        on_strike=lambda strike: desk.console.say(told(strike)),
    )
    endpoint = served.endpoint
    if not _told(desk, endpoint):
        desk.console.line(f"export CLOUDFLARE_API_BASE_URL={endpoint.base_url}")
        desk.console.line(f"export CLOUDFLARE_ACCOUNT_ID={endpoint.account}")
        desk.console.line(f"export CLOUDFLARE_API_TOKEN={endpoint.token}")
    desk.console.warning("the embedded Stream keeps videos in memory until it ends: Ctrl-C")
    served.serve()
    return 0


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

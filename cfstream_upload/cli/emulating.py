"""The embedded Stream served by a command: its options, its life from start to end."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shlex
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.faultoptions import FaultOptions, told
from cfstream_upload.cli.groups import option
from cfstream_upload.errors import ExtraMissing, UsageProblem

if TYPE_CHECKING:
    import socket

    from cfstream_upload.emulator.endpoint import Endpoint
    from cfstream_upload.emulator.model import Stream

WHERE = "Where"
WHO = "Who it is, and what it keeps"


@dataclass
class ServerOptions:
    """Where it listens, who it is, and what it keeps."""

    port: Annotated[
        int | None,
        option(
            "--port",
            metavar="N",
            help="The port to listen on [any].",
            min=0,
            max=65535,
            rich_help_panel=WHERE,
        ),
    ] = None
    host: Annotated[
        str | None,
        option(
            "--host",
            metavar="ADDRESS",
            help="The address to listen on [127.0.0.1].",
            rich_help_panel=WHERE,
        ),
    ] = None
    ready_file: Annotated[
        Path | None,
        option(
            "--ready-file",
            metavar="FILE",
            help="Written once it can be reached: JSON with its address and token.",
            rich_help_panel=WHERE,
        ),
    ] = None
    data: Annotated[
        Path | None,
        option(
            "--data",
            metavar="DIR",
            help="Keep everything in this folder, its own [memory].",
            rich_help_panel=WHO,
        ),
    ] = None
    seed: Annotated[
        int | None,
        option(
            "--seed",
            metavar="N",
            help="The same account, token and UIDs each time.",
            min=0,
            rich_help_panel=WHO,
        ),
    ] = None
    account: Annotated[
        str | None,
        option(
            "--account",
            metavar="ID",
            help="Its account, 32 hex digits [random].",
            rich_help_panel=WHO,
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        option(
            "--token-file",
            metavar="FILE",
            help="Holds the token to accept [random].",
            rich_help_panel=WHO,
        ),
    ] = None
    switch: Annotated[
        list[str] | None,
        option(
            "--switch",
            metavar="NAME=VALUE",
            help="What is unknown of Stream, set; repeatable (docs/emulator.md).",
            rich_help_panel=WHO,
        ),
    ] = None


def serve(
    desk: Desk, options: ServerOptions, faults: FaultOptions, tell: Callable[[Endpoint], None]
) -> int:
    """Serve until SIGTERM or Ctrl-C; ``tell`` hears where it can be reached."""
    wanted = faults.script()
    if options.ready_file is not None:
        # One that a killed emulator left behind would be believed.
        _removed(options.ready_file)
    try:
        from cfstream_upload.emulator.listening import listen_beside
        from cfstream_upload.emulator.routes import API
        from cfstream_upload.emulator.stage import Stage
    except ImportError as missing:
        raise ExtraMissing(
            f"The embedded Stream needs the extra 'emulator' ({missing.name} is missing)",
            "Run: pip install 'cfstream-upload[emulator]'",
        ) from None
    with contextlib.ExitStack() as held:
        service = _service(options, held)
        listener = held.enter_context(_listener(options))
        server = Stage(
            service,
            listener,
            faults=wanted,
            token_listener=held.enter_context(listen_beside(listener)),
            on_strike=lambda strike: desk.console.say(told(strike)),
        )
        held.enter_context(_on_sigterm(server.stop))
        _warn(desk, options, listener)
        tell(server.endpoint)
        root = server.endpoint.base_url.removesuffix(API)
        desk.console.say(f"Its pages, live, for a browser on this machine: {root}/")
        # Last, so that whoever waits for it finds everything else in place.
        if options.ready_file is not None:
            held.enter_context(_announced(options.ready_file, server.endpoint))
        server.serve()
    return 0


def exports(endpoint: Endpoint) -> list[str]:
    """What a shell exports for this program and for Cloudflare's own SDKs."""
    return [f"export {name}={shlex.quote(value)}" for name, value in endpoint.environment.items()]


def _service(options: ServerOptions, held: contextlib.ExitStack) -> Stream:
    from cfstream_upload.emulator import datafolder, identity
    from cfstream_upload.emulator.endpoint import DataFolderUnusable
    from cfstream_upload.emulator.model import Stream
    from cfstream_upload.emulator.switchtext import read_switches

    account, token = _account(options.account), _token(options.token_file)
    try:
        switches = read_switches(options.switch or ())
        if options.data is None:
            own = identity.new_identity(account, token, options.seed)
            videos, new_uid = None, identity.Uids(own)
        else:
            opened = datafolder.opened(
                options.data, account=account, token=token, seed=options.seed
            )
            folder = held.enter_context(opened)
            own, videos, new_uid = folder.identity, folder.videos, folder.new_uid
        return Stream(
            data=videos, account=own.account, token=own.token, new_uid=new_uid, switches=switches
        )
    except DataFolderUnusable as problem:
        raise UsageProblem(problem.message, problem.hint) from None
    except ValueError as wrong:
        raise UsageProblem(str(wrong), "Like: --switch after_expiry=410") from None


def _account(text: str | None) -> str | None:
    from cfstream_upload.emulator.routes import is_hex32

    if text is not None and not is_hex32(text):
        raise UsageProblem("--account takes 32 hex digits in lower case", f"Like: {'0' * 31}1")
    return text


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not plain text"
        raise UsageProblem(f"--token-file {path} cannot be read: {reason}") from None
    if not token or not token.isprintable() or " " in token:
        raise UsageProblem(f"--token-file {path} holds no token", "Put one word into it.")
    return token


def _listener(options: ServerOptions) -> socket.socket:
    from cfstream_upload.emulator import listening

    try:
        return listening.listen(options.port or 0, host=options.host or listening.HOST)
    except OSError as error:
        place = f"Port {options.port or 0}" if options.host is None else f"Host {options.host}"
        raise UsageProblem(
            f"{place} cannot be used ({error.strerror})", "Choose another, or none at all."
        ) from None


def _warn(desk: Desk, options: ServerOptions, listener: socket.socket) -> None:
    address, port = listener.getsockname()[:2]
    if not ipaddress.ip_address(address).is_loopback:
        desk.console.warning(
            f"it listens on {address}: whoever can reach port {port} of this machine can try it,"
            " over plain http"
        )
    if options.data is None:
        desk.console.warning("the embedded Stream keeps videos in memory until it ends: Ctrl-C")


@contextlib.contextmanager
def _on_sigterm(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM end the block in good order, with exit code 0."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _announced(path: Path, endpoint: Endpoint) -> Iterator[None]:
    """Write the ready file, whole or not at all and readable by its owner; remove it at the end."""
    try:
        number, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(number, "w") as file:
            file.write(json.dumps(asdict(endpoint)) + "\n")
        Path(fresh).replace(path)
    except OSError as error:
        raise UsageProblem(f"--ready-file {path} cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        # Another emulator may have written its own meanwhile.
        with contextlib.suppress(OSError, ValueError, KeyError):
            if json.loads(path.read_bytes())["pid"] == endpoint.pid:
                path.unlink()


def _removed(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UsageProblem(f"--ready-file {path} cannot be replaced: {error.strerror}") from None

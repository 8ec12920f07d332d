"""Files on an SSH server: asyncssh's own, on a socket, with files of its own on disk."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest
from inprocess import MIB, Stage, stage
from mp4 import padded_mp4, sample

from cfstream_upload.emulator.proxy import TcpProxy
from cfstream_upload.errors import FileProblem
from cfstream_upload.selection import Rules, select
from cfstream_upload.sending import Sending, Wishes
from cfstream_upload.stores import Stores


@dataclass
class Ssh:
    """A server that lets one key in, and the home of whoever knows both."""

    port: int
    home: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    home = tmp_path_factory.mktemp("home")
    (home / ".ssh").mkdir(mode=0o700)
    ours, theirs = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    ours.write_private_key(str(home / ".ssh" / "id_ed25519"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        known = asyncssh.import_authorized_keys(ours.export_public_key().decode())
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[theirs], authorized_client_keys=known,
            sftp_factory=True,
        )  # fmt: skip

    async def end() -> None:
        acceptor.close()
        await acceptor.wait_closed()

    acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(20)
    port = acceptor.get_port()
    known = f"[127.0.0.1]:{port} {theirs.export_public_key().decode()}"
    (home / ".ssh" / "known_hosts").write_text(known)
    yield Ssh(port, home)
    asyncio.run_coroutine_threadsafe(end(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(autouse=True)
def at_home(server: Ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(server.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path)


def test_a_file_of_an_ssh_server_is_sent_once_and_a_cut_harms_no_byte(
    scene: Stage, server: Ssh, tmp_path: Path
) -> None:
    path = padded_mp4(tmp_path / "a b.mp4", 21 * MIB, sparse=False)
    with TcpProxy("127.0.0.1", server.port) as proxy, scene.session() as session:
        known = server.home / ".ssh" / "known_hosts"
        before = known.read_text()
        known.write_text(before + before.replace(str(server.port), str(proxy.port)))
        url = f"sftp://me@127.0.0.1:{proxy.port}{tmp_path}/a%20b.mp4"
        with session.stores.open(url) as source:
            assert source.name == "a b.mp4"
            blocks = source.blocks(0, source.size, block=MIB)
            data = next(blocks)
            proxy.break_connections()
            data += b"".join(blocks)
        assert hashlib.sha256(data).digest() == hashlib.sha256(path.read_bytes()).digest()
        sent = Sending(session, url, Wishes()).run()
        assert (sent.outcome, sent.file) == ("uploaded", url)
        assert Sending(session, url, Wishes()).run().outcome == "already"


def test_a_file_that_is_written_to_while_it_is_read_is_refused(server: Ssh, tmp_path: Path) -> None:
    path = padded_mp4(tmp_path / "a.mp4", 2 * MIB, sparse=False)
    with Stores() as stores, stores.open(f"sftp://me@127.0.0.1:{server.port}{path}") as source:
        with path.open("ab") as file:
            file.write(b"more")
        with pytest.raises(FileProblem, match="changed"):
            list(source.blocks(0, source.size))


def test_folders_and_what_cannot_be_read(server: Ssh, tmp_path: Path) -> None:
    for name in ("v/b.mp4", "v/a.mp4", "v/deep/c 1.mp4", "v/n.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(sample())
    base = f"sftp://me@127.0.0.1:{server.port}{tmp_path}"
    with Stores() as stores:
        found = select([base + "/v/"], [], Rules(recursive=True), stores).paths
        assert [one.removeprefix(base) for one in found] == [
            "/v/a.mp4", "/v/b.mp4", "/v/deep/c%201.mp4",
        ]  # fmt: skip
        with stores.open(found[2]) as source:
            assert source.size == len(sample())
        assert select([base + "/v/a*"], [], Rules(), stores).paths == found[:1]
        for name, words in (("/none.mp4", "no such file"), ("/v", "cannot read it")):
            with pytest.raises(FileProblem, match=words):
                stores.open(base + name)
    (server.home / ".ssh" / "known_hosts").rename(server.home / "known")
    with Stores() as stores, pytest.raises(FileProblem, match="key is not known"):
        stores.open(base + "/v/a.mp4")
    (server.home / "known").rename(server.home / ".ssh" / "known_hosts")
    (server.home / ".ssh" / "id_ed25519").rename(server.home / "id")
    with Stores() as stores, pytest.raises(FileProblem, match="no way to log in"):
        stores.open(base + "/v/a.mp4")
    (server.home / "id").rename(server.home / ".ssh" / "id_ed25519")

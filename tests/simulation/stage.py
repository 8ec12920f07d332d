"""The real client on the embedded Stream, its commands, and what befalls them."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest import mock
from uuid import UUID

from dying import Death
from inprocess import ACCOUNT, BASE, MIB
from simulation.client import FleetLedger, Kept, Ledger, Notice, empty_journal
from simulation.network import Books, Broken, Line, as_wire
from simulation.scale import CHUNK, SCALE
from simulation.story import Act, Disaster, Story
from simulation.versions import Versions
from simulation.world import World

from cfstream_upload import lock, onefile, sending
from cfstream_upload.attempt import Attempt, Stage
from cfstream_upload.config import Secret, Settings
from cfstream_upload.emulator.exchange import Request, converse
from cfstream_upload.emulator.model import Stream as Model
from cfstream_upload.emulator.switches import Switches
from cfstream_upload.ending import Policy
from cfstream_upload.errors import CfuploadError
from cfstream_upload.fleet.journal import Trust
from cfstream_upload.result import Result
from cfstream_upload.sending import Sending, Wishes
from cfstream_upload.session import Session
from cfstream_upload.stream import Stream as Api
from cfstream_upload.sweeping import Choice, plan, sweep
from cfstream_upload.transfer import Room

DATABASE: list[str] = []
"""The URL of a database of this process alone: its journal is used in place of SQLite's."""
SIZE = 11 * MIB // SCALE
PENDING = "pendingupload"


@dataclass
class Play:
    """One story being played in ``folder``; ``heard`` is told how each ``send`` ended."""

    story: Story
    folder: Path
    world: World = field(default_factory=World)
    books: Books = field(default_factory=Books)
    mix: Counter[str] = field(default_factory=Counter)
    heard: Callable[[Result], None] = lambda result: None

    def __post_init__(self) -> None:
        dice = random.Random(str(self.story))
        self._number: Callable[[], int] = lambda: dice.getrandbits(128)
        self.model = Model(
            account=ACCOUNT, token="t" * 40, now=self.world.clock.there,
            new_uid=lambda: f"{self._number():032x}", switches=Switches(**self.story.switches),
        )  # fmt: skip
        self.file = Versions(self.folder / "big.mp4")
        self.file.become(SIZE)
        self._journals: dict[str, Ledger | FleetLedger] = {}
        self.books.strangers = {self._stranger("name eA=="), self._stranger("cfupload eA==")}

    def _stranger(self, metadata: str) -> str:
        headers = {
            "tus-resumable": "1.0.0", "upload-length": "9", "upload-metadata": metadata,
            "authorization": f"Bearer {self.model.token}", "host": "127.0.0.1:9",
        }  # fmt: skip
        path = f"/client/v4/accounts/{ACCOUNT}/stream"
        request = Request("POST", path, {"direct_user": "true"}, headers)
        return converse(self.model, request).headers["stream-media-id"]

    def _uuid(self) -> UUID:
        return UUID(int=self._number())

    # --- the story -------------------------------------------------------------------------------

    @contextmanager
    def staged(self) -> Iterator[None]:
        """While inside, time and chance are the story's."""
        clocks = SimpleNamespace(time=self.world.clock.there, monotonic=self.world.clock.here)
        try:
            with (
                mock.patch.object(onefile, "uuid4", self._uuid),
                mock.patch.object(sending, "time", clocks),
                mock.patch.object(lock, "time", SimpleNamespace(sleep=self.world.sleep)),
            ):
                yield
        finally:
            for journal in self._journals.values():
                journal.close()
            shutil.rmtree(self.folder / "locks", ignore_errors=True)

    def points_of(self, number: int) -> list[tuple[str, int, str]]:
        """Play the acts up to this one: its requests and commits, in their order."""
        with self.staged():
            for act in self.story.acts[: number + 1]:
                self.act(act)
        return self.world.trace

    def act(self, act: Act) -> None:
        """Run the commands of one act."""
        if act.edit:
            self._edit(act.edit)
        self.world.befall(act.disasters)
        self.world.play([partial(self._command, name) for name in act.commands], act.turns)
        self.world.disasters = ()
        self.world.clock.pass_by(act.wait)

    def _command(self, name: str) -> None:
        state = "other" if name.startswith("other") else "state"
        if name.endswith("sweep"):
            self.sweep(state)
        else:
            self.heard(self.send(state))

    def _edit(self, how: str) -> None:
        self.file.become(SIZE + {"rewritten": 0, "longer": 5000, "shorter": -5000}[how])

    @property
    def has_lost_its_record(self) -> bool:
        """Whether Stream lost what it had acknowledged, and then the whole record."""
        vanishes = self.story.switches.get("expired_record") == "vanishes"
        return vanishes and "the tail is lost" in self.world.struck and not self.ours()

    def send(self, state: str = "state", *, again: bool = False) -> Result:
        """One ``send`` of the file."""
        with self._session(state) as session:
            result = Sending(session, str(self.file.path), Wishes(again=again)).run()
        self.mix[f"exit {result.exit_code}"] += 1
        if result.exit_code in (0, 11) and result.uid:
            self.books.told.setdefault(result.uid, self.model.sha256(result.uid))
        return result

    def sweep(self, state: str = "state") -> None:
        """One ``cleanup --orphans``."""
        with self._session(state) as session:
            choice = Choice(orphans=True)
            try:
                for swept in sweep(session, plan(session, choice), choice):
                    self.mix[f"swept: {swept.outcome}"] += 1
            except CfuploadError as error:
                if error.exit_code == 1:
                    raise Broken(f"cleanup: {error.message}") from error
                self.mix[f"sweep exit {error.exit_code}"] += 1

    def _session(self, state: str) -> Session:
        settings = Settings(
            base=BASE, account=ACCOUNT, token=Secret(self.model.token),
            state_dir=self.folder, label="",
            host_id="cd" * 16 if self.story.shared_host else None, ca_cert=None, proxy=None,
        )  # fmt: skip
        # Stream is asked less often whether a file is whole: it is the same question each time.
        policy = Policy(largest_chunk=CHUNK, look_gap=10.0, retries=4)
        notice = Notice(self.world, self._befall)
        befall = partial(self._befall, notice=notice)
        notice._befall = befall
        session = Session(settings, policy, notice)
        line = Line(self.world, self.model, self.books, befall)
        wire = as_wire(line)
        api = Api(wire, BASE, ACCOUNT)
        journal = self._journal(state)
        journal.befall = befall
        vars(session).update(
            journal=Kept(journal), wire=wire, api=api,
            room=Room(
                journal, wire, api, policy, notice, session.tell,
                clock=self.world.clock.here, chance=lambda: 0.5,
            ),
        )  # fmt: skip
        return session

    def _journal(self, state: str) -> Ledger | FleetLedger:
        if state not in self._journals and DATABASE:
            shared = FleetLedger(DATABASE[0], Trust(self.folder))
            shared.link.connect()
            shared.world = self.world
            for table in ("attempts", "watches"):
                shared._run(f"DELETE FROM cfupload.{table}")
            self._journals[state] = shared
        if state not in self._journals:
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            connection.deserialize(empty_journal())
            journal = Ledger(self.folder, connection)
            journal.world = self.world
            self._journals[state] = journal
        return self._journals[state]

    # --- what befalls a command ------------------------------------------------------------------

    def _befall(self, disaster: Disaster, notice: Notice | None = None) -> None:
        match disaster.what:
            case "dies before":
                raise Death
            case "a signal" if notice:
                notice.stop()
            case "two signals" if notice:
                notice.stop()
                notice.stop()
            case "the file is edited":
                self._edit("rewritten")
            case "the file is cut":
                self._edit("shorter")
            case "the tail is lost":
                self._lose_tail()
            case "the machine sleeps":
                self.world.clock.pass_by(disaster.seconds, asleep=True)
            case "the network is down":
                self.world.down_until = self.world.clock.now + disaster.seconds
            case "the token is dead":
                self.world.denied_until = self.world.clock.now + disaster.seconds
            case "Stream cannot process it":
                self._spoil()

    def _lose_tail(self) -> None:
        """Bytes that were acknowledged are lost, while the video still says that it is pending."""
        library = self.model._library
        for video in library.records():
            is_whole = video.deleted is None and video.whole is not None
            if is_whole and library.state(video) == PENDING:
                data = self.file.contents[self.model.sha256(video.uid)]
                library._store.drop_media(video.uid)
                library.media(video.uid).append(data[:-CHUNK])
                library.media(video.uid).settle(len(data) - CHUNK)
                library.change(video.uid, {"whole": None, "offset": len(data) - CHUNK})

    def _spoil(self) -> None:
        library = self.model._library
        for video in library.records():
            if video.deleted is None and video.uid not in self.books.strangers:
                library.change(video.uid, {"reason": "ERR_BROKEN"})

    # --- what is ---------------------------------------------------------------------------------

    def ours(self) -> dict[str, str]:
        """UID to state of every video but the strangers', which must all be there."""
        states = {str(v["uid"]): str(v["status"]["state"]) for v in self.model.videos()}  # type: ignore[index]  # the API's own shape
        vanish = self.story.switches.get("expired_record") == "vanishes"
        if not vanish and not self.books.strangers <= set(states):
            raise Broken("a stranger's video is gone")
        return {uid: state for uid, state in states.items() if uid not in self.books.strangers}

    def rows(self) -> list[Attempt]:
        """The rows of every state directory."""
        return [row for journal in self._journals.values() for row in journal.rows()]

    def open_rows(self) -> list[Stage]:
        """The stages of the rows that are no receipts."""
        return [row.stage for row in self.rows() if row.stage is not Stage.STORED]

    def is_whole(self, uid: str) -> bool:
        """Whether Stream has every byte, whatever it says of the video."""
        video = self.model._library.record(uid)
        return video is not None and video.whole is not None

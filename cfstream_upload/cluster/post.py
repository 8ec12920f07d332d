"""A run at one worker: what its files share, in this process and under its own settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from signal import SIGTERM

from cfstream_upload import config
from cfstream_upload.cluster.letters import Json, Order, Reply, Terms, read_result, written_reply
from cfstream_upload.cluster.outbox import Outbox
from cfstream_upload.cluster.terms import answer_with, at, mismatch, software, terms_of
from cfstream_upload.credentials import secrets_of
from cfstream_upload.ending import Policy
from cfstream_upload.errors import CfuploadError, Interrupted, NotStarted, described
from cfstream_upload.onefile import Wishes
from cfstream_upload.result import Result
from cfstream_upload.sending import Sending
from cfstream_upload.session import Session
from cfstream_upload.throttle import Throttle
from cfstream_upload.video import VideoOptions
from cfstream_upload.waiting import Goal


@dataclass(frozen=True, slots=True)
class Plan:
    """How each file of a run is to be sent; times are seconds."""

    wishes: Wishes
    policy: Policy
    stall: float
    connect_timeout: float
    calls: int

    def written(self) -> Json:
        """This plan, for workers of the same version."""
        return asdict(self)

    @classmethod
    def read(cls, letter: Json) -> Plan:
        """What `written` wrote; JSON has no tuples, and these values have no lists."""
        wishes, policy = dict(letter["wishes"]), letter["policy"]
        wishes["options"] = VideoOptions(**_with_tuples(wishes["options"]))
        wishes["wait"] = Goal(**wishes["wait"])
        rest = {name: letter[name] for name in ("stall", "connect_timeout", "calls")}
        return cls(Wishes(**wishes), Policy(**_with_tuples(policy)), **rest)


def _with_tuples(letter: Json) -> Json:
    return {name: _frozen(value) for name, value in letter.items()}


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def own_session() -> Session:
    """The account of this process's own environment and config file. Raises `ConfigProblem`."""
    return Session(config.resolve({}, os.environ, read_label=False))


class Post:
    """What the files of one run share at the worker ``name``.

    ``running`` counts those under way; whoever changes it holds a lock of his own.
    """

    def __init__(self, name: str, plan: Plan, session: Session, outbox: Outbox) -> None:
        self.name, self._plan = name, plan
        self.session, self._outbox = session, outbox
        self.running = 0
        self._held = self._left = False

    @classmethod
    def opened(cls, order: Order, name: str, mail: Callable[[bytes], None]) -> Post:
        """The post of the run of ``order``.

        Raises the `CfuploadError` that says why this worker must not send for it.
        """
        # Judged before the plan is read: another version may write it in another way.
        _refuse(name, software(), order["terms"], ("version", "python", "dask"))
        plan = Plan.read(order["plan"])
        try:
            session = own_session()
        except CfuploadError as problem:
            raise at(name, problem) from None
        try:
            _refuse(name, _terms_at(name, session), order["terms"], tuple(order["terms"]))
            outbox = Outbox(mail, session.redactor)
            for secret in (session.settings.token.reveal(), *secrets_of(os.environ)):
                session.redactor.add(secret)
            session.policy, session.tell = plan.policy, outbox.tell
            session.stall, session.connect_timeout = plan.stall, plan.connect_timeout
            session.calls = plan.calls
            if order["rate"] is not None:
                session.throttle = Throttle(order["rate"])
            # Opened before threads use it side by side.
            _ = session.room
            if session.company is not None:
                session.company.known_as(name)
        except BaseException:
            session.close()
            raise
        return cls(name, plan, session, outbox)

    def send(self, order: Order) -> bytes:
        """Send one file; what became of it, as a letter."""
        interruption = self.session.interruption
        if self.session.throttle is not None and order["rate"] is not None:
            self.session.throttle.rate = order["rate"]
        path, held = order["path"], False
        if interruption.count:
            error = Interrupted("Interrupted before this file", signum=interruption.signum)
            result = Result(path, "skipped", exit_code=error.exit_code, error=error)
        elif self._held:
            held, late = True, NotStarted("Not started: the run has ended", exit_code=1)
            result = Result(path, "skipped", exit_code=1, error=late)
        else:
            self._outbox.begun(order["number"])
            result = self._sent(path, order)
        # Before the reply, and by the same way: whoever hears of the end has heard the rest.
        self._outbox.flush()
        return written_reply(Reply(self.name, result, self._left, held), self.session.redactor)

    def _sent(self, path: str, order: Order) -> Result:
        known = None if order["known"] is None else read_result(order["known"])
        try:
            return Sending(self.session, path, self._plan.wishes, known).run()
        except Exception as bug:  # noqa: BLE001  one file's bug is that file's failure
            error = described(bug)
            return Result(path, "failed", exit_code=error.exit_code, error=error)

    def halt(self, count: int, signum: int, *, hold: bool) -> None:
        """Ask to stop until that was done ``count`` times; ``hold``: begin no more."""
        self._held = self._held or hold
        while not self._left and self.session.interruption.count < count:
            self.session.interruption.stop(signum)

    def leave(self) -> None:
        """Stop, and keep what is under way: another worker goes on with it."""
        self._left = True
        kept = replace(self._plan.policy, keep_failed=True)
        self.session.policy = self.session.room.policy = kept
        if not self.session.interruption.count:
            self.session.interruption.stop(SIGTERM)

    def say_goodbye(self) -> None:
        """Have the fleet's status tell that this worker has ended, and not that it is lost."""
        if self.session.company is not None:
            self.session.company.close()

    def close(self) -> None:
        """Close what was opened."""
        self.session.close()


def _terms_at(name: str, session: Session) -> Terms:
    try:
        return terms_of(session)
    except CfuploadError as problem:
        raise at(name, problem) from None


def _refuse(name: str, ours: object, wanted: Terms, keys: tuple[str, ...]) -> None:
    assert isinstance(ours, dict)
    # What is not judged yet is taken for the same.
    terms = {**wanted, **{key: ours.get(key) for key in keys}}
    if error := mismatch(wanted, answer_with(name, terms, None)):
        raise error

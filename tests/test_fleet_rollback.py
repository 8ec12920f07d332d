"""A rollback that a shared journal keeps waiting: signals meanwhile, and how long it lasts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from inprocess import MIB, Clock, Stage, Waiting, stage

from cfstream_upload import events
from cfstream_upload.attempt import Delete, Look, Patch, Step
from cfstream_upload.emulator.faults import Answer, Fault, Faulty
from cfstream_upload.errors import Unreached
from cfstream_upload.fleet.journal import FleetJournal, Trust
from cfstream_upload.fleet.link import Link
from cfstream_upload.outcome import Outcome
from cfstream_upload.result import Result
from cfstream_upload.sending import Sending, Wishes
from cfstream_upload.transfer import Carriage


class Asked(Waiting):
    """Signals by the stage's clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.at: list[float] = []

    def stop(self, signum: int = signal.SIGTERM) -> None:
        super().stop(signum)
        self.at.append(self._clock.now)

    def asked_for(self, seconds: float) -> bool:
        return bool(self.at) and self._clock.now - self.at[0] >= seconds


class Trial:
    """One send whose journal goes away before the first step of a kind, or after it."""

    def __init__(self, here: Stage, patch: pytest.MonkeyPatch) -> None:
        self.here, self.patch = here, patch
        self.asked = Asked(here.clock)
        self.away_since: float | None = None
        self.waits = 0
        self.lasts = float("inf")

    def loses(self, kind: type[Step], *, after: bool, signalled: bool) -> None:
        """``signalled``: the rollback was asked for; else Stream refused the second PATCH."""
        plain = Carriage._perform

        def perform(carriage: Carriage, step: Step) -> Outcome:
            if signalled and isinstance(step, Patch) and carriage.attempt.offset:
                self.asked.stop()
            wanted = isinstance(step, kind) and self.away_since is None
            if wanted and not after:
                self._away(carriage)
            found = plain(carriage, step)
            if wanted and after:
                self._away(carriage)
            return found

        self.patch.setattr(Carriage, "_perform", perform)
        if not signalled:
            faulty = Faulty(self.here.model)
            faulty.set(Fault(Answer(413), method="PATCH", nth=2))
            self.here.service = faulty

    def _away(self, carriage: Carriage) -> None:
        self.away_since = self.here.clock.now

        plain, ends = Link.connect, self.here.clock.now + self.lasts

        def gone(link: Link) -> None:
            if self.here.clock.now >= ends:
                return plain(link)
            raise Unreached("The database refuses connections", "Start it.")

        journal = carriage.room.journal
        assert isinstance(journal, FleetJournal)
        journal.link._drop()
        self.patch.setattr(Link, "connect", gone)

    def send(self, path: Path, signals: int) -> Result:
        """Send; each wait for the journal brings a signal, until there are so many."""
        with self.here.session(self.asked) as session:

            def hear(event: events.Event) -> None:
                if isinstance(event, events.Retrying) and self.away_since is not None:
                    self.waits += 1
                    if self.asked.count < signals:
                        self.asked.stop()

            session.tell = session.room.tell = hear
            return Sending(session, str(path), Wishes()).run()


@pytest.fixture
def here(database: str, tmp_path: Path) -> Stage:
    made = stage(tmp_path)
    made.opened = lambda folder: FleetJournal.open(database, Trust(folder))  # type: ignore[assignment,return-value]
    return made


@pytest.fixture
def trial(here: Stage) -> Iterator[Trial]:
    with pytest.MonkeyPatch.context() as patch:
        yield Trial(here, patch)


MOMENTS = pytest.mark.parametrize(
    ("kind", "after"),
    [(Look, False), (Delete, False), (Delete, True)],
    ids=["before it is asked", "before the DELETE", "after the DELETE"],
)


def settles(trial: Trial, path: Path) -> bool:
    """With the journal and Stream as they should be, the same command leaves one video."""
    here = trial.here
    trial.patch.undo()
    here.service = here.model
    sent = here.send(path)
    return (sent.exit_code, here.states(), here.open_rows()) == (0, ["queued"], [])


def is_told(result: Result) -> bool:
    """Whether it ended with 7, and said which upload is left and how to have it removed."""
    error = result.error
    assert error is not None
    rollback = (
        f"The upload {result.uid} could not be removed: The database refuses" in error.message
    )
    return (
        (result.exit_code, result.cleanup) == (7, "pending")
        and rollback
        and error.hint == f"Start it. Then run: cfupload cleanup --orphans {result.uid}"
    )


@MOMENTS
@pytest.mark.parametrize("signalled", [False, True])
def test_a_second_signal_ends_a_rollback_that_waits_for_the_journal_at_once(
    here: Stage, trial: Trial, kind: type[Step], *, after: bool, signalled: bool
) -> None:
    path = here.file(6 * MIB)
    trial.loses(kind, after=after, signalled=signalled)
    result = trial.send(path, 2)
    assert is_told(result)
    assert trial.asked.count == 2
    # Each wait brought a signal, and none came after the second.
    assert trial.waits == (1 if signalled else 2)
    assert settles(trial, path)


@MOMENTS
@pytest.mark.parametrize("signals", [0, 1])
def test_a_rollback_waits_for_the_journal_within_retry_max_time_and_after_a_signal_8_s(
    here: Stage, trial: Trial, kind: type[Step], *, after: bool, signals: int
) -> None:
    path = here.file(6 * MIB)
    trial.loses(kind, after=after, signalled=False)
    result = trial.send(path, signals)
    assert is_told(result)
    waited = here.clock.now - (trial.asked.at[0] if signals else trial.away_since or 0.0)
    longest = 8.0 if signals else here.policy.retry_max_time
    assert longest / 2 < waited <= longest
    assert settles(trial, path)


@MOMENTS
@pytest.mark.parametrize(("signalled", "code"), [(False, 5), (True, 143)])
def test_a_rollback_goes_on_when_the_journal_is_back_in_time(
    here: Stage, trial: Trial, kind: type[Step], *, after: bool, signalled: bool, code: int
) -> None:
    path, trial.lasts = here.file(6 * MIB), 3.0
    trial.loses(kind, after=after, signalled=signalled)
    result = trial.send(path, 0)
    assert (result.exit_code, result.cleanup) == (code, "confirmed")
    assert (here.states(), here.open_rows()) == ([], [])
    assert settles(trial, path)

"""Attempts and scripted outcomes for tests of the pure core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cfstream_upload import pace
from cfstream_upload.after import after
from cfstream_upload.attempt import (
    Attempt,
    Done,
    Failure,
    Identity,
    Reason,
    Stage,
    Step,
    Verdict,
    braced,
    next_step,
)
from cfstream_upload.ending import Policy
from cfstream_upload.outcome import Outcome

MIB = 1024 * 1024
SIZE = 12 * MIB
UID, TWIN = "a1" * 16, "b2" * 16
URL = "https://upload.cloudflarestream.com/tus/x"
POLICY = Policy(largest_chunk=5 * MIB)
NO = Failure(Reason.REFUSED, "no")


def intended(**facts: object) -> Attempt:
    attempt = Attempt(
        id="1d" * 16, host="0e" * 16, label="", base="https://api.cloudflare.com/client/v4",
        account="ab" * 16, path="/videos/a.mp4", file=Identity(1, 2, SIZE, 3, "s"), row=1,
    )  # fmt: skip
    return replace(attempt, **facts).knows(chunk=5 * MIB)  # type: ignore[arg-type]  # by name


def created(**facts: object) -> Attempt:
    """As a later process reads it from its row."""
    return intended(**{"stage": Stage.CREATED, "uid": UID, "url": URL, "since": 0.0, **facts})


def sent(**facts: object) -> Attempt:
    return created(**{"stage": Stage.SENT, "offset": SIZE, "tail": True, **facts})


def stray(**facts: object) -> Attempt:
    return created(**{"url": None, "doomed": "stray", "since": None, **facts})


Chooser = Callable[[Attempt, Step], Outcome]


@dataclass
class Round:
    """One turn of the loop."""

    before: Attempt
    step: Step
    outcome: Outcome
    after: Attempt


@dataclass
class Ride:
    """An attempt driven by a script until it is done; time passes as the pace asks."""

    attempt: Attempt
    policy: Policy = POLICY
    at: float = 1000.0
    rounds: list[Round] = field(default_factory=list)

    def drive(self, choose: Chooser, most: int = 1500) -> Verdict:
        for _ in range(most):
            step = next_step(self.attempt)
            if isinstance(step, Done):
                return step.verdict
            self.turn(step, choose)
        raise AssertionError(f"still going: {self.steps[-12:]}")

    def turn(self, step: Step, choose: Chooser) -> None:
        now = self.attempt.now
        wait = max(now.pause, pace.wait(now.backoff, now.retry_after, 0.5))
        if now.until is not None:
            wait = min(wait, max(0.0, now.until - self.at))
        self.at += wait + 0.01
        before = braced(self.attempt, step)
        outcome = choose(before, step)
        self.attempt = after(before, outcome, self.policy, self.at)
        self.rounds.append(Round(before, step, outcome, self.attempt))

    def play(self, *outcomes: Outcome) -> Attempt:
        """Give these outcomes one after the other, whatever is asked."""
        for outcome in outcomes:
            step = next_step(self.attempt)
            assert not isinstance(step, Done), f"done before {outcome}"
            self.turn(step, lambda _attempt, _step, given=outcome: given)  # type: ignore[misc]  # bound now
        return self.attempt

    @property
    def steps(self) -> list[str]:
        return [type(one.step).__name__ for one in self.rounds]

"""What must hold: an exit code when it is told, and the account and the journal in the end."""

from __future__ import annotations

from dataclasses import dataclass

from simulation.network import Broken
from simulation.stage import PENDING, Play

from cfstream_upload.attempt import Stage
from cfstream_upload.result import Result

# Stale reads may make a client believe too early that a video is gone; it looks again later.
STALE = ("false_404s", "list_lag", "expired_record", "meta_while_pending", "meta_keys")
CODES = (0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 130, 143)
NOTHING_LEFT = (3, 4, 5, 6, 130, 143)


@dataclass
class Judge:
    """Compares what a client said with what is; every method raises `Broken`."""

    play: Play

    @property
    def _reads_are_fresh(self) -> bool:
        return not any(name in self.play.story.switches for name in STALE)

    def judge(self, result: Result) -> None:
        """An exit code must be true at the moment when it is told."""
        play, code = self.play, result.exit_code
        if code not in CODES:
            raise Broken(f"exit {code}: {result.error}")
        states = play.ours()
        if code == 0 and states.get(str(result.uid), PENDING) == PENDING:
            raise Broken("exit 0 and the video is not whole")
        if code == 7 and not play.open_rows():
            raise Broken("exit 7 and no debt is recorded")
        if code in NOTHING_LEFT and self._reads_are_fresh and not play.world.is_shared:
            left = {uid for uid in states if not play.is_whole(uid)} - play.books.surfaced
            debts = [stage for stage in play.open_rows() if stage is not Stage.SENT]
            if left or debts:
                raise Broken(f"exit {code}, and left are {len(left)} and {debts}")

    def judge_cleanup(self) -> None:
        """After a clean ``cleanup --orphans`` no video of ours is pending that it could know."""
        if not self._reads_are_fresh:
            return
        known = {row.uid for row in self.play.rows()}
        left = [uid for uid in self.play.ours() if not self.play.is_whole(uid)]
        if set(left) & known or (left and not self.play.books.surfaced):
            raise Broken(f"cleanup --orphans left {len(left)}")

    def judge_end(self, result: Result) -> None:
        """One video of each version of the file, whole, and nothing else that is ours."""
        play, states = self.play, self.play.ours()
        pending = [uid for uid, state in states.items() if state == PENDING]
        pending = [uid for uid in pending if not self._is_beyond_help(uid)]
        if pending or play.open_rows():
            raise Broken(f"left: {len(pending)} pending, rows {play.open_rows()}")
        digests = {uid: play.model.sha256(uid) for uid, state in states.items() if state != PENDING}
        if digests.get(str(result.uid)) != play.file.digest:
            raise Broken("the video that was told is not there, or is not the file")
        if len(set(digests.values())) != len(digests):
            raise Broken("two videos of one version of the file")
        if not set(digests.values()) <= set(play.file.contents):
            raise Broken("a video of no version of the file")
        if not play.books.told.items() <= digests.items():
            raise Broken("a video that was told is gone or changed")

    def _is_beyond_help(self, uid: str) -> bool:
        """A leftover that shows no marker and is in no row: nobody can know whose it is."""
        hidden = not self.play.story.switches.get("meta_while_pending", True)
        beyond = hidden and uid not in {row.uid for row in self.play.rows()}
        self.play.mix["left until it expires, for its marker is hidden"] += beyond
        return beyond

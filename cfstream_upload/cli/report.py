"""What ``send`` tells: each file as it ends, UIDs in the order of the files, all at the end."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cfstream_upload.errors import most_urgent
from cfstream_upload.loglines import Level
from cfstream_upload.result import error_document

if TYPE_CHECKING:
    from cfstream_upload.cli.desk import Desk
    from cfstream_upload.errors import CfuploadError
    from cfstream_upload.result import Result

LONGEST_TABLE = 30


@dataclass
class Report:
    """The results of a batch of ``count`` files, by their numbers."""

    desk: Desk
    count: int
    results: dict[int, Result] = field(default_factory=dict)
    problem: CfuploadError | None = None
    dashboard: str | None = None
    """Of a cluster: where to watch it."""
    _told: int = 0
    _started: float = field(default_factory=time.monotonic)

    def add(self, number: int, result: Result) -> None:
        """A file ended: tell of it, and of every UID whose turn has come."""
        # Its links are most of a result, and only the document at the end shows them.
        in_json = self.desk.common.mode == "json"
        kept = result if in_json or not result.links else replace(result, links={})
        self.results[number] = kept
        console = self.desk.console
        console.finished(
            result.file, words_of(result), result.size or 0, level=self._level_of(result)
        )
        failed = result.error is not None
        if not console.has_scripts:
            pass
        elif result.plan is not None:
            console.event({"message_type": "planned", **result.document()})
        # Of what was waited for, scripts heard that it was uploaded before the wait.
        elif failed or not result.waited:
            console.event({"message_type": "failed" if failed else "uploaded", **result.document()})
        # A batch tells once why the rest was not begun.
        if result.error is not None and (result.outcome != "skipped" or self.count == 1):
            console.problem(result.error, result.file)
        while (turn := self.results.get(self._told)) is not None:
            self._told += 1
            # A video that a wait failed on is there all the same, and was told of.
            told = turn.plan is None and (turn.error is None or turn.waited)
            if turn.uid and told and self.desk.common.mode in ("text", "quiet"):
                console.line(turn.uid)

    def _level_of(self, result: Result) -> Level:
        """Of many files those that nothing was done for are a number in the totals, no lines."""
        idle = result.outcome in ("already", "skipped") and result.plan is None
        many = self.count > LONGEST_TABLE
        return Level.VERBOSE if many and idle and not result.waited else Level.USUAL

    def failed(self, problem: CfuploadError) -> None:
        """Something that is no file's fault: it is told once, and counts for the exit code."""
        if self.problem is None:
            self.problem = problem
            self.desk.console.problem(problem)
            self.desk.console.event({"message_type": "exit_error", **error_document(problem)})

    def conclude(self) -> int:
        """Tell of the whole run; its exit code."""
        from cfstream_upload import github
        from cfstream_upload.result import summary

        results = [self.results[number] for number in sorted(self.results)]
        self._tell_why_nothing_began(results)
        # What was begun decides: of a file that was not, nothing can be left behind.
        begun = [one.exit_code for one in results if one.outcome != "skipped"]
        codes = begun if any(begun) else [one.exit_code for one in results]
        code = most_urgent(codes + ([self.problem.exit_code] if self.problem else []))
        totals = summary(results, time.monotonic() - self._started, code)
        if self.dashboard:
            totals["dashboard"] = self.dashboard
        if self.desk.common.mode == "json":
            self._document(results, totals)
        self.desk.console.event({"message_type": "summary", **totals})
        if self.count > 1:
            if any(result.plan for result in results):
                self._rehearsed(results)
            else:
                self._table(results)
                self._totals(totals)
        for problem in github.report(os.environ, results, totals, self.desk.redactor):
            self.desk.console.warning(problem)
        return code

    def _tell_why_nothing_began(self, results: list[Result]) -> None:
        """Where no file failed by itself, nobody has told yet why the rest was not begun."""
        if self.count == 1 or any(one.error and one.outcome != "skipped" for one in results):
            return
        for one in results:
            if one.error is not None:
                self.failed(one.error)

    def _document(self, results: list[Result], totals: dict[str, Any]) -> None:
        # A batch tells each file's error beside its file.
        error = self.problem or (results[0].error if len(results) == 1 else None)
        self.desk.console.document(
            {
                "version": 1,
                "uploads": [result.document() for result in results],
                "summary": totals,
                "error": None if error is None else error_document(error),
            }
        )

    def _table(self, results: list[Result]) -> None:
        """A line for each file where they are few, else for those that failed."""
        from cfstream_upload.units import human_size

        shown = results
        if len(results) > LONGEST_TABLE:
            shown = [one for one in results if one.error is not None and one.outcome != "skipped"]
        rows = [
            [
                result.file,
                result.outcome,
                result.uid or "-",
                "-" if result.size is None else human_size(result.size),
            ]
            for result in shown[:LONGEST_TABLE]
        ]
        if rows:
            # Where there is no room for UIDs: stdout has them, one a line.
            headers = ["FILE", "OUTCOME", "UID", "SIZE"]
            self.desk.console.summary(headers, rows, name=0, spare=2)
        if len(shown) > LONGEST_TABLE:
            self.desk.console.say(f"and {len(shown) - LONGEST_TABLE} more that failed")

    def _rehearsed(self, results: list[Result]) -> None:
        from cfstream_upload.units import human_size

        due = [one for one in results if one.plan and "would" in one.plan]
        size = human_size(sum(one.size or 0 for one in due))
        bad = sum(one.error is not None for one in results)
        words = f"{len(due)} of {len(results)} files would be sent, {size}"
        self.desk.console.say(
            f"{words}; {bad} cannot be. Nothing was done." if bad else f"{words}."
        )

    def _totals(self, totals: dict[str, Any]) -> None:
        from cfstream_upload.units import human_size, human_time

        kinds = ("uploaded", "already", "failed", "skipped")
        counts = ", ".join(f"{totals[kind]} {kind}" for kind in kinds if totals[kind])
        amount = f"{human_size(totals['bytes'])} sent in {human_time(totals['seconds'])}"
        self.desk.console.say(f"{totals['files']} files: {counts or 'nothing done'}; {amount}")


def words_of(result: Result) -> str:
    """How a file ended, for people."""
    from cfstream_upload.units import human_size, human_time

    size = human_size(result.size or 0)
    took = f"{human_size(result.sent)} in {human_time(result.seconds)}"
    if result.waited:
        place = f"on Stream ({result.state or 'stored'})"
        return place if result.error else f"{place} after {human_time(result.seconds)}"
    match result.outcome:
        case "uploaded":
            return f"uploaded, {took}"
        case "resumed":
            return f"resumed and uploaded, {took} of {size}"
        case "already":
            if result.state is None:
                return "already sent, says the manifest"
            return f"already on Stream ({result.state})"
        case "skipped":
            return result.plan or "not started"
        case _:
            left = {"confirmed": "; nothing is left on Stream", "kept": "; the upload was kept"}
            return result.outcome + left.get(result.cleanup, "")

"""What may happen in the middle of a run: a cleanup."""

from __future__ import annotations

from inprocess import Stage

from cfstream_upload.errors import ConfigProblem, TroubleOutlasted
from cfstream_upload.sweeping import Choice, plan, sweep


def sweeps(current: Stage) -> list[str]:
    """The outcomes of ``cleanup --orphans``; none where the list cannot be had."""
    choice = Choice(orphans=True)
    with current.session() as session:
        try:
            return [one.outcome for one in sweep(session, plan(session, choice), choice)]
        except (ConfigProblem, TroubleOutlasted):
            return []

"""What ``cfupload doctor`` says of a cluster: whether it is reached, and who of it would send."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING
from uuid import uuid4

from cfstream_upload.checks import Check, fine, refused, warned
from cfstream_upload.cluster.news import News, Strength
from cfstream_upload.cluster.place import Place, without_dask
from cfstream_upload.cluster.terms import judge, terms_of
from cfstream_upload.errors import CfuploadError, TroubleOutlasted
from cfstream_upload.interruption import Interruption

if TYPE_CHECKING:
    from cfstream_upload.session import Session

_NAME = "cluster"
_HEARD_WITHIN = 15.0


def looked_at(place: Place, session: Session | None) -> Check:
    """The cluster at ``place``, and whether each worker there may send for ``session``.

    ``session`` None: there is no journal yet, and asking workers would make one.
    """
    try:
        from cfstream_upload.cluster.dispatch import Dispatch
    except ImportError as missing:
        return refused(_NAME, without_dask(missing))
    if not place.address:
        return fine(_NAME, f"{place}: {place.workers} processes of this machine")
    news: queue.SimpleQueue[News] = queue.SimpleQueue()
    link = Dispatch(place, f"cfupload-{uuid4().hex[:12]}", news, Interruption())
    try:
        dashboard = link.start()
        workers, slots = _counted(place, news)
        if session is not None and workers:
            judge(terms_of(session), link.ask())
    except CfuploadError as problem:
        return refused(_NAME, problem)
    finally:
        link.close()
    shown = f", dashboard {dashboard}" if dashboard else ""
    if not workers:
        return warned(_NAME, f"{place}: no workers{shown}", f"Start some: dask worker {place}")
    counted = f"{workers} worker" if workers == 1 else f"{workers} workers"
    found = f"{place}: {counted}, {slots} at once{shown}"
    if session is None:
        return fine(_NAME, f"{found}; what they are is asked once there is a journal")
    return fine(_NAME, f"{found}; each may send for this command")


def _counted(place: Place, news: queue.SimpleQueue[News]) -> tuple[int, int]:
    """How many workers there are, and how many files they take at once."""
    try:
        told = news.get(timeout=_HEARD_WITHIN)
    except queue.Empty:
        told = None
    if isinstance(told, Strength):
        return told.workers, told.slots
    raise TroubleOutlasted(
        f"The scheduler {place} does not answer", "Look at its log, and start it again."
    )

"""What of a batch is left to be done, as its manifest and the journal know it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from cfstream_upload.attempt import Identity
from cfstream_upload.locations import is_url
from cfstream_upload.manifest import Known, absolute
from cfstream_upload.onefile import Wishes
from cfstream_upload.result import Result
from cfstream_upload.session import Session

_AT_ONCE = 250
"""Files that the journal is asked about in one go; SQLite takes 999 values in a query."""

_Sent = tuple[int, str, Result]


@dataclass
class Planned:
    """``done`` needs nothing; ``left`` is to be sent, or, where ``known``, only waited for.

    All by their numbers in the batch; ``known`` by the place in ``left``.
    """

    done: list[tuple[int, Result]] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    known: dict[int, Result] = field(default_factory=dict)


def planned(
    session: Session, paths: Sequence[str], wishes: Wishes, manifest: Known | None
) -> Planned:
    """What is to be done for each of ``paths``. Raises `JournalProblem`."""
    plan = Planned()
    if manifest is None or wishes.again:
        plan.left = list(range(len(paths)))
        return plan
    claims = (
        (number, path, manifest.done(path, session.stores.glance))
        for number, path in enumerate(paths)
    )
    while some := list(islice(claims, _AT_ONCE)):
        sent = [(number, path, done) for number, path, done in some if done is not None]
        true = dict(_believed(session, sent))
        for number, _, _ in some:
            done = true.get(number)
            if done is not None and wishes.wait.until == "stored":
                plan.done.append((number, done))
                continue
            if done is not None:
                # Whoever waits wants to hear of now; that is no reason to send it again.
                plan.known[len(plan.left)] = done
            plan.left.append(number)
    return plan


def _believed(session: Session, sent: Sequence[_Sent]) -> Iterator[tuple[int, Result]]:
    """Those of ``sent`` of which the journal knows no other upload than the manifest does."""
    there: list[tuple[int, Result, Identity, str]] = []
    for number, path, done in sent:
        here = session.stores.glance(path)
        if here is None:
            yield number, done
            continue
        place = absolute(path)
        there.append((number, done, here if is_url(path) else session.named(here, place), place))
    files = [(here, place) for _, _, here, place in there]
    settings = session.settings
    found = session.journal.uids_of(settings.base, settings.account, files)
    for (number, done, _, _), uids in zip(there, found, strict=True):
        if not uids or done.uid in uids:
            yield number, done

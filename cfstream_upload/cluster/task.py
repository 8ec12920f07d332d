"""The worker's side: the ordinary send of one file, in a thread of a Dask worker.

One `Post` for each run holds what its files share: settings of this very process, HTTP client,
journal, and the wish to stop. The scheduler imports this module too, to pass it on: what sends is
imported where it is used.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from distributed import get_worker
from distributed.diagnostics.plugin import WorkerPlugin

from cfstream_upload.cluster import letters
from cfstream_upload.cluster.letters import TOPIC, Answer, Order, Reply
from cfstream_upload.errors import CfuploadError, described
from cfstream_upload.result import Result

if TYPE_CHECKING:
    from distributed import Worker

    from cfstream_upload.cluster.post import Post

DEPARTURE_SECONDS = 8.0
"""How long a worker that was asked to go waits for its files to be left; a nanny kills at 10."""

_posts: dict[str, Post] = {}
_halts: dict[str, tuple[int, int, bool]] = {}
_turn = threading.Lock()
_opening = threading.Lock()
"""Apart: a journal may be far away, and Dask's own loop takes the other one."""


def run_file(packed: bytes) -> bytes:
    """Send the file of a written `Order`; a `Reply`, written. Raises nothing."""
    order = letters.read_order(packed)
    worker = get_worker()
    name = name_of(worker)
    try:
        with _at_post(order, worker) as post:
            return post.send(order)
    except CfuploadError as error:
        problem = error
    except Exception as bug:  # noqa: BLE001  one file's bug is that file's failure
        problem = described(bug)
    result = Result(order["path"], "failed", exit_code=problem.exit_code, error=problem)
    return letters.written_reply(Reply(name, result), str)


async def probe(dask_worker: Worker) -> Answer:
    """What this worker is and would send with; from now on it leaves its uploads resumable."""
    _stay_resumable(dask_worker)
    # A journal may be far away: Dask's own loop must not wait for it.
    return await asyncio.to_thread(_answer, name_of(dask_worker))


def _answer(name: str) -> Answer:
    from cfstream_upload.cluster.post import own_session
    from cfstream_upload.cluster.terms import answer_with, software, terms_of

    try:
        with own_session() as session:
            return answer_with(name, terms_of(session), None)
    except CfuploadError as problem:
        return answer_with(name, software(), problem)
    except Exception as bug:  # noqa: BLE001  told as what it is, at the command
        return answer_with(name, software(), described(bug))


def halt(run: str, count: int, signum: int, *, hold: bool) -> None:
    """Have ``run`` stopped as often as ``count`` says; ``hold``: begin no more of its files."""
    with _turn:
        _halts[run] = (count, signum, hold)
        post = _posts.get(run)
    if post is not None:
        post.halt(count, signum, hold=hold)


def dismiss(run: str) -> None:
    """``run`` is over: close what it held here, unless a file is still being sent."""
    with _turn:
        _halts.pop(run, None)
        _close_idle({run})


def name_of(worker: Worker) -> str:
    """How people call ``worker``; those of a local cluster have but a number."""
    return f"local-{worker.name}" if isinstance(worker.name, int) else str(worker.name)


@contextmanager
def _at_post(order: Order, worker: Worker) -> Iterator[Post]:
    from cfstream_upload.cluster.post import Post

    run = order["run"]
    with _opening:
        with _turn:
            post = _posts.get(run)
            if post is None:
                # Of runs whose command died nobody says that they are over.
                _close_idle(set(_posts))
            else:
                post.running += 1
        if post is None:
            _stay_resumable(worker)
            post = Post.opened(order, name_of(worker), _mail(worker, run))
            post.running = 1
            with _turn:
                _posts[run] = post
                count, signum, hold = _halts.get(run, (0, 0, False))
            post.halt(count, signum, hold=hold)
    try:
        yield post
    finally:
        with _turn:
            post.running -= 1


def _close_idle(runs: set[str]) -> None:
    for run in runs:
        post = _posts.get(run)
        if post is not None and not post.running:
            del _posts[run]
            post.close()


def _mail(worker: Worker, run: str) -> Any:  # noqa: ANN401  # a function of bytes
    def post(news: bytes) -> None:
        # Not "worker": the scheduler puts the address there.
        letter = {"run": run, "name": name_of(worker), "news": news}
        worker.log_event(TOPIC, letter)

    return post


class Departure(WorkerPlugin):  # type: ignore[misc]  # Dask has no types for us
    """A worker that is asked to go (SIGTERM, retired, scheduler gone) leaves uploads resumable."""

    name = "cfupload-departure"

    async def teardown(self, worker: Worker) -> None:
        """Stop what is being sent, keep it, and wait until it is recorded."""
        with _turn:
            posts = list(_posts.values())
        for post in posts:
            post.leave()
        ends = time.monotonic() + DEPARTURE_SECONDS
        while any(post.running for post in posts) and time.monotonic() < ends:
            await asyncio.sleep(0.05)
        # Not closed: to what Dask still hands over they must answer that they left.
        await asyncio.to_thread(_say_goodbye, posts)


def _say_goodbye(posts: list[Post]) -> None:
    for post in posts:
        with suppress(CfuploadError):
            post.say_goodbye()


def _stay_resumable(worker: Worker) -> None:
    # Set by hand: Dask's own way is a coroutine of its loop, and this may be another thread.
    worker.plugins.setdefault(Departure.name, Departure())

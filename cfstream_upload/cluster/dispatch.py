"""The cluster as a thread of its own sees it: everything of Dask that waits is here.

Nothing of a run is kept: orders go out, what comes back is put into ``news`` as it is.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import importlib.util
import logging
import multiprocessing.resource_tracker
import queue
import signal
import threading
import time
import warnings
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from distributed import Client, LocalCluster
from distributed.versions import VersionMismatchWarning

from cfstream_upload.cluster import task
from cfstream_upload.cluster.letters import TOPIC, Order, written_order
from cfstream_upload.cluster.news import Ended, Gone, Lost, News, Strength, Told
from cfstream_upload.cluster.place import Place
from cfstream_upload.errors import CfuploadError, ConfigProblem, Interrupted, TroubleOutlasted
from cfstream_upload.interruption import SLICE, Interruption

LOOK_EVERY = 1.0
"""Seconds between two looks at how many workers there are."""

ASKED_FOR = 60.0
"""Seconds that workers have to say what they are."""

GREETED_WITHIN = 10.0
"""Seconds that a scheduler may take to answer beyond those for connecting."""

CLOSING = 10.0
_T = TypeVar("_T")


@dataclass
class Dispatch:
    """A connection to the cluster at ``place``, for the run named ``run``.

    ``environment`` is that of workers of our own, ``threads`` their files at once each.
    """

    place: Place
    run: str
    news: queue.SimpleQueue[News]
    interruption: Interruption
    timeout: float = 10.0
    environment: Mapping[str, str] | None = None
    threads: int = 1

    def start(self) -> str | None:
        """Connect; the dashboard's link, if there is one. Raises `CfuploadError`."""
        self._ready: concurrent.futures.Future[str | None] = concurrent.futures.Future()
        # Its own start would unblock the signals that `_serve` blocks.
        multiprocessing.resource_tracker.ensure_running()
        self._thread = threading.Thread(target=self._serve, name="cluster", daemon=True)
        self._thread.start()
        try:
            return self._waited(self._ready)
        except BaseException:
            self.close()
            raise

    def ask(self) -> dict[str, object]:
        """What each worker says of itself, or the exception instead, by its address."""
        return self._in_loop(self._asked())

    def submit(self, key: str, order: Order) -> None:
        """Have ``order`` carried out somewhere; `Ended` comes, sooner or later."""
        self._loop.call_soon_threadsafe(self._submit, key, order)

    def halt(self, count: int, signum: int, *, hold: bool) -> None:
        """Tell every worker how often stopping was asked for; nobody waits for it."""
        self._spawn(self._broadcast(task.halt, self.run, count, signum, hold=hold))

    def close(self) -> None:
        """Leave the cluster; one of our own ends. Never raises, and takes seconds at most."""
        with suppress(RuntimeError, AttributeError):
            # Whoever is still connecting is torn out of it.
            end = self._over.set if self._connected_once else self._main.cancel
            self._loop.call_soon_threadsafe(end)
        self._thread.join(timeout=4 * CLOSING)

    # --- between the threads ---------------------------------------------------------------------

    def _in_loop(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._waited(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _waited(self, future: concurrent.futures.Future[_T]) -> _T:
        # In slices: only then does a signal's handler get its turn on every system.
        while True:
            done, _ = concurrent.futures.wait([future], timeout=SLICE)
            if done:
                return future.result()
            if self.interruption.count:
                future.cancel()
                raise Interrupted("Interrupted", signum=self.interruption.signum)

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        def begin() -> None:
            running = self._loop.create_task(work)
            self._tasks.add(running)
            running.add_done_callback(self._tasks.discard)

        try:
            self._loop.call_soon_threadsafe(begin)
        except RuntimeError:
            work.close()

    # --- in the thread of the cluster ------------------------------------------------------------

    def _serve(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            # Workers of our own inherit this: Ctrl-C at the terminal is for the command alone.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        _quieten()
        try:
            asyncio.run(self._lived())
        except BaseException as error:  # noqa: BLE001  whatever breaks is told where it is waited for
            with suppress(concurrent.futures.InvalidStateError):
                self._ready.set_exception(error)
            self.news.put(Gone())

    async def _lived(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over, self._connected_once = asyncio.Event(), False
        self._main: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]  # it is one
        self._tasks: set[asyncio.Task[object]] = set()
        async with contextlib.AsyncExitStack() as stack:
            link = await self._connected(stack)
            self._connected_once = True
            if not self._ready.cancelled():
                self._ready.set_result(link)
            watch = asyncio.create_task(self._watched())
            await self._over.wait()
            watch.cancel()
            with suppress(Exception):
                await asyncio.wait_for(self._broadcast(task.dismiss, self.run), 2.0)
            for running in list(self._tasks):
                running.cancel()
            await asyncio.gather(watch, *self._tasks, return_exceptions=True)

    async def _connected(self, stack: contextlib.AsyncExitStack) -> str | None:
        address: Any = self.place.address
        if not address:
            address = LocalCluster(
                n_workers=self.place.workers,
                threads_per_worker=self.threads,
                processes=True,
                dashboard_address=None,
                # Its scheduler serves a page all the same: not where others are looked for.
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0", "dashboard": False},
                silence_logs=logging.CRITICAL,
                env=dict(self.environment or {}),
                asynchronous=True,
            )
            stack.push_async_callback(_closed, address)
            await address
        client = Client(
            address, asynchronous=True, set_as_default=False, timeout=self.timeout, name="cfupload"
        )
        self._client = client
        stack.push_async_callback(_closed, client)
        try:
            # Dask's own limit is for connecting: what is no scheduler may take that, and be silent.
            await asyncio.wait_for(client, self.timeout + GREETED_WITHIN)
        except Exception as trouble:  # noqa: BLE001  of what is no scheduler Dask says anything
            raise _unreachable(self.place, trouble) from None
        client.subscribe_topic(TOPIC, self._hear)
        client.subscribe_topic("all", self._hear_of_workers)
        return await self._dashboard()

    async def _dashboard(self) -> str | None:
        """The dashboard's link; without bokeh Dask names one too, and nothing is there."""
        with suppress(Exception):
            if await self._client.run_on_scheduler(importlib.util.find_spec, "bokeh"):
                return str(self._client.dashboard_link) if self.place.address else None
        return None

    def _hear(self, event: tuple[float, Any]) -> None:
        _, letter = event
        if isinstance(letter, dict) and letter.get("run") == self.run:
            self.news.put(Told(letter["name"], letter["news"]))

    def _hear_of_workers(self, event: tuple[float, Any]) -> None:
        _, said = event
        if isinstance(said, dict) and said.get("action") == "remove-worker":
            keys = [*said.get("processing-tasks", ()), *said.get("lost-computed-tasks", ())]
            ours = frozenset(key for key in keys if str(key).startswith(self.run))
            self.news.put(Lost(str(said.get("worker")), ours))

    async def _watched(self) -> None:
        """Tell how many workers there are, until the scheduler is gone."""
        known, looked = None, 0.0
        while self._client.status == "running":
            if time.monotonic() - looked >= LOOK_EVERY:
                looked = time.monotonic()
                with suppress(OSError, asyncio.TimeoutError):
                    threads = await asyncio.wait_for(self._client.nthreads(), 10.0)
                    strength = Strength(len(threads), sum(threads.values()))
                    if strength != known:
                        known = strength
                        self.news.put(strength)
            await asyncio.sleep(0.1)
        self.news.put(Gone())

    async def _asked(self) -> dict[str, object]:
        asking = self._client.run(task.probe, on_error="return")
        try:
            answers: dict[str, object] = await asyncio.wait_for(asking, ASKED_FOR)
        except TimeoutError:
            raise TroubleOutlasted(
                "A worker does not answer", "Look at the workers' logs, then run it again."
            ) from None
        return answers

    async def _broadcast(self, function: Any, *args: object, **more: object) -> None:  # noqa: ANN401
        with suppress(OSError, asyncio.TimeoutError):
            await self._client.run(function, *args, on_error="ignore", **more)

    def _submit(self, key: str, order: Order) -> None:
        try:
            future = self._client.submit(
                task.run_file,
                written_order(order),
                key=key,
                pure=False,
                retries=0,
                fifo_timeout="0 ms",
            )
        except Exception as trouble:  # noqa: BLE001  told as the end of this order
            self.news.put(Ended(order["number"], None, trouble))
            return
        fetching = self._loop.create_task(self._fetched(order["number"], future))
        self._tasks.add(fetching)
        fetching.add_done_callback(self._tasks.discard)

    async def _fetched(self, number: int, future: Any) -> None:  # noqa: ANN401  # Dask has no types
        try:
            reply = await future
        except (asyncio.CancelledError, concurrent.futures.CancelledError):
            if self._over.is_set():
                raise
            self.news.put(Ended(number, None, ConnectionError("the cluster gave it up")))
        except BaseException as trouble:  # noqa: BLE001  judged by whoever knows the run
            self.news.put(Ended(number, None, trouble))
        else:
            self.news.put(Ended(number, reply))
        finally:
            # The scheduler and the worker forget it now, not some time.
            future.release()


async def _closed(one: Any) -> None:  # noqa: ANN401  # a Client or a LocalCluster
    with suppress(Exception):
        await asyncio.wait_for(one.close(), CLOSING)


def _quieten() -> None:
    """Dask tells of everything on stderr; what matters here is told in words of our own."""
    for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
        # Dask gives each of its own a level, so that its parent's says nothing.
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # Versions are judged by `terms`, strictly.
    warnings.filterwarnings("ignore", category=VersionMismatchWarning)


def _unreachable(place: Place, trouble: Exception) -> CfuploadError:
    if isinstance(trouble, OSError):
        return TroubleOutlasted(
            f"The scheduler {place} cannot be reached",
            "Start it (dask scheduler), check the address, then run the same command again.",
        )
    return ConfigProblem(
        f"The scheduler {place} cannot be talked to ({type(trouble).__name__})",
        "Is that a scheduler, and not its dashboard? Install the same Dask everywhere; for tls:// "
        "set DASK_DISTRIBUTED__COMM__TLS__….",
    )

"""docs/benchmarks.md, made from a result. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks import tables

_PAGE = """\
# Benchmarks

Made by `python -m tests.benchmarks --draw FILE` from one run of
`{command}`{scope}.
Everything here was measured side by side in that run: `cfupload`,
[tuspy](https://github.com/tus/tus-py-client) and
[tus-js-client](https://github.com/tus/tus-js-client) as their documents show them, with chunks of
50 MiB, and curl with a single `PATCH`, which creates nothing, asks nothing and can resume nothing:
the limit. Each is a whole process, its start included, and each figure the median of runs in turns
(A B C, A B C).

```bash
python3 -m venv .venv && .venv/bin/pip install '.[test,benchmark]'
.venv/bin/python -m tests.benchmarks --json result.json --docs    # about {minutes}
.venv/bin/python -m tests.benchmarks --quick                      # a few minutes, smaller sizes
.venv/bin/python -m tests.benchmarks line twenty --times 5        # these works alone
```

Run it on a machine that does nothing else. Files and the journal, which syncs each commit, are in
the temporary folder, or in that of `--folder`: it needs room for 30 GB if its file system does not
know sparse files. Node and npm are optional.

## The goals

{goals}
{notes}
## Pictures

![2 GiB over TLS: seconds, and CPU of each further GiB](benchmarks/whole.svg)

![seconds on long lines](benchmarks/line.svg)

![many files](benchmarks/files.svg)

![peak memory](benchmarks/memory.svg)

![bytes a second under --bwlimit](benchmarks/bwlimit.svg)

## The machine

{machine}

Measured on {date}. Other work on the machine at the start: a load of {load}.

## Every process

Wall, CPU (user and system) and peak resident memory are the kernel's account of the process
(`wait4`). On Linux a process starts with the peak of the one that started it, so nothing below
{floor:.0f} MiB can be told.

{measures}

Of many files `cfupload` sends four at a time (`-j 4`), the others one after the other,
each client in one process. curl keeps its connection, tuspy opens one for each request.

CPU of each further GiB, from two sizes:

{marginal}

Other figures:

{lines}

## The server is not in the way

The discarding server (`tests/benchmarks/discarding.py`) speaks what the clients need of Stream's
API and of tus. OpenSSL does its TLS handshakes; then it decrypts heads of requests only and skips
the records of a body by their length, for a server that decrypts costs as much as its clients. It
gives no session tickets, so each connection is a full handshake. Over plain TCP the kernel throws
bodies away. That it is not the bottleneck is seen from its own CPU beside each client's, in the
same run: it would be in the way when busy for all of the time.

{server}

## What the simulated line is, and what it is not

The line (`tests/benchmarks/line.py`, `lining.py`) is a process between client and server: a delay
each way; a rate that all connections share, in each direction; a round trip for TCP's handshake
(those of TLS come by themselves); slow start for each new connection, from 10 segments of 1448
bytes, doubled each round trip in which the window was the limit, and again from the start after an
idle time of the round trip plus 200 ms. That is RFC 5681's rule; Linux halves the window for each
such time, which is milder. It takes from a client only what the line would carry now, so little
more than socket buffers and 10 ms of line is ahead of it. A test compares it with the time that is
computed for a known transfer; it has not been compared with a real line, nor with Linux's netem.

It does not contain: loss, and what congestion control does after it; jitter, reordering, queues
that grow (bufferbloat), other traffic; the limits that sockets' buffers set to a window (4 MiB by
default on Linux, which bounds a single connection to about 400 Mbit/s at 80 ms); headers of TCP
and IP, delayed acknowledgements, slow start's end before the line is full (HyStart); name look-up;
and whatever a real edge does: its own limits, its storage, and the time that it takes to answer.

The discarding server keeps nothing, so neither its disk nor Stream's encoding is in any figure but
those of the embedded Stream, which keeps what it is sent. Files are sparse: reading costs a copy
from memory, no disk.
"""


def page(result: Mapping[str, Any], notes: str = "") -> str:
    """The whole page; ``notes`` say in Markdown why goals were missed."""
    machine = [[name, value] for name, value in result["machine"].items()]
    settings = result["settings"]
    scope = (
        ", a **quick** run (one run of each, smaller sizes than the goals are meant for)"
        if settings["quick"]
        else ""
    )
    return _PAGE.format(
        command=settings["command"],
        scope=scope,
        minutes="20 minutes",
        goals=tables.goals(result),
        notes=f"\n{notes.strip()}\n" if notes.strip() else "",
        machine=tables.table(("", ""), machine).replace("---:", "---"),
        date=settings["date"],
        load=settings["load"],
        floor=settings["floor"],
        measures=tables.measures(result),
        marginal=tables.marginal(result),
        lines=tables.lines(result),
        server=tables.server(result),
    )

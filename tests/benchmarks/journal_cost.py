"""``cfupload`` in this process, with the time in the journal's calls taken: JSON on stderr.

The outermost call counts, so that no call is counted twice; opening the journal is told apart.
"""

from __future__ import annotations

import functools
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from cfstream_upload.cli.app import run
from cfstream_upload.journal import Journal

_spent = {"open": 0.0, "calls": 0.0, "count": 0.0}
_inside = threading.local()


def _timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(work)
    def timed(*arguments: object, **named: object) -> object:
        if getattr(_inside, "yes", False):
            return work(*arguments, **named)
        _inside.yes = True
        started = time.perf_counter()
        try:
            return work(*arguments, **named)
        finally:
            _inside.yes = False
            _spent["open" if name == "open" else "calls"] += time.perf_counter() - started
            _spent["count"] += name != "open"

    return timed


for _name, _member in list(vars(Journal).items()):
    if isinstance(_member, classmethod):
        setattr(Journal, _name, classmethod(_timed(_name, _member.__func__)))
    elif callable(_member) and not _name.startswith("_"):
        setattr(Journal, _name, _timed(_name, _member))

_code = run(sys.argv[1:])
print("journal:", json.dumps(_spent), file=sys.stderr)
sys.exit(_code)

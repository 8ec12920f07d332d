"""Setting faults and reading the log over HTTP, under paths that Stream never has."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import asdict

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from .effects import Fault
from .endpoint import IDENTITY_PATH
from .faults import Faulty, Standing
from .faultscript import parse_fault, parse_script
from .faultwords import BadFault
from .gate import LOOPBACK, refusal
from .requestlog import RequestLog

FAULTS_PATH = f"{IDENTITY_PATH}/faults"
LOG_PATH = f"{IDENTITY_PATH}/log"
LARGEST = 1 << 16
_ONE = re.compile(FAULTS_PATH + r"/([0-9]{1,9})")
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Control:
    """The faults and the log of one server.

    ``add`` sets faults, and does before it what they need; ``hosts`` are the names that the server
    goes by (`gate.refusal`).
    """

    def __init__(
        self,
        faulty: Faulty,
        log: RequestLog,
        add: Callable[[list[Fault]], Awaitable[list[Standing]]],
        hosts: Collection[str] = LOOPBACK,
    ) -> None:
        self._faulty = faulty
        self._log = log
        self._add = add
        self._hosts = hosts

    async def answer(self, http: HttpRequest) -> Response | None:
        """Answer a request; None where it is not for this part."""
        path = http.scope["path"]
        one = _ONE.fullmatch(path)
        if path not in (FAULTS_PATH, LOG_PATH) and one is None:
            return None
        refused = refusal(http.method, dict(http.headers), self._faulty.token, self._hosts)
        if refused is not None:
            return _error(403, refused)
        match http.method, path:
            case "GET", _ if path == LOG_PATH:
                return self._logged(http.query_params.get("after", "0"))
            case "GET", _ if one is None:
                return _json(200, {"faults": [asdict(one) for one in self._faulty.standing()]})
            case "POST", _ if path == FAULTS_PATH:
                return await self._set(http)
            case "DELETE", _ if one is not None:
                if self._faulty.remove(int(one[1])):
                    return Response(status_code=204)
                return _error(404, f"there is no fault {one[1]}")
            case "DELETE", _ if path == FAULTS_PATH:
                self._faulty.clear()
                return Response(status_code=204)
        return _error(405, f"{http.method} cannot be done here")

    def _logged(self, after: str) -> Response:
        if not re.fullmatch(r"[0-9]{1,15}", after):
            return _error(400, "after is the number of an entry")
        return _json(200, self._log.after(int(after)))

    async def _set(self, http: HttpRequest) -> Response:
        body = bytearray()
        async for block in http.stream():
            body += block
            if len(body) > LARGEST:
                return _error(413, f"a script has at most {LARGEST} bytes")
        try:
            content = body.decode()
            if http.headers.get("content-type", "").startswith("application/json"):
                faults = [parse_fault(_text(content))]
            else:
                faults = parse_script(content)
        except UnicodeDecodeError:
            return _error(400, "this is no UTF-8")
        except BadFault as bad:
            return _error(400, str(bad))
        except ValueError as error:
            return _error(400, str(error))
        if not faults:
            return _error(400, "a fault is missing, like: PATCH 3 cut=1MB")
        entries = [asdict(entry) for entry in await self._add(faults)]
        return _json(201, entries[0] if len(entries) == 1 else {"faults": entries})


def _text(content: str) -> str:
    """Take the fault out of a JSON object; `ValueError` where it has none."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    text = document.get("fault") if isinstance(document, dict) else None
    if not isinstance(text, str):
        raise ValueError(  # noqa: TRY004  # the caller's text is wrong, not a type of ours
            'the body is {"fault": "PATCH 3 cut=1MB"}, or text with a fault a line'
        )
    return text


def _json(status: int, document: object) -> Response:
    return Response(json.dumps(document), status, {**_HEADERS, "content-type": "application/json"})


def _error(status: int, words: str) -> Response:
    return _json(status, {"error": words})

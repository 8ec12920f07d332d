"""Replies of Cloudflare's servers, deciphered. Pure.

Cloudflare forms its envelopes as ``{success, errors[], messages[], result}``. The generic word
stands in ``errors``, the detail often in ``messages``, which may be null; behind a proxy any reply
may be HTML instead.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from cfstream_upload.attempt import Failure, Reason
from cfstream_upload.outcome import Trouble


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, deciphered. ``envelope``: it was Stream's own JSON with a ``success`` field."""

    status: int
    envelope: bool
    success: bool
    result: Any
    code: int | None
    text: str
    retry_after: float | None
    date: float | None

    @property
    def denied(self) -> bool:
        """Whether Stream refused the credentials."""
        return self.envelope and self.status in (401, 403)

    def failure(self, what: str) -> Failure:
        """This refusal as words: ``what`` was being done."""
        said = f": {self.text}" if self.text else ""
        code = f", code {self.code}" if self.code is not None else ""
        message = f"Stream refused {what}{said} (HTTP {self.status}{code})"
        if self.denied:
            hint = "The token needs Stream: Edit on this account; check CLOUDFLARE_ACCOUNT_ID too."
            return Failure(Reason.DENIED, message, hint)
        if self.status == 413 or self.code == 10011:
            return Failure(
                Reason.QUOTA,
                message,
                "Pending uploads reserve minutes too: cfupload cleanup --orphans, or buy storage.",
            )
        if self.status == 404:
            return Failure(Reason.DENIED, message, "Check CLOUDFLARE_ACCOUNT_ID.")
        return Failure(Reason.REFUSED, message)

    def trouble(self, what: str) -> Trouble:
        """This reply as something that may pass."""
        said = f": {self.text}" if self.text else ""
        redirect = "a redirect, which is never followed" if 300 <= self.status < 400 else ""
        message = f"{what}: HTTP {self.status} {redirect}".rstrip() + said
        return Trouble(message, self.retry_after, cut=self.status == 408, date=self.date)


def decipher(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    redact: Callable[[str], str] = str,
) -> Answer:
    """What a reply of the API means. Never raises; a body that is no envelope says nothing.

    ``redact`` takes secrets out of the server's words, which end in messages and in the journal.
    """
    document = _json(body)
    envelope = isinstance(document, dict) and isinstance(document.get("success"), bool)
    fields = document if isinstance(document, dict) and envelope else {}
    code, text = _words(fields, redact)
    return Answer(
        status=status,
        envelope=envelope,
        success=fields.get("success") is True,
        result=fields.get("result"),
        code=code,
        text=text,
        retry_after=_retry_after(headers.get("retry-after")),
        date=_date(headers.get("date")),
    )


def _json(body: bytes) -> object:
    try:
        # Python takes NaN and 1e999, which no reader of our own JSON would.
        return json.loads(body, parse_constant=_refused, parse_float=_finite)
    except (ValueError, RecursionError):
        return None


def _refused(word: str) -> float:
    raise ValueError(word)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refused(text)


def _words(fields: dict[str, Any], redact: Callable[[str], str]) -> tuple[int | None, str]:
    code: int | None = None
    texts: list[str] = []
    for name in ("errors", "messages"):
        items = fields.get(name)
        for item in items if isinstance(items, list) else []:
            if not isinstance(item, dict):
                continue
            number = item.get("code")
            if code is None and type(number) is int and abs(number) < 10**9:
                code = number
            text = item.get("message")
            if isinstance(text, str) and text and text not in texts:
                # Redacted first: half a secret would no longer be found.
                texts.append(redact(text)[:300])
    return code, "; ".join(texts[:4])


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _retry_after(text: str | None) -> float | None:
    if text is None:
        return None
    # Not strip() alone: it takes more for blank than float() does.
    digits = text.strip(" \t")
    if re.fullmatch(r"[0-9]{1,9}", digits, re.ASCII):
        return float(digits)
    moment = _date(text)
    return None if moment is None else max(0.0, moment - datetime.now(UTC).timestamp())

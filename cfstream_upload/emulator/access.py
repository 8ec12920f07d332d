"""Who is let in: tokens, accounts, and the refusals that Cloudflare is known to answer with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .envelopes import AUTHENTICATION, Refused, failure, no_route, success
from .exchange import Reply, Request
from .routes import API, Route, is_hex32
from .switches import Switches
from .timestamps import SECOND, rfc3339

_VERIFY = ("verify-user", "verify-account")


@dataclass(frozen=True)
class Validity:
    """Whether the account's tokens are in force; times are seconds since 1970."""

    disabled: bool = False
    not_before: float | None = None
    expires_on: float | None = None

    def status(self, now: float) -> Literal["active", "disabled", "expired"]:
        """Give ``status`` as ``tokens/verify`` has it."""
        if self.disabled:
            return "disabled"
        return "expired" if self.expires_on is not None and now >= self.expires_on else "active"

    def in_force(self, now: float) -> bool:
        """Whether calls are let in."""
        early = self.not_before is not None and now < self.not_before
        return self.status(now) == "active" and not early


class Access:
    """One account, a token that may do everything on it, and perhaps one that may only read."""

    def __init__(
        self,
        account: str,
        token: str,
        read_only_token: str | None,
        switches: Switches,
        validity: Validity,
    ) -> None:
        self._account = account
        self._token = token
        self._read_only_token = read_only_token
        self._switches = switches
        self._validity = validity

    def check(self, request: Request, route: Route, now: float) -> None:
        """Let in only our tokens, and them only to our account; this runs before any quota."""
        header = request.headers.get("authorization")
        if header is None:
            text = "Missing X-Auth-Key, X-Auth-Email or Authorization headers"
            raise Refused(failure(400, 9106, text))
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(failure(400, 6003, "Invalid request headers"))
        if token not in (self._token, self._read_only_token):
            raise self._wrong_token(route)
        if not (self._validity.in_force(now) or route.kind in _VERIFY):
            raise self._wrong_token(route)
        if route.account not in (None, self._account):
            raise self._wrong_account(route.account or "", request.path)
        if token == self._read_only_token and request.method not in ("GET", "HEAD"):
            raise Refused(failure(403, AUTHENTICATION, "Authentication error"))

    def verified(self, route: Route, now: float) -> Reply:
        """Answer one of the two ``tokens/verify`` paths, the token having been let in."""
        owner = self._switches.token_owner
        if owner != "either" and route.kind != f"verify-{owner}":
            raise Refused(failure(401, 1000, "Invalid API Token"))
        status = self._validity.status(now)
        found: dict[str, object] = {"id": self._account[::-1], "status": status}
        for name in ("not_before", "expires_on"):
            moment = getattr(self._validity, name)
            found |= {} if moment is None else {name: rfc3339(int(moment * SECOND))}
        words = "valid and active" if status == "active" else status
        message = {"code": AUTHENTICATION, "message": f"This API Token is {words}"}
        return success(found, [message])

    def _wrong_token(self, route: Route) -> Refused:
        if route.kind in _VERIFY:
            return Refused(failure(401, 1000, "Invalid API Token"))
        if self._switches.wrong_token == "401":
            return Refused(failure(401, AUTHENTICATION, "Authentication error"))
        return Refused(failure(403, 9109, "Invalid access token"))

    def _wrong_account(self, account: str, path: str) -> Refused:
        if not is_hex32(account) or self._switches.wrong_account == "404":
            return no_route(path.removeprefix(API))
        return Refused(failure(403, 9109, "Unauthorized to access requested resource"))

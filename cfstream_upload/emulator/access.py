"""Who is let in: tokens, accounts, and the refusals that Cloudflare is known to answer with."""

from __future__ import annotations

from .envelopes import AUTHENTICATION, Refused, failure, no_route, success
from .exchange import Reply, Request
from .routes import API, Route, is_hex32
from .switches import Switches


class Access:
    """One account, a token that may do everything on it, and perhaps one that may only read."""

    def __init__(
        self, account: str, token: str, read_only_token: str | None, switches: Switches
    ) -> None:
        self._account = account
        self._token = token
        self._read_only_token = read_only_token
        self._switches = switches

    def check(self, request: Request, route: Route) -> None:
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
        if route.account not in (None, self._account):
            raise self._wrong_account(route.account or "", request.path)
        if token == self._read_only_token and request.method not in ("GET", "HEAD"):
            raise Refused(failure(403, AUTHENTICATION, "Authentication error"))

    def verified(self, route: Route) -> Reply:
        """Answer one of the two ``tokens/verify`` paths, the token having been let in."""
        owner = self._switches.token_owner
        if owner != "either" and route.kind != f"verify-{owner}":
            raise Refused(failure(401, 1000, "Invalid API Token"))
        message = {"code": AUTHENTICATION, "message": "This API Token is valid and active"}
        return success({"id": self._account[::-1], "status": "active"}, [message])

    def _wrong_token(self, route: Route) -> Refused:
        if route.kind in ("verify-user", "verify-account"):
            return Refused(failure(401, 1000, "Invalid API Token"))
        if self._switches.wrong_token == "401":
            return Refused(failure(401, AUTHENTICATION, "Authentication error"))
        return Refused(failure(403, 9109, "Invalid access token"))

    def _wrong_account(self, account: str, path: str) -> Refused:
        if not is_hex32(account) or self._switches.wrong_account == "404":
            return no_route(path.removeprefix(API))
        return Refused(failure(403, 9109, "Unauthorized to access requested resource"))

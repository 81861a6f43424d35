"""Access control: who may talk to the relay, and how often; the rest is for the handlers.

In this order: too many requests 429, a wrong Host 403 (`AccessControl._host_known`), a page of
another origin 403, no or a wrong bearer token 401.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from stream.rtc.relay_options import RelayOptions, is_loopback

TRUSTED = web.RequestKey("trusted", bool)
"""A request's own value: whether it has shown the token."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OPEN_PATHS = ("/", "/health", "/relay.css", "/relay.js", "/freshness.js")
"""The page holds nothing, and a load balancer needs no secret to ask whether the relay works."""
WATCH_PATHS = ("/whep", "/session/")
"""What the watch token opens, too; a session's address is a secret of its own."""
ADDRESSES = 4096
"""So many clients' rates are remembered, the latest ones."""
CORS = {
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Expose-Headers": "Location, ETag, Link, Accept-Patch",
    "Access-Control-Max-Age": "600",
}
SAFE = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Rate:
    """Requests of each address: so many a second on average, with a burst before."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second, self._burst = per_second, float(burst)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str, now_s: float) -> bool:
        """Count one request; False when it is one too many."""
        left, then_s = self._left.pop(address, (self._burst, now_s))
        left = min(self._burst, left + (now_s - then_s) * self._per_second)
        allowed = left >= 1.0
        self._left[address] = (left - 1.0 if allowed else left, now_s)
        if len(self._left) > ADDRESSES:
            self._left.popitem(last=False)
        return allowed


class AccessControl:
    """The relay's middleware; also gives every answer its headers."""

    def __init__(self, options: RelayOptions) -> None:
        self._options = options
        limits = options.limits
        self._rate = Rate(limits.requests_a_second, limits.burst)

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._checked(request, handler)

        self.middleware = middleware

    async def _checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        headers = dict(SAFE)
        try:
            self._admit(request, headers)
            request[TRUSTED] = self._has_token(request)
            if not (request[TRUSTED] or request.method == "OPTIONS" or request.path in OPEN_PATHS):
                raise web.HTTPUnauthorized(
                    text="a bearer token is needed", headers={"WWW-Authenticate": "Bearer"}
                )
            answer = await handler(request)
        except web.HTTPException as refusal:
            refusal.headers.update(headers)
            raise
        for name, value in headers.items():
            answer.headers.setdefault(name, value)
        return answer

    def _admit(self, request: web.Request, headers: dict[str, str]) -> None:
        if not self._rate.allows(self._address(request), time.monotonic()):
            raise web.HTTPTooManyRequests(text="too many requests", headers={"Retry-After": "2"})
        if self._options.token is None and not self._host_known(request):
            raise web.HTTPForbidden(text="this relay answers to its own host name alone")
        origin = request.headers.get("Origin")
        if origin is None:
            return
        if origin in self._options.origins:
            headers.update(CORS)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Vary"] = "Origin"
        elif urlsplit(origin).netloc != request.host or origin.split(":")[0] != self._scheme(
            request
        ):
            raise web.HTTPForbidden(text="pages of this origin may not use the relay (--origin)")

    def _trusts(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._options.trusted_proxies)

    def _address(self, request: web.Request) -> str:
        """Who asks: behind trusted proxies the last address that none of them has."""
        address = request.remote or ""
        hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        while hops and self._trusts(address):
            address = hops.pop().strip() or address
        return address

    def _scheme(self, request: web.Request) -> str:
        """What the browser sees: TLS may end at a trusted proxy."""
        told = request.headers.get("X-Forwarded-Proto", "")
        return told if told and self._trusts(request.remote or "") else request.scheme

    def _host_known(self, request: web.Request) -> bool:
        """Whether the browser knows whom it talks to.

        A page on the internet can give its own name this machine's loopback address (DNS
        rebinding); then all that tells is the Host header. A token makes it harmless.
        """
        host = urlsplit(f"//{request.host}").hostname or ""
        return is_loopback(host) or host == self._options.host

    def _has_token(self, request: web.Request) -> bool:
        """Whether the request shows the token, or needs none."""
        if self._options.token is None:
            return True
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        known = [self._options.token]
        if self._options.watch_token is not None and request.path.startswith(WATCH_PATHS):
            known.append(self._options.watch_token)
        shown = given.strip().encode()
        matches = [hmac.compare_digest(shown, one.encode()) for one in known]
        return kind.lower() == "bearer" and any(matches)

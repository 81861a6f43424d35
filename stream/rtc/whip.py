"""WHIP and WHEP: connections by one HTTP request (RFC 9725; draft-ietf-wish-whep).

POST    /call[/SECRET]     the page: offer → 201, Location, answer; the picture comes back
POST    /whip[/NAME]       publish: offer → 201, Location, answer
POST    /whep[/NAME]       watch what is published: offer → 201, Location, answer
PATCH   /session/ID        trickle ICE → 204; ICE restart (If-Match: *) → 200
DELETE  /session/ID        end it → 200
OPTIONS anywhere           204 with Link, Accept-Post
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from multidict import CIMultiDict

from stream.rtc.access_control import TRUSTED, Handler
from stream.rtc.connection import Connection, Kind, OfferError
from stream.rtc.connections import Connections, FullError
from stream.rtc.relay_options import Limits, RelayOptions

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
NAME = "{name:[A-Za-z0-9_-]{1,64}}"
SECRET = "{name:[A-Za-z0-9_-]{22,64}}"
"""Of a call's page, which gets what is remembered of it by this: 128 random bits or more."""
DEFAULT_NAME = "live"


class Whip:
    """The handlers; they know the sessions and nothing of who may call them."""

    def __init__(self, connections: Connections, options: RelayOptions) -> None:
        self._connections = connections
        self._limits: Limits = options.limits
        self._ice, self._prefix = options.ice, options.path_prefix

    def routes(self) -> list[web.RouteDef]:
        """Where they hang. GET of an endpoint answers 405, as the RFC wants it."""
        endpoints: list[tuple[str, Kind]] = [("/call", "call"), (f"/call/{SECRET}", "call")]
        for place, kind in (("/whip", "publish"), ("/whep", "watch")):
            endpoints += [(place, kind), (f"{place}/{NAME}", kind)]  # type: ignore[list-item]
        routes = [web.post(place, self._endpoint(kind)) for place, kind in endpoints]
        routes += [web.options(place, self._options) for place, _ in endpoints]
        connection = "/session/{id}"
        return [
            *routes,
            web.patch(connection, self._trickle),
            web.delete(connection, self._end),
            web.options(connection, self._options),
        ]

    def _endpoint(self, kind: Kind) -> Handler:
        async def begin(request: web.Request) -> web.Response:
            offer = await self._body(request, SDP)
            name = request.match_info.get("name", "" if kind == "call" else DEFAULT_NAME)
            try:
                connection, answer = await self._connections.begin(kind, name, offer)
            except FullError as error:
                raise web.HTTPServiceUnavailable(
                    text=str(error), headers={"Retry-After": "10"}
                ) from error
            except OfferError as error:
                raise refused(error) from error
            headers: CIMultiDict[str] = CIMultiDict(
                {
                    "Content-Type": SDP,
                    "Location": f"{self._prefix}/session/{connection.id}",
                    "ETag": connection.etag,
                    "Accept-Patch": FRAGMENT,
                }
            )
            self._add_links(headers, request)
            return web.Response(status=201, body=answer.encode(), headers=headers)

        return begin

    async def _trickle(self, request: web.Request) -> web.Response:
        connection = self._connection(request)
        fragment = await self._body(request, FRAGMENT)
        wanted = request.headers.get("If-Match")
        if wanted is None:
            raise web.HTTPPreconditionRequired(text="If-Match is missing")
        if wanted not in ("*", connection.etag):
            raise web.HTTPPreconditionFailed(text="If-Match is not this session's ETag")
        try:
            if wanted == "*":
                body = await connection.restart(fragment)
                headers = {"Content-Type": FRAGMENT, "ETag": connection.etag}
                return web.Response(status=200, body=body.encode(), headers=headers)
            await connection.add_candidates(fragment)
        except OfferError as error:
            raise refused(error) from error
        return web.Response(status=204)

    async def _end(self, request: web.Request) -> web.Response:
        await self._connections.end(self._connection(request), "its owner ended it")
        return web.Response()

    async def _options(self, request: web.Request) -> web.Response:
        headers: CIMultiDict[str] = CIMultiDict({"Accept-Post": SDP})
        self._add_links(headers, request)
        return web.Response(status=204, headers=headers)

    def _add_links(self, headers: CIMultiDict[str], request: web.Request) -> None:
        # A preflight brings no token, and is answered all the same (RFC 9725, 4.6).
        for link in self._ice.links(trusted=request.get(TRUSTED, False)):
            headers.add("Link", link)

    def _connection(self, request: web.Request) -> Connection:
        connection = self._connections.find(request.match_info["id"])
        if connection is None:
            raise web.HTTPNotFound(text="there is no such session, or it has ended")
        return connection

    async def _body(self, request: web.Request, content_type: str) -> str:
        if request.content_type != content_type:
            raise web.HTTPUnsupportedMediaType(text=f"Content-Type must be {content_type}")
        try:
            async with asyncio.timeout(self._limits.body_s):
                return await request.text()  # 413 above `client_max_size`
        except TimeoutError as error:
            raise web.HTTPRequestTimeout(text="the request did not come completely") from error
        except (UnicodeDecodeError, LookupError) as error:
            raise web.HTTPBadRequest(text="the request is no UTF-8 text") from error


def refused(error: OfferError) -> web.HTTPException:
    """The HTTP answer to an offer that cannot be used."""
    kinds: dict[int, type[web.HTTPException]] = {
        404: web.HTTPNotFound,
        409: web.HTTPConflict,
        422: web.HTTPUnprocessableEntity,
    }
    return kinds.get(error.status, web.HTTPBadRequest)(text=str(error))

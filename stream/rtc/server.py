"""Server: the relay on HTTP: its page, its connections, its health; from start to drained end."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.resources import files

from aiohttp import web

from engines.allocator import use_few_arenas
from stream.errors import ConfigError, InputError
from stream.rtc.access_control import AccessControl, Handler
from stream.rtc.client_connections import (
    ClientConnections,
    accepted_at_once,
    let_wait,
    say_seldom,
)
from stream.rtc.connections import Connections
from stream.rtc.page_controls import with_controls
from stream.rtc.peer import media_settings
from stream.rtc.relay_options import RelayOptions
from stream.rtc.whip import Whip
from stream.shared_runtime import SharedRuntime
from stream.telemetry.process_memory import keep_for_good
from stream.telemetry.prometheus import CONTENT_TYPE_LATEST, Exposition

INDEX = "index.html"
PAGE = {"/": (INDEX, "text/html"), "/relay.css": ("relay.css", "text/css"),
        "/relay.js": ("relay.js", "text/javascript"),
        "/freshness.js": ("freshness.js", "text/javascript")}  # fmt: skip
FINISH_S = 3.0
"""Requests that are under way at the very end get so long."""
_log = logging.getLogger("closeup.relay")


@dataclass(frozen=True)
class Relay:
    """A relay that runs."""

    url: str
    connections: Connections
    shared_runtime: SharedRuntime


@asynccontextmanager
async def running(options: RelayOptions) -> AsyncIterator[Relay]:
    """A relay, for as long as the block lasts; after it no thread, task or socket is left.

    Raises: InputError: the address cannot be had. ConfigError: the certificate cannot be used.
            EngineError: the network cannot run here.
    """
    tls = _tls(options)
    with (
        SharedRuntime(options.runtime, options.weights, options.network) as shared_runtime,
        media_settings(options.bit_rate),
    ):
        # Now, and not while somebody waits for a picture.
        await asyncio.to_thread(shared_runtime, 4)
        connections = Connections(options, shared_runtime)
        runner = web.AppRunner(
            _app(options, connections),
            access_log=None,
            shutdown_timeout=FINISH_S,
            lingering_time=FINISH_S,
            keepalive_timeout=options.limits.body_s,
            handle_signals=False,
        )
        await runner.setup()
        doorkeeper = ClientConnections(runner, options.limits)
        try:
            site = web.TCPSite(
                runner,
                options.host,
                options.port,
                ssl_context=tls,
                backlog=accepted_at_once(),
            )
            try:
                await site.start()
                assert isinstance(site._server, asyncio.Server)
                let_wait(site._server)
            except OSError as error:
                place = f"{options.host}:{options.port}"
                raise InputError(
                    f"the relay cannot listen at {place}: {error.strerror}; choose another --port"
                ) from error
            yield Relay(_url(options, runner), connections, shared_runtime)
        finally:
            doorkeeper.close()
            try:
                await connections.close()
            finally:
                await runner.cleanup()


def run_relay(options: RelayOptions, say: Callable[[str], None]) -> None:
    """Run the relay until Ctrl-C or SIGTERM; a second one does not wait for calls to finish.

    Args:   say: gets the lines for the one who started it.
    Raises: as `running`.
    """
    use_few_arenas()
    with _logging(options.log):
        asyncio.run(_serve(options, say))


@contextmanager
def _logging(level: str) -> Iterator[None]:
    """Lines of the relay on stderr, from this level on; never SDP, addresses, tokens, pictures."""
    handler, logger = logging.StreamHandler(), logging.getLogger("closeup")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


async def _serve(options: RelayOptions, say: Callable[[str], None]) -> None:
    ending, insisting = asyncio.Event(), asyncio.Event()

    def ask() -> None:
        (insisting if ending.is_set() else ending).set()

    loop = asyncio.get_running_loop()
    say_seldom(loop)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    try:
        async with running(options) as relay:
            keep_for_good()
            say(f"the relay is at {relay.url}")
            if options.token is not None:
                say("for people: put #token=... with the token behind it")
            if not options.loopback and options.cert is None:
                say(
                    "without --cert and --key browsers of other machines give no camera to the page"
                )
            await ending.wait()
            if relay.connections.open:
                say(f"ending; calls may go on for {options.limits.drain_s:.0f} s")
            waiting = [asyncio.create_task(relay.connections.drain()),
                       asyncio.create_task(insisting.wait())]  # fmt: skip
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _app(options: RelayOptions, connections: Connections) -> web.Application:
    access_control = AccessControl(options)
    app = web.Application(
        middlewares=[access_control.middleware], client_max_size=options.limits.body_bytes
    )
    app.add_routes(Whip(connections, options).routes())
    for place, (name, kind) in PAGE.items():
        app.router.add_get(place, _file(name, kind, options))

    async def health(request: web.Request) -> web.Response:
        body = {"status": connections.state, "sessions": len(connections.open)}
        return web.json_response(body, status=200 if connections.state == "ok" else 503)

    exposition = Exposition(connections.metrics)

    async def metrics(request: web.Request) -> web.Response:
        text = exposition.render()
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.router.add_get("/health", health)
    app.router.add_get("/metrics", metrics)
    return app


def _file(name: str, kind: str, options: RelayOptions) -> Handler:
    body = files("stream.rtc").joinpath("page", name).read_bytes()
    if name == INDEX:
        body = with_controls(body.decode(), options).encode()

    async def send(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=kind, charset="utf-8")

    return send


def _tls(options: RelayOptions) -> ssl.SSLContext | None:
    if options.cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.cert, options.key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"--cert {options.cert} and --key {options.key} cannot be used: {error}"
        ) from error
    return context


def _url(options: RelayOptions, runner: web.AppRunner) -> str:
    host = f"[{options.host}]" if ":" in options.host else options.host
    port = runner.addresses[0][1]
    return f"{'https' if options.cert else 'http'}://{host}:{port}/"

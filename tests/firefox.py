"""A real Firefox without a window, driven over WebDriver BiDi, with its own moving test picture."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the relay needs the extra webrtc")

import aiohttp

START_S = 60.0
PREFERENCES = {
    "media.navigator.streams.fake": "true",
    "media.navigator.permission.disabled": "true",
    "media.autoplay.default": "0",
    "media.hardware-video-decoding.enabled": "false",
    "app.update.enabled": "false",
    "network.captive-portal-service.enabled": "false",
    "network.connectivity-service.enabled": "false",
    "datareporting.policy.dataSubmissionEnabled": "false",
}


class Firefox:
    """One page of a Firefox."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.page = ""

    async def ask(self, method: str, **parameters: Any) -> Any:
        """One command. Raises: AssertionError: Firefox answers with an error."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            answer = json.loads((await self._socket.receive()).data)
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                return answer["result"]

    async def open(self, url: str) -> None:
        """Show a page."""
        tree = await self.ask("browsingContext.getTree")
        self.page = tree["contexts"][0]["context"]
        await self.ask("browsingContext.navigate", context=self.page, url=url, wait="complete")

    async def run(self, expression: str) -> Any:
        """The value of an expression (JavaScript, may be a promise), by way of JSON."""
        result = await self.ask(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then((one) => JSON.stringify(one ?? null))",
            target={"context": self.page},
            awaitPromise=True,
        )
        assert result["type"] == "success", result
        return json.loads(result["result"]["value"])

    async def until(self, expression: str, patience_s: float = START_S) -> None:
        """Wait until an expression is true. Raises: TimeoutError."""
        async with asyncio.timeout(patience_s):
            while not await self.run(expression):
                await asyncio.sleep(0.1)


@asynccontextmanager
async def firefox() -> AsyncIterator[Firefox]:
    """A Firefox; skips the test, with the reason, where there is none."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("needs Firefox: sudo apt-get install firefox-esr")
    with tempfile.TemporaryDirectory(prefix="firefox", ignore_cleanup_errors=True) as folder:
        lines = [f'user_pref("{name}", {value});' for name, value in PREFERENCES.items()]
        (Path(folder) / "user.js").write_text("\n".join(lines))
        process = await asyncio.create_subprocess_exec(
            *(program, "--headless", "--no-remote", "--profile", folder),
            *("--remote-debugging-port", "0"),
            env={"HOME": folder, "PATH": "/usr/bin:/bin", "MOZ_DISABLE_CONTENT_SANDBOX": "1"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            url = await asyncio.wait_for(_address(process), START_S)
            async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/session") as socket:
                one = Firefox(socket)
                await one.ask("session.new", capabilities={})
                yield one
        finally:
            process.terminate()
            await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async for line in process.stderr:
        if found := re.search(r"BiDi listening on (ws://\S+)", line.decode(errors="replace")):
            return found[1]
    raise AssertionError("Firefox ended")

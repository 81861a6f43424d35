"""Control: what the page of a call and the relay tell each other, as JSON on a data channel.

The page sends {"strength": 0..1}, {"detail": 0..1}, {"framing": "auto"|"fixed"}, {"forget": true},
{"sound_held_ms": what its browser keeps of sound, "sound_wanted_ms": what that wants to keep}; the
relay sends figures ten times a second and, when they change, the exemplars: pictures of faces,
which nobody but this call's own page can get. All of them anew with each change took more than a
slow network carries (up to 440 kbit within a second), and picture and sound waited behind them: now
each goes over once, one after the other, and on a slow network later.

After a queue browsers play all sound that waited, only a little faster, and it stays late for ten
seconds and more (Chromium 156). The relay leaves out what is beyond the browser's wish, once; for
what is left out beyond that they wait.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
import weakref
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
from aiortc import RTCDataChannel

from stream.errors import ConfigError
from stream.frame import Image
from stream.picture_options import FRAMING, SLIDERS
from stream.rtc.enhanced_track import EnhancedVideoTrack
from stream.rtc.sound import DelayedSound

LABEL = "closeup"
EVERY_S, SLOW_EVERY = 0.1, 5
"""Figures, and on a slow network only every so many of them."""
THUMBNAIL_PX = 96
EXCESS_MS = 200.0
"""So much more sound than wanted is left out."""
SKIP_AGAIN_S = 2.0
"""After what the browser keeps has been played, where the gap is."""
MESSAGE_CHARS = 1000
WAITING_BYTES = 200_000
"""A page that does not read is told nothing more until it does."""


class Control:
    """Obeys a channel and keeps it informed, as long as it is open.

    Args: channel: opened by the page. video, sound: the call's tracks; sound may be missing.
          is_slow: whether the network carries less than it did.
    """

    def __init__(
        self,
        channel: RTCDataChannel,
        video: EnhancedVideoTrack,
        sound: DelayedSound | None,
        is_slow: Callable[[], bool] = lambda: False,
    ) -> None:
        self._channel, self._video, self._sound = channel, video, sound
        self._is_slow = is_slow
        self._skips_again_s = 0.0
        self._numbers = itertools.count()
        self._known: dict[int, weakref.ref[Image]] = {}
        """The exemplars that had a number lately; an address may be another one's by now."""
        self._shown: list[int] = []
        channel.on("message", self._obey)
        loop = asyncio.get_running_loop()
        self._teller = loop.create_task(self._tell(), name="closeup control")
        channel.on("close", self._teller.cancel)

    def say(self, line: str) -> None:
        """One line for the page to show."""
        self._send({"note": line})

    def close(self) -> None:
        """Tell nothing more."""
        self._teller.cancel()

    def _obey(self, message: str | bytes) -> None:
        """Do what the page wants; an invalid message is answered with one line, nothing else."""
        if not isinstance(message, str) or len(message) > MESSAGE_CHARS:
            self.say("a control message that is not a short text was ignored")
            return
        try:
            wish = json.loads(message)
            if not isinstance(wish, dict):
                raise ValueError("not an object")
            for option in (*SLIDERS, FRAMING):
                if option.name in wish:
                    setattr(self._video, option.key, option.kind(wish[option.name]))
            if wish.get("forget") is True:
                self._video.forget()
            if "sound_held_ms" in wish:
                self._skip(float(wish["sound_held_ms"]), float(wish.get("sound_wanted_ms", 0.0)))
        except (ConfigError, ValueError, TypeError, OverflowError, RecursionError):
            self.say("an invalid control message was ignored")

    def _skip(self, held_ms: float, wanted_ms: float) -> None:
        """Leave out sound that the browser has in excess."""
        excess_ms, now_s = held_ms - wanted_ms, time.monotonic()
        if self._sound is not None and excess_ms > EXCESS_MS and now_s > self._skips_again_s:
            self._sound.skip(excess_ms)
            self._skips_again_s = now_s + held_ms / 1000.0 + SKIP_AGAIN_S

    async def _tell(self) -> None:
        step = 0
        while True:
            slow = self._is_slow()
            # Old figures would wait for each other, and sound for all of them.
            free = self._channel.bufferedAmount == 0
            if free and (not slow or step % SLOW_EVERY == 0):
                status: dict[str, Any] = asdict(self._video.status())
                status["sound_wait_ms"] = self._sound.wait_ms if self._sound else 0.0
                self._send(status)
            await self._show_closeups(one_more=free and not slow)
            step += 1
            await asyncio.sleep(EVERY_S)

    async def _show_closeups(self, *, one_more: bool) -> None:
        """Tell which are kept, with the picture of one that the page does not have yet."""
        # An exemplar never changes, it only comes and goes.
        kept = {self._number(image): image for image in self._video.exemplars()}
        new = [number for number in kept if number not in self._shown][: int(one_more)]
        shown = [number for number in kept if number in self._shown or number in new]
        if shown != self._shown:
            self._shown = shown
            pictures = await asyncio.to_thread(lambda: {one: _jpeg(kept[one]) for one in new})
            self._send({"closeups": shown, "pictures": pictures})

    def _number(self, image: Image) -> int:
        for number, known in tuple(self._known.items()):
            if known() is image:
                return number
            if known() is None:
                del self._known[number]
        number = next(self._numbers)
        self._known[number] = weakref.ref(image)
        return number

    def _send(self, what: dict[str, Any]) -> None:
        if self._channel.readyState == "open" and self._channel.bufferedAmount < WAITING_BYTES:
            self._channel.send(json.dumps(what))


def _jpeg(image: Image) -> str:
    """A small picture as a data URL."""
    small = cv2.resize(image, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", np.asarray(small)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()

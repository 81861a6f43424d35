"""PlayoutDelay: tells browsers how long they may hold pictures, which aiortc (1.16) cannot.

Chromium learns from arrivals when a picture should be shown, and sees only ten seconds later (156,
at 15 pictures a second) that the way has become shorter again: after a queue it holds each one for
as long as the queue was, and longer while its sound is late. With no delay allowed it shows each as
soon as it is decoded.
"""

from __future__ import annotations

from aiortc.rtcrtpparameters import RTCRtpParameters
from aiortc.rtp import (
    HeaderExtensions,
    HeaderExtensionsMap,
    pack_header_extensions,
    unpack_header_extensions,
)

URI = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
AT_ONCE, BRIEFLY = bytes((0, 0, 0)), bytes((0, 0, 20))
"""12 bits each, in 10 ms: the least and the most that a picture may be held. The second evens out
jitter; after a queue more would be all that sound is still late, at once."""


class PlayoutDelay(HeaderExtensionsMap):
    """A sender's header extensions, with this one where the receiver takes it.

    Nothing is said until there is something to say. Then every packet says it, as some are lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self._id: int | None = None
        self._said: bytes | None = None

    def configure(self, parameters: RTCRtpParameters) -> None:
        """As aiortc's."""
        super().configure(parameters)
        for one in parameters.headerExtensions:
            if one.uri == URI:
                self._id = one.id

    def allow(self, *, holding: bool) -> None:
        """Whether the receiver may hold pictures from now on: briefly."""
        if not holding or self._said is not None:
            self._said = BRIEFLY if holding else AT_ONCE

    def set(self, values: HeaderExtensions) -> tuple[int, bytes]:
        """As aiortc's: the profile, and the extensions of a packet."""
        profile, data = super().set(values)
        if self._id is None or self._said is None:
            return profile, data
        others = unpack_header_extensions(profile, data)
        return pack_header_extensions([*others, (self._id, self._said)])

"""Connection: one connection of the relay: a call's page, somebody who publishes, or who watches.

call       sends camera and microphone, gets the enhanced picture back (the relay's own page)
publish    sends alone (WHIP)
watch      gets what somebody publishes (WHEP)
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Literal

from aiortc import RTCDataChannel, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from aiortc.sdp import SessionDescription

from stream.live_learning import LearningPermit
from stream.rtc.control import LABEL, Control
from stream.rtc.description import codec_trouble, summary
from stream.rtc.enhanced_track import EnhancedVideoTrack
from stream.rtc.fan_out import FanOut
from stream.rtc.ice.ice_restart import (
    IceFragment,
    answer_fragment,
    are_credentials,
    parse_fragment,
    restart,
)
from stream.rtc.live_stream import LiveStream
from stream.rtc.peer import START_BITS, make_peer, with_start_bits
from stream.rtc.reception.video_receiver import VideoReceiver
from stream.rtc.reception.video_sender import VideoSender
from stream.rtc.relay_options import RelayOptions
from stream.rtc.sound import DelayedSound
from stream.rtc.track_worker import TrackWorker
from stream.shared_runtime import SharedRuntime
from stream.telemetry.metrics import Metrics

Kind = Literal["call", "publish", "watch"]
TOO_LONG = "it lasted as long as it may"
ENDED = "the session has ended meanwhile"
MOST_MEDIA = 16
"""Of an offer: each takes time until it is refused."""


class OfferError(Exception):
    """An offer or a candidate that cannot be used; `status` is the HTTP answer to it."""

    def __init__(self, line: str, status: int) -> None:
        super().__init__(line)
        self.status = status


class Connection:
    """One connection and what belongs to it.

    Args: kind: see above. name: of the stream that is published or watched.
          stream: what is published and watched; of a call or publisher that comes back, its own
          from before. Who made the connection closes it.
          lost: called when its connection is gone.
    """

    def __init__(
        self,
        kind: Kind,
        name: str,
        options: RelayOptions,
        shared_runtime: SharedRuntime,
        metrics: Metrics,
        lost: Callable[[Connection, str], None],
        stream: LiveStream,
        permit: LearningPermit | None = None,
    ) -> None:
        self.id = secrets.token_urlsafe(18)
        self.alias = secrets.token_hex(3)
        """For logs: tells sessions apart and nothing else."""
        self.etag = f'"{secrets.token_hex(8)}"'
        self.kind: Kind = kind
        self.name = name
        self.began_s = time.monotonic()
        self.video: EnhancedVideoTrack | None = None
        self.sound: DelayedSound | None = None
        self.stream = stream
        self._options, self._shared_runtime, self._metrics = options, shared_runtime, metrics
        self._lost, self._permit = lost, permit
        self._control: Control | None = None
        self._ended = False
        self._candidates = 0
        self._mids: dict[str, str] = {}
        self._peer = make_peer(options)
        self._peer.on("track", self._take)
        self._peer.on("datachannel", self._listen)
        self._peer.on("connectionstatechange", self._look)

    @property
    def connected(self) -> bool:
        """Whether media can flow."""
        return self._peer.connectionState == "connected"

    @property
    def silent_s(self) -> float:
        """How long ago the last picture came, or the connection began."""
        if self.video is None:
            return time.monotonic() - self.began_s
        return self.video.silent_s

    @property
    def stale(self) -> bool:
        """Whether it should send and has not for a while."""
        return self.kind != "watch" and self.silent_s > self._options.limits.stale_s

    async def summary(self) -> str:
        """What the way was like, in words: codec, kbit/s, loss, round trip."""
        return summary(await self._peer.getStats(), self._peer, time.monotonic() - self.began_s)

    async def answer(self, offer: str) -> str:
        """Take an offer; returns the answer (SDP).

        Raises: OfferError: it is malformed, or is no offer of what this session is for.
        """
        if not offer.startswith("v=0"):
            raise OfferError("this is no offer (SDP)", 400)
        if offer.count("\nm=") > MOST_MEDIA:
            raise OfferError(f"the offer has more than {MOST_MEDIA} media", 422)
        try:
            self._check(SessionDescription.parse(offer))
            await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            if self._ended:
                raise OfferError(ENDED, 409)
            self._refuse_others()
            if self.kind == "watch":
                self._show()
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except OfferError:
            raise
        except Exception as error:
            if self._ended:
                raise OfferError(ENDED, 409) from error
            # aiortc answers bad SDP with whatever its parser stumbles over.
            raise OfferError("the offer cannot be understood", 400) from error
        answer = self._peer.localDescription.sdp
        return with_start_bits(answer, min(START_BITS, self._options.bit_rate))

    async def add_candidates(self, fragment: str) -> None:
        """Take addresses that the peer found later (trickle ICE, RFC 8840).

        Raises: OfferError: they are malformed, too many, or belong to an ICE restart.
        """
        found = _fragment(fragment)
        if found.username is not None and found.username not in self._mids.values():
            raise OfferError("an ICE restart needs If-Match: *", 422)
        await self._add(found)

    async def restart(self, fragment: str) -> str:
        """Restart ICE; returns what the peer must know of this side. The ETag changes.

        Raises: OfferError: the fragment is malformed, or this session cannot be restarted.
        """
        found = _fragment(fragment)
        if found.username is None or found.password is None:
            raise OfferError("an ICE restart needs ice-ufrag and ice-pwd", 400)
        if len(found.candidates) > self._options.limits.candidates:
            raise OfferError("too many ICE candidates", 422)
        try:
            ice = await restart(self._peer, found.username, found.password)
        except ConnectionError as error:
            raise OfferError(f"{error}; begin anew", 422) from error
        self._mids = dict.fromkeys(self._mids, found.username)
        self.etag = f'"{secrets.token_hex(8)}"'
        self._candidates = 0
        await self._add(found)
        return answer_fragment(ice, next(iter(self._mids)))

    async def _add(self, found: IceFragment) -> None:
        self._count_candidates(len(found.candidates))
        for mid, candidate in found.candidates:
            candidate.sdpMid = mid if mid in self._mids else next(iter(self._mids), None)
            await self._peer.addIceCandidate(candidate)
        if found.ended:
            await self._peer.addIceCandidate(None)

    def overdue(self) -> str:
        """Why this session has to end now; empty when it may go on."""
        limits, age_s = self._options.limits, time.monotonic() - self.began_s
        if age_s > limits.session_s:
            return TOO_LONG
        if not self.connected:
            return "no connection came about" if age_s > limits.connect_s else ""
        if self.video is not None and self.video.silent_s > limits.idle_s:
            return "no picture came any more"
        return ""

    def say(self, line: str) -> None:
        """One line for the page, if this session has one."""
        if self._control is not None:
            self._control.say(line)

    async def close(self) -> None:
        """End it, and wait until nothing of it but the stream is left."""
        self._ended = True
        if self._control is not None:
            self._control.close()
        for track in (self.video, self.sound):
            if track is not None:
                track.stop()
        await self._peer.close()

    def _check(self, offer: SessionDescription) -> None:
        kinds = [media.kind for media in offer.media]
        if "video" not in kinds:
            raise OfferError("the offer has no picture in it", 422)
        if trouble := codec_trouble(offer):
            raise OfferError(trouble, 422)
        sends = [media.direction in ("sendonly", "sendrecv") for media in offer.media
                 if media.kind == "video"][:1]  # fmt: skip
        if self.kind == "watch" and not any(
            media.direction in ("recvonly", "sendrecv") for media in offer.media
        ):
            raise OfferError("the offer wants to receive nothing", 422)
        if self.kind != "watch" and not all(sends):
            raise OfferError("the offer sends no picture", 422)
        if any(media.ice is None or not media.ice.usernameFragment for media in offer.media):
            raise OfferError("the offer has no ICE user name", 400)
        if not all(are_credentials(media.ice.usernameFragment, media.ice.password)
                   for media in offer.media if media.ice is not None):  # fmt: skip
            raise OfferError("ice-ufrag or ice-pwd is malformed", 400)
        if any(media.dtls is None or not media.dtls.fingerprints for media in offer.media):
            raise OfferError("the offer has no DTLS fingerprint", 400)
        self._mids = {m.rtp.muxId: str(m.ice and m.ice.usernameFragment) for m in offer.media}
        self._count_candidates(sum(len(media.ice_candidates) for media in offer.media))

    def _refuse_others(self) -> None:
        """Take one picture and one sound; other tracks of the offer stay inactive."""
        seen = set()
        for transceiver in self._peer.getTransceivers():
            if transceiver.kind in seen:
                transceiver.direction = "inactive"
            seen.add(transceiver.kind)

    def _count_candidates(self, number: int) -> None:
        if self._candidates + number > self._options.limits.candidates:
            raise OfferError("too many ICE candidates", 422)
        self._candidates += number

    def _take(self, track: MediaStreamTrack) -> None:
        """Somebody sends a track."""
        if self.kind == "watch" or self._ended:
            return
        if track.kind == "video" and self.video is None:
            if self.stream.worker is None:
                self.stream.worker = self._make_worker()
            say = self._say_from_thread()
            # `tests.network_faults` puts aiortc's own receiver in its place.
            asked = [one.is_late for one in self._peer.getReceivers()
                     if isinstance(one, VideoReceiver) and one.track is track]  # fmt: skip
            self.video = EnhancedVideoTrack(
                track,
                worker=self.stream.worker,
                say=say,
                is_late=asked[0] if asked else lambda frame: False,
            )
            self._give(self.video)
        elif track.kind == "audio" and self.sound is None:
            # Pictures tell when they were sent, sound does not.
            pictures = [one for one in self._peer.getReceivers() if isinstance(one, VideoReceiver)]
            self.sound = DelayedSound(
                track,
                lambda: self.video.delay_ms if self.video else 0.0,
                lambda: any(one.sound_is_late() for one in pictures),
            )
            self._give(self.sound)

    def _give(self, track: MediaStreamTrack) -> None:
        if self.kind == "call":
            self._peer.addTrack(track)
        elif track.kind in self.stream.fan_outs:
            self.stream.fan_outs[track.kind].follow(track)
        else:
            self.stream.fan_outs[track.kind] = FanOut(track)

    def _make_worker(self) -> TrackWorker:
        return TrackWorker(
            self._shared_runtime,
            lambda picture: None,
            framing=self._options.framing,
            strength=self._options.strength,
            detail=self._options.detail,
            camera=self._options.camera,
            metrics=self._metrics,
            permit=self._permit,
        )

    def _show(self) -> None:
        wanted = {transceiver.kind for transceiver in self._peer.getTransceivers()}
        for kind, fan_out in self.stream.fan_outs.items():
            if kind in wanted:
                self._peer.addTrack(fan_out.subscribe())

    def _say_from_thread(self) -> Callable[[str], None]:
        loop = asyncio.get_running_loop()

        def say(line: str) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self.say, line)

        return say

    def _listen(self, channel: RTCDataChannel) -> None:
        if self.kind == "call" and channel.label == LABEL and self.video and not self._control:
            pictures = [one for one in self._peer.getSenders() if isinstance(one, VideoSender)]
            slow = lambda: any(one.is_slow for one in pictures)  # noqa: E731
            self._control = Control(channel, self.video, self.sound, slow)

    def _look(self) -> None:
        if self._peer.connectionState in ("failed", "closed"):
            self._lost(self, "the connection ended")


def _fragment(text: str) -> IceFragment:
    try:
        return parse_fragment(text)
    except ValueError as error:
        raise OfferError(str(error), 400) from error

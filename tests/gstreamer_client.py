"""GStreamer's webrtcbin (libnice) as a client of the relay; run by Debian's own Python.

gstreamer_client.py publish|watch URL SECONDS → frames that came (watch), the state in the end
"""

from __future__ import annotations

import sys
import urllib.request

import gi

for module in ("Gst", "GstWebRTC", "GstSdp"):
    gi.require_version(module, "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

PUBLISH = (
    "webrtcbin name=peer bundle-policy=max-bundle videotestsrc is-live=true pattern=ball "
    "! video/x-raw,width=320,height=240,framerate=30/1 ! videoconvert "
    "! vp8enc deadline=1 keyframe-max-dist=60 ! rtpvp8pay picture-id-mode=15-bit "
    "! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer."
)


class Client:
    """One connection."""

    def __init__(self, way: str, url: str) -> None:
        self.url, self.frames, self.loop = url, 0, GLib.MainLoop()
        if way == "publish":
            self.pipe = Gst.parse_launch(PUBLISH)
        else:
            self.pipe = Gst.Pipeline()
            self.pipe.add(Gst.ElementFactory.make("webrtcbin", "peer"))
        self.peer = self.pipe.get_by_name("peer")
        self.peer.connect("on-negotiation-needed", lambda _: self.offer())
        self.peer.connect("notify::ice-gathering-state", self.gathered)
        self.peer.connect("pad-added", self.show)
        if way == "watch":
            caps = Gst.Caps.from_string(
                "application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000"
            )
            direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
            self.peer.emit("add-transceiver", direction, caps)
        self.pipe.set_state(Gst.State.PLAYING)

    def offer(self) -> None:
        def made(promise: Gst.Promise) -> None:
            promise.wait()
            reply = promise.get_reply()
            self.peer.emit("set-local-description", reply["offer"], Gst.Promise())

        self.peer.emit("create-offer", None, Gst.Promise.new_with_change_func(made))

    def gathered(self, *_: object) -> None:
        if self.peer.props.ice_gathering_state != GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            return
        text = self.peer.props.local_description.sdp.as_text()
        head = {"Content-Type": "application/sdp"}
        request = urllib.request.Request(self.url, text.encode(), head)
        with urllib.request.urlopen(request, timeout=20) as answer:
            body = answer.read()
        _, sdp = GstSdp.SDPMessage.new()
        GstSdp.sdp_message_parse_buffer(body, sdp)
        kind = GstWebRTC.WebRTCSDPType.ANSWER
        description = GstWebRTC.WebRTCSessionDescription.new(kind, sdp)
        self.peer.emit("set-remote-description", description, Gst.Promise())

    def show(self, _: object, pad: Gst.Pad) -> None:
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        text = "rtpvp8depay ! vp8dec ! fakesink name=out signal-handoffs=true sync=false"
        sink = Gst.parse_bin_from_description(text, True)
        self.pipe.add(sink)
        sink.get_by_name("out").connect("handoff", lambda *_: self.count())
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    def count(self) -> None:
        self.frames += 1


def main() -> None:
    """Connect, stay for some seconds, say what came."""
    Gst.init(None)
    client = Client(sys.argv[1], sys.argv[2])
    GLib.timeout_add(int(1000 * float(sys.argv[3])), client.loop.quit)
    client.loop.run()
    print(client.frames, client.peer.props.connection_state.value_nick, flush=True)
    client.pipe.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()

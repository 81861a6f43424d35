"""OptionTable: every option of the command line and of files, in the order of the help."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from engines.runtime import DEFAULT_WEIGHTS, NETWORKS, RUNTIMES
from engines.runtime import WEIGHTS as NETWORK_WEIGHTS
from stream.declared_option import ALL, RECORDINGS, DeclaredOption, Use
from stream.media.sinks.encoder import CODECS, ENCODERS, CodecName, EncoderName
from stream.picture_options import DETAIL, FRAMING, SCALE, SPEED, STRENGTH

DEMO = "demo"
WEBRTC = "webrtc"
VIRTUAL_CAMERA = "virtualcam"
TOKEN_VARIABLE = "CLOSEUP_TOKEN"
WATCH_TOKEN_VARIABLE = "CLOSEUP_WATCH_TOKEN"
TURN_SECRET_VARIABLE = "CLOSEUP_TURN_SECRET"
INPUT_TOKEN_VARIABLE = "CLOSEUP_INPUT_TOKEN"
OUTPUT_TOKEN_VARIABLE = "CLOSEUP_OUTPUT_TOKEN"
LEAST_TOKEN = 16
_CALL: frozenset[Use] = frozenset(("call",))
_FILES = RECORDINGS | _CALL
_SINGLE = _FILES - {"archive"}
_PROGRAM: frozenset[Use] = ALL - {"api"}
_RELAY: frozenset[Use] = frozenset(("relay",))
_ARCHIVE: frozenset[Use] = frozenset(("archive",))
_RESUMABLE: frozenset[Use] = frozenset(("recording", "archive"))
_WHAT, _RECORDINGS, _CALLS = "input and output", "recordings and demo", "calls, with a camera"
_ARCHIVES, _WEBRTC, _MORE = "recordings", f"the relay, --input {WEBRTC}", "more"
_AS_IT_COMES: dict[Use, str] = {"call": "a call is written as it comes, in H.264"}
_HAS_REPORT: dict[Use, str] = dict.fromkeys(RECORDINGS, "a recording has --report")

# fmt: off
INPUT = DeclaredOption[Sequence[str]](
    name="input", many=True, default=(), metavar="WHAT", uses=_PROGRAM, group=_WHAT,
    help="a recording, or as often as you like recordings, folders and patterns; "
    f'"-", a recording from standard input; "{DEMO}", a camera (webcam, webcam:1, /dev/video2, or '
    f'lavfi:GRAPH for a picture made by FFmpeg), a stream on a server (whep+https://, rtsp://, '
    f'rtmp://, srt://), or "{WEBRTC}", a relay for calls in a browser',
)
OUTPUT = DeclaredOption[Sequence[str]](
    name="output", many=True, default=(), metavar="WHAT", uses=_FILES, group=_WHAT,
    help="the recording to write (.mp4, .mov, .mkv), or a folder for several; with a camera also "
    f'"{VIRTUAL_CAMERA}" and a server (whip+https://, rtmp://, srt://), and as often as you like',
)
OVERWRITE = DeclaredOption[bool](
    name="overwrite", kind=bool, default=False, uses=_FILES, group=_WHAT,
    help="replace files that exist",
)
PASSES = DeclaredOption[int](
    name="passes", kind=int, default=2, choices=(1, 2), uses=RECORDINGS, group=_RECORDINGS,
    help="2 (default): search the whole recording for close-ups first, which its beginning needs; "
    "1: a single pass",
    instead={"call": "a call cannot be looked through first"},
)
LEARN = DeclaredOption[float | None](
    name="learn", kind=float, default=None, least=0.0, above=True, most=240.0, metavar="MINUTES",
    uses=_RESUMABLE, group=_RECORDINGS,
    help="train the network on the close-ups of each person who is far away, so many minutes for "
    "each, between the passes; q or Ctrl-C ends it early (extra learn)",
)
CODEC = DeclaredOption[CodecName](
    name="codec", default="auto", choices=CODECS, uses=RECORDINGS, group=_RECORDINGS,
    help="default {default}: h264, for more than 8 bits hevc", instead=_AS_IT_COMES,
)
CRF = DeclaredOption[int | None](
    name="crf", kind=int, default=None, metavar="N", uses=RECORDINGS, group=_RECORDINGS,
    help="constant quality: lower is better, 0 is lossless (default: next to no visible loss, "
    "18 for h264)",
    instead=_AS_IT_COMES,
)
ENCODER = DeclaredOption[EncoderName](
    name="encoder", default="software", choices=ENCODERS, uses=RECORDINGS, group=_RECORDINGS,
    help="nvenc, auto: on an NVIDIA card, or else in software (default {default})",
    instead=_AS_IT_COMES,
)
BADGE = DeclaredOption[bool](
    name="badge", kind=bool, default=False, uses=RECORDINGS, group=_RECORDINGS,
    help="a small mark in the picture's corner while a face is enhanced",
)
C2PA_KEY = DeclaredOption[Path | None](
    name="c2pa-key", kind=Path, default=None, metavar="PEM", uses=RECORDINGS, group=_RECORDINGS,
    help="sign the output (.mp4, .mov) with this key: a C2PA manifest says what was done",
)
C2PA_CERT = DeclaredOption[Path | None](
    name="c2pa-cert", kind=Path, default=None, metavar="PEM", uses=RECORDINGS, group=_RECORDINGS,
    help="the certificate chain of that key",
)
HEADLESS = DeclaredOption[bool](
    name="headless", kind=bool, default=False, uses=_CALL, group=_CALLS,
    help="no preview window; needs an output",
    instead=dict.fromkeys(RECORDINGS, "a recording has no preview window"),
)
PERSON = DeclaredOption[str | None](
    name="person", default=None, metavar="NAME", uses=_CALL, group=_CALLS,
    help='a person who is kept ("closeup learn NAME"): their face has close-ups and '
    "personal weights from the start",
    instead=dict.fromkeys(RECORDINGS, "a recording has --learn"),
)
LEARN_LIVE = DeclaredOption[bool](
    name="learn-live", kind=bool, default=False, uses=_CALL | _RELAY, group=_CALLS,
    help="train the network on the close-ups of the call during the call, while there is "
    "processor time to spare; the relay learns one person at a time (extra learn)",
)
STATS = DeclaredOption[Literal["table", "json"] | None](
    name="stats", default=None, choices=("table", "json"), uses=_CALL, group=_CALLS,
    help="figures on stdout, a line a second", instead=_HAS_REPORT,
)
METRICS_PORT = DeclaredOption[int | None](
    name="metrics-port", kind=int, default=None, least=0, most=65_535, metavar="N", uses=_CALL,
    group=_CALLS,
    help="figures for Prometheus, on the loopback address; 0 takes a free port",
    instead=_HAS_REPORT,
)
INPUT_TOKEN = DeclaredOption[str | None](
    name="input-token", default=None, metavar="SECRET", uses=_CALL, group=_CALLS,
    help=f"bearer token of a WHEP server; better as ${INPUT_TOKEN_VARIABLE}, where no list of "
    "processes shows it",
)
OUTPUT_TOKEN = DeclaredOption[str | None](
    name="output-token", default=None, metavar="SECRET", uses=_CALL, group=_CALLS,
    help=f"bearer token of a WHIP server; better as ${OUTPUT_TOKEN_VARIABLE}",
)
JOBS = DeclaredOption[int](
    name="jobs", kind=int, default=1, least=1, most=256, metavar="N", uses=_ARCHIVE,
    group=_ARCHIVES, help="recordings at the same time, each in a process ({default})",
)
CLUSTER = DeclaredOption[str | None](
    name="cluster", default=None, bare="local", metavar="ADDRESS", uses=_ARCHIVE, group=_ARCHIVES,
    help="on a Ray cluster; without an address on one that is started here (extra cluster)",
)
CLUSTER_CPUS = DeclaredOption[float](
    name="cluster-cpus", kind=float, default=1.0, least=0.0, above=True, metavar="N",
    uses=_ARCHIVE, group=_ARCHIVES, help="CPUs there for each recording ({default})",
)
CLUSTER_GPUS = DeclaredOption[float](
    name="cluster-gpus", kind=float, default=0.0, least=0.0, metavar="N",
    uses=_ARCHIVE, group=_ARCHIVES, help="GPUs there for each recording ({default})",
)
RESUME = DeclaredOption[bool](
    name="resume", kind=bool, default=False, uses=_RESUMABLE, group=_ARCHIVES,
    help="keep finished work, and continue an interrupted recording where it stopped (archives "
    "always do)",
)
SEGMENT = DeclaredOption[int](
    name="segment", kind=int, default=250, least=1, most=100_000, metavar="N", uses=_RESUMABLE,
    group=_ARCHIVES, help="finished work is kept every N frames ({default})",
)
PROGRESS = DeclaredOption[Literal["text", "json"]](
    name="progress", default="text", choices=("text", "json"), uses=_RESUMABLE, group=_ARCHIVES,
    help="json: lines on stdout for programs",
)
HOST = DeclaredOption[str](
    name="host", default="127.0.0.1", metavar="ADDRESS", uses=_RELAY, group=_WEBRTC,
    help="where to listen ({default}); others need --token",
)
PORT = DeclaredOption[int](
    name="port", kind=int, default=8080, least=0, most=65_535, metavar="N", uses=_RELAY,
    group=_WEBRTC, help="{default} by default; 0 takes a free one",
)
TOKEN = DeclaredOption[str | None](
    name="token", default=None, metavar="SECRET", uses=_RELAY, group=_WEBRTC,
    help=f"what clients must send, {LEAST_TOKEN} characters or more; better as "
    f"${TOKEN_VARIABLE}, where no list of processes shows it",
)
WATCH_TOKEN = DeclaredOption[str | None](
    name="watch-token", default=None, metavar="SECRET", uses=_RELAY, group=_WEBRTC,
    help=f"a second one, with which clients may only watch; better as ${WATCH_TOKEN_VARIABLE}",
)
ORIGIN = DeclaredOption[Sequence[str]](
    name="origin", many=True, default=(), metavar="URL", uses=_RELAY, group=_WEBRTC,
    help="another web page that may use the relay, such as https://example.org; as often as you "
    "like",
)
CERT = DeclaredOption[Path | None](
    name="cert", kind=Path, default=None, metavar="FILE", uses=_RELAY, group=_WEBRTC,
    help="TLS certificate chain, PEM",
)
KEY = DeclaredOption[Path | None](
    name="key", kind=Path, default=None, metavar="FILE", uses=_RELAY, group=_WEBRTC,
    help="its private key, PEM",
)
MAX_SESSIONS = DeclaredOption[int](
    name="max-sessions", kind=int, default=8, least=1, most=1000, metavar="N", uses=_RELAY,
    group=_WEBRTC, help="connections at the same time ({default})",
)
MAX_MINUTES = DeclaredOption[float](
    name="max-minutes", kind=float, default=240.0, least=0.0, above=True, most=24 * 60.0,
    metavar="N", uses=_RELAY, group=_WEBRTC, help="length of a connection ({default})",
)
BIT_RATE = DeclaredOption[int](
    name="bit-rate", kind=int, default=4000, least=300, most=50_000, metavar="KBIT",
    uses=_RELAY | _CALL, group=_WEBRTC,
    help="most kbit/s of a picture sent back, or sent to a server ({default})",
)
STUN = DeclaredOption[str | None](
    name="stun", default=None, metavar="HOST:PORT", uses=_RELAY, group=_WEBRTC,
    help="STUN server, for peers behind routers (none)",
)
TURN = DeclaredOption[Sequence[str]](
    name="turn", many=True, default=(), metavar="URL", uses=_RELAY, group=_WEBRTC,
    help="TURN server, for networks that let no UDP through: turn:HOST:PORT?transport=udp, "
    "?transport=tcp or turns:HOST:PORT; as often as you like",
)
TURN_USER = DeclaredOption[str | None](
    name="turn-user", default=None, metavar="NAME", uses=_RELAY, group=_WEBRTC,
    help="user name for the TURN servers",
)
TURN_PASSWORD = DeclaredOption[str | None](
    name="turn-password", default=None, metavar="PASSWORD", uses=_RELAY, group=_WEBRTC,
    help="password for the TURN servers",
)
TURN_SECRET = DeclaredOption[str | None](
    name="turn-secret", default=None, metavar="SECRET", uses=_RELAY, group=_WEBRTC,
    help="the secret shared with the TURN server (coturn: static-auth-secret), for passwords that "
    f"expire; better as ${TURN_SECRET_VARIABLE}",
)
UDP_PORTS = DeclaredOption[str | None](
    name="udp-ports", default=None, metavar="A-B", uses=_RELAY, group=_WEBRTC,
    help="ports for media, such as 50000-50099 (any); a connection takes one for each address",
)
PUBLIC_ADDRESS = DeclaredOption[str | None](
    name="public-address", default=None, metavar="ADDRESS", uses=_RELAY, group=_WEBRTC,
    help="the address from which a router or container forwards --udp-ports",
)
CANDIDATES = DeclaredOption[Literal["auto", "all", "public"]](
    name="candidates", default="auto", choices=("auto", "all", "public"), uses=_RELAY,
    group=_WEBRTC,
    help="addresses named by a peer that the relay sends to: public ones, or all; auto "
    "(default): public ones if others can reach --host",
)
TRUSTED_PROXIES = DeclaredOption[Sequence[str]](
    name="trusted-proxies", many=True, default=(), metavar="ADDRESS", uses=_RELAY, group=_WEBRTC,
    help="a reverse proxy, or a network of some (10.0.0.0/8), whose X-Forwarded-For and "
    "X-Forwarded-Proto are used; as often as you like",
)
PATH_PREFIX = DeclaredOption[str](
    name="path-prefix", default="", metavar="PATH", uses=_RELAY, group=_WEBRTC,
    help="the part of the path that a reverse proxy removes, such as /closeup",
)
LOG = DeclaredOption[Literal["error", "warning", "info"]](
    name="log", default="warning", choices=("error", "warning", "info"), uses=_RELAY,
    group=_WEBRTC,
    help="info: a line on stderr when a session begins and ends, without addresses "
    "(default {default})",
)
REPORT = DeclaredOption[Path | None](
    name="report", kind=Path, default=None, metavar="WHAT", uses=_SINGLE, group=_MORE,
    help="NAME.json: figures of the run, for programs; any other name: a folder with an HTML page, "
    "which SHOWS FACES: moments before and after, and everybody's close-ups (recordings and demo)",
    instead={"archive": "an archive has manifest.jsonl"},
)
RUNTIME = DeclaredOption[str](
    name="runtime", default="auto", choices=("auto", *(name for name, _ in RUNTIMES)), uses=ALL,
    group=_MORE,
    help="what runs the network (default {default}: the best that this machine has)",
)
WEIGHTS = DeclaredOption[str](
    name="weights", default=DEFAULT_WEIGHTS, choices=NETWORK_WEIGHTS, uses=ALL, group=_MORE,
    help="open: trained on openly licensed pictures alone, for products; research: also on "
    "footage that allows research use only (default {default})",
)
NETWORK = DeclaredOption[str](
    name="network", default="auto", choices=("auto", *NETWORKS), uses=ALL, group=_MORE,
    help="full: the best; small: a faster one, on a CPU alone; auto: the full one, in calls for as "
    "long as the machine keeps up with it, in recordings unless --speed is fast (default "
    "{default})",
)
MEASURE = DeclaredOption[bool](
    name="measure", kind=bool, default=True, uses=ALL - {"api"}, group=_MORE,
    help="measure once what runs the network fastest on this machine, unless that is known: "
    "beside a call or the relay, before a recording; it takes seconds (default: yes)",
)
# fmt: on
OPTIONS: tuple[DeclaredOption[Any], ...] = (
    *(INPUT, OUTPUT, OVERWRITE, FRAMING, SCALE, STRENGTH, DETAIL, SPEED),
    *(PASSES, LEARN, CODEC, CRF, ENCODER, BADGE, C2PA_KEY, C2PA_CERT),
    *(HEADLESS, LEARN_LIVE, PERSON, STATS, METRICS_PORT, INPUT_TOKEN, OUTPUT_TOKEN),
    *(JOBS, CLUSTER, CLUSTER_CPUS, CLUSTER_GPUS, RESUME, SEGMENT, PROGRESS),
    *(HOST, PORT, TOKEN, WATCH_TOKEN, ORIGIN, CERT, KEY, MAX_SESSIONS, MAX_MINUTES, BIT_RATE),
    *(STUN, TURN, TURN_USER, TURN_PASSWORD, TURN_SECRET, UDP_PORTS, PUBLIC_ADDRESS, CANDIDATES),
    *(TRUSTED_PROXIES, PATH_PREFIX, LOG),
    *(REPORT, RUNTIME, WEIGHTS, NETWORK, MEASURE),
)

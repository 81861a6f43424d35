"""Kinds: which containers may be opened: everything that FFmpeg decodes pictures from, except what
opens other files.

Named one by one, because FFmpeg gains kinds, and some of them open what the file names: playlists
(hls, dash, concat, imf, sdp), pictures by pattern (image2), files beside it (mlv, vobsub), devices,
addresses, and lavfi, which is a program. Text that FFmpeg would draw (tty, bin, xbin, adf, idf) and
bytes without any mark (rawvideo, data) are no recordings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

from stream.errors import InputError
from stream.media.pyav import READING

COMMON = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts", "mpeg"),
    *("flv", "live_flv", "kux", "asf", "asf_o", "ogg", "ivf", "nut", "wtv", "mxf", "gxf", "lxf"),
    *("rm", "ivr", "dv", "swf", "nsv", "nuv", "ty", "pva", "pmp", "dhav", "xmv", "vivo"),
)
"""Containers of several tracks."""
BARE = (
    *("h261", "h263", "h264", "hevc", "vvc", "evc", "av1", "obu", "avs2", "avs3", "cavsvideo"),
    *("mpegvideo", "m4v", "mpegtsraw", "vc1", "vc1test", "dirac", "dnxhd", "apv", "ipu"),
    *("mjpeg", "mjpeg_2000", "mpjpeg", "smjpeg", "yuv4mpegpipe", "gif", "apng", "jpegxl_anim"),
    "webp_anim",
)
"""Pictures without a container, or next to none."""
OLD_AND_RARE = (
    *("4xm", "anm", "argo_brp", "avs", "bethsoftvid", "bfi", "bink", "bmv", "c93", "cdg", "cdxl"),
    *("cine", "dfa", "dsicin", "dxa", "ea", "ea_cdata", "film_cpk", "filmstrip", "flic", "frm"),
    *("gdv", "hnm", "hxvs", "idcin", "iff", "ifv", "ingenient", "ipmovie", "iv8", "jv", "lmlm4"),
    *("lvf", "mgsts", "mm", "mods", "moflex", "msnwctcp", "mtv", "mv", "mvi", "mxg", "nc", "paf"),
    *("pdv", "psxstr", "r3d", "rl2", "roq", "rpl", "sdr2", "ser", "sga", "siff", "simbiosis_imx"),
    *("smk", "smush", "thp", "tiertexseq", "tmv", "txd", "usm", "vividas", "vmd", "wc3movie"),
    *("wsvqa", "yop"),
)
"""Of cameras, games and programs."""
FORMATS = ",".join((*COMMON, *BARE, *OLD_AND_RARE))
"""FFmpeg's names, as its option `format_whitelist` takes them."""
STILL = ",".join(
    f"{one}_pipe" for one in ("bmp", "gif", "jpeg", "jpegxl", "png", "psd", "qoi", "tiff", "webp")
)
"""Single pictures, which are refused, but named: FFmpeg reads these without opening other files."""


def open_as(path: Path, kinds: str) -> InputContainer:
    """Open a file, and nothing else that it names.

    Args:   kinds: what it may be, such as `FORMATS`.
    Raises: FFmpegError, OSError, ValueError: it is of another kind, or cannot be read.
    """
    opened: InputContainer = av.open(
        f"file:{path.absolute()}",
        mode="r",
        options={"format_whitelist": kinds, "protocol_whitelist": "file"},
        # Titles in an old encoding are no reason to refuse a recording.
        **READING,
    )
    return opened


def is_still(path: Path) -> bool:
    """Whether a file is a single picture."""
    try:
        with open_as(path, STILL):
            return True
    except (FFmpegError, OSError, ValueError):
        return False


def refuse_encrypted(path: Path, packet: Packet[Any]) -> None:
    """Raises: InputError: a packet is encrypted; decoded it would be noise."""
    if packet.has_sidedata("encryption_info"):
        raise InputError(f"{path} is encrypted; give a copy that plays without a key")

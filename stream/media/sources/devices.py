"""Devices: what a camera's name on the command line means on this system."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from stream.errors import ConfigError

FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
"""Platform → FFmpeg's name of its cameras."""
GENERATED = "lavfi:"
"""A picture that FFmpeg makes up, in real time: for tests, and where there is no camera."""
HD = {"video_size": "1280x720", "framerate": "30"}
# Over USB 2 a camera sends 720p at 30 only as MJPEG; uncompressed it would be 10 a second.
MODES: dict[str, tuple[dict[str, str], ...]] = {
    "v4l2": (
        {**HD, "input_format": "mjpeg"},
        HD,
        {**HD, "video_size": "640x480", "input_format": "mjpeg"},
        {},
    ),
    "avfoundation": (HD, {"framerate": "30"}, {}),
    "dshow": ({**HD, "vcodec": "mjpeg"}, HD, {}),
    "lavfi": ({},),
}
"""What is asked of a camera, the best first; the last takes whatever it gives."""


@dataclass(frozen=True)
class Device:
    """A camera, before it is opened."""

    name: str
    """As the user wrote it."""
    format: str
    """FFmpeg's name of the kind of device."""
    address: str
    """What FFmpeg opens; for dshow the number of the camera, as a text."""

    @property
    def modes(self) -> tuple[dict[str, str], ...]:
        """Options to try, in this order."""
        return MODES[self.format]

    @property
    def generated(self) -> bool:
        """Whether the pictures come as fast as they are asked for, and may end."""
        return self.format == "lavfi"


def device_named(name: str, platform: str = sys.platform) -> Device | None:
    """What `--input` names, if it is a camera.

    Args:    name: "webcam", "webcam:1", "/dev/video2" or "lavfi:testsrc2=size=640x480:rate=30".
    Returns: None where the name means something else, a recording.
    Raises:  ConfigError: it begins like a camera, and is none.
    """
    if name.startswith(GENERATED) and len(name) > len(GENERATED):
        return Device(name, "lavfi", name.removeprefix(GENERATED))
    if re.fullmatch(r"/dev/video\d+", name) and platform == "linux":
        return Device(name, "v4l2", name)
    head, _, number = name.partition(":")
    if head != "webcam":
        return None
    if name != "webcam" and not (number.isascii() and number.isdigit()):
        raise ConfigError(f"{name} is no camera; give webcam, or webcam:1 for the second one")
    if platform not in FORMATS:
        raise ConfigError(f"cameras are not supported on {platform}; give a recording")
    index = int(number or 0)
    address = f"/dev/video{index}" if platform == "linux" else str(index)
    return Device(name, FORMATS[platform], address)


def cameras_found(folder: Path = Path("/dev")) -> list[str]:
    """The devices that may be cameras, on Linux; empty elsewhere, where only opening tells."""
    found = [path for path in folder.glob("video*") if path.name[5:].isdigit()]
    return [str(path) for path in sorted(found, key=lambda path: int(path.name[5:]))]

"""VirtualCamera: the enhanced picture as a camera that other programs can choose."""

from __future__ import annotations

import sys
from fractions import Fraction
from typing import Any

import numpy as np

from engines.install import install_command
from stream.errors import OutputError
from stream.frame import Frame

LOOPBACK = (
    "install v4l2loopback-dkms and run: sudo modprobe v4l2loopback exclusive_caps=1 "
    "card_label=Closeup"
)
WAYS_OUT = {
    "linux": f"{LOOPBACK}; if that was done, another program is using it: close that, or reload "
    "the module, with sudo modprobe -r v4l2loopback first",
    "darwin": "install OBS and start its virtual camera once",
    "win32": "install OBS, which brings one",
}


def missing_reason() -> str | None:
    """Why no virtual camera can be opened at all, or None; looks only for the package."""
    try:
        import pyvirtualcam  # noqa: F401
    except ImportError:
        return f"pyvirtualcam is missing: {install_command('virtualcam')}"
    return None


class VirtualCamera:
    """Sends pictures to a virtual camera. It never waits: the pace is the camera's.

    Args:   size: (width, height) px of every picture; fixed as long as it is open.
            rate: nominal pictures a second, which other programs are told.
    Raises: OutputError: pyvirtualcam or the virtual camera is missing or in use; the way out.
    """

    name = "virtualcam"

    def __init__(self, size: tuple[int, int], rate: Fraction) -> None:
        if reason := missing_reason():
            raise OutputError(f"--output virtualcam: {reason}")
        import pyvirtualcam

        try:
            self._camera: Any = pyvirtualcam.Camera(
                size[0], size[1], float(rate), fmt=pyvirtualcam.PixelFormat.RGB
            )
        except RuntimeError as error:
            way_out = WAYS_OUT.get(sys.platform, "see pyvirtualcam's documentation")
            raise OutputError(f"no virtual camera can be opened: {way_out}") from error
        self._size = size
        self.device = str(self._camera.device)
        """What other programs see."""

    def send(self, frame: Frame) -> None:
        """Show a frame's output, or the camera's picture where there is none.

        Raises: OutputError: the virtual camera went away.
                ValueError: the picture has another size than announced.
        """
        image = frame.image if frame.output is None else frame.output
        if image.shape != (self._size[1], self._size[0], 3):
            raise ValueError(f"a picture {image.shape} for a virtual camera of {self._size}")
        try:
            self._camera.send(np.ascontiguousarray(image))
        except RuntimeError as error:
            raise OutputError(f"the virtual camera {self.device} went away ({error})") from error

    def close(self) -> None:
        """Give the virtual camera back. May be called again."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    abort = close
